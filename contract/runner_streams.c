/* Ops on streams, the guards before them, and what their callbacks tell. */
#include "runner_streams.h"
#include "bytes.h"

enum {
    TURNS_UNREAD_MAX = 3, /* turns in which a loop that reads itself has done so */
    ARRIVAL_PAUSE_NS = 1000 * 1000
};

/* ---- ops on streams ------------------------------------------------------------------------ */

/* Before MADE there is nobody to ask, and after a close nothing to ask for. */
static bool is_open_stream(const struct handle *h)
{
    return h->state == ARMED && h->is_made && !h->is_flushing;
}

static bool do_stream(struct runner *r, struct lc_op op)
{
    struct handle *h = &r->handles[op.a], *end = &r->handles[op.b];
    if (h->state != FREE || h->server != 0 || !lc_runner_holds(r, op.b) || end->is_listener || end->is_udp ||
        end->is_unsure || end->is_cut || lc_runner_is_in_call(r, op.b, true) || !lc_runner_has(r, LC_CAP_STREAM))
        return false;
    lc_runner_cancel_watchers(r, op.b);
    lc_runner_record_changed(r, op.b);
    lc_runner_record_changed(r, end->peer);
    *h = (struct handle){
        .state = ARMED, .fd_handle = op.b, .is_made = !lc_runner_has(r, LC_CAP_MADE), .is_ended = end->is_shut};
    end->stream = op.a;
    end->identity = r->kernel->identity(r->kernel->self, end->fd);
    op.arg = (uint64_t)end->fd;
    op.flags = lc_runner_has(r, LC_CAP_BUFFERED) ? op.flags & LC_BUFFERED : 0;
    if (lc_runner_apply_recorded(r, op, op.b, 0) >= 0)
        return true;
    h->state = IDLE;
    h->fd_handle = 0; /* the runner's again */
    end->stream = 0;
    return false;
}

static bool do_write(struct runner *r, struct lc_op op)
{
    struct handle *h = &r->handles[op.a], *end = &r->handles[h->fd_handle];
    if (!is_open_stream(h) || h->is_ended)
        return false;
    if (!lc_runner_has(r, LC_CAP_WRITELINES))
        op.op = LC_OP_WRITE;
    op.n = op.n ? op.n : 1;
    op.arg = (uint64_t)(uintptr_t)lc_bytes_at(h->fd_handle, end->sent);
    end->sent += op.n;
    lc_runner_record_changed(r, h->fd_handle);
    lc_runner_record_op(r, LC_OP_WRITE, op.a, op.n, 0,
                        0); /* before it is applied: PAUSE_WRITING may come inside the call */
    int64_t result = lc_runner_apply(r, op);
    if (result >= 0)
        return true;
    end->sent -= op.n;
    lc_runner_record_op(r, LC_OP_WRITE, op.a, op.n, 0, result);
    return false;
}

static bool do_ending(struct runner *r, struct lc_op op)
{
    struct handle *h = &r->handles[op.a];
    bool is_abort = op.op == LC_OP_ABORT;
    uint32_t needed = op.op == LC_OP_WRITE_EOF ? LC_CAP_WRITE_EOF : LC_CAP_FLUSH;
    if (!lc_runner_has(r, needed) || h->state != ARMED || !h->is_made)
        return false;
    if (is_abort ? h->is_aborted : h->is_flushing || (op.op == LC_OP_WRITE_EOF && h->is_ended))
        return false;
    const struct handle before = *h;
    h->is_ended = true;
    h->is_flushing |= op.op != LC_OP_WRITE_EOF;
    h->is_aborted |= is_abort;
    lc_runner_record_op(r, op.op, op.a, 0, 0, 0); /* before it is applied, as a write is */
    int64_t result = lc_runner_apply(r, op);
    if (result >= 0)
        return true;
    h->is_ended = before.is_ended; /* nothing is promised by what was refused */
    h->is_flushing = before.is_flushing;
    h->is_aborted = before.is_aborted;
    lc_runner_record_op(r, op.op, op.a, 0, 0, result);
    return false;
}

