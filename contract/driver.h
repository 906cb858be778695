/* The seam between the kit and any event loop. Depends on nothing.
 *
 * A driver carries operations to ONE loop and reports what its callbacks saw. That is all a loop author writes: one
 * `apply` function and the constants beside it. docs/write-a-driver.md leads through it,
 * examples/tinyloop/driver.c is the shortest example.
 *
 * Handles are small integers chosen by the runner, never reused in a run; the driver has a table indexed by them. op.h
 * is the vocabulary of handles and ops, callback.h of what a callback saw.
 */
#ifndef LC_DRIVER_H
#define LC_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "op.h"

/* What a loop can do, and which optional order it vows to keep: a broken promise is a violation, an absent one none. */
enum lc_capability {
    LC_CAP_MULTI = 1 << 0,        /* several watchers on one fd */
    LC_CAP_STOP = 1 << 1,         /* run and stop */
    LC_CAP_RAISE = 1 << 2,        /* a callback may end by an exception */
    LC_CAP_ONE_PER_STEP = 1 << 3, /* one callback a step: liveness is counted per live handle */
    LC_CAP_TURNS = 1 << 4,        /* a step is exactly one turn, also when it waits */
    LC_CAP_COALESCE = 1 << 5,     /* posts may be merged (uv_async_send); without it each gives a callback */
    LC_CAP_STREAM = 1 << 6,       /* STREAM, WRITE, PAUSE, RESUME */
    LC_CAP_MADE = 1 << 7,         /* a stream begins with MADE, and no op of it may come before */
    LC_CAP_FLUSH = 1 << 8,        /* FLUSH and ABORT; without it a stream ends by DESTROY alone */
    LC_CAP_WRITE_EOF = 1 << 9,
    LC_CAP_FLOW = 1 << 10,       /* LIMITS, and PAUSE_WRITING in turn with RESUME_WRITING */
    LC_CAP_SERVER = 1 << 12,     /* LISTEN */
    LC_CAP_CONNECT = 1 << 13,    /* CONNECT */
    LC_CAP_CANCEL = 1 << 14,     /* CANCEL of what will end in DONE */
    LC_CAP_REQUEST = 1 << 15,    /* RECV and SENDALL */
    LC_CAP_DATAGRAM = 1 << 16,   /* DATAGRAM, SEND */
    LC_CAP_EXIT = 1 << 11,       /* LC_RAISE_EXIT and _INTERRUPT in a callback end the step or run: LC_LEFT */
    LC_CAP_WRITELINES = 1 << 17, /* without it the runner asks for WRITE */
    LC_CAP_BUFFERED = 1 << 18,   /* STREAM with LC_BUFFERED; without it the flag is left out */
    LC_CAP_SWITCH = 1 << 19,
    LC_CAP_TASK = 1 << 20,
    LC_CAP_GC = 1 << 21,   /* GC, and DROP: memory is collected, not freed, and CLOSE drops what is still due */
    LC_CAP_EDGE = 1 << 22, /* EDGE */
    LC_CAP_END = 1 << 23   /* no bit from here on */
};
enum lc_promise {
    LC_PROMISE_FIFO = 1 << 0,  /* soon callbacks run in the order they were asked for */
    LC_PROMISE_TURN = 1 << 1,  /* nothing asked for in a turn runs in that turn */
    LC_PROMISE_ORDER = 1 << 2, /* timers run by deadline */
    LC_PROMISE_TIES = 1 << 3   /* timers of one deadline run in the order they were armed */
};

/* Result of STEP and RUN of a driver that sees its loop's kernel: the loop was woken for an event and did nothing about
 * it, no callback and no call [LIFE-4]. */
enum { LC_SPUN = -4096 };

/* What a callback saw. */
struct lc_seen {
    uint8_t handle;
    enum lc_event event;
    unsigned bits; /* READY; DATAGRAM: not 0 if its sender is not the peer; MADE of a server's stream: the port of its
                      peer, 0 unknown; of a CONNECT: its own */
    int error;     /* READY, LOST, DONE, REFUSED: 0 or -errno */
    const void *data; /* DATA; DONE of RECV; DATAGRAM */
    size_t size;      /* bytes of data */
    int fd; /* MADE of a server's stream and of a CONNECT; of a STREAM: of the loop's duplicate of the fd that it was
               given; below 1: it cannot tell */
};

/* Where a driver reports. Called on the thread of the callback, at its start; the driver must not
 * hold a lock of its own. Returns 0, or the enum lc_raise by which the callback must end
 * (asked only of drivers with LC_CAP_RAISE, or LC_CAP_EXIT). `begin` may call `apply` again from inside. */
struct lc_sink {
    int (*begin)(void *self, const struct lc_seen *seen);
    void (*end)(void *self, uint8_t handle, enum lc_event event);
    void *self;
};

enum { LC_CLOSE_STEPS_MAX = 3 }; /* steps within which CLOSED must come */

/* On a real clock: what has arrived at a stream or an endpoint may be read by a thread, of the loop or of the kernel,
 * that needs time and not turns. So long no turn counts. */
enum { LC_ARRIVAL_NS = 50 * 1000 * 1000 };

/* What a driver that is a shared object exports, and lc_driver.abi has to be. */
#define LC_DRIVER_SYMBOL "lc_driver_get"
enum { LC_DRIVER_ABI = 4 };

struct lc_kernel; /* kernel.h */

struct lc_driver {
    uint32_t abi; /* LC_DRIVER_ABI */
    const char *name;
    uint32_t capabilities; /* enum lc_capability */
    uint32_t promises;     /* enum lc_promise */
    uint64_t tick_ns;      /* granularity of timers; the runner rounds delays up to it. At least 1 */
    bool is_exact;         /* time is simulated, so any delay may be slept and traces repeat exactly */

    /* Carries one op to the loop. Returns >= 0 (for LC_OP_NOW: ns), or -errno; after an error
     * nothing is observed for that handle. All ops but LC_OP_POST come on one thread, at top level
     * or inside `sink.begin`; LC_OP_STEP and LC_OP_RUN only at top level. LC_OP_STEP returns < 0
     * only for a failure of the loop. */
    int64_t (*apply)(struct lc_driver *driver, const struct lc_op *op);
    void *self;                     /* the driver's own */
    const struct lc_kernel *kernel; /* the kernel under this loop; NULL: the real one */
    struct lc_sink sink;            /* set by the runner before LC_OP_OPEN */
};

/* The one symbol of a driver in a shared object. Called once a process; never NULL. */
struct lc_driver *lc_driver_get(void);

#endif
