/* A simulated kernel: time, socket pairs with the bytes or datagrams in them, readiness, and posts that come
 * as if from another thread. Nothing sleeps, no other thread runs, and a run repeats exactly.
 *
 * One side of it is the backend of the reference loop (loop/backend/backend.h), the other is the
 * kernel that the runner works with (contract/kernel.h).
 */
#ifndef SIM_H
#define SIM_H

#include "adversary.h"
#include "backend/backend.h"
#include "kernel.h"

enum {
    SIM_FDS_MAX = 64,
    SIM_PENDING_MAX = 16, /* ends of connections that were not yet accepted: they have no number */
    SIM_FILES_MAX = SIM_FDS_MAX + SIM_PENDING_MAX,
    SIM_PORT_FIRST = 40000,  /* ports are given out from here on, each once */
    SIM_FD_FIRST = 3,        /* fd numbers are given out from here, the lowest free one first; or from one of the */
    SIM_FD_FIRSTS = 16,      /* so many, where a call is to fail */
    SIM_BUFFER_BYTES = 4096, /* what a socket end holds unread before its peer cannot write */
    SIM_POSTS_MAX = 32,
    SIM_DATAGRAMS_MAX = 512,           /* on their way at a time, */
    SIM_DATAGRAMS_BYTES = 1 << 21,     /* and their bytes */
    SIM_DATAGRAM_ROOM_BYTES = 1 << 18, /* what one socket holds, bookkeeping included: the runner sends no more */
    SIM_VAIN_WAITS_MAX = 1000          /* waits in a row of which the runner hears nothing: the loop spins */
};

/* One end of an AF_UNIX stream pair or of a TCP connection, whose bytes are in sim.rings, under its number; or a UDP
 * socket, whose datagrams are in sim.datagrams. */
struct sim_fd {
    bool is_open;
    uint32_t opening; /* the how manieth of all it was, from 1 */
    bool is_tcp;
    bool is_udp;
    bool is_shut;   /* it sends no more */
    bool is_broken; /* the connection was reset */
    int peer;       /* fd number of the other end; -1 once that was closed */
    int error;      /* what its next read that finds no bytes is told, once: ECONNRESET, or 0; of UDP the next call */
    int late_error; /* an error that is on its way: a later wait makes it this fd's */
    bool is_new;    /* a socket of TCP that is not connected */
    uint16_t late_port; /* and is under way to this port: a later wait makes it arrive there; else 0 */
    size_t first;       /* where in the ring the unread bytes begin; below SIM_BUFFER_BYTES */
    size_t unread;      /* bytes that it can read, at most SIM_BUFFER_BYTES; or datagrams */
    uint32_t watched;   /* RL_IN | RL_OUT as the loop asked for; forgotten when it is closed */
    bool is_listener;   /* who has connected to it is in sim.fds behind those with a number */
    uint16_t port;      /* of a listener; of an end of a connection through one, the port of the end that connected */
    int listener;       /* of an end that was not yet accepted: the fd to which somebody connected; else 0 */
    uint32_t turn;      /* likewise: who connected earlier has the lower one */
    bool is_read;       /* the loop reads it by itself, so that it may be woken for nothing */
};

struct sim_datagram {
    int to; /* the fd that can read it */
    size_t size;
};

struct sim_post {
    uint64_t due_ns;
    void (*work)(void *arg);
    void *arg;
};

/* Which faults the calls of the loop meet; sim_faults.c carries them out. All 0: none. */
struct sim_plan {
    struct adversary adversary;
    bool has_small_buffers;  /* sockets hold little, by the adversary's draw */
    bool has_jumps;          /* of time, likewise */
    uint32_t failing_call;   /* the how manieth call fails, counted from 1; 0: none */
    uint32_t failing_choice; /* by which of the errors that such a call can have */
    /* Called for each fault: whoever judges the run has to know. is_broken: the connection of fd fails by it. */
    void (*on_fault)(void *arg, int fd, bool is_broken);
    void (*on_jump)(void *arg);
    void *arg;
};

/* What came of a plan, since the backend was opened. */
struct sim_faults {
    struct rl_backend plain;                        /* what is under the faults */
    uint32_t calls;                                 /* that can fail, made so far */
    bool has_failed;                                /* the failing call was made, and there is such an error */
    bool has_delayed;                               /* the last wait held an event back: this one may not */
    uint32_t numbers[SIM_FDS_MAX][ADVERSARY_CALLS]; /* calls of each kind; those of waits at fd 0 */
};

struct sim {
    /* These stay when the rest is reset. */
    struct sim_plan plan;
    int backends_open;              /* so that a backend left open is seen */
    void (*on_deadlock)(void *arg); /* the loop sleeps or spins for ever */
    void *on_deadlock_arg;

    uint64_t now_ns;
    size_t buffer_bytes;  /* what a socket end holds unread, at most SIM_BUFFER_BYTES */
    size_t datagrams_max; /* that one socket holds before who sends to it has to wait; 0: it drops none, and has room */
    enum lc_fault fault;  /* what the next fault_calls reads or writes of the loop meet */
    unsigned fault_calls;
    bool is_calm;        /* the adversary has ended, so that what is under way arrives */
    bool is_woken;       /* the loop was woken since its last wait */
    uint32_t openings;   /* of fds */
    uint16_t ports;      /* given out so far */
    uint32_t connects;   /* to listeners, so far */
    int fds_end;         /* no fd of this number or above was ever open */
    unsigned waits;      /* events are given out round-robin, each wait beginning with another fd */
    unsigned vain_waits; /* since the runner last looked at the clock */
    bool is_told;        /* of an event by the last wait; since then no callback came and no other call was made */
    bool has_spun;       /* it waited again so; the driver clears it */
    size_t posts_count;
    size_t datagrams_count, datagrams_size; /* on their way, and their bytes */
    /* Large, and last, since sim_reset need not touch what was not used. */
    struct sim_post posts[SIM_POSTS_MAX]; /* by due_ns, equal ones in the order of asking */
    struct sim_fd fds[SIM_FILES_MAX];
    unsigned char rings[SIM_FILES_MAX][SIM_BUFFER_BYTES];
    struct sim_datagram datagrams[SIM_DATAGRAMS_MAX];  /* in the order in which they were sent, */
    unsigned char datagram_bytes[SIM_DATAGRAMS_BYTES]; /* and their bytes, likewise */
    struct sim_faults faults;
};

/* The clock at its beginning, no fd open, no post pending; the plan and the deadlock handler stay. */
void sim_reset(struct sim *sim);
/* The loop's side, with the faults of the plan. */
struct rl_backend sim_backend(struct sim *sim);
struct lc_kernel sim_kernel(struct sim *sim);

#endif
