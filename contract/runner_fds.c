/* Ops on fds and on the kernel, and the guards before them. */
#include <errno.h>

#include "bytes.h"
#include "runner_datagrams.h"
#include "runner_streams.h"

enum {
    ADVANCE_NS_MAX = 20 * 1000 * 1000, /* on a real clock: what one advance may take */
    FILL_BYTES_MAX = 64 << 20,         /* a fill ends at last */
    TAKE_BYTES = 1 << 16,              /* of one read */
    RECYCLE_TRIES_MAX = 8,             /* pairs made to get an fd number back */
    FAULT_CALLS_MAX = 8,               /* reads and writes that one fault may hit */
    FIRST_FD = LC_KIND_FD << 4,
    LAST_END = (LC_KIND_END + 1) << 4
};

/* ---- records ------------------------------------------------------------------------------- */

/* The number of an fd that a stream has closed may be another file's by now. */
static bool is_open(const struct runner *r, const struct handle *end)
{
    return end->state == ARMED && (end->stream == 0 || r->handles[end->stream].state == ARMED);
}

/* At all open ends by one call of the kernel, since one is rarely asked for alone. */
static void look(struct runner *r)
{
    static struct handle *ends[LC_LOOK_MAX]; /* one process runs one program at a time */
    static int fds[LC_LOOK_MAX];
    static unsigned bits[LC_LOOK_MAX];
    size_t count = 0;
    for (unsigned i = FIRST_FD; i < LAST_END; i++) {
        struct handle *end = &r->handles[i];
        if (!lc_runner_is_end((uint8_t)i) || !is_open(r, end) || end->fd < 0)
            continue;
        ends[count] = end;
        fds[count++] = end->fd;
    }
    r->kernel->look(r->kernel->self, fds, bits, count);
    for (size_t i = 0; i < count; i++)
        ends[i]->ready = bits[i];
    r->has_looked = true;
}

unsigned lc_runner_ready_now(struct runner *r, const struct handle *end)
{
    if (!is_open(r, end) || end->fd < 0)
        return 0;
    if (r->kernel->look == NULL)
        return r->kernel->ready(r->kernel->self, end->fd);
    if (!r->has_looked)
        look(r);
    return end->ready;
}

static void record_bits(struct runner *r, uint8_t handle, unsigned bits)
{
    struct handle *h = &r->handles[handle];
    h->recorded = bits;
    lc_runner_record(
        r, (struct lc_obs){
               .what = LC_WHAT_FD, .handle = LC_HANDLE_WIDE(handle), .arg = (uint64_t)h->fd, .bits = (uint8_t)bits});
}

void lc_runner_record_fd(struct runner *r, uint8_t handle)
{
    r->has_looked = false;
    record_bits(r, handle, lc_runner_ready_now(r, &r->handles[handle]));
}

void lc_runner_record_changed(struct runner *r, uint8_t handle)
{
    const struct handle *h = &r->handles[handle];
    unsigned bits = lc_runner_ready_now(r, h);
    if (bits != h->recorded)
        record_bits(r, handle, bits);
}

/* The same of the other end of its connection, too. */
static void record_pair(struct runner *r, uint8_t handle)
{
    const uint8_t peer = r->handles[handle].peer;
    lc_runner_record_fd(r, handle);
    if (peer != 0)
        record_bits(r, peer, lc_runner_ready_now(r, &r->handles[peer]));
}

bool lc_runner_holds(const struct runner *r, uint8_t fd_handle)
{
    return r->handles[fd_handle].state == ARMED && r->handles[fd_handle].stream == 0;
}

bool lc_runner_is_end(uint8_t handle)
{
    return handle >> 4 == LC_KIND_FD || handle >> 4 == LC_KIND_END;
}

/* ---- ops on fds ---------------------------------------------------------------------------- */

static bool do_pair(struct runner *r, const struct lc_op *op)
{
    struct handle *a = &r->handles[op->a], *b = &r->handles[op->b];
    int fds[2];
    if (a->state != FREE || b->state != FREE || r->kernel->pair(r->kernel->self, fds, op->op == LC_OP_TCP) < 0)
        return false;
    *a = (struct handle){.state = ARMED, .fd = fds[0], .peer = op->b, .is_tcp = op->op == LC_OP_TCP};
    *b = (struct handle){.state = ARMED, .fd = fds[1], .peer = op->a, .is_tcp = op->op == LC_OP_TCP};
    lc_runner_record_op(r, op->op, op->a, op->b, 0, 0);
    record_pair(r, op->a);
    return true;
}

static bool put(struct runner *r, const struct lc_op *op, struct handle *end, uint64_t bytes)
{
    const uint64_t before = end->sent;
    int64_t wrote = 1;
    while (wrote > 0 && end->sent - before < bytes) {
        uint64_t left = bytes - (end->sent - before);
        wrote = r->kernel->write(r->kernel->self, end->fd, lc_bytes_at(op->a, end->sent),
                                 left < LC_BYTES_RUN ? (size_t)left : LC_BYTES_RUN);
        if (wrote > 0)
            end->sent += (uint64_t)wrote;
    }
    lc_runner_record_op(r, op->op, op->a, end->sent - before, 0, end->sent > before ? 0 : wrote);
    return wrote >= 0;
}

