/* What each op asks of the loop or the kernel, and the guards before it. */
#include <errno.h>

#include "names.h"
#include "runner_state.h"

enum {
    ADVANCE_NS_MAX = 20 * 1000 * 1000, /* on a real clock: what one advance may take */
    FILL_BYTES_MAX = 64 << 20,         /* a fill ends at last */
    RECYCLE_TRIES_MAX = 8              /* pairs made to get an fd number back */
};

void lc_runner_record(struct runner *r, struct lc_obs obs)
{
    obs.time_ns = r->kernel->now_ns(r->kernel->self);
    lc_trace_add(r->trace, obs);
}

int64_t lc_runner_apply(struct runner *r, struct lc_op op)
{
    return r->driver->apply(r->driver, &op);
}

/* Carries an op to the loop and records it with the value that the monitor judges by. */
static int64_t apply_recorded(struct runner *r, struct lc_op op, uint64_t value, unsigned bits)
{
    int64_t result = lc_runner_apply(r, op);
    lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_OP,
                                        .code = op.op,
                                        .handle = LC_HANDLE_WIDE(op.a),
                                        .arg = value,
                                        .bits = (uint8_t)bits,
                                        .result = (int32_t)(result < 0 ? result : 0)});
    return result;
}

static void record_fd(struct runner *r, uint8_t handle)
{
    const struct handle *h = &r->handles[handle];
    unsigned bits = h->state == ARMED ? r->kernel->ready(r->kernel->self, h->fd) : 0;
    lc_runner_record(
        r, (struct lc_obs){
               .what = LC_WHAT_FD, .handle = LC_HANDLE_WIDE(handle), .arg = (uint64_t)h->fd, .bits = (uint8_t)bits});
}

static void record_pair(struct runner *r, uint8_t handle)
{
    record_fd(r, handle);
    record_fd(r, r->handles[handle].peer);
}

uint64_t lc_runner_now_ns(struct runner *r)
{
    int64_t now = lc_runner_apply(r, (struct lc_op){.op = LC_OP_NOW});
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
    if (r->handles[fd_handle].state != ARMED)
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

static bool do_soon(struct runner *r, struct lc_op op, struct handle *h)
{
    h->state = ARMED;
    if (apply_recorded(r, op, 0, 0) < 0)
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
    if (apply_recorded(r, op, h->fd_handle, h->bits) < 0)
        h->state = IDLE;
    return h->state == ARMED;
}

static bool do_rearm(struct runner *r, struct lc_op op, struct handle *h)
{
    if (h->state != IDLE)
        return false;
    switch (op.a >> 4) {
    case LC_KIND_SOON:
        return do_soon(r, op, h);
    case LC_KIND_TIMER:
        return arm_timer(r, op, h);
    case LC_KIND_WATCH:
        return do_watch(r, op, h);
    default:
        return false;
    }
}

static bool do_cancel(struct runner *r, struct lc_op op, struct handle *h)
{
    if ((h->state != ARMED && h->state != IDLE) || h->is_stale || op.a >> 4 == LC_KIND_WAKER)
        return false;
    h->state = IDLE; /* before the call: no callback may come from inside it either */
    return apply_recorded(r, op, 0, 0) >= 0;
}

bool lc_runner_destroy(struct runner *r, uint8_t handle)
{
    struct lc_op op = {.op = LC_OP_DESTROY, .a = handle};
    struct handle *h = &r->handles[handle];
    if (h->state == FREE || h->state >= CLOSING || h->posts_late > 0)
        return false;
    h->state = CLOSING;
    h->posts_pending = 0;
    /* Recorded before it is applied too, since CLOSED may come inside the call. */
    lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_OP, .code = LC_OP_DESTROY, .handle = LC_HANDLE_WIDE(op.a)});
    return lc_runner_apply(r, op) >= 0;
}

static bool do_waker(struct runner *r, struct lc_op op, struct handle *h)
{
    h->state = ARMED;
    if (apply_recorded(r, op, 0, 0) < 0)
        h->state = IDLE;
    return h->state == ARMED;
}

/* On a helper thread. */
static void post_work(void *arg)
{
    const struct late_post *post = arg;
    struct runner *r = post->runner;
    lc_runner_record(r,
                     (struct lc_obs){.what = LC_WHAT_POST, .code = LC_OP_POST, .handle = LC_HANDLE_WIDE(post->waker)});
    apply_recorded(r, (struct lc_op){.op = LC_OP_POST, .a = post->waker}, 0, 0);
}

