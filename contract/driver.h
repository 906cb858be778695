/* The seam between the kit and any event loop. Depends on nothing.
 *
 * A driver carries operations to ONE loop and reports what its callbacks saw. That is all a loop author writes: one
 * `apply` function and the constants beside it. fuzz/drivers/libuv.c is the shortest complete example.
 *
 * Handles are small integers chosen by the runner, never reused in a run; the driver has a table indexed by them.
 */
#ifndef LC_DRIVER_H
#define LC_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

/* A handle: kind in the high four bits, index 1..15 in the low four; 0 is "no handle". */
enum lc_kind {
    LC_KIND_NONE = 0,
    LC_KIND_SOON = 1,  /* c: a callback for the next turn */
    LC_KIND_TIMER = 2, /* t */
    LC_KIND_WATCH = 3, /* w: a watcher of one file descriptor */
    LC_KIND_WAKER = 4, /* p: the mailbox other threads post to */
    LC_KIND_FD = 5,    /* f: one end of a socket pair, owned by the runner */
    LC_KIND_COUNT
};

/* What can be asked. Numbers are append-only. "R" marks what the runner does by itself. */
enum lc_op_code {
    LC_OP_NOP = 0,
    LC_OP_SOON = 1,     /* a: call back once, no earlier than the next turn (promise TURN) */
    LC_OP_TIMER = 2,    /* a, arg = delay in ns: call back once, never before now() + delay - tick */
    LC_OP_AT = 3,       /* a, arg = deadline in ns on the clock of LC_OP_NOW */
    LC_OP_WATCH = 4,    /* a, flags = LC_IN|LC_OUT, arg = fd number: READY whenever poll(2) would show one */
    LC_OP_WAKER = 5,    /* a: makes a waker; nothing comes before the first post */
    LC_OP_POST = 6,     /* a: the only op called on ANY thread. POSTED at least once after it returned */
    LC_OP_CANCEL = 7,   /* a: armed -> idle. No callback after it returned, even if already due */
    LC_OP_REARM = 8,    /* a: idle -> armed with the same parameters; a timer counts from now() */
    LC_OP_DESTROY = 9,  /* a: any state -> closing; CLOSED exactly once, within LC_CLOSE_STEPS_MAX steps */
    LC_OP_STOP = 10,    /* inside a callback of run: run returns after the current batch */
    LC_OP_RUN = 11,     /* the loop's run-forever; returns only after stop */
    LC_OP_STEP = 12,    /* a turn (LC_CAP_TURNS) or a few; sleeps at most when flags = LC_WAIT */
    LC_OP_PAIR = 13,    /* R a, b: makes two connected, non-blocking stream ends */
    LC_OP_PUT = 14,     /* R a, n: writes n bytes into end a, so that its peer becomes readable */
    LC_OP_TAKE = 15,    /* R a, n: reads at most n bytes from end a (0: all there are) */
    LC_OP_FILL = 16,    /* R a: writes until end a is not writable any more */
    LC_OP_SHUT = 17,    /* R a: end a sends no more, so that its peer sees end of file */
    LC_OP_RECYCLE = 18, /* R a: cancels a's watchers, closes a, and opens a new pair until the number returns */
    LC_OP_ADVANCE = 19, /* R arg: lets arg ns pass while the loop does not run */
    LC_OP_RAISE = 20,   /* R inside a callback: the callback ends by raising an exception [RAISE] */
    LC_OP_PROGRAM_END,  /* the ops below cannot be written in a program */

    LC_OP_OPEN = 64,  /* a fresh loop; nothing runs */
    LC_OP_CLOSE = 65, /* every handle is CLOSED already; all fds are back when it returns */
    LC_OP_NOW = 66    /* returns the loop's (cached) time in ns; timers count from it */
};

enum lc_event { /* what a callback saw */
                LC_EVENT_ANY = 0,
                LC_EVENT_SOON = 1,
                LC_EVENT_TIMER = 2,
                LC_EVENT_READY = 3, /* bits = what the loop reported; error < 0: the watcher stopped itself */
                LC_EVENT_POSTED = 4,
                LC_EVENT_CLOSED = 5, /* the handle is gone and the loop will not name it again */
                LC_EVENT_ERROR = 6,  /* not a callback of a handle: the loop's exception handler was called */
                LC_EVENT_RESCUE =
                    7, /* not a callback: the driver's rescue had to end a step that the loop slept through */
                LC_EVENT_COUNT
};

