/* What each op asks of the loop, and the guards before it. Any other is passed on: to runner_fds.c, and from there to
 * runner_streams.c, runner_sockets.c and runner_datagrams.c. */
#include <errno.h>

#include "names.h"
#include "runner_streams.h"

struct handle *lc_runner_at(struct runner *r, uint8_t handle)
{
    const uint8_t known = handle < HANDLES_MAX ? handle : 0;
    r->touched[known >> 4] |= (uint16_t)(1u << (known & 15));
    return &r->handles[known];
}

void lc_runner_record_op(struct runner *r, uint8_t code, uint8_t handle, uint64_t arg, unsigned bits, int64_t result)
{
    lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_OP,
                                        .code = code,
                                        .handle = LC_HANDLE_WIDE(handle),
                                        .arg = arg,
                                        .bits = (uint8_t)bits,
                                        .result = (int32_t)(result < 0 ? result : 0)});
}

/* Ops that are asked for only where a capability says that the loop can do them. The others a driver may leave out. */
static bool is_vowed(uint8_t op)
{
    return op == LC_OP_STOP || op == LC_OP_RUN || (op > LC_OP_STEP && op < LC_OP_OPEN);
}

int64_t lc_runner_apply(struct runner *r, struct lc_op op)
{
    const int64_t result = r->driver->apply(r->driver, &op);
    if (r->kernel->look != NULL && lc_runner_is_here(r))
        r->has_looked = false;
    if (result == -ENOSYS && is_vowed(op.op))
        r->stats->unimplemented = op.op;
    return result;
}

int64_t lc_runner_apply_recorded(struct runner *r, struct lc_op op, uint64_t value, unsigned bits)
{
    int64_t result = lc_runner_apply(r, op);
    lc_runner_record_op(r, op.op, op.a, value, bits, result);
    return result;
}

/* A clock that is not the kernel's, or goes back, gets into the trace, once a run. */
static void look_at_clock(struct runner *r, uint64_t now_ns)
{
    const uint64_t real_ns = r->kernel->now_ns(r->kernel->self), last_ns = r->now_ns;
    if (last_ns == UINT64_MAX)
        return;
    const bool is_ahead = now_ns > real_ns && now_ns - real_ns > LC_CLOCK_OFF_NS_MAX;
    const bool is_behind = last_ns == 0 && real_ns > now_ns && real_ns - now_ns > LC_CLOCK_OFF_NS_MAX;
    const bool has_gone_back = now_ns < last_ns && last_ns - now_ns > r->driver->tick_ns;
    r->now_ns = now_ns;
    if (!is_ahead && !is_behind && !has_gone_back)
        return;
    r->now_ns = UINT64_MAX;
    if (has_gone_back)
        lc_runner_record_op(r, LC_OP_NOW, 0, last_ns, 0, 0);
    lc_runner_record_op(r, LC_OP_NOW, 0, now_ns, 0, 0);
}

uint64_t lc_runner_now_ns(struct runner *r)
{
    static const struct lc_op op = {.op = LC_OP_NOW};
    const int64_t now = r->driver->apply(r->driver, &op);
    if (!r->driver->is_exact)
        look_at_clock(r, now < 0 ? 0 : (uint64_t)now);
    return now < 0 ? 0 : (uint64_t)now;
}

