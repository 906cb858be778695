/* A simulated kernel: time, socket pairs with the bytes in them, readiness, and posts from a helper thread that runs
 * only when it is handed the baton. Nothing sleeps, and a run repeats exactly.
 *
 * One side of it is the backend of the reference loop (loop/backend/backend.h), the other is the
 * kernel that the runner works with (contract/driver.h).
 */
#ifndef SIM_H
#define SIM_H

#include "backend/backend.h"
#include "kernel.h"

enum {
    SIM_FDS_MAX = 64,
    SIM_FD_FIRST = 3,        /* fd numbers are given out from here, the lowest free one first */
    SIM_BUFFER_BYTES = 4096, /* what a socket end holds unread before its peer cannot write */
    SIM_POSTS_MAX = 32,
    SIM_VAIN_WAITS_MAX = 1000 /* waits in a row of which the runner hears nothing: the loop spins */
};

/* One end of an AF_UNIX stream pair or of a TCP connection. Its bytes are in sim.rings, under its number. */
struct sim_fd {
    bool is_open;
    bool is_tcp;
    bool is_shut;     /* it sends no more */
    bool is_broken;   /* the connection was reset */
    int peer;         /* fd number of the other end; -1 once that was closed */
    int error;        /* what its next read that finds no bytes is told, once: ECONNRESET, or 0 */
    size_t first;     /* where in the ring the unread bytes begin; below SIM_BUFFER_BYTES */
    size_t unread;    /* bytes that it can read, at most SIM_BUFFER_BYTES */
    uint32_t watched; /* RL_IN | RL_OUT as the loop asked for; forgotten when it is closed */
};

struct sim_post {
    uint64_t due_ns;
    void (*work)(void *arg);
    void *arg;
};

struct sim {
    uint64_t now_ns;
    struct sim_fd fds[SIM_FDS_MAX];
    enum lc_fault fault; /* what the next fault_calls reads or writes of the loop meet */
    unsigned fault_calls;
    bool is_woken;        /* the loop was woken since its last wait */
    int backends_open;    /* survives sim_reset, so that a backend left open is seen */
    int first_fd_of_wait; /* events are given out round-robin from here */
    unsigned vain_waits;  /* since the runner last looked at the clock */
    size_t posts_count;
    struct sim_post posts[SIM_POSTS_MAX]; /* by due_ns, equal ones in the order of asking */
    void (*on_deadlock)(void *arg);       /* the loop sleeps or spins for ever */
    void *on_deadlock_arg;
    unsigned char rings[SIM_FDS_MAX][SIM_BUFFER_BYTES]; /* last, since sim_reset need not touch it */
};

/* Time 0, no fd open, no post pending; the deadlock handler stays. */
void sim_reset(struct sim *sim);
struct rl_backend sim_backend(struct sim *sim);
struct lc_kernel sim_kernel(struct sim *sim);

#endif
