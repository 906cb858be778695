#include "fake_datagrams.h"

#include <errno.h>
#include <string.h>

#include "fake_loop.h"

static struct fake_endpoint *endpoint_at(struct fake_loop *l, uint8_t handle)
{
    return &l->endpoints[handle & 15];
}

static bool is_alive(const struct fake_loop *l, uint8_t handle)
{
    return l->slots[handle].state == FAKE_ARMED;
}

static void call(struct fake_loop *l, uint8_t handle, enum lc_event event, int error)
{
    fake_loop_call(l, &(struct lc_seen){.handle = handle, .event = event, .error = error});
}

/* ---- sending ----------------------------------------------------------------------------------- */

static void pause(struct fake_loop *l, uint8_t handle)
{
    struct fake_endpoint *e = endpoint_at(l, handle);
    e->is_paused = true;
    call(l, handle, LC_EVENT_PAUSE_WRITING, 0);
}

/* What cannot be sent is told inside the call. */
static int64_t send_one(struct fake_loop *l, const struct lc_op *op)
{
    struct fake_endpoint *e = endpoint_at(l, op->a);
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)op->arg;
    const bool is_dropped = l->defect == FAKE_DATAGRAM_SEND_DROPS && e->sent++ % 2 == 1;
    int64_t sent = is_dropped ? 0 : l->kernel.base.write(&l->kernel, e->fd, bytes, op->n);
    if (l->defect == FAKE_DATAGRAM_SEND_TWICE && op->n == 1)
        l->kernel.base.write(&l->kernel, e->fd, bytes, op->n);
    if (sent < 0 && !(l->defect == FAKE_DATAGRAM_TOO_LARGE_SILENT && sent == -EMSGSIZE))
        call(l, op->a, LC_EVENT_REFUSED, (int)sent);
    if (l->defect == FAKE_DATAGRAM_RESUME_NEVER && sent > 0 && !e->is_paused && is_alive(l, op->a))
        pause(l, op->a);
    return 0;
}

/* For FAKE_DATAGRAM_CLOSE_DROPS: takes the last datagram back out of the other end. */
static void take_back(struct fake_loop *l, const struct fake_endpoint *e)
{
    const int peer = l->kernel.fds[e->fd].peer;
    if (peer >= 0 && l->kernel.fds[peer].count > 0)
        l->kernel.fds[peer].unread -= l->kernel.fds[peer].sizes[--l->kernel.fds[peer].count];
}

int64_t fake_endpoint_apply(struct fake_loop *l, const struct lc_op *op)
{
    struct fake_endpoint *e = endpoint_at(l, op->a);
    switch (op->op) {
    case LC_OP_DATAGRAM:
        *e = (struct fake_endpoint){.fd = (int)op->arg, .is_made = (l->base.capabilities & LC_CAP_MADE) == 0};
        l->slots[op->a].state = FAKE_ARMED;
        l->slots[op->a].armed_seq = ++l->seq;
        return 0;
    case LC_OP_SEND:
        return send_one(l, op);
    case LC_OP_FLUSH:
    case LC_OP_ABORT:
        if (op->op == LC_OP_FLUSH && l->defect == FAKE_DATAGRAM_CLOSE_DROPS && e->fd >= 0)
            take_back(l, e);
        e->is_flushing = true;
        return 0;
    default: /* LC_OP_LIMITS: nothing ever waits */
        return 0;
    }
}

/* ---- the end ----------------------------------------------------------------------------------- */

void fake_endpoint_drop(struct fake_loop *l, uint8_t handle)
{
    struct fake_endpoint *e = endpoint_at(l, handle);
    if (e->fd >= 0)
        l->kernel.base.close(&l->kernel, e->fd, false);
    e->fd = -1;
}

static void lose(struct fake_loop *l, uint8_t handle, int error)
{
    l->slots[handle].state = FAKE_IDLE;
    fake_endpoint_drop(l, handle);
    call(l, handle, LC_EVENT_LOST, error);
    if (l->defect == FAKE_DATAGRAM_LOST_TWICE && l->slots[handle].state == FAKE_IDLE)
        call(l, handle, LC_EVENT_LOST, error);
}

/* ---- receiving --------------------------------------------------------------------------------- */

static void give(struct fake_loop *l, uint8_t handle, const uint8_t *bytes, size_t size)
{
    struct fake_endpoint *e = endpoint_at(l, handle);
    e->given++;
    fake_loop_call(l, &(struct lc_seen){.handle = handle,
                                        .event = LC_EVENT_DATAGRAM,
                                        .bits = l->defect == FAKE_DATAGRAM_OF_STRANGER,
                                        .data = bytes,
                                        .size = size});
    e->has_raised |= l->raised != LC_RAISE_NONE;
}

