/* The driver GLib: a GMainContext of its own.
 *
 * A GSource that has run or was destroyed cannot be attached again, so that each arming makes a new one. A soon is an
 * idle source at the default priority: at its own, lower one it would starve behind ready fds. Timers are
 * g_timeout sources, which keep whole milliseconds; a deadline (`at`) is a source with a ready time, in
 * microseconds. A post attaches an idle source, so that each of them is delivered.
 *
 * GLib states no order for sources of one priority. It goes through them in the order in which they were attached, and
 * only through those that were there when the iteration began: programs rely on that, so FIFO, TURN and TIES are vowed
 * here. Timers go in that order too, whatever their deadlines: no ORDER. GLib's main loop has no streams.
 */
#include <errno.h>
#include <glib-unix.h>
#include <glib.h>
#include <string.h>

#include "drivers.h"

enum { NS_A_US = 1000, NS_A_MS = 1000000 };

struct slot {
    GSource *source; /* NULL while it is idle; a waker never has one of its own */
    int fd;
    GIOCondition condition;
    uint8_t handle;
};

static struct {
    struct lc_driver base;
    GMainContext *context;
    GMainLoop *loop; /* only inside LC_OP_RUN */
    struct slot slots[256];
} driver;

static void report(const struct slot *slot, enum lc_event event, unsigned bits)
{
    struct lc_sink *sink = &driver.base.sink;
    sink->begin(sink->self, &(struct lc_seen){.handle = slot->handle, .event = event, .bits = bits});
    sink->end(sink->self, slot->handle, event);
}

static void drop(struct slot *slot)
{
    if (slot->source == NULL)
        return;
    g_source_destroy(slot->source);
    g_source_unref(slot->source);
    slot->source = NULL;
}

/* The source is over; let go of it first, since the callback may arm the handle anew. */
static gboolean on_once(gpointer data)
{
    struct slot *slot = data;
    g_source_unref(slot->source);
    slot->source = NULL;
    report(slot, slot->handle >> 4 == LC_KIND_SOON ? LC_EVENT_SOON : LC_EVENT_TIMER, 0);
    return G_SOURCE_REMOVE;
}

static gboolean on_fd(gint fd, GIOCondition condition, gpointer data)
{
    const unsigned bits = (condition & G_IO_IN ? LC_IN : 0u) | (condition & G_IO_OUT ? LC_OUT : 0u) |
                          (condition & G_IO_HUP ? LC_HUP : 0u) | (condition & (G_IO_ERR | G_IO_NVAL) ? LC_ERR : 0u);
    (void)fd;
    report(data, LC_EVENT_READY, bits);
    return G_SOURCE_CONTINUE;
}

static gboolean on_post(gpointer data)
{
    report(data, LC_EVENT_POSTED, 0);
    return G_SOURCE_REMOVE;
}

/* ---- a source with a deadline -------------------------------------------------------------- */

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    (void)source;
    return callback(data);
}

static GSource *deadline_source(uint64_t deadline_ns)
{
    static GSourceFuncs functions = {.dispatch = dispatch};
    GSource *source = g_source_new(&functions, sizeof *source);
    g_source_set_ready_time(source, (gint64)(deadline_ns / NS_A_US + (deadline_ns % NS_A_US != 0)));
    return source;
}

/* ---- ops ----------------------------------------------------------------------------------- */

static GSource *idle_source(void)
{
    GSource *source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    return source;
}

/* GLib counts milliseconds in 32 bits; the longest of them is 49 days. */
static GSource *timeout_source(uint64_t delay_ns)
{
    const uint64_t delay_ms = delay_ns / NS_A_MS + (delay_ns % NS_A_MS != 0);
    return g_timeout_source_new(delay_ms < G_MAXUINT ? (guint)delay_ms : G_MAXUINT);
}

static void attach(GSource *source, GSourceFunc callback, struct slot *slot)
{
    g_source_set_callback(source, callback, slot, NULL);
    g_source_attach(source, driver.context);
}

