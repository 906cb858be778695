/* Runs under the kernel shim with all its faults. Bytes arrive whole and in order for a program that treats them as the
 * manual says, whether it polls or waits for edges; the faults do come; and none contradicts another call. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "testing/test.h"

enum { TOTAL_BYTES = 1 << 20, CHUNK_BYTES = 9000, WAITS_MAX = 1 << 20, TIMEOUT_MS = 1000 * 1000 };

static unsigned short_reads, short_writes, refusals, interruptions;

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 31 + (i >> 8));
}

static void make_non_blocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(fds[0], (struct sockaddr *)&address, size) == 0);
    fds[1] = accept(listener, NULL, NULL);
    CHECK(fds[1] >= 0);
    close(listener);
}

/* What a call that moved nothing says: true if it is one of those after which one waits or repeats. */
static bool may_go_on(ssize_t moved)
{
    if (moved >= 0)
        return true;
    refusals += errno == EAGAIN;
    interruptions += errno == EINTR;
    return errno == EAGAIN || errno == EINTR;
}

struct transfer {
    int from, to;
    size_t written, got;
};

/* Writes until it is told to wait; is_eager: also on after a short count, as who waits for edges has to after EINTR. */
static void push(struct transfer *t)
{
    unsigned char chunk[CHUNK_BYTES];
    while (t->written < TOTAL_BYTES) {
        size_t size = TOTAL_BYTES - t->written < CHUNK_BYTES ? TOTAL_BYTES - t->written : CHUNK_BYTES;
        for (size_t i = 0; i < size; i++)
            chunk[i] = byte_at(t->written + i);
        struct iovec parts[2] = {{chunk, size / 3}, {chunk + size / 3, size - size / 3}};
        ssize_t wrote = t->written % 2 == 0 ? write(t->from, chunk, size) : writev(t->from, parts, 2);
        CHECK(may_go_on(wrote));
        if (wrote < 0 && errno == EINTR)
            continue;
        t->written += wrote > 0 ? (size_t)wrote : 0;
        if (wrote < (ssize_t)size) { /* epoll(7): a short count is as good as EAGAIN */
            short_writes += wrote > 0;
            return;
        }
    }
}

static void pull(struct transfer *t)
{
    unsigned char chunk[CHUNK_BYTES];
    while (t->got < TOTAL_BYTES) {
        struct iovec parts[2] = {{chunk, CHUNK_BYTES / 2}, {chunk + CHUNK_BYTES / 2, CHUNK_BYTES / 2}};
        ssize_t got = t->got % 2 == 0 ? read(t->to, chunk, CHUNK_BYTES) : readv(t->to, parts, 2);
        CHECK(got != 0 && may_go_on(got));
        if (got < 0 && errno == EINTR)
            continue;
        for (ssize_t i = 0; i < got; i++)
            CHECK(chunk[i] == byte_at(t->got + (size_t)i));
        t->got += got > 0 ? (size_t)got : 0;
        if (got < CHUNK_BYTES) {
            short_reads += got > 0;
            return;
        }
    }
}

static void close_pair(const struct transfer *t)
{
    close(t->from);
    close(t->to);
}

static void transfer_by_poll(struct transfer *t)
{
    make_non_blocking(t->from);
    make_non_blocking(t->to);
    for (int waits = 0; t->got < TOTAL_BYTES; waits++) {
        struct pollfd fds[2] = {{.fd = t->from, .events = t->written < TOTAL_BYTES ? POLLOUT : 0},
                                {.fd = t->to, .events = POLLIN}};
        int count = poll(fds, 2, TIMEOUT_MS);
        CHECK(waits < WAITS_MAX && count != 0 && may_go_on(count));
        if (count > 0 && (fds[0].revents & POLLOUT))
            push(t);
        if (count > 0 && (fds[1].revents & POLLIN))
            pull(t);
    }
    close_pair(t);
}

