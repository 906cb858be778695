/* The drivers refloop_sim and refloop_epoll: streams, and endpoints of datagrams. */
#include "refloop_driver.h"

#include <errno.h>

/* ---- callbacks ----------------------------------------------------------------------------- */

static void report(const struct slot *slot, enum lc_event event)
{
    refloop_report_seen(slot, (struct lc_seen){.event = event});
}

static void on_data(rl_stream *stream, void *arg, const void *bytes, size_t size)
{
    (void)stream;
    refloop_report_seen(arg, (struct lc_seen){.event = LC_EVENT_DATA, .data = bytes, .size = size});
}

static void on_eof(rl_stream *stream, void *arg)
{
    (void)stream;
    report(arg, LC_EVENT_EOF);
}

static void on_pause_writing(rl_stream *stream, void *arg)
{
    (void)stream;
    report(arg, LC_EVENT_PAUSE_WRITING);
}

static void on_resume_writing(rl_stream *stream, void *arg)
{
    (void)stream;
    report(arg, LC_EVENT_RESUME_WRITING);
}

/* One that could not connect is told so, and no more. */
static void on_lost(rl_stream *stream, void *arg, int error)
{
    struct slot *slot = arg;
    struct lc_seen seen = {.event = LC_EVENT_LOST, .error = error};
    (void)stream;
    slot->stream = NULL;
    if (slot->is_connecting)
        seen = (struct lc_seen){.event = LC_EVENT_DONE, .error = slot->was_cancelled ? -ECANCELED : error};
    if (slot->is_destroyed)
        seen = (struct lc_seen){.event = LC_EVENT_CLOSED};
    refloop_report_seen(slot, seen);
}

/* Destroyed when it is made, it is told no more. */
void refloop_tell_done(struct slot *slot)
{
    if (!slot->is_destroyed)
        report(slot, LC_EVENT_DONE);
}

static void on_connected(rl_stream *stream, void *arg)
{
    struct slot *slot = arg;
    (void)stream;
    slot->is_connecting = false;
    refloop_report_made(slot);
    if (slot->driver->has_left)
        slot->driver->untold = slot; /* in the next turn */
    else
        refloop_tell_done(slot);
}

const struct rl_stream_callbacks refloop_stream_callbacks = {.connected = on_connected,
                                                             .data = on_data,
                                                             .eof = on_eof,
                                                             .pause_writing = on_pause_writing,
                                                             .resume_writing = on_resume_writing,
                                                             .lost = on_lost};

static void on_datagram(rl_datagram *endpoint, void *arg, const void *bytes, size_t size)
{
    (void)endpoint;
    refloop_report_seen(arg, (struct lc_seen){.event = LC_EVENT_DATAGRAM, .data = bytes, .size = size});
}

static void on_refused(rl_datagram *endpoint, void *arg, int error)
{
    (void)endpoint;
    refloop_report_seen(arg, (struct lc_seen){.event = LC_EVENT_REFUSED, .error = error});
}

static void on_pause_sending(rl_datagram *endpoint, void *arg)
{
    (void)endpoint;
    report(arg, LC_EVENT_PAUSE_WRITING);
}

static void on_resume_sending(rl_datagram *endpoint, void *arg)
{
    (void)endpoint;
    report(arg, LC_EVENT_RESUME_WRITING);
}

static void on_endpoint_lost(rl_datagram *endpoint, void *arg, int error)
{
    (void)endpoint;
    on_lost(NULL, arg, error);
}

/* ---- verbs --------------------------------------------------------------------------------- */

int refloop_open_stream(struct refloop_driver *d, uint8_t handle, int fd)
{
    struct slot *slot = &d->slots[handle];
    *slot = (struct slot){.driver = d, .handle = handle};
    return rl_stream_open(d->loop, fd, &refloop_stream_callbacks, slot, &slot->stream);
}

static int use_stream(rl_stream *stream, const struct lc_op *op)
{
    switch (op->op) {
    case LC_OP_WRITE:
        return rl_stream_write(stream, (const void *)(uintptr_t)op->arg, op->n);
    case LC_OP_WRITE_EOF:
        return rl_stream_write_eof(stream);
    case LC_OP_LIMITS:
        return rl_stream_set_limits(stream, op->n, op->n / 4);
    case LC_OP_PAUSE:
        rl_stream_pause(stream);
        return 0;
    case LC_OP_RESUME:
        rl_stream_resume(stream);
        return 0;
    case LC_OP_FLUSH:
        rl_stream_close(stream);
        return 0;
    default: /* LC_OP_ABORT */
        rl_stream_abort(stream);
        return 0;
    }
}

static int open_endpoint(struct refloop_driver *d, const struct lc_op *op)
{
    static const struct rl_datagram_callbacks callbacks = {.datagram = on_datagram,
                                                           .refused = on_refused,
                                                           .pause_writing = on_pause_sending,
                                                           .resume_writing = on_resume_sending,
                                                           .lost = on_endpoint_lost};
    struct slot *slot = &d->slots[op->a];
    *slot = (struct slot){.driver = d, .handle = op->a};
    return rl_datagram_open(d->loop, (int)op->arg, &callbacks, slot, &slot->endpoint);
}

static int use_endpoint(rl_datagram *endpoint, const struct lc_op *op)
{
    switch (op->op) {
    case LC_OP_SEND:
        return rl_datagram_send(endpoint, (const void *)(uintptr_t)op->arg, op->n);
    case LC_OP_LIMITS:
        return rl_datagram_set_limits(endpoint, op->n, op->n / 4);
    case LC_OP_FLUSH:
        rl_datagram_close(endpoint);
        return 0;
    default: /* LC_OP_ABORT */
        rl_datagram_abort(endpoint);
        return 0;
    }
}

int refloop_destroy_stream(struct slot *slot)
{
    slot->is_destroyed = true;
    if (slot->stream == NULL)
        report(slot, LC_EVENT_CLOSED);
    else if (slot->handle >> 4 == LC_KIND_DATAGRAM)
        rl_datagram_abort(slot->endpoint);
    else
        rl_stream_abort(slot->stream);
    return 0;
}

int64_t refloop_use_streams(struct refloop_driver *d, const struct lc_op *op)
{
    struct slot *slot = &d->slots[op->a];
    switch (op->op) {
    case LC_OP_STREAM:
        return refloop_open_stream(d, op->a, (int)op->arg);
    case LC_OP_DATAGRAM:
        return open_endpoint(d, op);
    case LC_OP_WRITE:
    case LC_OP_WRITE_EOF:
    case LC_OP_PAUSE:
    case LC_OP_RESUME:
    case LC_OP_SEND:
    case LC_OP_LIMITS:
    case LC_OP_FLUSH:
    case LC_OP_ABORT:
        return op->a >> 4 == LC_KIND_DATAGRAM ? use_endpoint(slot->endpoint, op) : use_stream(slot->stream, op);
    default:
        return refloop_use_sockets(d, op);
    }
}
