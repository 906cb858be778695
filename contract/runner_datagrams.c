/* Ops on UDP sockets and on endpoints of datagrams, and the guards before them. No more is on its way to a socket than
 * it holds, so that the kernel drops nothing: every datagram has to arrive, in order. */
#include <errno.h>
#include <string.h>

#include "bytes.h"
#include "runner_datagrams.h"
#include "runner_streams.h"

enum {
    COST_BYTES =
        1536, /* that the kernel counts for a datagram beside its bytes, which it may round up to twice as many */
    WAITING_MAX = 24, /* datagrams on their way to one socket */
    FILL_BYTES = 100, /* of each datagram of a fill */
    TAKES_MAX = 64,   /* reads of one take */
    BUFFER_BYTES = 1 << 16
};

static void record_op(struct runner *r, uint8_t code, uint8_t handle, uint64_t arg, unsigned bits, int64_t result)
{
    lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_OP,
                                        .code = code,
                                        .handle = LC_HANDLE_WIDE(handle),
                                        .arg = arg,
                                        .bits = (uint8_t)bits,
                                        .result = (int32_t)result});
}

/* ---- what is on its way ----------------------------------------------------------------------- */

static bool has_reader(const struct runner *r, const struct handle *end)
{
    return r->handles[end->peer].state == ARMED;
}

/* May this end send a datagram of so many bytes? What goes nowhere takes no room. */
static bool has_room(const struct runner *r, uint8_t sender, size_t bytes)
{
    const struct handle *end = &r->handles[sender];
    uint64_t number = 0, used = COST_BYTES + 2 * (uint64_t)bytes;
    unsigned waiting = 0;
    if (bytes > LC_DATAGRAM_BYTES_MAX || !has_reader(r, end))
        return true;
    for (size_t i = 0; i < r->datagram_count; i++)
        if (r->datagrams[i].sender == sender && number++ >= r->handles[end->peer].got) {
            used += COST_BYTES + 2 * (uint64_t)r->datagrams[i].bytes;
            waiting++;
        }
    return waiting < WAITING_MAX && used <= end->room_bytes && r->datagram_count < LC_DATAGRAMS_MAX;
}

/* The bytes of the next datagram of this end. */
static const uint8_t *next_bytes(const struct runner *r, uint8_t sender)
{
    return lc_bytes_at(sender, r->handles[sender].bytes_sent);
}

/* Remembers a datagram that can arrive; returns where. */
static size_t remember(struct runner *r, uint8_t sender, size_t bytes)
{
    struct handle *end = &r->handles[sender];
    if (bytes > LC_DATAGRAM_BYTES_MAX || !has_reader(r, end))
        return LC_DATAGRAMS_MAX;
    r->datagrams[r->datagram_count] =
        (struct datagram){.position = end->bytes_sent, .bytes = (uint16_t)bytes, .sender = sender};
    end->bytes_sent += bytes;
    end->sent++;
    return r->datagram_count++;
}

/* What was refused never was on its way. Its bytes are not sent again. */
static void forget(struct runner *r, size_t at)
{
    if (at == LC_DATAGRAMS_MAX)
        return;
    r->handles[r->datagrams[at].sender].sent--;
    r->datagram_count--;
    memmove(&r->datagrams[at], &r->datagrams[at + 1], (r->datagram_count - at) * sizeof *r->datagrams);
}

/* Which datagram of the other end is this: the next one, a later one, an earlier one? -1: none of them. */
static int64_t identify(const struct runner *r, const struct handle *end, const void *bytes, size_t size)
{
    int64_t number = 0, earlier = -1;
    for (size_t i = 0; i < r->datagram_count; i++) {
        const struct datagram *sent = &r->datagrams[i];
        if (sent->sender != end->peer)
            continue;
        const bool is_it = sent->bytes == size && lc_bytes_right(end->peer, sent->position, bytes, size) == size;
        if (is_it && (uint64_t)number >= end->got)
            return number;
        if (is_it)
            earlier = number;
        number++;
    }
    return earlier;
}

/* Notes what arrived at an end: its number, or that it is none of those that were sent. */
static void note_arrival(struct runner *r, struct handle *end, const void *bytes, size_t size, struct lc_obs *obs)
{
    const int64_t number = identify(r, end, bytes, size);
    const uint64_t next = number < 0 ? end->got + 1 : (uint64_t)number + 1;
    obs->arg = size;
    obs->result = (int32_t)(number < 0 ? 0 : number);
    obs->bits |= number < 0 ? LC_BYTES_WRONG : 0;
    if (next > end->got && next <= r->handles[end->peer].sent)
        end->got = next;
}

/* ---- ops on the runner's own sockets ---------------------------------------------------------- */

static bool do_udp(struct runner *r, const struct lc_op *op)
{
    struct handle *a = &r->handles[op->a], *b = &r->handles[op->b];
    int fds[2], room;
    if (a->state != FREE || b->state != FREE || r->kernel->udp == NULL ||
        (room = r->kernel->udp(r->kernel->self, fds)) < 0)
        return false;
    *a = (struct handle){.state = ARMED, .fd = fds[0], .peer = op->b, .is_udp = true, .room_bytes = (uint32_t)room};
    *b = (struct handle){.state = ARMED, .fd = fds[1], .peer = op->a, .is_udp = true, .room_bytes = (uint32_t)room};
    record_op(r, op->op, op->a, op->b, 0, 0);
    lc_runner_record_fd(r, op->a);
    lc_runner_record_fd(r, op->b);
    return true;
}

