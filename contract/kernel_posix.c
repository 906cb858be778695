/* The real system under a loop: socket pairs, the monotonic clock, POSIX threads. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"

enum { HELPERS_MAX = 32, FDS_COUNTED_MAX = 1024 };

static struct helper {
    pthread_t thread;
    uint64_t delay_ns;
    void (*work)(void *);
    void *arg;
} helpers[HELPERS_MAX];
static size_t helpers_count;

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

static uint64_t now_ns(void *self)
{
    struct timespec now;
    (void)self;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void advance(void *self, uint64_t duration_ns)
{
    struct timespec left = to_timespec(duration_ns);
    (void)self;
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static int pair(void *self, int fds[2])
{
    (void)self;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    }
    return 0;
}

static int close_fd(void *self, int fd)
{
    (void)self;
    return close(fd) == 0 ? 0 : -errno;
}

static int64_t put(void *self, int fd, uint64_t bytes)
{
    static const char zeros[4096];
    uint64_t done = 0;
    (void)self;
    while (done < bytes) {
        size_t chunk = bytes - done < sizeof zeros ? (size_t)(bytes - done) : sizeof zeros;
        ssize_t wrote = send(fd, zeros, chunk, MSG_NOSIGNAL);
        if (wrote < 0)
            return done > 0 || errno == EAGAIN ? (int64_t)done : -errno;
        done += (uint64_t)wrote;
    }
    return (int64_t)done;
}

static int64_t take(void *self, int fd, uint64_t bytes)
{
    char buffer[4096];
    uint64_t done = 0;
    (void)self;
    while (done < bytes) {
        size_t chunk = bytes - done < sizeof buffer ? (size_t)(bytes - done) : sizeof buffer;
        ssize_t got = recv(fd, buffer, chunk, 0);
        if (got < 0)
            return done > 0 || errno == EAGAIN ? (int64_t)done : -errno;
        if (got == 0)
            break;
        done += (uint64_t)got;
    }
    return (int64_t)done;
}

static int shut(void *self, int fd)
{
    (void)self;
    return shutdown(fd, SHUT_WR) == 0 ? 0 : -errno;
}

static unsigned ready(void *self, int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN | POLLOUT};
    unsigned bits = 0;
    (void)self;
    if (poll(&one, 1, 0) <= 0)
        return 0;
    bits |= one.revents & POLLIN ? LC_IN : 0;
    bits |= one.revents & POLLOUT ? LC_OUT : 0;
    bits |= one.revents & POLLHUP ? LC_HUP : 0;
    bits |= one.revents & (POLLERR | POLLNVAL) ? LC_ERR : 0;
    return bits;
}

static int open_fds(void *self)
{
    struct pollfd all[FDS_COUNTED_MAX];
    int count = 0;
    (void)self;
    for (int i = 0; i < FDS_COUNTED_MAX; i++)
        all[i] = (struct pollfd){.fd = i};
    if (poll(all, FDS_COUNTED_MAX, 0) < 0)
        return -errno; /* RLIMIT_NOFILE is smaller than what is counted */
    for (int i = 0; i < FDS_COUNTED_MAX; i++)
        count += (all[i].revents & POLLNVAL) == 0;
    return count;
}

static void *help(void *arg)
{
    const struct helper *helper = arg;
    if (helper->delay_ns > 0)
        advance(NULL, helper->delay_ns);
    helper->work(helper->arg);
    return NULL;
}

static int post(void *self, uint64_t delay_ns, void (*work)(void *), void *arg)
{
    struct helper now = {.delay_ns = delay_ns, .work = work, .arg = arg};
    struct helper *helper = delay_ns == 0 ? &now : &helpers[helpers_count];
    (void)self;
    if (delay_ns > 0 && helpers_count == HELPERS_MAX)
        return -EAGAIN;
    *helper = now;
    int error = pthread_create(&helper->thread, NULL, help, helper);
    if (error != 0)
        return -error;
    if (delay_ns > 0)
        helpers_count++;
    else
        pthread_join(now.thread, NULL);
    return 0;
}

static void join(void *self)
{
    (void)self;
    for (; helpers_count > 0; helpers_count--)
        pthread_join(helpers[helpers_count - 1].thread, NULL);
}

const struct lc_kernel *lc_kernel_posix(void)
{
    static const struct lc_kernel kernel = {.now_ns = now_ns,
                                            .advance = advance,
                                            .pair = pair,
                                            .close = close_fd,
                                            .put = put,
                                            .take = take,
                                            .shut = shut,
                                            .ready = ready,
                                            .open_fds = open_fds,
                                            .post = post,
                                            .join = join};
    return &kernel;
}
