/* The driver libuv: the shortest complete example of a driver for somebody else's loop.
 *
 * A soon is a timer of 0: idle, prepare and check handles run in reverse order, and an async cannot
 * be cancelled. Time counts from uv_now(), which libuv caches; it keeps whole milliseconds.
 */
#include <errno.h>
#include <string.h>
#include <uv.h>

#include "drivers.h"

enum { NS_A_MS = 1000000 };

struct slot {
    union uv_any_handle uv;
    uint8_t handle;
    uint8_t bits; /* of a watcher */
};

static struct {
    struct lc_driver base;
    uv_loop_t loop;
    bool is_once;           /* in a step that may wait: it ends with its first callbacks */
    struct slot slots[256]; /* a slot is free for good once CLOSED was reported: handles are not reused */
} driver;

static void report(const struct slot *slot, enum lc_event event, unsigned bits, int error)
{
    struct lc_sink *sink = &driver.base.sink;
    if (driver.is_once) /* libuv <= 1.44 runs due timers first and would then sleep for something else */
        uv_stop(&driver.loop);
    sink->begin(sink->self, &(struct lc_seen){.handle = slot->handle, .event = event, .bits = bits, .error = error});
    sink->end(sink->self, slot->handle, event);
}

static void on_timer(uv_timer_t *timer)
{
    const struct slot *slot = (struct slot *)timer;
    report(slot, slot->handle >> 4 == LC_KIND_SOON ? LC_EVENT_SOON : LC_EVENT_TIMER, 0, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    unsigned bits = (events & UV_READABLE ? LC_IN : 0u) | (events & UV_WRITABLE ? LC_OUT : 0u);
    report((struct slot *)poll, LC_EVENT_READY, bits, status < 0 ? status : 0);
}

static void on_async(uv_async_t *async)
{
    report((struct slot *)async, LC_EVENT_POSTED, 0, 0);
}

static void on_close(uv_handle_t *handle)
{
    report((struct slot *)handle, LC_EVENT_CLOSED, 0, 0);
}

static int start(struct slot *slot, const struct lc_op *op)
{
    uint64_t now_ms = uv_now(&driver.loop), delay_ms = op->arg / NS_A_MS;
    bool is_absolute = op->op == LC_OP_AT || (op->op == LC_OP_REARM && op->flags);

    switch (slot->handle >> 4) {
    case LC_KIND_SOON:
        return uv_timer_start(&slot->uv.timer, on_timer, 0, 0);
    case LC_KIND_TIMER:
        if (is_absolute) /* a deadline in ns, rounded up; libuv wants what is left of it */
            delay_ms = op->arg / NS_A_MS + (op->arg % NS_A_MS != 0);
        if (is_absolute)
            delay_ms = delay_ms > now_ms ? delay_ms - now_ms : 0;
        return uv_timer_start(&slot->uv.timer, on_timer, delay_ms, 0);
    default:
        return uv_poll_start(&slot->uv.poll, slot->bits, on_poll);
    }
}

static int create(const struct lc_op *op)
{
    struct slot *slot = &driver.slots[op->a];
    int error;

    slot->handle = op->a;
    if (op->op == LC_OP_WAKER)
        return uv_async_init(&driver.loop, &slot->uv.async, on_async);
    if (op->op == LC_OP_WATCH) {
        slot->bits = (uint8_t)((op->flags & LC_IN ? UV_READABLE : 0) | (op->flags & LC_OUT ? UV_WRITABLE : 0));
        error = uv_poll_init(&driver.loop, &slot->uv.poll, (int)op->arg);
    } else {
        error = uv_timer_init(&driver.loop, &slot->uv.timer);
    }
    return error < 0 ? error : start(slot, op);
}

static int cancel(struct slot *slot)
{
    if (slot->handle >> 4 == LC_KIND_WATCH)
        return uv_poll_stop(&slot->uv.poll);
    return uv_timer_stop(&slot->uv.timer);
}

static int64_t apply(struct lc_driver *base, const struct lc_op *op)
{
    struct slot *slot = &driver.slots[op->a];
    (void)base;
    switch (op->op) {
    case LC_OP_OPEN:
        memset(driver.slots, 0, sizeof driver.slots);
        return uv_loop_init(&driver.loop);
    case LC_OP_CLOSE:
        return uv_loop_close(&driver.loop);
    case LC_OP_NOW:
        return (int64_t)(uv_now(&driver.loop) * NS_A_MS);
    case LC_OP_SOON:
    case LC_OP_TIMER:
    case LC_OP_AT:
    case LC_OP_WATCH:
    case LC_OP_WAKER:
        return create(op);
    case LC_OP_POST:
        return uv_async_send(&slot->uv.async);
    case LC_OP_CANCEL:
        return cancel(slot);
    case LC_OP_REARM:
        return start(slot, op);
    case LC_OP_DESTROY:
        uv_close(&slot->uv.handle, on_close);
        return 0;
    case LC_OP_STOP:
        uv_stop(&driver.loop);
        return 0;
    case LC_OP_RUN:
        uv_run(&driver.loop, UV_RUN_DEFAULT);
        return 0;
    case LC_OP_STEP:
        driver.is_once = (op->flags & LC_WAIT) != 0;
        uv_run(&driver.loop, driver.is_once ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        driver.is_once = false;
        return 0;
    default:
        return -ENOSYS;
    }
}

struct lc_driver *driver_libuv(void)
{
    driver.base = (struct lc_driver){.abi = LC_DRIVER_ABI,
                                     .name = "libuv",
                                     .capabilities = LC_CAP_STOP | LC_CAP_COALESCE,
                                     .promises = LC_PROMISE_FIFO | LC_PROMISE_ORDER | LC_PROMISE_TIES,
                                     .tick_ns = NS_A_MS,
                                     .apply = apply};
    return &driver.base;
}
