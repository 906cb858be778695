/* The drivers refloop_sim and refloop_epoll: one loop on two kernels. */
#include "refloop_driver.h"

#include <errno.h>

#include "drivers.h"
#include "handle.h"

/* ---- callbacks ----------------------------------------------------------------------------- */

/* What an exit is in C: the turn ends with the present callback, and the run with the turn. */
static void leave(struct refloop_driver *d)
{
    d->has_left = true;
    if (d->is_in_run)
        rl_loop_break(d->loop);
    else
        rl_turn_break(&d->loop->turn); /* which asks no later run to stop */
}

void refloop_report_seen(const struct slot *slot, struct lc_seen seen)
{
    struct lc_sink *sink = &slot->driver->base.sink;
    seen.handle = slot->handle;
    const int raise = sink->begin(sink->self, &seen);
    sink->end(sink->self, seen.handle, seen.event);
    if (raise == LC_RAISE_EXIT || raise == LC_RAISE_INTERRUPT)
        leave(slot->driver);
}

static void report(const struct slot *slot, enum lc_event event, unsigned bits)
{
    refloop_report_seen(slot, (struct lc_seen){.event = event, .bits = bits});
}

static void on_soon(rl_soon *soon, void *arg)
{
    (void)soon;
    report(arg, LC_EVENT_SOON, 0);
}

static void on_timer(rl_timer *timer, void *arg)
{
    (void)timer;
    report(arg, LC_EVENT_TIMER, 0);
}

static void on_watch(rl_watch *watch, void *arg, unsigned events)
{
    (void)watch;
    report(arg, LC_EVENT_READY, events);
}

static void on_waker(rl_waker *waker, void *arg)
{
    (void)waker;
    report(arg, LC_EVENT_POSTED, 0);
}

static void on_deadlock(void *arg)
{
    struct refloop_driver *d = arg;
    d->was_rescued = true;
    d->base.sink.begin(d->base.sink.self, &(struct lc_seen){.event = LC_EVENT_RESCUE});
}

/* ---- verbs --------------------------------------------------------------------------------- */

/* A delay is a number of ns without a sign. */
static uint64_t edge_of(const struct lc_op *op)
{
    return op->flags == LC_EDGE_TINY ? 1 : op->flags == LC_EDGE_MINUS_ZERO ? 0 : UINT64_MAX;
}

static bool is_without_word(const struct lc_op *op)
{
    return op->op == LC_OP_EDGE &&
           (op->flags == LC_EDGE_NAN || op->flags == LC_EDGE_MINUS || op->flags == LC_EDGE_MINUS_INF);
}

static int start(struct slot *slot, const struct lc_op *op)
{
    if (slot->soon == NULL) /* any kind: there was no memory for it */
        return -ENOMEM;
    switch (slot->handle >> 4) {
    case LC_KIND_SOON:
        return rl_soon_start(slot->soon);
    case LC_KIND_TIMER:
        if (op->op == LC_OP_AT || (op->op == LC_OP_REARM && op->flags))
            return rl_timer_start_at(slot->timer, op->arg);
        return rl_timer_start(slot->timer, op->op == LC_OP_EDGE ? edge_of(op) : op->arg);
    case LC_KIND_WATCH:
        return rl_watch_start(slot->watch, (int)op->arg, op->flags);
    default:
        return 0;
    }
}

static int create(struct refloop_driver *d, const struct lc_op *op)
{
    struct slot *slot = &d->slots[op->a];
    int error;

    if (is_without_word(op))
        return -EINVAL;
    *slot = (struct slot){.driver = d, .handle = op->a};
    switch (op->op) {
    case LC_OP_SOON:
        error = rl_soon_open(d->loop, on_soon, slot, &slot->soon);
        break;
    case LC_OP_TIMER:
    case LC_OP_AT:
    case LC_OP_EDGE:
        error = rl_timer_open(d->loop, on_timer, slot, &slot->timer);
        break;
    case LC_OP_WATCH:
        error = rl_watch_open(d->loop, on_watch, slot, &slot->watch);
        break;
    default:
        error = rl_waker_open(d->loop, on_waker, slot, &slot->waker);
    }
    return error < 0 ? error : start(slot, op);
}

static int cancel(struct slot *slot)
{
    if (slot->soon == NULL)
        return 0;
    switch (slot->handle >> 4) {
    case LC_KIND_SOON:
        rl_soon_stop(slot->soon);
        return 0;
    case LC_KIND_TIMER:
        rl_timer_stop(slot->timer);
        return 0;
    case LC_KIND_WATCH:
        rl_watch_stop(slot->watch);
        return 0;
    case LC_KIND_STREAM:
        slot->was_cancelled = slot->is_connecting;
        if (slot->is_connecting)
            rl_stream_abort(slot->stream);
        return 0;
    default:
        return -EINVAL;
    }
}