uint64_t lc_runner_add_saturating(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* ---- ops on the loop ----------------------------------------------------------------------- */

bool lc_runner_has(const struct runner *r, uint32_t capability)
{
    return (r->driver->capabilities & capability) != 0;
}

/* Without LC_CAP_MULTI a second armed watcher on one fd is not the loop's to answer for. */
static bool may_watch(const struct runner *r, uint8_t fd_handle)
{
    if (!lc_runner_holds(r, fd_handle) || lc_runner_is_in_call(r, fd_handle, true))
        return false;
    for (unsigned i = LC_KIND_WATCH << 4; i < (LC_KIND_WATCH + 1) << 4; i++)
        if (r->handles[i].state == ARMED && r->handles[i].fd_handle == fd_handle)
            return lc_runner_has(r, LC_CAP_MULTI);
    return true;
}

static bool arm_timer(struct runner *r, struct lc_op op, struct handle *h)
{
    uint64_t before_ns = r->kernel->now_ns(r->kernel->self);
    h->deadline_ns = h->is_absolute ? h->delay_ns : lc_runner_add_saturating(lc_runner_now_ns(r), h->delay_ns);
    if (op.op == LC_OP_REARM)
        op.flags = h->is_absolute;
    op.arg = h->delay_ns;
    h->state = ARMED;
    int64_t result = lc_runner_apply(r, op);
    uint64_t slack_ns = r->kernel->now_ns(r->kernel->self) - before_ns; /* on a busy machine: anything */
    if (result < 0)
        h->state = IDLE;
    else
        result = slack_ns < INT32_MAX ? (int64_t)slack_ns : INT32_MAX;
    lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_OP,
                                        .code = op.op,
                                        .handle = LC_HANDLE_WIDE(op.a),
                                        .arg = h->deadline_ns,
                                        .result = (int32_t)result});
    return result >= 0;
}

/* A soon or a waker: neither has anything but its handle. */
static bool arm(struct runner *r, struct lc_op op, struct handle *h)
{
    h->state = ARMED;
    if (lc_runner_apply_recorded(r, op, 0, 0) < 0)
        h->state = IDLE;
    return h->state == ARMED;
}

static bool do_timer(struct runner *r, struct lc_op op, struct handle *h)
{
    uint64_t tick = r->driver->tick_ns;
    uint64_t rounded = op.arg > UINT64_MAX - tick ? UINT64_MAX : (op.arg + tick - 1) / tick * tick;
    h->is_absolute = op.op == LC_OP_AT;
    h->delay_ns = h->is_absolute ? lc_runner_add_saturating(r->opened_ns, rounded) : rounded;
    return arm_timer(r, op, h);
}

/* One that was refused never was. */
static bool do_edge(struct runner *r, const struct lc_op *op, struct handle *h)
{
    const bool has_end = op->flags != LC_EDGE_NAN && op->flags != LC_EDGE_INF && op->flags != LC_EDGE_HUGE;
    if (!lc_runner_has(r, LC_CAP_EDGE))
        return false;
    h->is_edge = true;
    h->state = ARMED;
    const uint64_t tiny_ns = op->flags == LC_EDGE_TINY && r->driver->tick_ns == 1; /* else it is less than a tick */
    h->deadline_ns = has_end ? lc_runner_now_ns(r) + tiny_ns : UINT64_MAX;
    const bool is_taken = lc_runner_apply_recorded(r, *op, h->deadline_ns, op->flags) >= 0;
    if (!is_taken)
        h->state = CLOSED;
    r->has_nan |= is_taken && op->flags == LC_EDGE_NAN;
    return is_taken;
}

static bool do_watch(struct runner *r, struct lc_op op, struct handle *h)
{
    if (op.op == LC_OP_WATCH) {
        h->fd_handle = op.b;
        h->bits = op.flags & (LC_IN | LC_OUT);
    }
    if (h->is_stale || !may_watch(r, h->fd_handle))
        return false;
    op.b = h->fd_handle;
    op.flags = h->bits;
    op.arg = (uint64_t)r->handles[h->fd_handle].fd;
    h->state = ARMED;
    if (lc_runner_apply_recorded(r, op, h->fd_handle, h->bits) < 0)
        h->state = IDLE;
    return h->state == ARMED;
}

static bool do_rearm(struct runner *r, struct lc_op op, struct handle *h)
{
    if (h->state != IDLE || h->is_edge)
        return false;
    switch (op.a >> 4) {
    case LC_KIND_SOON:
        return arm(r, op, h);
    case LC_KIND_TIMER:
        return arm_timer(r, op, h);
    case LC_KIND_WATCH:
        return do_watch(r, op, h);
    default:
        return false;
    }
}