static bool put(struct runner *r, uint8_t code, uint8_t handle, uint16_t bytes)
{
    if (!has_room(r, handle, bytes))
        return false;
    const uint8_t *data = next_bytes(r, handle);
    const size_t at = remember(r, handle, bytes);
    const int64_t wrote = r->kernel->write(r->kernel->self, r->handles[handle].fd, data, bytes);
    const bool is_sent = wrote == bytes;
    if (!is_sent)
        forget(r, at);
    record_op(r, code, handle, bytes, 0, is_sent ? 0 : wrote < 0 ? wrote : -EAGAIN);
    return is_sent;
}

static bool fill(struct runner *r, uint8_t handle)
{
    unsigned count = 0;
    while (count < WAITING_MAX && put(r, LC_OP_FILL, handle, FILL_BYTES))
        count++;
    return count > 0;
}

uint64_t lc_runner_take_datagrams(struct runner *r, uint8_t handle, unsigned count)
{
    static uint8_t buffer[BUFFER_BYTES]; /* one process runs one program at a time */
    struct handle *end = &r->handles[handle];
    uint64_t taken = 0;
    for (unsigned reads = 0; reads < TAKES_MAX && taken < count; reads++) {
        struct lc_obs obs = {.what = LC_WHAT_OP, .code = LC_OP_TAKE, .handle = LC_HANDLE_WIDE(handle)};
        const int64_t got = r->kernel->read(r->kernel->self, end->fd, buffer, sizeof buffer);
        if (got == -EAGAIN)
            break;
        if (got >= 0)
            note_arrival(r, end, buffer, (size_t)got, &obs);
        else
            obs.result = (int32_t)got; /* an earlier one was refused: what has arrived stays there */
        taken += got >= 0;
        lc_runner_record(r, obs);
    }
    return taken;
}

bool lc_runner_do_datagrams(struct runner *r, const struct lc_op *op)
{
    bool is_done = true;
    if (op->op == LC_OP_PUT)
        is_done = put(r, op->op, op->a, op->n);
    else if (op->op == LC_OP_FILL)
        is_done = fill(r, op->a);
    else if (op->op == LC_OP_TAKE)
        lc_runner_take_datagrams(r, op->a, op->n ? op->n : UINT16_MAX);
    else
        return false; /* an end of file is nothing that datagrams have */
    lc_runner_record_fd(r, op->a);
    lc_runner_record_fd(r, r->handles[op->a].peer);
    return is_done;
}

/* ---- ops on endpoints ------------------------------------------------------------------------- */

static bool do_datagram(struct runner *r, struct lc_op op)
{
    struct handle *h = &r->handles[op.a], *end = &r->handles[op.b];
    if (h->state != FREE || !lc_runner_holds(r, op.b) || !end->is_udp || !lc_runner_has(r, LC_CAP_DATAGRAM))
        return false;
    lc_runner_cancel_watchers(r, op.b);
    lc_runner_record_fd(r, op.b);
    *h = (struct handle){.state = ARMED, .fd_handle = op.b, .is_made = !lc_runner_has(r, LC_CAP_MADE)};
    end->stream = op.a;
    op.arg = (uint64_t)end->fd;
    if (lc_runner_apply_recorded(r, op, op.b, 0) >= 0)
        return true;
    h->state = IDLE;
    h->fd_handle = 0; /* the runner's again */
    end->stream = 0;
    return false;
}

static bool do_send(struct runner *r, struct lc_op op)
{
    struct handle *h = &r->handles[op.a];
    if (h->state != ARMED || !h->is_made || h->is_flushing || !has_room(r, h->fd_handle, op.n))
        return false;
    op.arg = (uint64_t)(uintptr_t)next_bytes(r, h->fd_handle);
    const size_t at = remember(r, h->fd_handle, op.n);
    lc_runner_record_fd(r, h->fd_handle);
    record_op(r, LC_OP_SEND, op.a, op.n, 0, 0); /* before it is applied: REFUSED may come inside the call */
    h->sending++;
    const int64_t result = lc_runner_apply(r, op);
    h->sending--;
    if (result >= 0)
        return true;
    forget(r, at);
    record_op(r, LC_OP_SEND, op.a, op.n, 0, result);
    return false;
}

bool lc_runner_execute_datagrams(struct runner *r, const struct lc_op *op)
{
    switch (op->op) {
    case LC_OP_UDP:
        return do_udp(r, op);
    case LC_OP_DATAGRAM:
        return do_datagram(r, *op);
    case LC_OP_SEND:
        return do_send(r, *op);
    default:
        return false;
    }
}

/* ---- what the loop does with endpoints -------------------------------------------------------- */

void lc_runner_note_datagram(struct runner *r, const struct lc_seen *seen, struct lc_obs *obs)
{
    struct handle *h = lc_runner_at(r, seen->handle), *end = &r->handles[h->fd_handle];
    if (h->state == FREE || h->fd_handle == 0)
        return;
    lc_runner_note_life(h, end, seen->event);
    if (seen->event != LC_EVENT_DATAGRAM)
        return;
    note_arrival(r, end, seen->data, seen->size, obs);
    obs->bits |= seen->bits != 0 ? LC_BYTES_FOREIGN : 0;
}

bool lc_runner_is_datagram_promised(struct runner *r, const struct handle *h)
{
    const struct handle *end = &r->handles[h->fd_handle];
    const bool has_arrived = !has_reader(r, end) || end->sent == r->handles[end->peer].got;
    if (!h->is_made || h->is_aborted || (h->is_flushing && has_arrived) || (h->is_writing_paused && has_arrived))
        return true;
    return !h->is_flushing && (lc_runner_ready_now(r, end) & (LC_IN | LC_ERR)) != 0;
}