static int destroy(struct slot *slot)
{
    switch (slot->soon == NULL ? LC_KIND_STREAM : slot->handle >> 4) { /* there was none, or is none any more */
    case LC_KIND_STREAM:
    case LC_KIND_DATAGRAM:
        return refloop_destroy_stream(slot);
    case LC_KIND_SOON:
        rl_soon_close(slot->soon);
        break;
    case LC_KIND_TIMER:
        rl_timer_close(slot->timer);
        break;
    case LC_KIND_WATCH:
        rl_watch_close(slot->watch);
        break;
    case LC_KIND_SERVER:
        rl_server_close(slot->server);
        slot->server = NULL;
        break;
    default:
        rl_waker_close(slot->waker);
    }
    report(slot, LC_EVENT_CLOSED, 0); /* the pointer is dead when close returns: CLOSED comes at once */
    return 0;
}

static int open_loop(struct refloop_driver *d)
{
    d->has_left = false;
    d->untold = NULL;
    if (d->sim == NULL)
        return rl_loop_open(&d->loop);
    sim_reset(d->sim);
    struct rl_backend backend = sim_backend(d->sim);
    return rl_loop_open_on(&d->loop, &backend);
}

static int turn(struct refloop_driver *d, const struct lc_op *op)
{
    struct slot *untold = d->untold;
    d->was_rescued = d->has_left = false;
    d->is_in_run = op->op == LC_OP_RUN;
    d->untold = NULL;
    if (d->sim != NULL)
        d->sim->has_spun = false;
    if (untold != NULL)
        refloop_tell_done(untold);
    int result = d->is_in_run ? rl_loop_run(d->loop) : rl_loop_turn(d->loop, op->flags & LC_WAIT);
    if (rl_loop_check(d->loop) != 0)
        return -ENOTRECOVERABLE; /* a broken invariant; the monitor reports it as LIFE-1 */
    if (d->has_left)
        return LC_LEFT;
    if (d->sim != NULL && (d->sim->has_spun || d->sim->is_told))
        return LC_SPUN;
    return d->was_rescued || result > 0 ? 0 : result;
}

static int64_t apply(struct lc_driver *base, const struct lc_op *op)
{
    struct refloop_driver *d = (struct refloop_driver *)base;
    switch (op->op) {
    case LC_OP_OPEN:
        return open_loop(d);
    case LC_OP_CLOSE:
        return rl_loop_close(d->loop);
    case LC_OP_NOW:
        return (int64_t)rl_loop_now_ns(d->loop);
    case LC_OP_SOON:
    case LC_OP_TIMER:
    case LC_OP_AT:
    case LC_OP_EDGE:
    case LC_OP_WATCH:
    case LC_OP_WAKER:
        return create(d, op);
    case LC_OP_POST:
        return rl_waker_post(d->slots[op->a].waker);
    case LC_OP_CANCEL:
        return cancel(&d->slots[op->a]);
    case LC_OP_REARM:
        return start(&d->slots[op->a], op);
    case LC_OP_DESTROY:
        return destroy(&d->slots[op->a]);
    case LC_OP_STOP:
        rl_loop_stop(d->loop);
        return 0;
    case LC_OP_RUN:
    case LC_OP_STEP:
        return turn(d, op);
    default:
        return refloop_use_streams(d, op);
    }
}

enum {
    CAPABILITIES = LC_CAP_MULTI | LC_CAP_STOP | LC_CAP_TURNS | LC_CAP_COALESCE | LC_CAP_STREAM | LC_CAP_FLUSH |
                   LC_CAP_WRITE_EOF | LC_CAP_FLOW | LC_CAP_DATAGRAM | LC_CAP_SERVER | LC_CAP_CONNECT | LC_CAP_CANCEL |
                   LC_CAP_EDGE | LC_CAP_EXIT,
    PROMISES = LC_PROMISE_FIFO | LC_PROMISE_TURN | LC_PROMISE_ORDER | LC_PROMISE_TIES
};

struct lc_driver *driver_refloop_sim(void)
{
    static struct sim sim;
    static struct lc_kernel kernel;
    static struct refloop_driver driver = {.base = {.abi = LC_DRIVER_ABI,
                                                    .name = "refloop_sim",
                                                    .capabilities = CAPABILITIES,
                                                    .promises = PROMISES,
                                                    .tick_ns = 1,
                                                    .is_exact = true,
                                                    .apply = apply,
                                                    .kernel = &kernel},
                                           .sim = &sim};
    kernel = sim_kernel(&sim);
    sim.on_deadlock = on_deadlock;
    sim.on_deadlock_arg = &driver;
    return &driver.base;
}

struct lc_driver *driver_refloop_epoll(void)
{
    static struct refloop_driver driver = {.base = {.abi = LC_DRIVER_ABI,
                                                    .name = "refloop_epoll",
                                                    .capabilities = CAPABILITIES,
                                                    .promises = PROMISES,
                                                    .tick_ns = 1,
                                                    .apply = apply}};
    return &driver.base;
}
