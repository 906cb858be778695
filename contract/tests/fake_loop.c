#include "fake_loop.h"
#include "fake_sockets.h"

#include <errno.h>
#include <string.h>

enum { RUN_TURNS_MAX = 10000 }; /* a defect may keep a stream due for ever */

void fake_loop_call(struct fake_loop *l, const struct lc_seen *seen)
{
    const struct lc_sink *sink = &l->base.sink;
    l->slots[seen->handle].called_seq = ++l->seq;
    l->raised = sink->begin(sink->self, seen);
    sink->end(sink->self, seen->handle, seen->event);
    if (l->raised == LC_RAISE_NONE)
        return;
    if (l->raised >= LC_RAISE_EXIT || (l->raised == LC_RAISE_CANCELLED && l->defect == FAKE_EXIT_UNASKED)) {
        l->is_left = l->defect != FAKE_EXIT_SWALLOWED;
        return;
    }
    l->is_batch_dropped = l->defect == FAKE_BATCH_DROPPED;
    if (l->defect != FAKE_HANDLER_NOT_CALLED)
        sink->begin(sink->self, &(struct lc_seen){.event = LC_EVENT_ERROR});
    if (l->defect == FAKE_HANDLER_TWICE)
        sink->begin(sink->self, &(struct lc_seen){.event = LC_EVENT_ERROR});
}

static void call(struct fake_loop *l, uint8_t handle, enum lc_event event, unsigned bits)
{
    fake_loop_call(l, &(struct lc_seen){.handle = handle, .event = event, .bits = bits});
}

static void call_closed(struct fake_loop *l, uint8_t handle)
{
    l->slots[handle].state = FAKE_CLOSED;
    call(l, handle, LC_EVENT_CLOSED, 0);
    if (l->defect == FAKE_CLOSED_TWICE)
        call(l, handle, LC_EVENT_CLOSED, 0);
}

/* ---- a turn ---------------------------------------------------------------------------------- */

static bool is_called_though_stale(const struct fake_loop *l, const struct fake_slot *slot, unsigned kind)
{
    if (slot->state == FAKE_CLOSING)
        return l->defect == FAKE_CALL_AFTER_DESTROY;
    if (slot->state != FAKE_IDLE)
        return false;
    if (kind == LC_KIND_WATCH && l->defect == FAKE_WATCH_NEW_OWNER)
        return l->kernel.fds[slot->fd].opened != slot->fd_opened;
    return (kind == LC_KIND_SOON && l->defect == FAKE_SOON_AFTER_CANCEL) ||
           (kind == LC_KIND_TIMER && l->defect == FAKE_TIMER_AFTER_CANCEL) ||
           (kind == LC_KIND_WATCH && l->defect == FAKE_WATCH_AFTER_CANCEL);
}

static void drain(struct fake_loop *l, int fd)
{
    uint8_t buffer[FAKE_BUFFER_BYTES];
    while (l->kernel.base.read(&l->kernel, fd, buffer, sizeof buffer) > 0)
        ;
}