static bool do_post(struct runner *r, struct lc_op op, struct handle *h)
{
    struct late_post post = {.runner = r, .waker = op.a, .delay_us = op.n};
    if (h->state != ARMED)
        return false;
    if (op.n == 0) {
        h->posts_pending++;
        bool is_made = r->kernel->post(r->kernel->self, 0, post_work, &post) >= 0;
        h->posts_pending -= !is_made;
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
    return apply_recorded(r, (struct lc_op){.op = LC_OP_STOP}, 0, 0) >= 0;
}

/* ---- ops on the kernel --------------------------------------------------------------------- */

static bool do_pair(struct runner *r, const struct lc_op *op)
{
    struct handle *a = &r->handles[op->a], *b = &r->handles[op->b];
    int fds[2];
    if (a->state != FREE || b->state != FREE || r->kernel->pair(r->kernel->self, fds) < 0)
        return false;
    *a = (struct handle){.state = ARMED, .fd = fds[0], .peer = op->b};
    *b = (struct handle){.state = ARMED, .fd = fds[1], .peer = op->a};
    record_pair(r, op->a);
    return true;
}

static bool do_bytes(struct runner *r, const struct lc_op *op, const struct handle *h)
{
    const struct lc_kernel *k = r->kernel;
    int64_t result;
    if (op->op == LC_OP_PUT)
        result = k->put(k->self, h->fd, op->n ? op->n : 1);
    else if (op->op == LC_OP_FILL)
        result = k->put(k->self, h->fd, FILL_BYTES_MAX);
    else if (op->op == LC_OP_TAKE)
        result = k->take(k->self, h->fd, op->n ? op->n : UINT64_MAX);
    else
        result = k->shut(k->self, h->fd);
    record_pair(r, op->a);
    return result >= 0;
}

static void cancel_watchers(struct runner *r, uint8_t fd_handle)
{
    for (unsigned i = LC_KIND_WATCH << 4; i < (LC_KIND_WATCH + 1) << 4; i++) {
        struct handle *h = &r->handles[i];
        if (h->fd_handle != fd_handle || h->state == FREE)
            continue;
        if (h->state == ARMED)
            do_cancel(r, (struct lc_op){.op = LC_OP_CANCEL, .a = (uint8_t)i}, h);
        h->is_stale = true;
    }
}

/* Opens pairs until one of them has the wanted number; keeps that one, or the last. */
static int pair_with_number(const struct lc_kernel *k, int wanted, int fds[2])
{
    int spare[RECYCLE_TRIES_MAX][2], tries = 0, result;
    while ((result = k->pair(k->self, fds)) >= 0 && fds[0] != wanted && fds[1] != wanted && tries < RECYCLE_TRIES_MAX) {
        spare[tries][0] = fds[0];
        spare[tries++][1] = fds[1];
    }
    while (tries-- > 0) {
        k->close(k->self, spare[tries][0]);
        k->close(k->self, spare[tries][1]);
    }
    if (result >= 0 && fds[1] == wanted) {
        fds[1] = fds[0];
        fds[0] = wanted;
    }
    return result;
}

static bool do_recycle(struct runner *r, const struct lc_op *op, struct handle *h)
{
    const struct lc_kernel *k = r->kernel;
    struct handle *peer = &r->handles[h->peer];
    int fds[2], wanted = h->fd;

    cancel_watchers(r, op->a);
    cancel_watchers(r, h->peer);
    k->close(k->self, h->fd);
    k->close(k->self, peer->fd);
    if (pair_with_number(k, wanted, fds) < 0) {
        h->state = peer->state = CLOSED;
        record_pair(r, op->a);
        return false;
    }
    for (int i = 0; i < 2; i++)
        lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_OP,
                                            .code = LC_OP_RECYCLE,
                                            .handle = LC_HANDLE_WIDE(i == 0 ? op->a : h->peer)});
    h->fd = fds[0];
    peer->fd = fds[1];
    record_pair(r, op->a);
    return true;
}

static bool do_advance(struct runner *r, const struct lc_op *op)
{
    uint64_t duration = op->arg;
    if (!r->driver->is_exact && duration > ADVANCE_NS_MAX)
        duration = ADVANCE_NS_MAX;
    r->kernel->advance(r->kernel->self, duration);
    return true;
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

bool lc_runner_execute(struct runner *r, const struct lc_op *op)
{
    struct handle *h = &r->handles[op->a];
    switch (op->op) {
    case LC_OP_SOON:
        return h->state == FREE && do_soon(r, *op, h);
    case LC_OP_TIMER:
    case LC_OP_AT:
        return h->state == FREE && do_timer(r, *op, h);
    case LC_OP_WATCH:
        return h->state == FREE && do_watch(r, *op, h);
    case LC_OP_WAKER:
        return h->state == FREE && do_waker(r, *op, h);
    case LC_OP_POST:
        return do_post(r, *op, h);
    case LC_OP_CANCEL:
        return do_cancel(r, *op, h);
    case LC_OP_REARM:
        return do_rearm(r, *op, h);
    case LC_OP_DESTROY:
        return lc_runner_destroy(r, op->a);
    case LC_OP_STOP:
        return lc_runner_stop(r);
    case LC_OP_PAIR:
        return do_pair(r, op);
    case LC_OP_PUT:
    case LC_OP_TAKE:
    case LC_OP_FILL:
    case LC_OP_SHUT:
        return h->state == ARMED && do_bytes(r, op, h);
    case LC_OP_RECYCLE:
        return h->state == ARMED && do_recycle(r, op, h);
    case LC_OP_ADVANCE:
        return do_advance(r, op);
    case LC_OP_RAISE:
        if (r->depth == 0 || !r->may_raise || r->raise != 0)
            return false;
        lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_OP, .code = LC_OP_RAISE});
        r->raise = 1;
        return true;
    default:
        return false;
    }
}