/* One that came together with another, to be given before it or with it. */
static bool give_both(struct fake_loop *l, uint8_t handle, uint8_t *first, size_t size)
{
    struct fake_endpoint *e = endpoint_at(l, handle);
    uint8_t second[FAKE_BUFFER_BYTES];
    if ((l->defect != FAKE_DATAGRAM_SWAPS && l->defect != FAKE_DATAGRAM_MERGES) || l->kernel.fds[e->fd].count == 0)
        return false;
    const size_t more = (size_t)l->kernel.base.read(&l->kernel, e->fd, second, sizeof second);
    if (l->defect == FAKE_DATAGRAM_MERGES) {
        memcpy(first + size, second, more);
        give(l, handle, first, size + more);
        return true;
    }
    give(l, handle, second, more);
    if (is_alive(l, handle) && !e->is_flushing)
        give(l, handle, first, size);
    return true;
}

static void receive(struct fake_loop *l, uint8_t handle)
{
    struct fake_endpoint *e = endpoint_at(l, handle);
    uint8_t buffer[2 * FAKE_BUFFER_BYTES];
    int64_t got = l->kernel.base.read(&l->kernel, e->fd, buffer, FAKE_BUFFER_BYTES);
    size_t size = got > 0 ? (size_t)got : 0;
    if (got < 0) {
        if (l->defect == FAKE_DATAGRAM_REFUSAL_ENDS)
            lose(l, handle, (int)got);
        else
            call(l, handle, LC_EVENT_REFUSED, (int)got);
        return;
    }
    if ((l->defect == FAKE_DATAGRAM_DROPS_EMPTY && size == 0) ||
        (l->defect == FAKE_DATAGRAM_DROPS && e->sent++ % 2 == 1))
        return;
    if (l->defect == FAKE_DATAGRAM_CUTS)
        size -= size / 4;
    if (l->defect == FAKE_DATAGRAM_ALTERS && size > 0)
        buffer[size - 1] ^= 1;
    if (give_both(l, handle, buffer, size))
        return;
    give(l, handle, buffer, size);
    if (l->defect == FAKE_DATAGRAM_TWICE && is_alive(l, handle) && !e->is_flushing)
        give(l, handle, buffer, size);
}

/* ---- what is due ------------------------------------------------------------------------------- */

static bool must_be_lost(const struct fake_loop *l, const struct fake_endpoint *e)
{
    if (e->has_raised && l->defect == FAKE_DATAGRAM_RAISE_ENDS)
        return true;
    return e->is_flushing && l->defect != FAKE_DATAGRAM_LOST_NEVER;
}

static bool may_receive(struct fake_loop *l, const struct fake_endpoint *e)
{
    const unsigned ready = l->kernel.base.ready(&l->kernel, e->fd);
    if ((e->is_flushing && l->defect != FAKE_DATAGRAM_AFTER_CLOSE) || (e->given > 0 && l->defect == FAKE_DATAGRAM_DEAF))
        return false;
    return (ready & LC_IN) != 0 || ((ready & LC_ERR) != 0 && l->defect != FAKE_DATAGRAM_REFUSAL_SILENT);
}

static bool must_resume(const struct fake_loop *l, const struct fake_endpoint *e)
{
    return e->is_paused && l->defect != FAKE_DATAGRAM_RESUME_NEVER;
}

bool fake_endpoint_is_due(struct fake_loop *l, uint8_t handle)
{
    const struct fake_endpoint *e = endpoint_at(l, handle);
    if (!e->is_made)
        return l->defect != FAKE_DATAGRAM_MADE_NEVER;
    return must_be_lost(l, e) || must_resume(l, e) || may_receive(l, e);
}

static void make(struct fake_loop *l, uint8_t handle)
{
    endpoint_at(l, handle)->is_made = true;
    call(l, handle, LC_EVENT_MADE, 0);
    if (l->defect == FAKE_DATAGRAM_MADE_TWICE && is_alive(l, handle))
        call(l, handle, LC_EVENT_MADE, 0);
    if (l->defect == FAKE_DATAGRAM_REFUSAL_UNASKED && is_alive(l, handle))
        call(l, handle, LC_EVENT_REFUSED, -ECONNREFUSED);
}

void fake_endpoint_run(struct fake_loop *l, uint8_t handle)
{
    struct fake_endpoint *e = endpoint_at(l, handle);
    if (!e->is_made)
        make(l, handle);
    else if (l->defect == FAKE_DATAGRAM_AFTER_CLOSE && may_receive(l, e))
        receive(l, handle);
    else if (must_be_lost(l, e))
        lose(l, handle, 0);
    else if (must_resume(l, e)) {
        e->is_paused = false;
        call(l, handle, LC_EVENT_RESUME_WRITING, 0);
    } else if (may_receive(l, e))
        receive(l, handle);
}