static void run_item(struct fake_loop *l, const struct fake_item *item, size_t position)
{
    struct fake_slot *slot = &l->slots[item->handle];
    unsigned kind = item->handle >> 4;
    bool is_stale = slot->state != FAKE_ARMED || slot->armed_seq != item->armed_seq;

    if (item->key[0] == 0) {
        if (slot->state == FAKE_CLOSING)
            call_closed(l, item->handle);
        return;
    }
    if (is_stale && !is_called_though_stale(l, slot, kind))
        return;
    if (kind == LC_KIND_REQUEST) {
        fake_call_run(l, item->handle);
        return;
    }
    if (kind == LC_KIND_DATAGRAM) {
        fake_endpoint_run(l, item->handle);
        return;
    }
    if (kind == LC_KIND_SERVER) {
        fake_server_run(l, item->handle);
        return;
    }
    if (kind == LC_KIND_STREAM) {
        slot->called_seq = ++l->seq;
        fake_stream_run(l, item->handle);
        return;
    }
    if (!is_stale && (kind == LC_KIND_SOON || kind == LC_KIND_TIMER))
        slot->state = FAKE_IDLE;
    if (kind == LC_KIND_WAKER)
        slot->posts = l->base.capabilities & LC_CAP_COALESCE || slot->posts == 0 ? 0 : slot->posts - 1;
    if (kind == LC_KIND_WATCH && l->defect == FAKE_WATCH_DRAINS)
        drain(l, slot->fd);
    if (kind == LC_KIND_SOON && l->defect == FAKE_SOON_LOST && position % 2 == 1)
        return;
    call(l, item->handle, (enum lc_event)kind, item->bits);
    bool is_twice = (kind == LC_KIND_SOON && l->defect == FAKE_SOON_TWICE) ||
                    (kind == LC_KIND_TIMER && l->defect == FAKE_TIMER_TWICE) ||
                    (kind == LC_KIND_WAKER && l->defect == FAKE_POST_DOUBLED);
    if (is_twice && slot->state < FAKE_CLOSING)
        call(l, item->handle, (enum lc_event)kind, item->bits);
}

/* Sends what can be sent, and then looks what is due. */
static size_t look(struct fake_loop *l, struct fake_item batch[FAKE_HANDLES])
{
    fake_streams_send(l);
    return fake_loop_collect(l, batch, LC_KIND_COUNT);
}

/* Sleeps until something is due; false when nothing ever will be. */
static bool wait(struct fake_loop *l, struct fake_item batch[FAKE_HANDLES], size_t *count)
{
    l->is_asleep = true;
    while ((*count = look(l, batch)) == 0) {
        uint64_t first_ns = UINT64_MAX;
        for (unsigned i = LC_KIND_TIMER << 4; i < LC_KIND_WATCH << 4; i++)
            if (l->slots[i].state == FAKE_ARMED && l->slots[i].deadline_ns - fake_loop_early_ns(l) < first_ns)
                first_ns = l->slots[i].deadline_ns - fake_loop_early_ns(l);
        if (!fake_kernel_sleep(&l->kernel, first_ns))
            break;
    }
    l->is_asleep = false;
    return *count > 0;
}

static bool turn(struct fake_loop *l, bool may_sleep)
{
    struct fake_item batch[FAKE_HANDLES];
    size_t count = look(l, batch);
    bool is_due_ever = count > 0 || !may_sleep || wait(l, batch, &count);

    l->sleeps += may_sleep;
    if (!is_due_ever) {
        l->rescues++;
        l->base.sink.begin(l->base.sink.self, &(struct lc_seen){.event = LC_EVENT_RESCUE});
    }
    if (l->base.capabilities & LC_CAP_ONE_PER_STEP)
        count = fake_loop_choose_one(l, batch, count);
    l->is_batch_dropped = false;
    for (size_t i = 0; i < count && !l->is_batch_dropped; i++) {
        if (l->is_left && l->defect == FAKE_EXIT_DROPS_BATCH)
            l->slots[batch[i].handle].state = FAKE_IDLE;
        else if (!l->is_left || l->defect == FAKE_EXIT_GOES_ON)
            run_item(l, &batch[i], i);
    }
    if (l->defect == FAKE_SOON_IN_SAME_TURN) {
        count = fake_loop_collect(l, batch, LC_KIND_SOON);
        for (size_t i = 0; i < count; i++)
            run_item(l, &batch[i], i);
    }
    return is_due_ever;
}

