/* Calls that end by themselves or are cancelled, and the guards before them. */
#include "bytes.h"
#include "runner_state.h"

enum { TURNS_MAX = 8 }; /* of a task */

static void record_call(struct runner *r, const struct lc_op *op, int64_t result)
{
    lc_runner_record_op(r, op->op, op->a, op->b | (uint64_t)op->n << 8, 0, result);
}

static bool is_under_way(const struct handle *h, bool even_cancelled)
{
    return h->state == CLOSING || (h->state == ARMED && (even_cancelled || !h->was_cancelled));
}

bool lc_runner_is_calling(const struct runner *r, uint8_t fd, uint8_t call, bool even_cancelled)
{
    for (size_t i = 0; i < r->used_count; i++) {
        const struct handle *h = &r->handles[r->used[i]];
        if (r->used[i] >> 4 == LC_KIND_REQUEST && h->fd_handle == fd && h->call == call &&
            is_under_way(h, even_cancelled))
            return true;
    }
    return false;
}

bool lc_runner_is_in_call(const struct runner *r, uint8_t fd, bool even_cancelled)
{
    return lc_runner_is_calling(r, fd, LC_OP_RECV, even_cancelled) ||
           lc_runner_is_calling(r, fd, LC_OP_SENDALL, even_cancelled);
}

/* One that sends may fill its fd again and again; it must end when all has arrived, or can go nowhere. */
bool lc_runner_is_call_promised(struct runner *r, const struct handle *h)
{
    const struct handle *end = &r->handles[h->fd_handle], *peer = &r->handles[end->peer];
    if (h->was_cancelled || h->call == LC_OP_TASK)
        return true;
    if (h->call == LC_OP_SENDALL && end->sent == peer->got)
        return true;
    const unsigned ready = lc_runner_ready_now(r, end);
    return h->call == LC_OP_RECV ? (ready & LC_IN) != 0 : peer->state == CLOSED && (ready & LC_OUT) != 0;
}

static bool is_watched(const struct runner *r, uint8_t fd)
{
    for (unsigned i = LC_KIND_WATCH << 4; i < (LC_KIND_WATCH + 1) << 4; i++)
        if (r->handles[i].state == ARMED && r->handles[i].fd_handle == fd)
            return true;
    return false;
}

/* Two who read, or who write, are nobody's to answer for, but a call may follow at once on one that was cancelled. */
static bool may_call(const struct runner *r, const struct lc_op *op)
{
    const struct handle *end = &r->handles[op->b];
    const bool is_sending = op->op == LC_OP_SENDALL;
    if (r->handles[op->a].state != FREE)
        return false;
    if (op->op == LC_OP_TASK)
        return lc_runner_has(r, LC_CAP_TASK);
    return lc_runner_has(r, LC_CAP_REQUEST) && lc_runner_holds(r, op->b) && !end->is_listener && !end->is_udp &&
           !is_watched(r, op->b) && !(is_sending && (end->is_shut || end->is_cut)) &&
           !lc_runner_is_calling(r, op->b, op->op, false);
}

bool lc_runner_request(struct runner *r, const struct lc_op *op)
{
    struct handle *h = &r->handles[op->a], *end = &r->handles[op->b];
    struct lc_op call = *op;
    if (!may_call(r, op))
        return false;
    const struct lc_send send = {.fd = end->fd, .bytes = lc_bytes_at(op->b, end->sent)};
    call.n = op->n ? op->n : 1;
    if (op->op == LC_OP_TASK && call.n > TURNS_MAX)
        call.n = TURNS_MAX;
    call.arg = op->op == LC_OP_SENDALL ? (uint64_t)(uintptr_t)&send : (uint64_t)end->fd;
    *h = (struct handle){.state = ARMED, .fd_handle = op->b, .call = op->op};
    if (op->op == LC_OP_SENDALL) {
        end->sent += call.n;
        end->is_called = true;
    }
    if (op->op != LC_OP_TASK)
        lc_runner_record_fd(r, op->b);
    record_call(r, &call, 0); /* before it is applied: DONE may come inside the call */
    int64_t result = lc_runner_apply(r, call);
    if (result < 0) {
        h->state = IDLE;
        end->is_cut |= op->op == LC_OP_SENDALL;
        record_call(r, &call, result);
    }
    return result >= 0;
}

void lc_runner_doubt(struct runner *r, const struct handle *h)
{
    struct handle *end = &r->handles[h->fd_handle];
    if (h->call == LC_OP_RECV)
        end->is_unsure |= r->handles[end->peer].sent != end->got;
    else if (h->call == LC_OP_SENDALL)
        end->is_cut = true;
}

bool lc_runner_cancel_request(struct runner *r, uint8_t request)
{
    struct handle *h = &r->handles[request];
    if (h->state != ARMED || h->was_cancelled || !lc_runner_has(r, LC_CAP_CANCEL))
        return false;
    lc_runner_doubt(r, h);
    h->was_cancelled = true;
    lc_runner_record_op(r, LC_OP_CANCEL, request, 0, 0, 0); /* before it is applied too */
    return lc_runner_apply(r, (struct lc_op){.op = LC_OP_CANCEL, .a = request}) >= 0;
}

void lc_runner_note_request(struct runner *r, const struct lc_seen *seen, struct lc_obs *obs)
{
    struct handle *h = lc_runner_at(r, seen->handle), *end = &r->handles[h->fd_handle];
    if (h->fd_handle == 0)
        return;
    if (seen->error < 0 && h->call == LC_OP_SENDALL)
        end->is_cut = true;
    obs->arg = seen->size;
    if (seen->size > 0 && !end->is_unsure && lc_bytes_right(end->peer, end->got, seen->data, seen->size) < seen->size)
        obs->bits = LC_BYTES_WRONG;
    end->got += seen->size;
    lc_runner_record_fd(r, h->fd_handle);
}
