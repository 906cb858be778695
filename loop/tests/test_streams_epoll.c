/* Real clock and kernel. Streams on socket pairs, TCP and pipes: what the kernel does to a connection reaches the user.
 */
#define _GNU_SOURCE
#include "backend/epoll.h"
#include "refloop.h"
#include "testing/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MEGABYTE = 1 << 20, SMALL = 3000 };

/* A backend that is epoll's, but moves few bytes at a time and fails harmlessly when it is told to. */
static struct {
    struct rl_epoll epoll;
    struct rl_backend inner;
    size_t call_bytes_max;
    unsigned long calls, fault_at; /* reads and writes, counted from 1 */
    int fault_error;
} kernel;

struct side {
    rl_stream *stream;
    size_t received, eofs, losts;
    int error;
    void (*in_data)(struct side *side);
};

static rl_loop *loop;
static struct side a, b;
static unsigned char bytes_sent[MEGABYTE];

static int64_t faulty_read(void *self, int fd, void *bytes, size_t size)
{
    if (++kernel.calls == kernel.fault_at)
        return kernel.fault_error;
    return kernel.inner.read(self, fd, bytes, size < kernel.call_bytes_max ? size : kernel.call_bytes_max);
}

static int64_t faulty_write(void *self, int fd, const void *bytes, size_t size)
{
    if (++kernel.calls == kernel.fault_at)
        return kernel.fault_error;
    return kernel.inner.write(self, fd, bytes, size < kernel.call_bytes_max ? size : kernel.call_bytes_max);
}

static void on_data(rl_stream *stream, void *arg, const void *bytes, size_t size)
{
    struct side *side = arg;
    CHECK(stream == side->stream && side->received + size <= MEGABYTE && side->eofs + side->losts == 0);
    CHECK(memcmp(bytes, bytes_sent + side->received, size) == 0);
    side->received += size;
    if (side->in_data != NULL)
        side->in_data(side);
}

static void on_eof(rl_stream *stream, void *arg)
{
    struct side *side = arg;
    CHECK(stream == side->stream && side->losts == 0);
    side->eofs++;
}

static void on_lost(rl_stream *stream, void *arg, int error)
{
    struct side *side = arg;
    CHECK(stream == side->stream);
    side->losts++;
    side->error = error;
}

static const struct rl_stream_callbacks callbacks = {.data = on_data, .eof = on_eof, .lost = on_lost};

static void open_loop(void)
{
    memset(&kernel, 0, sizeof kernel);
    kernel.call_bytes_max = MEGABYTE;
    memset(&a, 0, sizeof a), memset(&b, 0, sizeof b);
    for (size_t i = 0; i < MEGABYTE; i++)
        bytes_sent[i] = (unsigned char)(i * 31 + (i >> 8));
    CHECK(rl_epoll_open(&kernel.epoll, &kernel.inner) == 0);
    struct rl_backend backend = kernel.inner;
    backend.read = faulty_read;
    backend.write = faulty_write;
    CHECK(rl_loop_open_on(&loop, &backend) == 0);
}

static void open_side(struct side *side, int fd)
{
    CHECK(rl_stream_open(loop, fd, &callbacks, side, &side->stream) == 0);
}

static void unix_pair(int fds[2])
{
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
}

