/* The driver libuv.
 *
 * A soon is a timer of 0: idle, prepare and check handles run in reverse order, and an async cannot
 * be cancelled. Time counts from uv_now(), which libuv caches; it keeps whole milliseconds. A stream ends by
 * destroy alone: uv_close() drops what was not sent.
 */
#include <signal.h>
#include <string.h>

#include "drivers.h"
#include "libuv.h"

enum { NS_A_MS = 1000000 };

struct libuv_driver libuv;

void libuv_report_seen(struct lc_seen seen)
{
    struct lc_sink *sink = &libuv.base.sink;
    if (libuv.is_once) /* libuv <= 1.44 runs due timers first and would then sleep for something else */
        uv_stop(&libuv.loop);
    sink->begin(sink->self, &seen);
    sink->end(sink->self, seen.handle, seen.event);
}

void libuv_report(const struct slot *slot, enum lc_event event, unsigned bits, int error)
{
    libuv_report_seen((struct lc_seen){.handle = slot->handle, .event = event, .bits = bits, .error = error});
}

static void on_timer(uv_timer_t *timer)
{
    const struct slot *slot = (struct slot *)timer;
    libuv_report(slot, slot->handle >> 4 == LC_KIND_SOON ? LC_EVENT_SOON : LC_EVENT_TIMER, 0, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    unsigned bits = (events & UV_READABLE ? LC_IN : 0u) | (events & UV_WRITABLE ? LC_OUT : 0u);
    libuv_report((struct slot *)poll, LC_EVENT_READY, bits, status < 0 ? status : 0);
}

static void on_async(uv_async_t *async)
{
    libuv_report((struct slot *)async, LC_EVENT_POSTED, 0, 0);
}

static void on_close(uv_handle_t *handle)
{
    libuv_report((struct slot *)handle, LC_EVENT_CLOSED, 0, 0);
}

void libuv_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    static char bytes[1 << 16]; /* libuv reads one stream after the other */
    (void)handle, (void)suggested;
    *buffer = uv_buf_init(bytes, sizeof bytes);
}

static int start(struct slot *slot, const struct lc_op *op)
{
    uint64_t now_ms = uv_now(&libuv.loop), delay_ms = op->arg / NS_A_MS;
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
    struct slot *slot = &libuv.slots[op->a];
    int error;

    slot->handle = op->a;
    if (op->op == LC_OP_WAKER)
        return uv_async_init(&libuv.loop, &slot->uv.async, on_async);
    if (op->op == LC_OP_WATCH) {
        slot->bits = (uint8_t)((op->flags & LC_IN ? UV_READABLE : 0) | (op->flags & LC_OUT ? UV_WRITABLE : 0));
        error = uv_poll_init(&libuv.loop, &slot->uv.poll, (int)op->arg);
    } else {
        error = uv_timer_init(&libuv.loop, &slot->uv.timer);
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
    struct slot *slot = &libuv.slots[op->a];
    (void)base;
    switch (op->op) {
    case LC_OP_OPEN:
        memset(libuv.slots, 0, sizeof libuv.slots);
        signal(SIGPIPE, SIG_IGN); /* libuv leaves that to its user */
        return uv_loop_init(&libuv.loop);
    case LC_OP_CLOSE:
        return uv_loop_close(&libuv.loop);
    case LC_OP_NOW:
        return (int64_t)(uv_now(&libuv.loop) * NS_A_MS);
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
        uv_stop(&libuv.loop);
        return 0;
    case LC_OP_RUN:
        uv_run(&libuv.loop, UV_RUN_DEFAULT);
        return 0;
    case LC_OP_STEP:
        libuv.is_once = (op->flags & LC_WAIT) != 0;
        uv_run(&libuv.loop, libuv.is_once ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        libuv.is_once = false;
        return 0;
    default:
        return libuv_use_streams(slot, op);
    }
}

struct lc_driver *driver_libuv(void)
{
    libuv.base =
        (struct lc_driver){.abi = LC_DRIVER_ABI,
                           .name = "libuv",
                           .capabilities = LC_CAP_STOP | LC_CAP_COALESCE | LC_CAP_STREAM | LC_CAP_WRITE_EOF |
                                           LC_CAP_SERVER | LC_CAP_CONNECT | LC_CAP_WRITELINES | LC_CAP_DATAGRAM,
                           .promises = LC_PROMISE_FIFO | LC_PROMISE_ORDER | LC_PROMISE_TIES,
                           .tick_ns = NS_A_MS,
                           .apply = apply};
    return &libuv.base;
}
