/* A driver of a loop that can do `soon`, `step` and `stop`, and one that misbehaves in the way that -DWAY=... says. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"

enum {
    CALM,
    CRASH,
    HANG,
    STRANGER,
    AFTER_CLOSE,
    LATE,
    THREAD,
    LIES,
    SILENT,
    REFUSES,
    EXITS,
    WRONG_ABI,
    GIVES_NULL,
    NO_APPLY,
    CANNOT_OPEN,
    TWICE,
    OLD_CLOCK,
    OTHER_EVENT,
    NO_EDGE,
    COARSE,
    STRICT /* runs nothing before the clock has moved on */
};

static struct lc_driver driver;
static uint8_t queue[256];
static size_t queued, taken;
static int64_t asked_ns;
static const struct lc_seen one = {.handle = 0x11, .event = LC_EVENT_SOON};

static void call(uint8_t handle, enum lc_event event)
{
    const struct lc_seen seen = {.handle = handle, .event = event};
    driver.sink.begin(driver.sink.self, &seen);
    driver.sink.end(driver.sink.self, handle, event);
}

static void *call_from_here(void *unused)
{
    (void)unused;
    if (WAY == LATE)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    driver.sink.begin(driver.sink.self, &one);
    driver.sink.end(driver.sink.self, one.handle, one.event);
    return NULL;
}

static void call_on_a_thread(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, call_from_here, NULL) != 0)
        abort();
    WAY == LATE ? pthread_detach(thread) : pthread_join(thread, NULL);
}

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t step(void)
{
    if (WAY == STRICT && poll(&(struct pollfd){.fd = 1, .events = POLLOUT}, 1, 0) >= 0 && clock_ns() <= asked_ns)
        return 0;
    while (WAY == HANG && taken < queued)
        pause();
    for (size_t end = queued; WAY != SILENT && taken < end; taken++) {
        uint8_t handle = queue[taken];
        if (handle == 0)
            continue;
        if (WAY == STRANGER)
            call(0xff, LC_EVENT_SOON);
        if (WAY == TWICE)
            call(handle, LC_EVENT_SOON);
        if (WAY == THREAD)
            call_on_a_thread();
        else
            call(handle, WAY == OTHER_EVENT ? LC_EVENT_TIMER : LC_EVENT_SOON);
    }
    return 0;
}

static int64_t apply(struct lc_driver *base, const struct lc_op *op)
{
    (void)base;
    bool is_needed = op->op >= LC_OP_OPEN || op->op == LC_OP_STEP || op->op == LC_OP_DESTROY;
    if (WAY == REFUSES && !is_needed)
        return -ENOSYS;
    switch (op->op) {
    case LC_OP_OPEN:
        queued = taken = 0;
        return WAY == CANNOT_OPEN ? -ENOMEM : 0;
    case LC_OP_CLOSE:
        if (WAY == AFTER_CLOSE)
            call(0x11, LC_EVENT_CLOSED);
        if (WAY == LATE)
            call_on_a_thread();
        return 0;
    case LC_OP_NOW:
        return WAY == OLD_CLOCK ? 1 : clock_ns();
    case LC_OP_SOON:
    case LC_OP_REARM:
        if (op->a >> 4 != LC_KIND_SOON || queued == sizeof queue)
            return -ENOSYS;
        if (WAY == CRASH)
            *(volatile int *)8 = 0;
        if (WAY == EXITS)
            _exit(0);
        queue[queued++] = op->a;
        asked_ns = clock_ns();
        return 0;
    case LC_OP_CANCEL:
    case LC_OP_DESTROY:
        for (size_t i = 0; i < queued; i++)
            queue[i] = queue[i] == op->a ? 0 : queue[i];
        if (op->op == LC_OP_DESTROY)
            call(op->a, LC_EVENT_CLOSED);
        return 0;
    case LC_OP_STEP:
        return step();
    default:
        return -ENOSYS;
    }
}

struct lc_driver *lc_driver_get(void)
{
    driver = (struct lc_driver){.abi = WAY == WRONG_ABI ? LC_DRIVER_ABI + 1 : LC_DRIVER_ABI,
                                .name = "under_test",
                                .capabilities = WAY == LIES      ? LC_CAP_STREAM
                                                : WAY == NO_EDGE ? LC_CAP_EDGE
                                                                 : 0,
                                .promises = LC_PROMISE_FIFO,
                                .tick_ns = WAY == COARSE ? 3600 * UINT64_C(1000000000) : 1000000,
                                .apply = WAY == NO_APPLY ? NULL : apply};
    return WAY == GIVES_NULL ? NULL : &driver;
}
