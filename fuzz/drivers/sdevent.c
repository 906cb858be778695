/* The driver sd-event.
 *
 * A step dispatches ONE event source (sd_event_source_get_pending(3): "In each event loop iteration one event source of
 * those marked pending is dispatched"). Among sources of one priority the order "is undefined"
 * (sd_event_source_set_priority(3)), so that none is vowed but TURN. sd_event_exit(3) is final: there is no stop.
 * Nothing of sd-event may be called on another thread, so that a waker is what its users make: an eventfd
 * that the loop watches. Timers have an accuracy of 1 us here; 0 would mean the default, 250 ms.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "drivers.h"

enum { NS_A_US = 1000, ACCURACY_US = 1 };

struct slot {
    sd_event_source *source;
    int eventfd; /* of a waker */
    uint8_t handle;
};

static struct {
    struct lc_driver base;
    sd_event *loop;
    struct slot slots[256];
} driver;

static int report(const struct slot *slot, enum lc_event event, unsigned bits)
{
    struct lc_sink *sink = &driver.base.sink;
    sink->begin(sink->self, &(struct lc_seen){.handle = slot->handle, .event = event, .bits = bits});
    sink->end(sink->self, slot->handle, event);
    return 0;
}

static int on_soon(sd_event_source *source, void *slot)
{
    (void)source;
    return report(slot, LC_EVENT_SOON, 0);
}

static int on_timer(sd_event_source *source, uint64_t deadline_us, void *slot)
{
    (void)source, (void)deadline_us;
    return report(slot, LC_EVENT_TIMER, 0);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *slot)
{
    const unsigned bits = (events & EPOLLIN ? LC_IN : 0u) | (events & EPOLLOUT ? LC_OUT : 0u) |
                          (events & EPOLLHUP ? LC_HUP : 0u) | (events & EPOLLERR ? LC_ERR : 0u);
    (void)source, (void)fd;
    return report(slot, LC_EVENT_READY, bits);
}

static int on_eventfd(sd_event_source *source, int fd, uint32_t events, void *slot)
{
    eventfd_t count;
    (void)source, (void)events;
    if (eventfd_read(fd, &count) < 0)
        return 0; /* it is pending since before it was read last */
    return report(slot, LC_EVENT_POSTED, 0);
}

/* What timers count from: cached, but read anew before the first iteration. */
static uint64_t now_us(void)
{
    uint64_t now = 0;
    sd_event_now(driver.loop, CLOCK_MONOTONIC, &now);
    return now;
}

static uint64_t to_us(uint64_t ns)
{
    return ns / NS_A_US + (ns % NS_A_US != 0);
}

static int create_waker(struct slot *slot)
{
    slot->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (slot->eventfd < 0)
        return -errno;
    return sd_event_add_io(driver.loop, &slot->source, slot->eventfd, EPOLLIN, on_eventfd, slot);
}

static int create(struct slot *slot, const struct lc_op *op)
{
    const uint32_t events = (op->flags & LC_IN ? (uint32_t)EPOLLIN : 0) | (op->flags & LC_OUT ? (uint32_t)EPOLLOUT : 0);

    slot->handle = op->a;
    slot->eventfd = -1;
    switch (op->op) {
    case LC_OP_SOON:
        return sd_event_add_defer(driver.loop, &slot->source, on_soon, slot);
    case LC_OP_TIMER:
        return sd_event_add_time_relative(driver.loop, &slot->source, CLOCK_MONOTONIC, to_us(op->arg), ACCURACY_US,
                                          on_timer, slot);
    case LC_OP_AT:
        return sd_event_add_time(driver.loop, &slot->source, CLOCK_MONOTONIC, to_us(op->arg), ACCURACY_US, on_timer,
                                 slot);
    case LC_OP_WATCH:
        return sd_event_add_io(driver.loop, &slot->source, (int)op->arg, events, on_io, slot);
    default: /* LC_OP_WAKER */
        return create_waker(slot);
    }
}

/* A delay is a number of us without a sign. */
static int create_edge(struct slot *slot, const struct lc_op *op)
{
    uint64_t delay_us = op->flags == LC_EDGE_TINY;
    slot->handle = op->a;
    slot->eventfd = -1;
    if (op->flags == LC_EDGE_NAN || op->flags == LC_EDGE_MINUS || op->flags == LC_EDGE_MINUS_INF)
        return -EINVAL;
    if (op->flags == LC_EDGE_INF) /* a deadline that never comes */
        return sd_event_add_time(driver.loop, &slot->source, CLOCK_MONOTONIC, UINT64_MAX, 0, on_timer, slot);
    if (op->flags == LC_EDGE_HUGE)
        delay_us = UINT64_MAX - 1;
    return sd_event_add_time_relative(driver.loop, &slot->source, CLOCK_MONOTONIC, delay_us, ACCURACY_US, on_timer,
                                      slot);
}

static int rearm(struct slot *slot, const struct lc_op *op)
{
    int error = 0;
    if (slot->source == NULL) /* it could not be made */
        return -EINVAL;
    if (slot->handle >> 4 == LC_KIND_WATCH)
        return sd_event_source_set_enabled(slot->source, SD_EVENT_ON);
    if (slot->handle >> 4 == LC_KIND_TIMER)
        error = op->flags ? sd_event_source_set_time(slot->source, to_us(op->arg))
                          : sd_event_source_set_time_relative(slot->source, to_us(op->arg));
    return error < 0 ? error : sd_event_source_set_enabled(slot->source, SD_EVENT_ONESHOT);
}

static int destroy(struct slot *slot)
{
    slot->source = sd_event_source_disable_unref(slot->source);
    if (slot->eventfd >= 0)
        close(slot->eventfd);
    return report(slot, LC_EVENT_CLOSED, 0);
}

static int64_t apply(struct lc_driver *base, const struct lc_op *op)
{
    struct slot *slot = &driver.slots[op->a];
    (void)base;
    switch (op->op) {
    case LC_OP_OPEN:
        memset(driver.slots, 0, sizeof driver.slots);
        return sd_event_new(&driver.loop);
    case LC_OP_CLOSE:
        driver.loop = sd_event_unref(driver.loop);
        return 0;
    case LC_OP_NOW:
        return (int64_t)(now_us() * NS_A_US);
    case LC_OP_SOON:
    case LC_OP_TIMER:
    case LC_OP_AT:
    case LC_OP_WATCH:
    case LC_OP_WAKER:
        return create(slot, op);
    case LC_OP_EDGE:
        return create_edge(slot, op);
    case LC_OP_POST:
        return eventfd_write(slot->eventfd, 1) == 0 ? 0 : -errno;
    case LC_OP_CANCEL:
        return sd_event_source_set_enabled(slot->source, SD_EVENT_OFF);
    case LC_OP_REARM:
        return rearm(slot, op);
    case LC_OP_DESTROY:
        return destroy(slot);
    case LC_OP_STEP:
        return sd_event_run(driver.loop, op->flags & LC_WAIT ? UINT64_MAX : 0);
    default:
        return -ENOSYS;
    }
}

struct lc_driver *driver_sdevent(void)
{
    driver.base = (struct lc_driver){.abi = LC_DRIVER_ABI,
                                     .name = "sdevent",
                                     .capabilities = LC_CAP_ONE_PER_STEP | LC_CAP_TURNS | LC_CAP_COALESCE | LC_CAP_EDGE,
                                     .promises = LC_PROMISE_TURN,
                                     .tick_ns = NS_A_US,
                                     .apply = apply};
    return &driver.base;
}
