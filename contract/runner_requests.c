/* Calls on an fd of the runner that end by themselves or are cancelled, and the guards before them. */
#include "bytes.h"
#include "runner_state.h"

static void record_op(struct runner *r, uint8_t code, uint8_t handle, uint64_t arg, int64_t result)
{
    lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_OP,
                                        .code = code,
                                        .handle = LC_HANDLE_WIDE(handle),
                                        .arg = arg,
                                        .result = (int32_t)(result < 0 ? result : 0)});
}

bool lc_runner_is_in_call(const struct runner *r, uint8_t fd, bool even_cancelled)
{
    for (size_t i = 0; i < r->used_count; i++) {
        const struct handle *h = &r->handles[r->used[i]];
        if (r->used[i] >> 4 == LC_KIND_REQUEST && h->fd_handle == fd &&
            (h->state == CLOSING || (h->state == ARMED && !h->was_cancelled) || (h->state == ARMED && even_cancelled)))
            return true;
    }
    return false;
}

static bool is_watched(const struct runner *r, uint8_t fd)
{
    for (unsigned i = LC_KIND_WATCH << 4; i < (LC_KIND_WATCH + 1) << 4; i++)
        if (r->handles[i].state == ARMED && r->handles[i].fd_handle == fd)
            return true;
    return false;
}

/* Two who wait for one fd are nobody's to answer for, but a call may follow at once on one that was cancelled. */
bool lc_runner_request(struct runner *r, const struct lc_op *op)
{
    struct handle *h = &r->handles[op->a];
    const struct handle *end = &r->handles[op->b];
    struct lc_op call = *op;
    if (h->state != FREE || !lc_runner_has(r, LC_CAP_REQUEST) || !lc_runner_holds(r, op->b) || end->is_listener ||
        end->is_udp || is_watched(r, op->b) || lc_runner_is_in_call(r, op->b, false))
        return false;
    call.n = op->n ? op->n : 1;
    call.arg = (uint64_t)end->fd;
    *h = (struct handle){.state = ARMED, .fd_handle = op->b};
    lc_runner_record_fd(r, op->b);
    record_op(r, op->op, op->a, op->b | (uint64_t)call.n << 8,
              0); /* before it is applied: DONE may come inside the call */
    int64_t result = lc_runner_apply(r, call);
    if (result < 0) {
        h->state = IDLE;
        record_op(r, op->op, op->a, op->b, result);
    }
    return result >= 0;
}

void lc_runner_doubt(struct runner *r, const struct handle *h)
{
    struct handle *end = &r->handles[h->fd_handle];
    end->is_unsure |= r->handles[end->peer].sent != end->got;
}

bool lc_runner_cancel_request(struct runner *r, uint8_t request)
{
    struct handle *h = &r->handles[request];
    if (h->state != ARMED || h->was_cancelled || !lc_runner_has(r, LC_CAP_CANCEL))
        return false;
    lc_runner_doubt(r, h);
    h->was_cancelled = true;
    record_op(r, LC_OP_CANCEL, request, 0, 0); /* before it is applied too */
    return lc_runner_apply(r, (struct lc_op){.op = LC_OP_CANCEL, .a = request}) >= 0;
}

void lc_runner_note_request(struct runner *r, const struct lc_seen *seen, struct lc_obs *obs)
{
    struct handle *h = lc_runner_at(r, seen->handle), *end = &r->handles[h->fd_handle];
    if (h->fd_handle == 0)
        return;
    obs->arg = seen->size;
    if (seen->size > 0 && !end->is_unsure && lc_bytes_right(end->peer, end->got, seen->data, seen->size) < seen->size)
        obs->bits = LC_BYTES_WRONG;
    end->got += seen->size;
    lc_runner_record_fd(r, h->fd_handle);
}
