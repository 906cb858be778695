/* The driver libev.
 *
 * A soon is an ev_timer of 0: idle watchers starve, prepare and check watchers and fed events run in reverse order.
 * Timers count from the time that libev caches, on the monotonic clock; the doubles in which libev counts keep much
 * less than a microsecond. ev(3) vows that "earlier time-out values are invoked before ones ... with later
 * time-out values"; it says nothing of equal ones, and soons are such. libev has no streams.
 *
 * LIBEV_FLAGS in the environment chooses another backend than epoll, as ev_loop_new(3) documents it.
 */
#include <errno.h>
#include <ev.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "drivers.h"

#define NS_A_S 1e9
#define PROBE_S 1e6 /* later than any timer that is waited for, so that the heap of timers stays as it is */

struct slot {
    union ev_any_watcher ev;
    uint8_t handle;
};

static struct {
    struct lc_driver base;
    struct ev_loop *loop;
    struct slot slots[256];
} driver;

static void report(void *slot, enum lc_event event, unsigned bits, int error)
{
    struct lc_sink *sink = &driver.base.sink;
    const uint8_t handle = ((struct slot *)slot)->handle;
    sink->begin(sink->self, &(struct lc_seen){.handle = handle, .event = event, .bits = bits, .error = error});
    sink->end(sink->self, handle, event);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    report(timer, ((struct slot *)timer)->handle >> 4 == LC_KIND_SOON ? LC_EVENT_SOON : LC_EVENT_TIMER, 0, 0);
}

/* EV_ERROR: libev has stopped the watcher, and does not say why. */
static void on_io(struct ev_loop *loop, ev_io *io, int events)
{
    const unsigned bits = (events & EV_READ ? LC_IN : 0u) | (events & EV_WRITE ? LC_OUT : 0u);
    (void)loop;
    report(io, LC_EVENT_READY, bits, events & EV_ERROR ? -EIO : 0);
}

static void on_async(struct ev_loop *loop, ev_async *async, int events)
{
    (void)loop, (void)events;
    report(async, LC_EVENT_POSTED, 0, 0);
}

/* What timers count from. ev_now() is the same moment on the wall clock, which the monitor does not know. */
static double now_s(void)
{
    ev_timer probe;
    ev_timer_init(&probe, on_timer, PROBE_S, 0.);
    ev_timer_start(driver.loop, &probe);
    const double now = probe.at - PROBE_S; /* as ev_timer_remaining() would reckon it */
    ev_timer_stop(driver.loop, &probe);
    return now;
}

static void start(struct slot *slot, const struct lc_op *op)
{
    const bool is_absolute = op->op == LC_OP_AT || (op->op == LC_OP_REARM && op->flags);
    double delay_s = (double)op->arg / NS_A_S;

    switch (slot->handle >> 4) {
    case LC_KIND_SOON:
        ev_timer_set(&slot->ev.timer, 0., 0.);
        ev_timer_start(driver.loop, &slot->ev.timer);
        break;
    case LC_KIND_TIMER:
        if (is_absolute)
            delay_s -= now_s();
        ev_timer_set(&slot->ev.timer, delay_s > 0. ? delay_s : 0., 0.);
        ev_timer_start(driver.loop, &slot->ev.timer);
        break;
    default:
        ev_io_start(driver.loop, &slot->ev.io);
    }
}

/* A delay is a double. Of NaN the manual says nothing. */
static int create_edge(struct slot *slot, const struct lc_op *op)
{
    static const double delays_s[LC_EDGE_COUNT] = {
        [LC_EDGE_INF] = HUGE_VAL, [LC_EDGE_MINUS_INF] = -HUGE_VAL, [LC_EDGE_HUGE] = DBL_MAX,
        [LC_EDGE_MINUS] = -1.,    [LC_EDGE_MINUS_ZERO] = -0.,      [LC_EDGE_TINY] = DBL_MIN,
    };
    if (op->flags == LC_EDGE_NAN)
        return -EINVAL;
    slot->handle = op->a;
    ev_timer_init(&slot->ev.timer, on_timer, delays_s[op->flags], 0.);
    ev_timer_start(driver.loop, &slot->ev.timer);
    return 0;
}

static void create(struct slot *slot, const struct lc_op *op)
{
    const int events = (op->flags & LC_IN ? EV_READ : 0) | (op->flags & LC_OUT ? EV_WRITE : 0);

    slot->handle = op->a;
    if (op->op == LC_OP_WAKER) {
        ev_async_init(&slot->ev.async, on_async);
        ev_async_start(driver.loop, &slot->ev.async);
        return;
    }
    if (op->op == LC_OP_WATCH)
        ev_io_init(&slot->ev.io, on_io, (int)op->arg, events);
    else
        ev_timer_init(&slot->ev.timer, on_timer, 0., 0.);
    start(slot, op);
}

static void stop(struct slot *slot)
{
    switch (slot->handle >> 4) {
    case LC_KIND_WATCH:
        ev_io_stop(driver.loop, &slot->ev.io);
        break;
    case LC_KIND_WAKER:
        ev_async_stop(driver.loop, &slot->ev.async);
        break;
    default:
        ev_timer_stop(driver.loop, &slot->ev.timer);
    }
}

static int open_loop(void)
{
    memset(driver.slots, 0, sizeof driver.slots);
    driver.loop = ev_loop_new(EVFLAG_AUTO);
    return driver.loop != NULL ? 0 : -ENOMEM;
}

static int64_t apply(struct lc_driver *base, const struct lc_op *op)
{
    struct slot *slot = &driver.slots[op->a];
    (void)base;
    switch (op->op) {
    case LC_OP_OPEN:
        return open_loop();
    case LC_OP_CLOSE:
        ev_loop_destroy(driver.loop);
        return 0;
    case LC_OP_NOW:
        return (int64_t)(now_s() * NS_A_S);
    case LC_OP_SOON:
    case LC_OP_TIMER:
    case LC_OP_AT:
    case LC_OP_WATCH:
    case LC_OP_WAKER:
        create(slot, op);
        return 0;
    case LC_OP_EDGE:
        return create_edge(slot, op);
    case LC_OP_POST:
        ev_async_send(driver.loop, &slot->ev.async);
        return 0;
    case LC_OP_CANCEL:
        stop(slot);
        return 0;
    case LC_OP_REARM:
        start(slot, op);
        return 0;
    case LC_OP_DESTROY: /* the watcher's memory is the user's again as soon as it is stopped */
        stop(slot);
        report(slot, LC_EVENT_CLOSED, 0, 0);
        return 0;
    case LC_OP_STOP:
        ev_break(driver.loop, EVBREAK_ONE);
        return 0;
    case LC_OP_RUN:
        ev_run(driver.loop, 0);
        return 0;
    case LC_OP_STEP:
        ev_run(driver.loop, op->flags & LC_WAIT ? EVRUN_ONCE : EVRUN_NOWAIT);
        return 0;
    default:
        return -ENOSYS;
    }
}

struct lc_driver *driver_libev(void)
{
    driver.base = (struct lc_driver){.abi = LC_DRIVER_ABI,
                                     .name = "libev",
                                     .capabilities = LC_CAP_MULTI | LC_CAP_STOP | LC_CAP_COALESCE | LC_CAP_EDGE,
                                     .promises = LC_PROMISE_ORDER,
                                     .tick_ns = 1000,
                                     .apply = apply};
    return &driver.base;
}
