/* The driver libevent.
 *
 * A soon is event_active(): events that are made active run in that order, and one that is made active in a callback
 * runs in the same turn (so no TURN); an evtimer of 0 would keep no order. Timers are precise
 * (EVENT_BASE_FLAG_PRECISE_TIMER): the clock that libevent takes by default runs in steps of some milliseconds. They
 * are kept in a heap, whose ties have no order.
 *
 * A stream is a bufferevent. It knows no half-close and no close that flushes: a stream ends by destroy alone,
 * and bufferevent_free() drops what was not sent.
 *
 * libevent's own variables (EVENT_NOEPOLL, EVENT_EPOLL_USE_CHANGELIST, ...) choose other backends.
 */
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "drivers.h"

enum {
    NS_A_US = 1000,
    TICK_NS = 10 * NS_A_US, /* 1 us, and what reading libevent's clock may err by */
    PROBE_TRIES = 8
};
#define US_A_S INT64_C(1000000)
#define PROBE_S 1000000 /* later than any timer that is waited for, so that the heap of timers stays as it is */
#define DELAY_S_MAX INT64_C(1000000000)

struct slot {
    struct event *event;
    struct bufferevent *stream;
    uint8_t handle;
    bool is_over; /* of a stream: it has seen its end or an error */
};

static struct {
    struct lc_driver base;
    struct event_base *loop;
    struct event *probe;
    bool is_running;
    int64_t wall_ahead_us; /* what libevent adds to its monotonic time to show it to users */
    struct slot slots[256];
} driver;

static void report_seen(struct lc_seen seen)
{
    struct lc_sink *sink = &driver.base.sink;
    sink->begin(sink->self, &seen);
    sink->end(sink->self, seen.handle, seen.event);
}

static void report(const struct slot *slot, enum lc_event event, unsigned bits, int error)
{
    report_seen((struct lc_seen){.handle = slot->handle, .event = event, .bits = bits, .error = error});
}

/* ---- time ---------------------------------------------------------------------------------- */

static int64_t monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * US_A_S + now.tv_nsec / NS_A_US;
}

static int64_t to_us(struct timeval time)
{
    return time.tv_sec * US_A_S + time.tv_usec;
}

/* libevent shows its times on the wall clock, by an offset that it keeps to itself and renews every few seconds. A
 * timer tells: it was armed at a moment that is known, and is said to expire at the same moment on the wall. */
static void measure_offset(void)
{
    int64_t best_us = INT64_MAX;
    for (int i = 0; i < PROBE_TRIES; i++) {
        struct timeval expiry;
        const int64_t before_us = monotonic_us();
        event_add(driver.probe, &(struct timeval){.tv_sec = PROBE_S});
        const int64_t spread_us = monotonic_us() - before_us;
        event_pending(driver.probe, EV_TIMEOUT, &expiry);
        event_del(driver.probe);
        if (spread_us < best_us)
            driver.wall_ahead_us = to_us(expiry) - PROBE_S * US_A_S - before_us;
        best_us = spread_us < best_us ? spread_us : best_us;
    }
}

/* What timers count from: cached in callbacks, the present outside. */
static int64_t now_us(void)
{
    struct timeval wall;
    if (!driver.is_running)
        return monotonic_us();
    event_base_gettimeofday_cached(driver.loop, &wall);
    return to_us(wall) - driver.wall_ahead_us;
}

static struct timeval delay_of(const struct lc_op *op)
{
    const bool is_absolute = op->op == LC_OP_AT || (op->op == LC_OP_REARM && op->flags);
    int64_t delay_us = (int64_t)(op->arg / NS_A_US + (op->arg % NS_A_US != 0));
    if (is_absolute)
        delay_us -= now_us();
    if (delay_us < 0)
        delay_us = 0;
    if (delay_us > DELAY_S_MAX * US_A_S)
        delay_us = DELAY_S_MAX * US_A_S;
    return (struct timeval){.tv_sec = delay_us / US_A_S, .tv_usec = delay_us % US_A_S};
}

