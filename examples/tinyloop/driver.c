/* The driver of tinyloop: fuzz/drivers/template.c, filled in. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "driver.h"
#include "tinyloop.h"

struct slot {
    struct tl_event event; /* first, so that a callback finds its slot */
    uint8_t handle;
};

static struct {
    struct lc_driver base;
    struct tl_loop loop;
    struct slot slots[256];
} driver;

static void report(const struct slot *slot, enum lc_event event, unsigned bits)
{
    struct lc_sink *sink = &driver.base.sink;
    const uint8_t handle = slot->handle;
    sink->begin(sink->self, &(struct lc_seen){.handle = handle, .event = event, .bits = bits});
    sink->end(sink->self, handle, event);
}

static void on_event(struct tl_event *event, short ready)
{
    static const enum lc_event events[] = {[TL_SOON] = LC_EVENT_SOON,
                                           [TL_TIMER] = LC_EVENT_TIMER,
                                           [TL_WATCH] = LC_EVENT_READY,
                                           [TL_WAKER] = LC_EVENT_POSTED};
    const unsigned bits = (ready & POLLIN ? LC_IN : 0u) | (ready & POLLOUT ? LC_OUT : 0u) |
                          (ready & POLLHUP ? LC_HUP : 0u) | (ready & (POLLERR | POLLNVAL) ? LC_ERR : 0u);
    report((struct slot *)event, events[event->kind], bits);
}

static int start(struct slot *slot, const struct lc_op *op)
{
    const bool is_absolute = op->op == LC_OP_AT || (op->op == LC_OP_REARM && op->flags);
    const uint64_t now = tl_now(&driver.loop);

    if (slot->event.kind == TL_TIMER)
        slot->event.deadline_ns = is_absolute ? op->arg : op->arg > UINT64_MAX - now ? UINT64_MAX : now + op->arg;
    tl_start(&driver.loop, &slot->event);
    return 0;
}

static int create(struct slot *slot, const struct lc_op *op)
{
    static const enum tl_kind kinds[LC_KIND_COUNT] = {
        [LC_KIND_SOON] = TL_SOON, [LC_KIND_TIMER] = TL_TIMER, [LC_KIND_WATCH] = TL_WATCH, [LC_KIND_WAKER] = TL_WAKER};
    slot->handle = op->a;
    slot->event.kind = kinds[op->a >> 4];
    slot->event.call = on_event;
    slot->event.fd = (int)op->arg;
    slot->event.asked = (short)((op->flags & LC_IN ? POLLIN : 0) | (op->flags & LC_OUT ? POLLOUT : 0));
    return start(slot, op);
}

static int destroy(struct slot *slot)
{
    tl_stop(&slot->event);
    report(slot, LC_EVENT_CLOSED, 0);
    return 0;
}

static int64_t apply(struct lc_driver *base, const struct lc_op *op)
{
    struct slot *slot = &driver.slots[op->a];
    (void)base;
    switch (op->op) {
    case LC_OP_OPEN:
        memset(driver.slots, 0, sizeof driver.slots);
        return tl_open(&driver.loop);
    case LC_OP_CLOSE:
        tl_close(&driver.loop);
        return 0;
    case LC_OP_NOW:
        return (int64_t)tl_now(&driver.loop);
    case LC_OP_STEP:
        return tl_turn(&driver.loop, (op->flags & LC_WAIT) != 0);
    case LC_OP_SOON:
    case LC_OP_TIMER:
    case LC_OP_AT:
    case LC_OP_WATCH:
    case LC_OP_WAKER:
        return create(slot, op);
    case LC_OP_REARM:
        return start(slot, op);
    case LC_OP_POST:
        tl_post(&driver.loop, &slot->event);
        return 0;
    case LC_OP_CANCEL:
        tl_stop(&slot->event);
        return 0;
    case LC_OP_DESTROY:
        return destroy(slot);
    case LC_OP_RUN:
        return tl_run(&driver.loop);
    case LC_OP_STOP:
        tl_break(&driver.loop);
        return 0;
    default:
        return -ENOSYS;
    }
}

__attribute__((visibility("default"))) struct lc_driver *lc_driver_get(void)
{
    driver.base = (struct lc_driver){.abi = LC_DRIVER_ABI,
                                     .name = "tinyloop",
                                     .capabilities = LC_CAP_MULTI | LC_CAP_STOP | LC_CAP_TURNS | LC_CAP_COALESCE,
                                     .promises = LC_PROMISE_FIFO | LC_PROMISE_TURN | LC_PROMISE_ORDER | LC_PROMISE_TIES,
                                     .tick_ns = 1, /* poll(2) sleeps whole milliseconds, but it only wakes late */
                                     .apply = apply};
    return &driver.base;
}