static void transfer_by_edges(struct transfer *t)
{
    struct epoll_event events[2], out = {.events = EPOLLOUT | EPOLLET},
                                  in = {.events = EPOLLIN | EPOLLET, .data.fd = 1};
    int epfd = epoll_create1(0);
    make_non_blocking(t->from);
    make_non_blocking(t->to);
    CHECK(epoll_ctl(epfd, EPOLL_CTL_ADD, t->from, &out) == 0 && epoll_ctl(epfd, EPOLL_CTL_ADD, t->to, &in) == 0);
    for (int waits = 0; t->got < TOTAL_BYTES; waits++) {
        int count = epoll_wait(epfd, events, 2, TIMEOUT_MS);
        CHECK(waits < WAITS_MAX && count != 0 && may_go_on(count));
        for (int i = 0; i < count; i++)
            events[i].data.fd == 1 ? pull(t) : push(t);
    }
    close(epfd);
    close_pair(t);
}

static void make_pair(int kind, int fds[2])
{
    if (kind == 0)
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    else if (kind == 1)
        tcp_pair(fds);
    else
        CHECK(pipe(fds) == 0);
}

static struct transfer transfer_over(int kind)
{
    int fds[2];
    make_pair(kind, fds);
    return kind == 2 ? (struct transfer){.from = fds[1], .to = fds[0]}
                     : (struct transfer){.from = fds[0], .to = fds[1]};
}

static void test_bytes_by_poll(void)
{
    for (int kind = 0; kind < 3; kind++) {
        struct transfer t = transfer_over(kind);
        transfer_by_poll(&t);
    }
}

static void test_bytes_by_edges(void)
{
    for (int kind = 0; kind < 3; kind++) {
        struct transfer t = transfer_over(kind);
        transfer_by_edges(&t);
    }
}

/* The checks above are worth something only if this holds. */
static void test_faults_have_come(void)
{
    const char *settings = getenv("LOOPCHECK_SHIM");
    CHECK(short_reads > 10 && short_writes > 10 && refusals > 10);
    CHECK(settings != NULL && (interruptions > 10 || strstr(settings, "posix") == NULL));
}

static void test_small_writes_to_a_pipe_are_whole(void)
{
    int ends[2];
    char bytes[4096] = {0};
    CHECK(pipe2(ends, O_NONBLOCK) == 0);
    for (int i = 0; i < 400; i++) {
        ssize_t wrote = write(ends[1], bytes, sizeof bytes);
        CHECK(wrote == (ssize_t)sizeof bytes || (wrote < 0 && errno == EINTR));
        while (read(ends[0], bytes, sizeof bytes) > 0)
            ;
    }
    close(ends[0]);
    close(ends[1]);
}

/* HUP has been shown, so that all is here: a reader that stops after a short read with HUP has missed nothing. */
static void test_reads_after_hup_are_whole(void)
{
    for (int i = 0; i < 200; i++) {
        char bytes[1000];
        int fds[2];
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
        CHECK(write(fds[0], bytes, 600) == 600); /* blocking: whole */
        close(fds[0]);
        make_non_blocking(fds[1]);
        struct pollfd one = {.fd = fds[1], .events = POLLIN};
        while (poll(&one, 1, TIMEOUT_MS) < 0)
            ;
        ssize_t got = -1;
        CHECK(one.revents & POLLHUP);
        while (got < 0) {
            got = read(fds[1], bytes, sizeof bytes);
            CHECK(got == 600 || (got < 0 && errno == EINTR));
        }
        close(fds[1]);
    }
}

static void test_blocking_calls_and_peeks_are_left_alone(void)
{
    char bytes[5000] = {0};
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    for (int i = 0; i < 300; i++) {
        CHECK(write(fds[0], bytes, sizeof bytes) == (ssize_t)sizeof bytes);
        CHECK(recv(fds[1], bytes, sizeof bytes, MSG_DONTWAIT | MSG_PEEK) == (ssize_t)sizeof bytes);
        CHECK(read(fds[1], bytes, sizeof bytes) == (ssize_t)sizeof bytes);
    }
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(test_bytes_by_poll),
        TEST(test_bytes_by_edges),
        TEST(test_faults_have_come),
        TEST(test_small_writes_to_a_pipe_are_whole),
        TEST(test_reads_after_hup_are_whole),
        TEST(test_blocking_calls_and_peeks_are_left_alone),
    };
    return test_main(tests, sizeof tests / sizeof *tests);
}