/* ---- events -------------------------------------------------------------------------------- */

static void on_event(evutil_socket_t fd, short what, void *data)
{
    static const enum lc_event events[LC_KIND_COUNT] = {[LC_KIND_SOON] = LC_EVENT_SOON,
                                                        [LC_KIND_TIMER] = LC_EVENT_TIMER,
                                                        [LC_KIND_WATCH] = LC_EVENT_READY,
                                                        [LC_KIND_WAKER] = LC_EVENT_POSTED};
    const struct slot *slot = data;
    (void)fd;
    report(slot, events[slot->handle >> 4], (what & EV_READ ? LC_IN : 0u) | (what & EV_WRITE ? LC_OUT : 0u), 0);
}

static int start(struct slot *slot, const struct lc_op *op)
{
    struct timeval delay;

    switch (slot->handle >> 4) {
    case LC_KIND_SOON:
        event_active(slot->event, 0, 0);
        return 0;
    case LC_KIND_TIMER:
        delay = delay_of(op);
        return event_add(slot->event, &delay);
    default:
        return event_add(slot->event, NULL);
    }
}

static int create(struct slot *slot, const struct lc_op *op)
{
    const bool is_watch = op->op == LC_OP_WATCH;
    const int what = (op->flags & LC_IN ? EV_READ : 0) | (op->flags & LC_OUT ? EV_WRITE : 0) | EV_PERSIST;

    slot->handle = op->a;
    slot->event = event_new(driver.loop, is_watch ? (int)op->arg : -1, (short)(is_watch ? what : 0), on_event, slot);
    if (slot->event == NULL)
        return -ENOMEM;
    return op->op == LC_OP_WAKER ? 0 : start(slot, op);
}

/* A delay is a struct timeval, of which the longest fires at once (docs/findings/libevent.md): half of it will do. */
static int create_edge(struct slot *slot, const struct lc_op *op)
{
    struct timeval delay = {0};
    if (op->flags == LC_EDGE_NAN || op->flags == LC_EDGE_INF || op->flags == LC_EDGE_MINUS_INF)
        return -EINVAL;
    if (op->flags == LC_EDGE_HUGE)
        delay = (struct timeval){.tv_sec = LONG_MAX / 2};
    delay.tv_sec -= op->flags == LC_EDGE_MINUS;
    delay.tv_usec += op->flags == LC_EDGE_TINY;
    slot->handle = op->a;
    slot->event = event_new(driver.loop, -1, 0, on_event, slot);
    if (slot->event == NULL)
        return -ENOMEM;
    return event_add(slot->event, &delay) == 0 ? 0 : -EINVAL;
}

/* ---- streams ------------------------------------------------------------------------------- */

static void on_read(struct bufferevent *stream, void *data)
{
    static char bytes[1 << 16]; /* more than a bufferevent reads at a time */
    const struct slot *slot = data;
    const size_t size = bufferevent_read(stream, bytes, sizeof bytes);
    report_seen((struct lc_seen){.handle = slot->handle, .event = LC_EVENT_DATA, .data = bytes, .size = size});
}

static void on_stream_event(struct bufferevent *stream, short what, void *data)
{
    const int error = EVUTIL_SOCKET_ERROR();
    struct slot *slot = data;
    (void)stream;
    if (!(what & BEV_EVENT_READING)) /* a failed write is not the end: reading will tell */
        return;
    slot->is_over = true;
    if (what & BEV_EVENT_EOF)
        report(slot, LC_EVENT_EOF, 0, 0);
    else
        report(slot, LC_EVENT_LOST, 0, -error);
}

static int open_stream(struct slot *slot, const struct lc_op *op)
{
    slot->handle = op->a;
    slot->stream = bufferevent_socket_new(driver.loop, (int)op->arg, BEV_OPT_CLOSE_ON_FREE);
    if (slot->stream == NULL)
        return -ENOMEM;
    bufferevent_setcb(slot->stream, on_read, NULL, on_stream_event, slot);
    return bufferevent_enable(slot->stream, EV_READ);
}