static bool do_reading(struct runner *r, const struct lc_op *op)
{
    struct handle *h = &r->handles[op->a];
    bool is_pause = op->op == LC_OP_PAUSE;
    if (!is_open_stream(h) || h->is_paused == is_pause || h->has_seen_eof)
        return false; /* after the end of file there is nothing to read: what loops make of it is a case's business */
    h->is_paused = is_pause;
    lc_runner_record_changed(r, h->fd_handle);
    int64_t result = lc_runner_apply_recorded(r, *op, 0, 0);
    h->turns_unread = 0;
    if (result < 0)
        h->is_paused = !is_pause;
    return result >= 0;
}

/* The owner's other object hears nothing of it any more. While it is asked for a buffer it cannot give way. */
static bool do_switch(struct runner *r, const struct lc_op *op)
{
    const bool is_asked_for_buffer = r->inside == op->a && r->inside_event == LC_EVENT_GET_BUFFER;
    return lc_runner_has(r, LC_CAP_SWITCH) && is_open_stream(&r->handles[op->a]) && !is_asked_for_buffer &&
           lc_runner_apply_recorded(r, *op, 0, 0) >= 0;
}

static bool do_limits(struct runner *r, const struct lc_op *op)
{
    if (!lc_runner_has(r, LC_CAP_FLOW) || !is_open_stream(&r->handles[op->a]))
        return false;
    lc_runner_record_op(r, LC_OP_LIMITS, op->a, op->n, 0, 0); /* before it is applied, as a write is */
    int64_t result = lc_runner_apply(r, *op);
    if (result < 0)
        lc_runner_record_op(r, LC_OP_LIMITS, op->a, op->n, 0, result);
    return result >= 0;
}

bool lc_runner_execute_streams(struct runner *r, const struct lc_op *op)
{
    switch (op->op) {
    case LC_OP_STREAM:
        return do_stream(r, *op);
    case LC_OP_WRITE:
    case LC_OP_WRITELINES:
        return do_write(r, *op);
    case LC_OP_SWITCH:
        return do_switch(r, op);
    case LC_OP_WRITE_EOF:
    case LC_OP_FLUSH:
    case LC_OP_ABORT:
        return do_ending(r, *op);
    case LC_OP_PAUSE:
    case LC_OP_RESUME:
        return do_reading(r, op);
    case LC_OP_LIMITS:
        return do_limits(r, op);
    default:
        return lc_runner_execute_sockets(r, op);
    }
}

/* ---- what the loop does with streams ------------------------------------------------------- */

static void note_data(struct runner *r, const struct lc_seen *seen, struct handle *end, struct lc_obs *obs)
{
    size_t right = lc_bytes_right(end->peer, end->got, seen->data, seen->size);
    (void)r;
    obs->arg = seen->size;
    if (right < seen->size) {
        obs->bits = LC_BYTES_WRONG;
        obs->result = right < INT32_MAX ? (int32_t)right : INT32_MAX;
    }
    end->got += seen->size;
}

void lc_runner_note_life(struct handle *h, struct handle *end, enum lc_event event)
{
    switch (event) {
    case LC_EVENT_MADE:
        h->is_made = true;
        break;
    case LC_EVENT_PAUSE_WRITING:
    case LC_EVENT_RESUME_WRITING:
        h->is_writing_paused = event == LC_EVENT_PAUSE_WRITING;
        break;
    case LC_EVENT_DATA:
    case LC_EVENT_DATAGRAM:
        h->turns_unread = 0;
        break;
    case LC_EVENT_LOST:
    case LC_EVENT_CLOSED:
        h->state = event == LC_EVENT_LOST && h->state == ARMED ? IDLE : h->state;
        end->state = CLOSED;
        break;
    default:
        break;
    }
}