bool lc_runner_cancel(struct runner *r, uint8_t handle)
{
    struct handle *h = &r->handles[handle];
    if (handle >> 4 == LC_KIND_STREAM)
        return lc_runner_cancel_connect(r, handle);
    if (handle >> 4 == LC_KIND_REQUEST)
        return lc_runner_cancel_request(r, handle);
    if ((h->state != ARMED && h->state != IDLE) || h->is_stale || handle >> 4 == LC_KIND_WAKER ||
        handle >> 4 == LC_KIND_SERVER || handle >> 4 == LC_KIND_DATAGRAM)
        return false;
    h->state = IDLE; /* before the call: no callback may come from inside it either */
    return lc_runner_apply_recorded(r, (struct lc_op){.op = LC_OP_CANCEL, .a = handle}, 0, 0) >= 0;
}

bool lc_runner_destroy(struct runner *r, uint8_t handle)
{
    struct lc_op op = {.op = LC_OP_DESTROY, .a = handle};
    struct handle *h = &r->handles[handle];
    if (h->state == FREE || h->state >= CLOSING || h->posts_late > 0 || h->is_dropped)
        return false;
    if (handle >> 4 == LC_KIND_REQUEST && h->state == ARMED)
        lc_runner_doubt(r, h);
    h->state = CLOSING;
    h->posts_pending = 0;
    /* Recorded before it is applied too, since CLOSED may come inside the call. */
    lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_OP, .code = LC_OP_DESTROY, .handle = LC_HANDLE_WIDE(op.a)});
    return lc_runner_apply(r, op) >= 0;
}

static void change_thread(struct runner *r)
{
    lc_trace_change_thread();
    r->is_elsewhere = !r->is_elsewhere;
}

/* On a helper thread; or, on a simulated kernel, as if on one. */
static void post_work(void *arg)
{
    struct late_post *post = arg;
    struct runner *r = post->runner;
    const bool is_as_if = lc_runner_is_here(r);
    if (is_as_if)
        change_thread(r);
    lc_runner_record(r,
                     (struct lc_obs){.what = LC_WHAT_POST, .code = LC_OP_POST, .handle = LC_HANDLE_WIDE(post->waker)});
    post->result = lc_runner_apply_recorded(r, (struct lc_op){.op = LC_OP_POST, .a = post->waker}, 0, 0);
    if (is_as_if)
        change_thread(r);
}

static bool do_post(struct runner *r, struct lc_op op, struct handle *h)
{
    struct late_post post = {.runner = r, .waker = op.a, .delay_us = op.n};
    if (h->state != ARMED)
        return false;
    if (op.n == 0) {
        h->posts_pending++;
        bool is_made = r->kernel->post(r->kernel->self, 0, post_work, &post) >= 0 && post.result >= 0;
        h->posts_pending -= !is_made && h->posts_pending > 0; /* the callback of what was refused may have come */
        if (post.result == -ENOSYS)                           /* whoever makes wakers can post to them */
            r->stats->unimplemented = LC_OP_POST;
        return is_made;
    }
    if (r->late_count == POSTS_LATE_MAX)
        return false;
    h->posts_late++;
    r->late[r->late_count++] = post;
    return true;
}

bool lc_runner_stop(struct runner *r)
{
    if (r->run_left == 0 || r->depth == 0 || r->is_stopping)
        return false;
    r->is_stopping = true;
    return lc_runner_apply_recorded(r, (struct lc_op){.op = LC_OP_STOP}, 0, 0) >= 0;
}

void lc_runner_launch_posts(struct runner *r)
{
    for (size_t i = 0; i < r->late_count; i++) {
        struct late_post *post = &r->late[i];
        struct handle *waker = &r->handles[post->waker];
        waker->posts_pending++;
        if (r->kernel->post(r->kernel->self, post->delay_us * UINT64_C(1000), post_work, post) < 0)
            waker->posts_pending--; /* no helper could be had: nothing is promised */
    }
}

/* May the present callback end so? What a loop makes of it while it ends a handle, and of an exit where asyncio's own
 * loop would be left in the middle of its work, is not judged. */