static int64_t step_or_run(struct fake_loop *l, const struct lc_op *op)
{
    bool is_run = op->op == LC_OP_RUN, is_alive = true;
    unsigned turns = 0;
    if (l->was_stopped && l->defect == FAKE_STEP_FAILS_AFTER_STOP) {
        l->was_stopped = false;
        return -EBUSY;
    }
    l->stops = 0;
    l->is_stopped = l->is_left = false;
    l->depth_max = ++l->depth > l->depth_max ? l->depth : l->depth_max;
    do
        is_alive = turn(l, (op->flags & LC_WAIT) != 0);
    while (is_run && ++turns < RUN_TURNS_MAX && is_alive && !l->is_stopped && !l->is_left &&
           l->defect != FAKE_RUN_RETURNS_EARLY);
    if (is_run && l->defect == FAKE_STOP_TURN_LATE)
        turn(l, false);
    l->was_stopped = l->is_stopped;
    l->depth--;
    return l->is_left ? LC_LEFT : 0;
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static int64_t arm(struct fake_loop *l, const struct lc_op *op)
{
    struct fake_slot *slot = &l->slots[op->a];
    unsigned kind = op->a >> 4;
    bool is_absolute = op->op == LC_OP_AT || (op->op == LC_OP_REARM && op->flags), is_past;

    slot->state = FAKE_ARMED;
    slot->armed_seq = ++l->seq;
    slot->was_ready = false;
    if (kind == LC_KIND_TIMER)
        slot->deadline_ns = is_absolute                               ? op->arg
                            : op->arg > UINT64_MAX - l->kernel.now_ns ? UINT64_MAX
                                                                      : l->kernel.now_ns + op->arg;
    is_past = kind == LC_KIND_TIMER && slot->deadline_ns <= l->kernel.now_ns;
    if (is_past && l->defect == FAKE_TIMER_PAST_LOST)
        slot->deadline_ns = UINT64_MAX;
    if (kind == LC_KIND_WATCH) {
        slot->fd = (int)op->arg;
        slot->fd_opened = l->kernel.fds[slot->fd].opened;
        slot->bits = op->flags;
    }
    if (op->op == LC_OP_STREAM)
        fake_stream_apply(l, op);
    if (kind == LC_KIND_SOON && l->defect == FAKE_SOON_AT_ONCE) {
        slot->state = FAKE_IDLE;
        call(l, op->a, LC_EVENT_SOON, 0);
    }
    return 0;
}

static int64_t post(struct fake_loop *l, uint8_t handle)
{
    struct fake_slot *slot = &l->slots[handle];
    if (l->defect == FAKE_POST_CALLS_BACK)
        call(l, handle, LC_EVENT_POSTED, 0);
    else if (slot->posts == 0 || l->defect != FAKE_POST_LOST)
        slot->posts++;
    return 0;
}

static int64_t destroy(struct fake_loop *l, uint8_t handle)
{
    if (handle >> 4 == LC_KIND_STREAM)
        fake_stream_drop(l, handle);
    if (handle >> 4 == LC_KIND_DATAGRAM)
        fake_endpoint_drop(l, handle);
    if (handle >> 4 == LC_KIND_SERVER && l->defect != FAKE_SERVER_STAYS_OPEN)
        l->kernel.base.close(&l->kernel, l->slots[handle].fd, false);
    l->slots[handle].state = FAKE_CLOSING;
    if (l->is_closing_at_once)
        call_closed(l, handle);
    return 0;
}

static int64_t cancel(struct fake_loop *l, uint8_t handle)
{
    if (handle >> 4 == LC_KIND_STREAM)
        fake_connect_cancel(l, handle);
    else if (handle >> 4 == LC_KIND_REQUEST)
        fake_call_cancel(l, handle);
    else
        l->slots[handle].state = FAKE_IDLE;
    return 0;
}

static int64_t close_loop(struct fake_loop *l)
{
    const struct lc_seen held = {.handle = LC_KIND_SOON << 4 | 1, .event = LC_EVENT_HELD};
    if (l->defect != FAKE_FD_LEAKED)
        l->kernel.base.close(&l->kernel, l->fd, false);
    if (l->defect == FAKE_CLOSE_HOLDS && l->slots[held.handle].state != FAKE_FREE)
        l->base.sink.begin(l->base.sink.self, &held);
    for (unsigned i = 0; i < FAKE_HANDLES; i++)
        if (l->slots[i].state != FAKE_FREE && l->slots[i].state != FAKE_CLOSED && !l->slots[i].is_dropped)
            return -EBUSY;
    return l->defect == FAKE_CLOSE_FAILS ? -EBUSY : 0;
}

static int64_t open_loop(struct fake_loop *l)
{
    l->seq = 0;
    l->accepted = 0;
    l->was_stopped = false;
    l->refusable = 0;
    memset(l->has_held, 0, sizeof l->has_held);
    memset(l->slots, 0, sizeof l->slots);
    memset(l->streams, 0, sizeof l->streams);
    memset(l->endpoints, 0, sizeof l->endpoints);
    l->fd = fake_kernel_open(&l->kernel);
    return l->defect == FAKE_OPEN_FAILS ? -EMFILE : 0;
}

/* Ops on streams that live already. */
static int64_t apply_to_stream(struct fake_loop *l, const struct lc_op *op)
{
    switch (op->op) {
    case LC_OP_WRITE:
    case LC_OP_WRITELINES:
    case LC_OP_WRITE_EOF:
    case LC_OP_PAUSE:
    case LC_OP_RESUME:
    case LC_OP_LIMITS:
    case LC_OP_FLUSH:
    case LC_OP_ABORT:
        return fake_stream_apply(l, op);
    default:
        return -ENOSYS;
    }
}

static int64_t apply(struct lc_driver *base, const struct lc_op *op)
{
    struct fake_loop *l = (struct fake_loop *)base;
    if (op->op == l->refuses && l->refusable++ % 2 == 0)
        return -EPERM;
    if (op->op == LC_OP_SWITCH && l->defect == FAKE_LIES)
        return -ENOSYS;
    if (op->a >> 4 == LC_KIND_DATAGRAM && op->op != LC_OP_DESTROY)
        return fake_endpoint_apply(l, op);
    if (op->a >> 4 == LC_KIND_STREAM)
        l->has_held[op->op] |= l->streams[op->a & 15].held_size > 0;
    switch (op->op) {
    case LC_OP_OPEN:
        return open_loop(l);
    case LC_OP_CLOSE:
        return close_loop(l);
    case LC_OP_NOW:
        return (int64_t)l->kernel.now_ns;
    case LC_OP_POST:
        return post(l, op->a);
    case LC_OP_CANCEL:
        return cancel(l, op->a);
    case LC_OP_LISTEN:
        return fake_server_listen(l, op);
    case LC_OP_CONNECT:
        return fake_connect(l, op);
    case LC_OP_RECV:
    case LC_OP_SENDALL:
    case LC_OP_TASK:
        return fake_call_begin(l, op);
    case LC_OP_SWITCH:
    case LC_OP_DROP:
    case LC_OP_GC:
        l->slots[op->a].is_switched |= op->op == LC_OP_SWITCH;
        l->slots[op->a].is_dropped |= op->op == LC_OP_DROP;
        return 0;
    case LC_OP_DESTROY:
        return destroy(l, op->a);
    case LC_OP_STOP:
        l->is_stopped = true;
        l->stops_max = ++l->stops > l->stops_max ? l->stops : l->stops_max;
        return 0;
    case LC_OP_STEP:
    case LC_OP_RUN:
        return step_or_run(l, op);
    case LC_OP_SOON:
    case LC_OP_TIMER:
    case LC_OP_AT:
    case LC_OP_WATCH:
    case LC_OP_WAKER:
    case LC_OP_REARM:
    case LC_OP_STREAM:
        return arm(l, op);
    default:
        return apply_to_stream(l, op);
    }
}

void fake_loop_init(struct fake_loop *l, int defect, uint32_t capabilities)
{
    const uint32_t promises = LC_PROMISE_FIFO | LC_PROMISE_TURN | LC_PROMISE_ORDER | LC_PROMISE_TIES;
    memset(l, 0, sizeof *l);
    fake_kernel_init(&l->kernel);
    l->defect = defect;
    l->base = (struct lc_driver){.abi = LC_DRIVER_ABI,
                                 .name = "fake",
                                 .capabilities = capabilities,
                                 .promises = capabilities & LC_CAP_TURNS ? promises : 0,
                                 .tick_ns = 1,
                                 .is_exact = true,
                                 .apply = apply,
                                 .kernel = &l->kernel.base};
}