/* ---- ops ----------------------------------------------------------------------------------- */

static int destroy(struct slot *slot)
{
    if (slot->event != NULL)
        event_free(slot->event);
    if (slot->stream != NULL)
        bufferevent_free(slot->stream);
    report(slot, LC_EVENT_CLOSED, 0, 0);
    return 0;
}

static int open_loop(void)
{
    memset(driver.slots, 0, sizeof driver.slots);
    signal(SIGPIPE, SIG_IGN); /* libevent leaves that to its user */
    if (evthread_use_pthreads() < 0)
        return -ENOSYS;
    struct event_config *config = event_config_new();
    if (config == NULL)
        return -ENOMEM;
    event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
    driver.loop = event_base_new_with_config(config);
    event_config_free(config);
    if (driver.loop == NULL)
        return -ENOMEM;
    driver.probe = event_new(driver.loop, -1, 0, on_event, &driver.slots[0]);
    return 0;
}

static int turn(int flags)
{
    measure_offset();
    driver.is_running = true;
    const int result = event_base_loop(driver.loop, flags);
    driver.is_running = false;
    return result < 0 ? -EIO : 0;
}

static int use_stream(struct slot *slot, const struct lc_op *op)
{
    switch (op->op) {
    case LC_OP_STREAM:
        return open_stream(slot, op);
    case LC_OP_WRITE:
        return bufferevent_write(slot->stream, (const void *)(uintptr_t)op->arg, op->n);
    case LC_OP_PAUSE:
        return bufferevent_disable(slot->stream, EV_READ);
    default: /* LC_OP_RESUME */
        return slot->is_over ? 0 : bufferevent_enable(slot->stream, EV_READ);
    }
}

static int64_t apply(struct lc_driver *base, const struct lc_op *op)
{
    struct slot *slot = &driver.slots[op->a];
    (void)base;
    switch (op->op) {
    case LC_OP_OPEN:
        return open_loop();
    case LC_OP_CLOSE:
        event_free(driver.probe);
        event_base_free(driver.loop);
        return 0;
    case LC_OP_NOW:
        return now_us() * NS_A_US;
    case LC_OP_SOON:
    case LC_OP_TIMER:
    case LC_OP_AT:
    case LC_OP_WATCH:
    case LC_OP_WAKER:
        return create(slot, op);
    case LC_OP_EDGE:
        return create_edge(slot, op);
    case LC_OP_POST:
        event_active(slot->event, 0, 0);
        return 0;
    case LC_OP_CANCEL:
        return event_del(slot->event);
    case LC_OP_REARM:
        return start(slot, op);
    case LC_OP_DESTROY:
        return destroy(slot);
    case LC_OP_STOP:
        return event_base_loopbreak(driver.loop);
    case LC_OP_RUN:
        return turn(EVLOOP_NO_EXIT_ON_EMPTY);
    case LC_OP_STEP: /* without ONCE, NONBLOCK would go on for as long as an fd is ready */
        return turn(op->flags & LC_WAIT ? EVLOOP_ONCE : EVLOOP_ONCE | EVLOOP_NONBLOCK);
    case LC_OP_STREAM:
    case LC_OP_WRITE:
    case LC_OP_PAUSE:
    case LC_OP_RESUME:
        return use_stream(slot, op);
    default:
        return -ENOSYS;
    }
}

struct lc_driver *driver_libevent(void)
{
    driver.base =
        (struct lc_driver){.abi = LC_DRIVER_ABI,
                           .name = "libevent",
                           .capabilities = LC_CAP_MULTI | LC_CAP_STOP | LC_CAP_COALESCE | LC_CAP_EDGE | LC_CAP_STREAM,
                           .promises = LC_PROMISE_FIFO | LC_PROMISE_ORDER,
                           .tick_ns = TICK_NS,
                           .apply = apply};
    return &driver.base;
}
