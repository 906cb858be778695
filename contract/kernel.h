/* The runner's hold on files, time and threads, so that the same program runs on the real system
 * (contract/kernel_posix.c) and on a simulated one (fuzz/kernels/sim.c). */
#ifndef LC_KERNEL_H
#define LC_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "op.h"

/* No simulated clock passes this; a timer with a later deadline never fires. */
#define LC_TIME_NS_MAX (UINT64_C(1) << 62)

enum { LC_LOOK_MAX = 32 };

/* All results: 0 or more, or -errno. */
struct lc_kernel {
    uint64_t (*now_ns)(void *self);
    void (*advance)(void *self, uint64_t duration_ns);
    /* Two connected, non-blocking ends; over TCP if is_tcp. */
    int (*pair)(void *self, int fds[2], bool is_tcp);
    /* Two non-blocking UDP sockets on the loopback interface, connected to each other: write and read are whole
     * datagrams of them. Returns the bytes that one holds for its reader, bookkeeping included. NULL: there are none.
     */
    int (*udp)(void *self, int fds[2]);
    /* A listener on a free port of the loopback interface, non-blocking. NULL, and so the two below: there is no
     * network. */
    int (*listen)(void *self, uint16_t *port);
    /* A non-blocking end that is connected to a listener, or -ECONNREFUSED; its own port comes out. */
    int (*connect)(void *self, uint16_t port, uint16_t *own_port);
    /* The end of the first who connected, and the port of that one; -EAGAIN: nobody has. */
    int (*accept)(void *self, int listener, uint16_t *peer_port);
    /* An fd that keeps a port on which nobody listens from being given to anybody else. NULL: nobody else is there. */
    int (*hold)(void *self, uint16_t port);
    /* Of an end that the loop made: what is written is sent at once, not when Nagle's algorithm has waited. NULL: it is
     * in any case. */
    void (*send_at_once)(void *self, int fd);
    /* is_reset: the peer finds the connection reset, not ended. On a pair that is no TCP: at least ended. */
    int (*close)(void *self, int fd, bool is_reset);
    /* Returns the bytes taken, 0 when there is no room. */
    int64_t (*write)(void *self, int fd, const void *bytes, size_t size);
    /* Returns the bytes given, 0 at the end of file; -EAGAIN when there are none yet. */
    int64_t (*read)(void *self, int fd, void *bytes, size_t size);
    int (*shut)(void *self, int fd);
    unsigned (*ready)(void *self, int fd); /* LC_* bits as poll(2) would show them now */
    /* The same of at most LC_LOOK_MAX fds by one call. NULL: a call of ready costs nothing. */
    void (*look)(void *self, const int fds[], unsigned bits[], size_t count);
    uint64_t (*identity)(void *self, int fd); /* of the open file: none that had the number before had it; 0: closed */
    int (*open_fds)(void *self);              /* how many fds this process has open, or -errno if unknown */
    /* Makes the next `calls` reads or writes of the loop meet a fault. NULL: this kernel is not ours to command. */
    int (*fault)(void *self, enum lc_fault fault, unsigned calls);
    /* Runs work(arg) on a helper thread, delay_ns from now at the soonest; delay 0: and returns when it is done. A
     * simulated kernel has no threads: it calls work, which acts as if it were on another one. */
    int (*post)(void *self, uint64_t delay_ns, void (*work)(void *arg), void *arg);
    void (*join)(void *self); /* waits until every helper of post is done */
    void *self;
    bool is_timed; /* its clock stands still but in waits: whoever wakes late has waited for too long */
};

/* The real system, POSIX only. One per process. */
const struct lc_kernel *lc_kernel_posix(void);

#endif
