/* A driver of a loop that can do `soon`, which misbehaves in the way that -DWAY=... says: the replayer names the
 * program in one line, and never passes it. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "driver.h"

enum { NS_A_S = 1000000000 };
enum { EXITS, CRASHES, LIES, UNFOUNDED, NEVER_SLEEPS };

static struct lc_driver driver;
static bool is_armed[256];
static int64_t due_ns[256];

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void call(uint8_t handle, enum lc_event event)
{
    const struct lc_seen seen = {.handle = handle, .event = event};
    is_armed[handle] = false;
    driver.sink.begin(driver.sink.self, &seen);
    driver.sink.end(driver.sink.self, handle, event);
}

static int64_t step(void)
{
    for (unsigned handle = 0; handle < 256; handle++) {
        if (is_armed[handle] && WAY == EXITS)
            exit(0);
        if (is_armed[handle] && WAY == CRASHES)
            abort();
        if (is_armed[handle] && now_ns() >= due_ns[handle])
            call((uint8_t)handle, handle >> 4 == LC_KIND_TIMER ? LC_EVENT_TIMER : LC_EVENT_SOON);
    }
    return 0;
}

static int64_t apply(struct lc_driver *self, const struct lc_op *op)
{
    (void)self;
    switch (op->op) {
    case LC_OP_TIMER:
        if (WAY != NEVER_SLEEPS || op->arg > NS_A_S)
            return -ENOSYS;
        due_ns[op->a] = now_ns() + (int64_t)op->arg;
        is_armed[op->a] = true;
        return 0;
    case LC_OP_SOON:
        due_ns[op->a] = 0;
        is_armed[op->a] = true;
        return 0;
    case LC_OP_CANCEL:
        is_armed[op->a] = false;
        return 0;
    case LC_OP_DESTROY:
        call(op->a, LC_EVENT_CLOSED);
        return 0;
    case LC_OP_STEP:
        return step();
    case LC_OP_OPEN:
    case LC_OP_CLOSE:
        return 0;
    case LC_OP_NOW:
        return now_ns();
    default:
        return -ENOSYS;
    }
}

__attribute__((visibility("default"))) struct lc_driver *lc_driver_get(void)
{
    driver = (struct lc_driver){.abi = LC_DRIVER_ABI,
                                .name = "bad",
                                .capabilities = WAY == LIES        ? LC_CAP_EDGE
                                                : WAY == UNFOUNDED ? LC_CAP_FLUSH
                                                                   : 0,
                                .tick_ns = 1000000,
                                .apply = apply};
    return &driver;
}
