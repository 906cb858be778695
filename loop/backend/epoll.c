#define _GNU_SOURCE /* epoll_pwait2, accept4 */

#include "backend/epoll.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The loop's own bits are not epoll's: a backend for another kernel uses the same ones. */
static uint32_t to_epoll(uint32_t interest)
{
    return ((interest & RL_IN) ? (uint32_t)EPOLLIN : 0) | ((interest & RL_OUT) ? (uint32_t)EPOLLOUT : 0);
}

static uint32_t from_epoll(uint32_t raw)
{
    uint32_t events = (raw & EPOLLIN) ? RL_IN : 0;
    events |= (raw & EPOLLOUT) ? RL_OUT : 0;
    events |= (raw & EPOLLHUP) ? RL_HUP : 0;
    events |= (raw & EPOLLERR) ? RL_ERR : 0;
    return events;
}

static uint64_t epoll_now_ns(void *self)
{
    (void)self;
    struct timespec now;
    int failed = clock_gettime(CLOCK_MONOTONIC, &now);
    assert(failed == 0);
    (void)failed;
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static int control(int epoll_fd, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.fd = fd}};
    return epoll_ctl(epoll_fd, operation, fd, &event) == 0 ? 0 : -errno;
}

/* An entry of an epoll set belongs to the open file, not to the fd. If the fd is closed while a duplicate of it lives
 * (in a child, say), the entry stays, cannot be removed any more, and would end every wait at once, for ever, in the
 * name of an fd that may mean another file by now. Only a new set gets rid of it. */
static int forget(struct rl_epoll *epoll, int fd)
{
    int error = control(epoll->epoll_fd, EPOLL_CTL_DEL, fd, 0);
    if (error == -EBADF || error == -ENOENT || error == -EPERM) {
        epoll->is_suspect = true;
        return 0;
    }
    return error;
}

static int epoll_apply(void *self, int fd, uint32_t interest)
{
    struct rl_epoll *epoll = self;
    assert(fd != epoll->epoll_fd && fd != epoll->wake_fd);
    if (interest == 0)
        return forget(epoll, fd);
    int error = control(epoll->epoll_fd, EPOLL_CTL_ADD, fd, to_epoll(interest));
    return error == -EEXIST ? control(epoll->epoll_fd, EPOLL_CTL_MOD, fd, to_epoll(interest)) : error;
}

static int open_set(int wake_fd)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        return -errno;
    int error = control(epoll_fd, EPOLL_CTL_ADD, wake_fd, EPOLLIN);
    if (error < 0) {
        (void)close(epoll_fd);
        return error;
    }
    return epoll_fd;
}

int rl_epoll_timeout_ms(int64_t timeout_ns)
{
    const int64_t ns_per_ms = 1000000;
    if (timeout_ns < 0)
        return -1;
    int64_t timeout_ms = timeout_ns / ns_per_ms + (timeout_ns % ns_per_ms != 0);
    return timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
}

static int wait_ns(struct rl_epoll *epoll, int64_t timeout_ns, int events_max)
{
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 35)
    if (epoll->has_pwait2) {
        struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
                                   .tv_nsec = (long)(timeout_ns % 1000000000)};
        int count = epoll_pwait2(epoll->epoll_fd, epoll->raw, events_max, timeout_ns < 0 ? NULL : &timeout, NULL);
        /* EPERM is how some sandboxes answer a system call that they do not know. */
        if (count >= 0 || (errno != ENOSYS && errno != EPERM))
            return count < 0 ? -errno : count;
        epoll->has_pwait2 = false;
    }
#endif
    int count = epoll_wait(epoll->epoll_fd, epoll->raw, events_max, rl_epoll_timeout_ms(timeout_ns));
    return count < 0 ? -errno : count;
}

static void swallow_wakes(int wake_fd)
{
    uint64_t wakes;
    ssize_t size = read(wake_fd, &wakes, sizeof wakes);
    (void)size; /* fails only if there is nothing to swallow, which is as good */
}

/* Returns -ESTALE when the set was replaced; 0 when it could not be: the old one still serves, if not as quietly. */
static int replace_set(struct rl_epoll *epoll)
{
    int epoll_fd = open_set(epoll->wake_fd);
    if (epoll_fd < 0)
        return 0;
    (void)close(epoll->epoll_fd);
    epoll->epoll_fd = epoll_fd;
    epoll->is_suspect = false;
    return -ESTALE;
}

static int epoll_wait_events(void *self, int64_t timeout_ns, struct rl_event *events, int events_max)
{
    struct rl_epoll *epoll = self;
    assert(events_max > 0 && events_max <= RL_EVENTS_MAX);
    if (epoll->is_suspect && replace_set(epoll) == -ESTALE)
        return -ESTALE;
    int raw_count = wait_ns(epoll, timeout_ns, events_max);
    int count = 0;
    for (int i = 0; i < raw_count; i++) {
        if (epoll->raw[i].data.fd == epoll->wake_fd)
            swallow_wakes(epoll->wake_fd);
        else
            events[count++] =
                (struct rl_event){.fd = epoll->raw[i].data.fd, .events = from_epoll(epoll->raw[i].events)};
    }
    return raw_count < 0 ? raw_count : count;
}

