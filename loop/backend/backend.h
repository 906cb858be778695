/* The seam between the loop and a kernel, real or simulated: a clock, a set of watched fds, a sleep, and a way to end
 * the sleep from another thread; for streams and datagrams also the calls that move bytes. All functions but wake are
 * called on the loop's thread, none from within another of them. */
#ifndef RL_BACKEND_H
#define RL_BACKEND_H

#include "core/watch.h" /* struct rl_event, RL_IN ... RL_ERR */

#include <stddef.h>
#include <stdint.h>

/* The loop asks for at most so many events a turn. What does not fit must come in a later wait, and not always the same
 * fds may be the ones left out. */
#define RL_EVENTS_MAX 256

struct rl_backend {
    /* Handed to every function. */
    void *self;
    /* A monotonic clock in ns. */
    uint64_t (*now_ns)(void *self);
    /* From now on watch fd for interest: RL_IN | RL_OUT, one of them, or 0 = forget it. Takes effect before it returns:
     * the fd may be closed right after it was forgotten, and no later wait may report it. Returns 0 or -errno, and then
     * the old interest stands: -EBADF no such fd, -EPERM an fd that cannot be watched, -ENOMEM. Taking interest away,
     * some or all, succeeds, even if the fd was closed before it was forgotten. */
    int (*apply)(void *self, int fd, uint32_t interest);
    /* Sleeps until a watched fd is ready, a wake came since the last wait, or timeout_ns have passed (never less; -1 =
     * no limit, 0 = only look). Level-triggered: an fd is reported by every wait for as long as it is ready. RL_HUP and
     * RL_ERR are reported unasked. Writes one event per fd into events[events_max] and returns their number, 0 for a
     * wake or a timeout; or -errno:
     * - -EINTR: a signal came; counts as no event;
     * - -ESTALE: the backend had to forget every fd; the loop applies them all again, then waits again. */
    int (*wait)(void *self, int64_t timeout_ns, struct rl_event *events, int events_max);
    /* Any thread, and signal handlers: ends the wait that runs, or else the next one. Returns 0 or -errno. */
    int (*wake)(void *self);
    /* The next three serve streams, and are NULL in a backend without them; rl_backend.close_fd is there with them. No
     * fd is remembered from call to call: the next fd of that number may be of another kind. None of them blocks, and
     * none raises a signal.
     *
     * Moves at most size bytes, more than 0, into bytes. Returns their number; 0 = end of file: the peer sends no more;
     * or -errno: -EAGAIN nothing there now, -EINTR a signal came first; both say nothing about the stream. */
    int64_t (*read)(void *self, int fd, void *bytes, size_t size);
    /* Moves at most size bytes, more than 0, out of bytes. Returns their number, more than 0, or -errno: -EAGAIN and
     * -EINTR as above; -EPIPE the peer will read no more. */
    int64_t (*write)(void *self, int fd, const void *bytes, size_t size);
    /* Sends no more through fd: the peer reads end of file after what was written. Reading goes on. Returns 0 or
     * -errno: -ENOTSOCK for an fd that has no such half, the error of the connection if it broke. */
    int (*shut)(void *self, int fd);
    /* The next two serve datagrams, and are NULL in a backend without them; rl_backend.close_fd is there with them.
     *
     * Takes the next datagram, and moves at most size bytes of it into bytes; the rest is gone. Returns the size of the
     * whole datagram, which may be 0, or more than size; or -errno: -EAGAIN and -EINTR as above; -ECONNREFUSED and its
     * like tell of a datagram that was sent before, once. */
    int64_t (*receive)(void *self, int fd, void *bytes, size_t size);
    /* Sends size bytes, also 0, as one datagram. Returns 0 or -errno: -EAGAIN, -ENOBUFS and -EINTR: not now; any other:
     * this datagram is not sent; it may be an error of one that was sent before. */
    int (*send)(void *self, int fd, const void *bytes, size_t size);
    /* Serves servers, and is NULL in a backend without them; rl_backend.close_fd is there with it. Takes the first of
     * those who have connected to the listener fd. Returns a new fd, non-blocking and close-on-exec; or -errno: -EAGAIN
     * nobody is there; -EINTR, and the errors that accept(2) passes on from the network: the next one may be; -EMFILE,
     * -ENFILE, -ENOBUFS and -ENOMEM: he is still there. */
    int (*accept)(void *self, int fd);
    /* The next two serve streams that the loop connects, and are NULL in a backend without them.
     *
     * Begins to connect fd to the address, a struct sockaddr of size bytes. Returns 0 or -EISCONN: it is connected;
     * -EINPROGRESS, -EALREADY, -EINTR: fd becomes writable, or in error, when it is or cannot be; or another -errno. */
    int (*connect)(void *self, int fd, const void *address, size_t size);
    /* What came of it. Returns 0; -EINPROGRESS: nothing yet; or the -errno for which it failed. */
    int (*finish_connect)(void *self, int fd);
    /* Closes fd, which is watched no more. */
    void (*close_fd)(void *self, int fd);
    /* Gives everything back. No function is called after it. */
    void (*close)(void *self);
};

#endif