static void start(struct slot *slot, const struct lc_op *op)
{
    const bool is_absolute = op->op == LC_OP_AT || (op->op == LC_OP_REARM && op->flags);

    switch (slot->handle >> 4) {
    case LC_KIND_SOON:
        slot->source = idle_source();
        break;
    case LC_KIND_TIMER:
        slot->source = is_absolute ? deadline_source(op->arg) : timeout_source(op->arg);
        break;
    default:
        slot->source = g_unix_fd_source_new(slot->fd, slot->condition);
        attach(slot->source, G_SOURCE_FUNC(on_fd), slot);
        return;
    }
    attach(slot->source, on_once, slot);
}

/* Deadlines are in us, and -1 is none; of delays in ms the longest is 49 days. */
static int create_edge(struct slot *slot, const struct lc_op *op)
{
    if (op->flags == LC_EDGE_NAN || op->flags == LC_EDGE_MINUS_INF)
        return -EINVAL;
    slot->handle = op->a;
    slot->source = deadline_source(0);
    if (op->flags == LC_EDGE_INF || op->flags == LC_EDGE_HUGE)
        g_source_set_ready_time(slot->source, op->flags == LC_EDGE_INF ? -1 : G_MAXINT64);
    else
        g_source_set_ready_time(slot->source, g_get_monotonic_time() +
                                                  (op->flags == LC_EDGE_MINUS ? -1000000 : op->flags == LC_EDGE_TINY));
    attach(slot->source, on_once, slot);
    return 0;
}

static void create(struct slot *slot, const struct lc_op *op)
{
    slot->handle = op->a;
    slot->fd = (int)op->arg;
    slot->condition = (GIOCondition)((op->flags & LC_IN ? G_IO_IN : 0) | (op->flags & LC_OUT ? G_IO_OUT : 0));
    if (op->op != LC_OP_WAKER)
        start(slot, op);
}

/* On any thread. */
static void post(struct slot *slot)
{
    GSource *source = idle_source();
    attach(source, on_post, slot);
    g_source_unref(source);
}

static void destroy(struct slot *slot)
{
    GSource *posted;
    drop(slot);
    while (slot->handle >> 4 == LC_KIND_WAKER &&
           (posted = g_main_context_find_source_by_user_data(driver.context, slot)) != NULL)
        g_source_destroy(posted);
    report(slot, LC_EVENT_CLOSED, 0);
}

static void run(void)
{
    driver.loop = g_main_loop_new(driver.context, FALSE);
    g_main_loop_run(driver.loop);
    g_main_loop_unref(driver.loop);
    driver.loop = NULL;
}

static int64_t apply(struct lc_driver *base, const struct lc_op *op)
{
    struct slot *slot = &driver.slots[op->a];
    (void)base;
    switch (op->op) {
    case LC_OP_OPEN:
        memset(driver.slots, 0, sizeof driver.slots);
        driver.context = g_main_context_new();
        return 0;
    case LC_OP_CLOSE:
        g_main_context_unref(driver.context);
        return 0;
    case LC_OP_NOW:
        return g_get_monotonic_time() * NS_A_US;
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
        post(slot);
        return 0;
    case LC_OP_CANCEL:
        drop(slot);
        return 0;
    case LC_OP_REARM:
        start(slot, op);
        return 0;
    case LC_OP_DESTROY:
        destroy(slot);
        return 0;
    case LC_OP_STOP:
        g_main_loop_quit(driver.loop);
        return 0;
    case LC_OP_RUN:
        run();
        return 0;
    case LC_OP_STEP:
        g_main_context_iteration(driver.context, (op->flags & LC_WAIT) != 0);
        return 0;
    default:
        return -ENOSYS;
    }
}

struct lc_driver *driver_glib(void)
{
    driver.base = (struct lc_driver){.abi = LC_DRIVER_ABI,
                                     .name = "glib",
                                     .capabilities = LC_CAP_MULTI | LC_CAP_STOP | LC_CAP_TURNS | LC_CAP_EDGE,
                                     .promises = LC_PROMISE_FIFO | LC_PROMISE_TURN | LC_PROMISE_TIES,
                                     .tick_ns = NS_A_MS,
                                     .apply = apply};
    return &driver.base;
}