static bool may_raise(const struct runner *r, int raise)
{
    const uint8_t event = r->inside_event;
    const bool is_of_flow =
        event == LC_EVENT_PAUSE_WRITING || event == LC_EVENT_RESUME_WRITING || event >= LC_EVENT_FACTORY;
    if (r->depth == 0 || r->raise != LC_RAISE_NONE || event == LC_EVENT_CLOSED)
        return false;
    if (event == LC_EVENT_REFUSED && r->handles[r->inside].sending > 0)
        return false; /* it would be raised by the call of SEND */
    if (raise < LC_RAISE_EXIT)
        return lc_runner_has(r, LC_CAP_RAISE);
    return lc_runner_has(r, LC_CAP_EXIT) && r->depth == 1 && r->is_in_turn && !is_of_flow && event != LC_EVENT_EOF;
}

static bool do_raise(struct runner *r, const struct lc_op *op)
{
    const int raise = op->n == LC_RAISE_NONE || op->n >= LC_RAISE_COUNT ? LC_RAISE_EXCEPTION : op->n;
    if (!may_raise(r, raise))
        return false;
    lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_OP,
                                        .code = LC_OP_RAISE,
                                        .handle = LC_HANDLE_WIDE(r->inside),
                                        .arg = r->inside_event,
                                        .bits = (uint8_t)raise});
    if (r->inside_event == LC_EVENT_FACTORY)
        r->handles[r->inside].refused++;
    r->raise = raise;
    return true;
}

/* What is destroyed is nobody's either, so only what is under way is dropped. */
static bool do_drop(struct runner *r, const struct lc_op *op, struct handle *h)
{
    const unsigned kind = op->a >> 4;
    if (!lc_runner_has(r, LC_CAP_GC) || h->state != ARMED || h->is_dropped ||
        (kind != LC_KIND_SOON && kind != LC_KIND_TIMER && h->call != LC_OP_TASK))
        return false;
    h->is_dropped = true;
    return lc_runner_apply_recorded(r, *op, 0, 0) >= 0;
}

static bool execute(struct runner *r, const struct lc_op *op)
{
    struct handle *h = lc_runner_at(r, op->a);
    if (h->is_dropped)
        return false;
    switch (op->op) {
    case LC_OP_SOON:
    case LC_OP_WAKER:
        return h->state == FREE && arm(r, *op, h);
    case LC_OP_TIMER:
    case LC_OP_AT:
        return h->state == FREE && do_timer(r, *op, h);
    case LC_OP_EDGE:
        return h->state == FREE && do_edge(r, op, h);
    case LC_OP_WATCH:
        return h->state == FREE && do_watch(r, *op, h);
    case LC_OP_POST:
        return do_post(r, *op, h);
    case LC_OP_CANCEL:
        return lc_runner_cancel(r, op->a);
    case LC_OP_REARM:
        return do_rearm(r, *op, h);
    case LC_OP_DESTROY:
        return lc_runner_destroy(r, op->a);
    case LC_OP_STOP:
        return lc_runner_stop(r);
    case LC_OP_RAISE:
        return do_raise(r, op);
    case LC_OP_DROP:
        return do_drop(r, op, h);
    case LC_OP_GC:
        return lc_runner_has(r, LC_CAP_GC) && lc_runner_apply_recorded(r, *op, 0, 0) >= 0;
    default:
        return lc_runner_execute_fds(r, op);
    }
}

void lc_runner_note_used(struct runner *r, uint8_t handle)
{
    struct handle *h = lc_runner_at(r, handle);
    if (h->state == FREE || h->is_used)
        return;
    h->is_used = true;
    r->used[r->used_count++] = handle;
}

bool lc_runner_execute(struct runner *r, const struct lc_op *op)
{
    r->has_looked = false; /* what the op looks at itself, when it is done, holds until the next */
    const bool is_executed = execute(r, op);
    lc_runner_note_used(r, op->a);
    lc_runner_note_used(r, op->b);
    return is_executed;
}