void lc_runner_note_stream(struct runner *r, const struct lc_seen *seen, struct lc_obs *obs)
{
    struct handle *h = lc_runner_at(r, seen->handle), *end = &r->handles[h->fd_handle];
    if (h->state == FREE || h->fd_handle == 0)
        return;
    if (seen->event == LC_EVENT_DONE)
        lc_runner_note_done(r, seen);
    lc_runner_note_life(h, end, seen->event);
    if (seen->event == LC_EVENT_DATA)
        note_data(r, seen, end, obs);
    h->has_seen_eof |= seen->event == LC_EVENT_EOF;
}

void lc_runner_note_raise(struct runner *r, uint8_t handle, uint8_t event)
{
    struct handle *h = lc_runner_at(r, handle);
    if (event == LC_EVENT_DATA || event == LC_EVENT_EOF || event == LC_EVENT_GET_BUFFER)
        h->is_ended = h->is_flushing = h->is_aborted = true;
}

static bool is_reading(const struct handle *h)
{
    return is_open_stream(h) && !h->is_paused && !h->has_seen_eof;
}

bool lc_runner_is_stream_promised(struct runner *r, const struct handle *h)
{
    const struct handle *end = &r->handles[h->fd_handle];
    bool has_arrived = end->sent == r->handles[end->peer].got;
    bool is_gone = r->handles[end->peer].state == CLOSED;
    if (!h->is_made || h->is_aborted || h->is_connecting)
        return true;
    if ((h->is_flushing && (has_arrived || is_gone)) || (h->is_writing_paused && has_arrived))
        return true;
    return is_reading(h) && (lc_runner_ready_now(r, end) & LC_IN) != 0;
}

static bool has_to_read(struct runner *r, const struct handle *h, unsigned kind)
{
    const bool is_open = kind == LC_KIND_STREAM     ? is_reading(h)
                         : kind == LC_KIND_DATAGRAM ? h->state == ARMED && h->is_made && !h->is_flushing
                                                    : false;
    return is_open && (lc_runner_ready_now(r, &r->handles[h->fd_handle]) & LC_IN) != 0;
}

static bool is_late(struct runner *r)
{
    for (size_t used = 0; used < r->used_count; used++) {
        const struct handle *h = &r->handles[r->used[used]];
        if (h->turns_unread == TURNS_UNREAD_MAX && has_to_read(r, h, r->used[used] >> 4))
            return true;
    }
    return false;
}

void lc_runner_give_time(struct runner *r)
{
    if (r->driver->is_exact)
        return;
    for (size_t used = 0; used < r->used_count; used++) {
        struct handle *h = &r->handles[r->used[used]];
        h->turns_unread = has_to_read(r, h, r->used[used] >> 4) ? h->turns_unread + 1 : 0;
    }
    for (int waited_ns = 0; waited_ns < LC_ARRIVAL_NS && is_late(r); waited_ns += ARRIVAL_PAUSE_NS)
        lc_runner_advance(r, ARRIVAL_PAUSE_NS);
}

/* Has this end sent bytes, or its end of file, that the other has not seen and may yet see? */
static bool is_on_its_way(const struct runner *r, const struct handle *end)
{
    const struct handle *peer = &r->handles[end->peer];
    const struct handle *stream = &r->handles[end->stream], *reader = &r->handles[peer->stream];
    const bool is_wanted = end->stream != 0 ? !stream->is_aborted : end->is_called || is_reading(reader);
    const bool is_awaited = peer->stream != 0 ? is_reading(reader) : peer->state == ARMED && !peer->has_seen_eof;
    if (end->is_udp && peer->state != ARMED)
        return false;
    if (is_wanted && end->sent != peer->got)
        return true;
    return !end->is_udp && is_awaited && (end->stream != 0 ? stream->is_ended : end->is_shut && peer->stream != 0);
}

bool lc_runner_is_outstanding(const struct runner *r)
{
    for (size_t used = 0; used < r->used_count; used++) {
        const struct handle *end = &r->handles[r->used[used]];
        if (lc_runner_is_client_waiting(r, end))
            return true;
        if (lc_runner_is_end(r->used[used]) && end->peer != 0 && !end->is_cut && is_on_its_way(r, end))
            return true;
    }
    return false;
}