/* Reads up to so many bytes, and compares them with what the other end was given to send. That there are none is
 * recorded only where an op has asked. */
static uint64_t take(struct runner *r, uint8_t handle, uint64_t bytes, bool is_asked)
{
    static uint8_t buffer[TAKE_BYTES]; /* one process runs one program at a time */
    struct handle *end = &r->handles[handle];
    uint64_t done = 0;
    unsigned bits = 0;
    int64_t got = 1;
    while (done < bytes && got > 0) {
        uint64_t left = bytes - done;
        got = r->kernel->read(r->kernel->self, end->fd, buffer, left < TAKE_BYTES ? (size_t)left : TAKE_BYTES);
        if (got <= 0)
            break;
        if (!end->is_unsure && lc_bytes_right(end->peer, end->got, buffer, (size_t)got) < (size_t)got)
            bits |= LC_BYTES_WRONG;
        end->got += (uint64_t)got;
        done += (uint64_t)got;
    }
    bits |= got == 0 ? LC_BYTES_END : 0u;
    end->has_seen_eof |= got == 0;
    if (is_asked || done > 0 || got != -EAGAIN)
        lc_runner_record_op(r, LC_OP_TAKE, handle, done, bits, done > 0 || got == -EAGAIN ? 0 : got);
    return done;
}

static bool do_shut(struct runner *r, const struct lc_op *op, struct handle *end)
{
    int result = r->kernel->shut(r->kernel->self, end->fd);
    end->is_shut |= result >= 0;
    lc_runner_record_op(r, LC_OP_SHUT, op->a, 0, 0, result);
    return result >= 0;
}

static bool do_bytes(struct runner *r, const struct lc_op *op)
{
    struct handle *end = &r->handles[op->a];
    bool is_done = true;
    if (!lc_runner_holds(r, op->a) || end->is_listener ||
        (op->op == LC_OP_TAKE && lc_runner_is_calling(r, op->a, LC_OP_RECV, true)) ||
        (op->op != LC_OP_TAKE && (end->is_cut || lc_runner_is_calling(r, op->a, LC_OP_SENDALL, true))))
        return false;
    if (end->is_udp)
        return lc_runner_do_datagrams(r, op);
    if (op->op == LC_OP_PUT)
        is_done = put(r, op, end, op->n ? op->n : 1);
    else if (op->op == LC_OP_FILL)
        is_done = put(r, op, end, FILL_BYTES_MAX);
    else if (op->op == LC_OP_TAKE)
        take(r, op->a, op->n ? op->n : UINT64_MAX, true);
    else
        is_done = do_shut(r, op, end);
    record_pair(r, op->a);
    return is_done;
}

void lc_runner_cancel_watchers(struct runner *r, uint8_t fd_handle)
{
    for (size_t used = 0; used < r->used_count; used++) {
        const uint8_t i = r->used[used];
        struct handle *h = &r->handles[i];
        if (i >> 4 != LC_KIND_WATCH || h->fd_handle != fd_handle || h->state == FREE)
            continue;
        if (h->state == ARMED)
            lc_runner_cancel(r, i);
        h->is_stale = true;
    }
}

/* Opens pairs until one of them has the wanted number; keeps that one, or the last. */
static int pair_with_number(const struct lc_kernel *k, int wanted, int fds[2])
{
    int spare[RECYCLE_TRIES_MAX][2], tries = 0, result;
    while ((result = k->pair(k->self, fds, false)) >= 0 && fds[0] != wanted && fds[1] != wanted &&
           tries < RECYCLE_TRIES_MAX) {
        spare[tries][0] = fds[0];
        spare[tries++][1] = fds[1];
    }
    while (tries-- > 0) {
        k->close(k->self, spare[tries][0], false);
        k->close(k->self, spare[tries][1], false);
    }
    if (result >= 0 && fds[1] == wanted) {
        fds[1] = fds[0];
        fds[0] = wanted;
    }
    return result;
}

static bool do_recycle(struct runner *r, const struct lc_op *op)
{
    const struct lc_kernel *k = r->kernel;
    struct handle *h = &r->handles[op->a], *peer = &r->handles[h->peer];
    int fds[2], wanted = h->fd;

    if (!lc_runner_holds(r, op->a) || !lc_runner_holds(r, h->peer) || h->is_udp ||
        lc_runner_is_in_call(r, op->a, true) || lc_runner_is_in_call(r, h->peer, true))
        return false;
    lc_runner_cancel_watchers(r, op->a);
    lc_runner_cancel_watchers(r, h->peer);
    k->close(k->self, h->fd, false);
    k->close(k->self, peer->fd, false);
    if (pair_with_number(k, wanted, fds) < 0) {
        h->state = peer->state = CLOSED;
        record_pair(r, op->a);
        return false;
    }
    lc_runner_record_op(r, LC_OP_RECYCLE, op->a, 0, 0, 0);
    lc_runner_record_op(r, LC_OP_RECYCLE, h->peer, 0, 0, 0);
    h->fd = fds[0];
    peer->fd = fds[1];
    h->sent = h->got = peer->sent = peer->got = 0;
    h->is_shut = peer->is_shut = h->is_tcp = peer->is_tcp = h->has_seen_eof = peer->has_seen_eof = false;
    record_pair(r, op->a);
    return true;
}