enum { LC_IN = 1, LC_OUT = 2, LC_HUP = 4, LC_ERR = 8 }; /* readiness bits */
enum { LC_WAIT = 1 };                                   /* flag of LC_OP_STEP */

/* What a loop can do, and which optional order it vows to keep: a broken promise is a violation, an absent one none. */
enum lc_capability {
    LC_CAP_MULTI = 1 << 0,        /* several watchers on one fd */
    LC_CAP_STOP = 1 << 1,         /* run and stop */
    LC_CAP_RAISE = 1 << 2,        /* a callback may end by an exception */
    LC_CAP_ONE_PER_STEP = 1 << 3, /* one callback a step: liveness is counted per live handle */
    LC_CAP_TURNS = 1 << 4,        /* a step is exactly one turn, also when it waits */
    LC_CAP_COALESCE = 1 << 5      /* posts may be merged (uv_async_send); without it each gives a callback */
};
enum lc_promise {
    LC_PROMISE_FIFO = 1 << 0,  /* soon callbacks run in the order they were asked for */
    LC_PROMISE_TURN = 1 << 1,  /* nothing asked for in a turn runs in that turn */
    LC_PROMISE_ORDER = 1 << 2, /* timers run by deadline */
    LC_PROMISE_TIES = 1 << 3   /* timers of one deadline run in the order they were armed */
};

/* One operation, 16 bytes, as it stands in a program. In a program `b` names an fd handle; when an
 * op reaches a driver, `arg` of LC_OP_WATCH holds the file descriptor itself. */
struct lc_op {
    uint8_t op;    /* enum lc_op_code; an unknown number does nothing */
    uint8_t on;    /* 0, or the handle in whose next callback the op runs */
    uint8_t event; /* with `on`: enum lc_event, LC_EVENT_ANY for any callback of the handle */
    uint8_t a;     /* first handle */
    uint8_t b;     /* second handle */
    uint8_t flags; /* readiness bits, LC_WAIT */
    uint16_t n;    /* a count: bytes, callbacks; for post: microseconds */
    uint64_t arg;  /* ns */
};

/* Where a driver reports. Called on the thread of the callback, at its start; the driver must not
 * hold a lock of its own. Returns 0, or n > 0 when the callback must end by raising exception n
 * (asked only of drivers with LC_CAP_RAISE). `begin` may call `apply` again from inside. */
struct lc_sink {
    int (*begin)(void *self, uint8_t handle, enum lc_event event, unsigned bits, int error);
    void (*end)(void *self, uint8_t handle, enum lc_event event);
    void *self;
};

/* The runner's hold on files, time and threads, so that the same program runs on the real system
 * (contract/kernel_posix.c) and on a simulated one (fuzz/kernels/sim.c). All results: 0 or more, or
 * -errno. */
struct lc_kernel {
    uint64_t (*now_ns)(void *self);
    void (*advance)(void *self, uint64_t duration_ns);
    int (*pair)(void *self, int fds[2]);
    int (*close)(void *self, int fd);
    int64_t (*put)(void *self, int fd, uint64_t bytes);
    int64_t (*take)(void *self, int fd, uint64_t bytes);
    int (*shut)(void *self, int fd);
    unsigned (*ready)(void *self, int fd); /* LC_* bits as poll(2) would show them now */
    int (*open_fds)(void *self);           /* how many fds this process has open, or -errno if unknown */
    /* Runs work(arg) on a helper thread, delay_ns from now at the soonest; delay 0: and returns when it is done. */
    int (*post)(void *self, uint64_t delay_ns, void (*work)(void *arg), void *arg);
    void (*join)(void *self); /* waits until every helper of post is done */
    void *self;
};

enum { LC_CLOSE_STEPS_MAX = 3 }; /* steps within which CLOSED must come */

/* No simulated clock passes this; a timer with a later deadline never fires. */
#define LC_TIME_NS_MAX (UINT64_C(1) << 62)

struct lc_driver {
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
    const struct lc_kernel *kernel; /* the kernel under this loop */
    struct lc_sink sink;            /* set by the runner before LC_OP_OPEN */
};

#endif
