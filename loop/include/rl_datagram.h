/* Endpoints of datagrams of refloop: a connected datagram socket that the loop receives from and sends to.
 *
 *   [DGRAM-1] a datagram arrives whole, once, or not at all.
 *   [DGRAM-2] what goes wrong with one datagram is told, and the endpoint goes on.
 *   [DGRAM-3] what the kernel does not take now waits, and is sent in order.
 *   [CLOSE]   after close or abort returned, no datagram comes, even if some were there already.
 *
 * No callback comes inside a call of the user, but for pause_writing inside rl_datagram_send. All verbs are legal
 * inside any callback, also one of the endpoint itself. An endpoint keeps the loop alive until it is lost. */
#ifndef RL_DATAGRAM_H
#define RL_DATAGRAM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In one turn an endpoint receives at most RECEIVES_MAX datagrams and sends at most SENDS_MAX of those that wait. */
enum {
    RL_DATAGRAM_BYTES_MAX = 65536,  /* of a datagram that is received: more than UDP can carry */
    RL_DATAGRAM_RECEIVES_MAX = 16,  /* a turn */
    RL_DATAGRAM_SENDS_MAX = 16,     /* a turn */
    RL_DATAGRAM_HIGH_BYTES = 65536, /* the limits of a new endpoint, which count what waits and 8 bytes for each */
    RL_DATAGRAM_LOW_BYTES = 16384,
    RL_DATAGRAM_WAITING_BYTES_MAX = 1 << 20 /* counted alike; who goes on sending when this waits is refused */
};

typedef struct rl_loop rl_loop;
typedef struct rl_datagram rl_datagram;

struct rl_datagram_callbacks { /* any may be NULL but lost */
    /* One datagram, which may be empty. The bytes stay until the callback returns. */
    void (*datagram)(rl_datagram *endpoint, void *arg, const void *bytes, size_t size);
    /* The -errno by which a datagram was lost: an earlier one that the peer refused (-ECONNREFUSED), one that waited
     * and the kernel does not send, or one that came and was larger than RL_DATAGRAM_BYTES_MAX (-EMSGSIZE). */
    void (*refused)(rl_datagram *endpoint, void *arg, int error);
    /* As those of rl_stream_callbacks; none comes while nothing is left but lost. */
    void (*pause_writing)(rl_datagram *endpoint, void *arg);
    void (*resume_writing)(rl_datagram *endpoint, void *arg);
    /* The last callback, exactly once. The fd is closed already, and the endpoint's memory is gone when this returns.
     * Error is 0 after close and abort; else the -errno by which the fd could not be waited for any more. */
    void (*lost)(rl_datagram *endpoint, void *arg, int error);
};

/* The fd is a connected datagram socket and non-blocking. On success it is the endpoint's, which closes it, and
 * datagrams come from the next turn on; on failure it is still the caller's. -EINVAL without a lost callback; -EBADF
 * and -EPERM as rl_watch_start; -ENOTSUP if the loop's backend has no datagrams. */
int rl_datagram_open(rl_loop *loop, int fd, const struct rl_datagram_callbacks *callbacks, void *arg,
                     rl_datagram **out);
/* Sends one datagram of size bytes, also 0, at once when none waits; if the kernel is full (EAGAIN, ENOBUFS), a copy
 * waits. 0: it was sent, or waits. Otherwise it never will be, and nothing more is told of it: -EPIPE after close or
 * abort; -ENOMEM; -ENOBUFS: too much waits; or what the kernel says, -EMSGSIZE among it, and -ECONNREFUSED for one that
 * was sent before. */
int rl_datagram_send(rl_datagram *endpoint, const void *bytes, size_t size);
/* As those of rl_stream. */
int rl_datagram_set_limits(rl_datagram *endpoint, size_t high, size_t low);
size_t rl_datagram_buffered(const rl_datagram *endpoint);
/* [CLOSE] Sends what waits, then lost(0) in a later turn. */
void rl_datagram_close(rl_datagram *endpoint);
/* [CLOSE] Drops what waits, then lost(0) in the next turn. */
void rl_datagram_abort(rl_datagram *endpoint);

#ifdef __cplusplus
}
#endif

#endif