static bool do_hangup(struct runner *r, const struct lc_op *op)
{
    struct handle *end = &r->handles[op->a];
    if (!lc_runner_holds(r, op->a) || lc_runner_is_in_call(r, op->a, true) || (end->is_udp && op->op == LC_OP_RST))
        return false;
    lc_runner_cancel_watchers(r, op->a);
    int result = r->kernel->close(r->kernel->self, end->fd, op->op == LC_OP_RST);
    end->state = CLOSED;
    if (end->is_listener)
        lc_runner_hold_port(r, end);
    lc_runner_record_op(r, op->op, op->a, 0, 0, result);
    record_pair(r, op->a);
    return true;
}

void lc_runner_advance(struct runner *r, uint64_t duration_ns)
{
    r->kernel->advance(r->kernel->self, duration_ns);
    r->has_looked = false; /* what is on its way through a network may have arrived */
}

static bool do_advance(struct runner *r, const struct lc_op *op)
{
    uint64_t duration = op->arg;
    if (!r->driver->is_exact && duration > ADVANCE_NS_MAX)
        duration = ADVANCE_NS_MAX;
    lc_runner_advance(r, duration);
    return true;
}

static bool do_fault(struct runner *r, const struct lc_op *op)
{
    unsigned calls = op->n == 0 ? 1 : op->n < FAULT_CALLS_MAX ? op->n : FAULT_CALLS_MAX;
    if (r->kernel->fault == NULL || r->kernel->fault(r->kernel->self, (enum lc_fault)op->flags, calls) < 0)
        return false;
    lc_runner_record_op(r, LC_OP_FAULT, 0, calls, op->flags, 0);
    return true;
}

bool lc_runner_execute_fds(struct runner *r, const struct lc_op *op)
{
    switch (op->op) {
    case LC_OP_PAIR:
    case LC_OP_TCP:
        return do_pair(r, op);
    case LC_OP_PUT:
    case LC_OP_TAKE:
    case LC_OP_FILL:
    case LC_OP_SHUT:
        return do_bytes(r, op);
    case LC_OP_RECYCLE:
        return do_recycle(r, op);
    case LC_OP_HANGUP:
    case LC_OP_RST:
        return do_hangup(r, op);
    case LC_OP_CANARY:
        return lc_runner_do_canary(r, op);
    case LC_OP_ADVANCE:
        return do_advance(r, op);
    case LC_OP_FAULT:
        return do_fault(r, op);
    case LC_OP_RECV:
    case LC_OP_SENDALL:
    case LC_OP_TASK:
        return lc_runner_request(r, op);
    default:
        return lc_runner_execute_streams(r, op);
    }
}

/* ---- the ends of streams -------------------------------------------------------------------- */

void lc_runner_record_streams(struct runner *r)
{
    if ((r->touched[LC_KIND_STREAM] | r->touched[LC_KIND_DATAGRAM] | r->touched[LC_KIND_REQUEST]) == 0)
        return;
    for (size_t used = 0; used < r->used_count; used++) {
        const uint8_t i = r->used[used];
        if (!lc_runner_is_end(i) || r->handles[i].stream == 0 || !is_open(r, &r->handles[i]))
            continue;
        lc_runner_record_changed(r, i);
        if (r->handles[i].peer != 0)
            lc_runner_record_changed(r, r->handles[i].peer);
    }
    for (size_t used = 0; used < r->used_count; used++) {
        const struct handle *h = &r->handles[r->used[used]];
        if (h->call == LC_OP_SENDALL && h->state == ARMED)
            lc_runner_record_changed(r, h->fd_handle);
    }
}

uint64_t lc_runner_take_all(struct runner *r)
{
    uint64_t bytes = 0;
    for (size_t used = 0; used < r->used_count; used++) {
        const uint8_t i = r->used[used];
        const struct handle *end = &r->handles[i], *peer = &r->handles[end->peer];
        if (i >> 4 != LC_KIND_FD || !lc_runner_holds(r, i) || lc_runner_is_calling(r, i, LC_OP_RECV, true) ||
            end->has_seen_eof || (peer->stream == 0 && !peer->is_called) ||
            (lc_runner_ready_now(r, end) & (LC_IN | LC_HUP | LC_ERR)) == 0)
            continue;
        bytes += end->is_udp ? lc_runner_take_datagrams(r, i, UINT16_MAX) : take(r, i, UINT64_MAX, false);
        r->has_looked = false;
        lc_runner_record_changed(r, i);
        lc_runner_record_changed(r, end->peer);
    }
    return bytes;
}
