/* A driver to start from: copy it, and put your loop's calls where it says YOUR LOOP.
 *
 * It compiles and runs as it is, and does nothing: what is answered with -ENOSYS counts as not executed, and is judged
 * nowhere. Fill in one group of ops after the other, from the top; after each of them the share of ops that
 * executed is higher. docs/write-a-driver.md leads through it, examples/tinyloop/driver.c is one that was filled in.
 *
 *   cc -shared -fPIC -fvisibility=hidden -I LOOPCHECK/contract -o mine.so template.c YOUR-LOOP
 *   fuzz_program_replay --driver ./mine.so --random 1000
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "driver.h"

struct slot {
    uint8_t handle; /* kind and index, as the runner named it */
    uint8_t bits;   /* of a watcher: LC_IN | LC_OUT */
    int fd;         /* of a watcher */
    /* YOUR LOOP: its object for a callback */
};

static struct {
    struct lc_driver base;
    struct slot slots[256]; /* handles are not used twice in a run, so that a slot never changes its meaning */
    /* YOUR LOOP */
} driver;

/* What every callback of your loop calls, and nothing else: the runner does the rest inside. It may call apply() for
 * any handle, this one included, so do not look at the slot afterwards. */
static void report(const struct slot *slot, enum lc_event event, unsigned bits, int error)
{
    struct lc_sink *sink = &driver.base.sink;
    const uint8_t handle = slot->handle;
    sink->begin(sink->self, &(struct lc_seen){.handle = handle, .event = event, .bits = bits, .error = error});
    sink->end(sink->self, handle, event);
}

/* 1. A fresh loop for each program; when it is closed, all its fds are back. */
static int open_loop(void)
{
    memset(driver.slots, 0, sizeof driver.slots);
    return 0; /* YOUR LOOP: make it */
}

static int close_loop(void)
{
    return 0; /* YOUR LOOP: free it */
}

/* 2. The time from which your loop counts delays, on CLOCK_MONOTONIC: the cached one if it has one. */
static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* YOUR LOOP: its own now */
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* 3. One turn: the loop's own wait and callbacks, then back. Unless it may sleep, the wait has no timeout; if it may,
 * something will end the sleep. Less than 0 only if the loop itself fails. */
static int step(bool may_sleep)
{
    (void)may_sleep;
    return 0; /* YOUR LOOP */
}

/* 4. Arms a handle, for the first time or again (LC_OP_REARM). A callback that comes once leaves it idle. */
static int start(struct slot *slot, const struct lc_op *op)
{
    const bool is_absolute = op->op == LC_OP_AT || (op->op == LC_OP_REARM && op->flags);

    switch (slot->handle >> 4) {
    case LC_KIND_SOON: /* YOUR LOOP: call back in the next turn: report(slot, LC_EVENT_SOON, 0, 0) */
        return -ENOSYS;
    case LC_KIND_TIMER: /* YOUR LOOP: op->arg is a delay in ns, or a deadline on the clock of now_ns() */
        (void)is_absolute;
        return -ENOSYS;
    default: /* YOUR LOOP: watch slot->fd for slot->bits: report(slot, LC_EVENT_READY, what was ready, 0) */
        return -ENOSYS;
    }
}

static int create(struct slot *slot, const struct lc_op *op)
{
    slot->handle = op->a;
    slot->bits = op->flags;
    slot->fd = (int)op->arg;
    if (op->op == LC_OP_WAKER)
        return -ENOSYS; /* YOUR LOOP: what other threads wake it by: report(slot, LC_EVENT_POSTED, 0, 0) */
    return start(slot, op);
}

/* 5. On another thread than the loop's, which may sleep. */
static int post(struct slot *slot)
{
    (void)slot;
    return -ENOSYS; /* YOUR LOOP */
}

/* 6. No callback after this returned, even if it was due already. The fd may be closed now. */
static int cancel(struct slot *slot)
{
    (void)slot;
    return -ENOSYS; /* YOUR LOOP */
}

/* 7. Armed or idle, inside its own callback too. CLOSED says that your loop will not touch the object again: here, or
 * in a callback of your loop within LC_CLOSE_STEPS_MAX steps. Also for a handle that could not be made. */
static int destroy(struct slot *slot)
{
    /* YOUR LOOP: stop it, free it */
    report(slot, LC_EVENT_CLOSED, 0, 0);
    return 0;
}

static int64_t apply(struct lc_driver *base, const struct lc_op *op)
{
    struct slot *slot = &driver.slots[op->a];
    (void)base;
    switch (op->op) {
    case LC_OP_OPEN:
        return open_loop();
    case LC_OP_CLOSE:
        return close_loop();
    case LC_OP_NOW:
        return now_ns();
    case LC_OP_STEP:
        return step((op->flags & LC_WAIT) != 0);
    case LC_OP_SOON:
    case LC_OP_TIMER:
    case LC_OP_AT:
    case LC_OP_WATCH:
    case LC_OP_WAKER:
        return create(slot, op);
    case LC_OP_REARM:
        return start(slot, op);
    case LC_OP_POST:
        return post(slot);
    case LC_OP_CANCEL:
        return cancel(slot);
    case LC_OP_DESTROY:
        return destroy(slot);
    default: /* with LC_CAP_STOP: LC_OP_RUN, LC_OP_STOP; with LC_CAP_STREAM: LC_OP_STREAM and what follows it in op.h */
        return -ENOSYS;
    }
}

__attribute__((visibility("default"))) struct lc_driver *lc_driver_get(void)
{
    driver.base = (struct lc_driver){.abi = LC_DRIVER_ABI,
                                     .name = "template", /* YOUR LOOP */
                                     .capabilities = 0,  /* what it can do: enum lc_capability */
                                     .promises = 0,      /* which order it vows: enum lc_promise */
                                     .tick_ns = 1000000, /* how coarse its timers are */
                                     .apply = apply};
    return &driver.base;
}