/* On a port that the kernel chooses. */
static void tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listener >= 0 && fds[0] >= 0);
    CHECK(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    CHECK(connect(fds[0], (struct sockaddr *)&address, size) == 0);
    fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(fds[1] >= 0 && fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
    (void)close(listener);
}

/* So that the kernel does not take a megabyte at once. */
static void shrink_buffers(const int fds[2])
{
    const int size = 65536; /* bytes */
    for (int i = 0; i < 2; i++)
        CHECK(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
}

static void (*const pairs[])(int fds[2]) = {unix_pair, tcp_pair};

static void open_both(void (*make)(int fds[2]))
{
    int fds[2];
    open_loop();
    make(fds);
    shrink_buffers(fds);
    open_side(&a, fds[0]);
    open_side(&b, fds[1]);
}

static void close_loop(void)
{
    CHECK(rl_loop_check(loop) == 0);
    CHECK(rl_loop_close(loop) == 0);
}

/* Turns until the condition holds; each sleeps until something happens. */
#define RUN_UNTIL(condition)                                                                                           \
    do {                                                                                                               \
        while (!(condition))                                                                                           \
            CHECK(rl_loop_is_alive(loop) && rl_loop_turn(loop, true) >= 0);                                            \
    } while (0)

/* A megabyte each way at once arrives byte for byte, then end of file each way, then lost(0) each. */
static void megabyte_both_ways(void)
{
    for (size_t i = 0; i < 2; i++) {
        open_both(pairs[i]);
        CHECK(rl_stream_write(a.stream, bytes_sent, MEGABYTE) == 0 && rl_stream_write_eof(a.stream) == 0);
        CHECK(rl_stream_write(b.stream, bytes_sent, MEGABYTE) == 0 && rl_stream_write_eof(b.stream) == 0);
        CHECK(rl_stream_buffered(a.stream) > 0);
        RUN_UNTIL(a.eofs == 1 && b.eofs == 1);
        CHECK(a.received == MEGABYTE && b.received == MEGABYTE);
        CHECK(rl_stream_buffered(a.stream) == 0 && !rl_loop_is_alive(loop));
        rl_stream_close(a.stream);
        rl_stream_close(b.stream);
        RUN_UNTIL(a.losts == 1 && b.losts == 1);
        CHECK(a.error == 0 && b.error == 0);
        close_loop();
    }
}

/* After the end of file of one side the other side still writes, and is read. */
static void half_close_leaves_the_other_half(void)
{
    for (size_t i = 0; i < 2; i++) {
        open_both(pairs[i]);
        CHECK(rl_stream_write_eof(a.stream) == 0);
        RUN_UNTIL(b.eofs == 1);
        CHECK(rl_stream_write(a.stream, "x", 1) == -EPIPE && rl_stream_write_eof(a.stream) == -EPIPE);
        CHECK(rl_stream_write(b.stream, bytes_sent, SMALL) == 0);
        RUN_UNTIL(a.received == SMALL);
        rl_stream_close(b.stream);
        RUN_UNTIL(b.losts == 1 && a.eofs == 1);
        CHECK(b.error == 0 && a.losts == 0);
        close_loop();
    }
}

/* Bytes that were buffered when close was called arrive, and then end of file. */
static void close_sends_what_is_buffered(void)
{
    for (size_t i = 0; i < 2; i++) {
        open_both(pairs[i]);
        CHECK(rl_stream_write(a.stream, bytes_sent, MEGABYTE) == 0);
        rl_stream_close(a.stream);
        CHECK(rl_stream_buffered(a.stream) > 0 && a.losts == 0);
        RUN_UNTIL(b.eofs == 1);
        CHECK(b.received == MEGABYTE && a.losts == 1 && a.error == 0);
        close_loop();
    }
}

static void reset_by_peer(int fds[2])
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    tcp_pair(fds);
    CHECK(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
}

/* A reset connection is lost with ECONNRESET when it is read, written, or ended; what came before it is read. */
static void reset_is_told(void)
{
    for (int variant = 0; variant < 3; variant++) {
        int fds[2];
        open_loop();
        reset_by_peer(fds);
        open_side(&a, fds[0]);
        rl_stream_pause(a.stream);
        CHECK(write(fds[1], bytes_sent, SMALL) == SMALL);
        (void)close(fds[1]);
        struct pollfd end = {.fd = fds[0], .events = POLLIN};
        while ((end.revents & POLLHUP) == 0)
            CHECK(poll(&end, 1, -1) == 1);
        if (variant == 0)
            rl_stream_resume(a.stream);
        else
            CHECK(variant == 1 ? rl_stream_write(a.stream, "x", 1) == 0 : rl_stream_write_eof(a.stream) == 0);
        CHECK(a.losts == 0);
        RUN_UNTIL(a.losts == 1);
        CHECK(a.error == -ECONNRESET && a.eofs == 0);
        CHECK(variant > 0 || a.received == SMALL);
        close_loop();
    }
}

/* A peer that went away: end of file when it is read; EPIPE and no signal when it is written to, also a pipe. */
static void gone_peer_is_told_without_a_signal(void)
{
    for (int is_pipe = 0; is_pipe < 2; is_pipe++) {
        int fds[2]; /* fds[1] is written to, as in a pipe */
        open_loop();
        if (is_pipe)
            CHECK(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
        else
            unix_pair(fds);
        open_side(&a, fds[1]);
        (void)close(fds[0]);
        rl_stream_pause(a.stream);
        CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
        CHECK(rl_stream_write(a.stream, "x", 1) == 0);
        RUN_UNTIL(a.losts == 1);
        CHECK(a.error == -EPIPE);
        sigset_t blocked;
        CHECK(sigpending(&blocked) == 0 && !sigismember(&blocked, SIGPIPE));
        CHECK(pthread_sigmask(SIG_BLOCK, NULL, &blocked) == 0 && !sigismember(&blocked, SIGPIPE));
        close_loop();
    }
}

/* A SIGPIPE that the program itself waits for is still there after a write to a pipe without reader. */
static void own_sigpipe_stays(void)
{
    int fds[2];
    sigset_t sigpipe, before, pending;
    CHECK(sigemptyset(&sigpipe) == 0 && sigaddset(&sigpipe, SIGPIPE) == 0);
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR && pthread_sigmask(SIG_BLOCK, &sigpipe, &before) == 0);
    CHECK(raise(SIGPIPE) == 0 && pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
    open_loop();
    open_side(&a, fds[1]);
    (void)close(fds[0]);
    rl_stream_pause(a.stream);
    CHECK(rl_stream_write(a.stream, "x", 1) == 0);
    RUN_UNTIL(a.losts == 1);
    close_loop();
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE));
    CHECK(sigwaitinfo(&sigpipe, NULL) == SIGPIPE && pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

/* A pipe says with HUP alone that its writer is gone, and with ERR alone, when it is full, that its reader is. */
static void gone_pipe_end_is_told(void)
{
    int fds[2];
    open_loop();
    CHECK(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
    open_side(&a, fds[0]);
    (void)close(fds[1]);
    RUN_UNTIL(a.eofs == 1);
    CHECK(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
    open_side(&b, fds[1]);
    rl_stream_pause(b.stream);
    CHECK(rl_stream_write(b.stream, bytes_sent, MEGABYTE) == 0 && rl_stream_buffered(b.stream) > 0);
    (void)close(fds[0]);
    RUN_UNTIL(b.losts == 1);
    CHECK(b.error == -EPIPE && a.losts == 0);
    close_loop();
}

/* Two streams on the ends of a pipe carry bytes one way; closing the writer is end of file. write_eof is refused. */
static void pipe_ends_are_streams(void)
{
    int fds[2];
    open_loop();
    CHECK(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
    open_side(&a, fds[0]);
    open_side(&b, fds[1]);
    rl_stream_pause(b.stream); /* the end to write to has nothing to read */
    CHECK(rl_stream_write(b.stream, bytes_sent, MEGABYTE) == 0);
    rl_stream_close(b.stream);
    RUN_UNTIL(a.eofs == 1);
    CHECK(a.received == MEGABYTE && b.losts == 1 && b.error == 0);
    CHECK(rl_stream_write_eof(a.stream) == 0);
    RUN_UNTIL(a.losts == 1);
    CHECK(a.error == -ENOTSOCK);
    close_loop();
}

/* A regular file is refused, and stays open. */
static void regular_file_is_refused(void)
{
    int fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    open_loop();
    CHECK(fd >= 0 && rl_stream_open(loop, fd, &callbacks, &a, &a.stream) == -EPERM);
    CHECK(close(fd) == 0);
    close_loop();
}

static void close_side(struct side *side)
{
    rl_stream_close(side->stream);
}

/* The number of a closed stream's fd can serve the next stream: each hears of its own bytes only. */
static void fd_number_is_used_again(void)
{
    open_loop();
    int number = -1;
    for (int i = 0; i < 5; i++) {
        int fds[2];
        unix_pair(fds);
        CHECK(number == -1 || fds[0] == number);
        number = fds[0];
        memset(&a, 0, sizeof a);
        open_side(&a, fds[0]);
        a.in_data = close_side;
        CHECK(write(fds[1], bytes_sent, SMALL) == SMALL);
        RUN_UNTIL(a.received == SMALL);
        CHECK(write(fds[1], bytes_sent, SMALL) == SMALL); /* ready before the close is over, and not for the next one */
        RUN_UNTIL(a.losts == 1);
        CHECK(a.received == SMALL && a.eofs == 0);
        (void)close(fds[1]);
    }
    close_loop();
}

/* EINTR or EAGAIN at any one of the reads and writes, with calls that move few bytes, loses and repeats nothing. */
static void harmless_errors_at_every_call(void)
{
    unsigned long calls = 1;
    for (unsigned long at = 0; at <= calls; at++) {
        open_both(unix_pair);
        kernel.fault_at = at;
        kernel.fault_error = at % 2 ? -EINTR : -EAGAIN;
        kernel.call_bytes_max = 500;
        CHECK(rl_stream_write(a.stream, bytes_sent, SMALL) == 0 && rl_stream_write(b.stream, bytes_sent, SMALL) == 0);
        CHECK(rl_stream_write_eof(a.stream) == 0 && rl_stream_write_eof(b.stream) == 0);
        RUN_UNTIL(a.eofs == 1 && b.eofs == 1);
        CHECK(a.received == SMALL && b.received == SMALL);
        calls = kernel.calls;
        close_loop();
    }
    CHECK(calls > 4 * SMALL / 500);
}

static const struct test tests[] = {TEST(megabyte_both_ways),
                                    TEST(half_close_leaves_the_other_half),
                                    TEST(close_sends_what_is_buffered),
                                    TEST(reset_is_told),
                                    TEST(gone_peer_is_told_without_a_signal),
                                    TEST(own_sigpipe_stays),
                                    TEST(gone_pipe_end_is_told),
                                    TEST(pipe_ends_are_streams),
                                    TEST(regular_file_is_refused),
                                    TEST(fd_number_is_used_again),
                                    TEST(harmless_errors_at_every_call)};

TEST_MAIN(tests)