static int epoll_wake(void *self)
{
    const struct rl_epoll *epoll = self;
    int saved_errno = errno; /* a signal handler may be the caller */
    const uint64_t one = 1;
    ssize_t size = write(epoll->wake_fd, &one, sizeof one);
    /* EAGAIN: the counter is full, so the fd is readable, which is all that is wanted. */
    int error = size < 0 && errno != EAGAIN ? -errno : 0;
    errno = saved_errno;
    return error;
}

static int64_t epoll_read(void *self, int fd, void *bytes, size_t size)
{
    (void)self;
    ssize_t got = recv(fd, bytes, size, 0);
    if (got < 0 && errno == ENOTSOCK)
        got = read(fd, bytes, size);
    return got < 0 ? -errno : (int64_t)got;
}

/* A pipe has no MSG_NOSIGNAL. SIGPIPE comes to the thread that writes, so it can be held back and taken away there,
 * unless the program waits for one of its own already. */
static ssize_t write_without_signal(int fd, const void *bytes, size_t size)
{
    const struct timespec at_once = {0};
    sigset_t sigpipe, before, pending;
    (void)sigemptyset(&sigpipe);
    (void)sigaddset(&sigpipe, SIGPIPE);
    (void)sigemptyset(&pending);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
    ssize_t sent = write(fd, bytes, size);
    int saved_errno = errno;
    if (sent < 0 && errno == EPIPE && !sigismember(&pending, SIGPIPE))
        (void)sigtimedwait(&sigpipe, NULL, &at_once);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved_errno;
    return sent;
}

static int64_t epoll_write(void *self, int fd, const void *bytes, size_t size)
{
    (void)self;
    ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == ENOTSOCK)
        sent = write_without_signal(fd, bytes, size);
    return sent < 0 ? -errno : (int64_t)sent;
}

/* MSG_TRUNC: the size of the whole datagram. */
static int64_t epoll_receive(void *self, int fd, void *bytes, size_t size)
{
    (void)self;
    ssize_t got = recv(fd, bytes, size, MSG_TRUNC);
    return got < 0 ? -errno : (int64_t)got;
}

static int epoll_send(void *self, int fd, const void *bytes, size_t size)
{
    (void)self;
    return send(fd, bytes, size, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int epoll_accept(void *self, int fd)
{
    (void)self;
    const int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return accepted < 0 ? -errno : accepted;
}

static int epoll_connect(void *self, int fd, const void *address, size_t size)
{
    (void)self;
    return connect(fd, address, (socklen_t)size) == 0 ? 0 : -errno;
}

/* No error is told before the connect has ended, nor after it was told; only who is connected has a peer. */
static int epoll_finish_connect(void *self, int fd)
{
    (void)self;
    struct sockaddr_storage peer;
    int error = 0;
    socklen_t size = sizeof error, peer_size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    if (error != 0)
        return -error;
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_size) == 0)
        return 0;
    return errno == ENOTCONN ? -EINPROGRESS : -errno;
}

static int epoll_shut(void *self, int fd)
{
    (void)self;
    if (shutdown(fd, SHUT_WR) == 0)
        return 0;
    if (errno != ENOTCONN)
        return -errno;
    /* The connection broke before; what broke it was not told yet, or it was and ENOTCONN has to do. */
    int error = 0;
    socklen_t size = sizeof error;
    (void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return error != 0 ? -error : -ENOTCONN;
}

static void epoll_close_fd(void *self, int fd)
{
    (void)self;
    (void)close(fd); /* EINTR too leaves it closed on Linux */
}

static void epoll_close(void *self)
{
    struct rl_epoll *epoll = self;
    (void)close(epoll->epoll_fd);
    (void)close(epoll->wake_fd);
    epoll->epoll_fd = -1;
    epoll->wake_fd = -1;
}

int rl_epoll_open(struct rl_epoll *epoll, struct rl_backend *backend)
{
    *epoll = (struct rl_epoll){.epoll_fd = -1, .wake_fd = -1, .has_pwait2 = true};
    epoll->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (epoll->wake_fd < 0)
        return -errno;
    epoll->epoll_fd = open_set(epoll->wake_fd);
    if (epoll->epoll_fd < 0) {
        int error = epoll->epoll_fd;
        (void)close(epoll->wake_fd);
        return error;
    }
    *backend = (struct rl_backend){.self = epoll,
                                   .now_ns = epoll_now_ns,
                                   .apply = epoll_apply,
                                   .wait = epoll_wait_events,
                                   .wake = epoll_wake,
                                   .read = epoll_read,
                                   .write = epoll_write,
                                   .shut = epoll_shut,
                                   .receive = epoll_receive,
                                   .send = epoll_send,
                                   .accept = epoll_accept,
                                   .connect = epoll_connect,
                                   .finish_connect = epoll_finish_connect,
                                   .close_fd = epoll_close_fd,
                                   .close = epoll_close};
    return 0;
}
