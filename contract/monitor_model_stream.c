/* What the monitor knows of streams and of the connections under them. */
#include "monitor_model.h"

enum { EOF_ASKED = 1, FLUSH_ASKED = 2, ABORT_ASKED = 4 }; /* bits of `endings` */

static struct lc_model_handle *end_of(struct lc_model *model, const struct lc_model_handle *stream)
{
    return lc_model_at(model, stream->fd);
}

/* ---- questions ----------------------------------------------------------------------------- */

bool lc_model_is_joined(struct lc_model *model, const struct lc_model_handle *stream)
{
    return stream->fd != 0 && end_of(model, stream)->peer != 0;
}

uint64_t lc_model_outstanding(struct lc_model *model, const struct lc_model_handle *stream)
{
    const struct lc_model_handle *end = end_of(model, stream), *peer = lc_model_at(model, end->peer);
    return end->sent > peer->got ? end->sent - peer->got : 0;
}

const char *lc_model_stream_owed(struct lc_model *model, const struct lc_model_handle *stream)
{
    const struct lc_model_stream *s = &stream->stream;
    const struct lc_model_handle *end = end_of(model, stream), *peer = lc_model_at(model, end->peer);
    const bool is_joined = stream->fd != 0 && end->peer != 0;
    const bool has_arrived = is_joined && end->sent <= peer->got;

    if (s->is_connecting)
        return "CONNECT-1";
    if (!s->is_made && (model->capabilities & LC_CAP_MADE))
        return "STREAM-1";
    if (s->has_failed)
        return "ERR-4";
    if (s->is_aborted || (s->is_flushing && (has_arrived || (is_joined && peer->is_closed))))
        return "CLOSE-1";
    if (s->is_flushing)
        return NULL;
    if (s->is_writing_paused && has_arrived)
        return "FLOW-2";
    if (!s->is_paused && !s->has_seen_eof && is_joined && end->is_known && (end->readiness & LC_IN) != 0)
        return "STREAM-8";
    return NULL;
}

bool lc_model_is_call_due(struct lc_model *model, const struct lc_model_handle *h)
{
    const struct lc_model_handle *end = end_of(model, h), *peer = lc_model_at(model, end->peer);
    if (h->was_cancelled || h->call == LC_OP_TASK)
        return true;
    if (h->call == LC_OP_RECV)
        return (end->readiness & LC_IN) != 0;
    return end->sent == peer->got || (peer->is_closed && (end->readiness & LC_OUT) != 0);
}

bool lc_model_is_client_waiting(struct lc_model *model, const struct lc_model_handle *fd)
{
    const unsigned end = (LC_KIND_FD + 1) * model->width;
    const struct lc_model_handle *server = lc_model_at(model, fd->server);
    uint32_t waiting = 0;
    if (fd->server == 0 || fd->peer != 0 || fd->is_closed || server->state != LC_ARMED)
        return false;
    for (unsigned i = LC_KIND_FD * model->width; (i = lc_model_next(model, i, end)) < end; i++)
        waiting += model->handles[i].server == fd->server && model->handles[i].peer == 0;
    return waiting > server->refused + model->costly;
}

bool lc_model_may_be_closed(struct lc_model *model, const struct lc_model_handle *end)
{
    return end->is_closed || (end->owner != 0 && lc_model_at(model, end->owner)->stream.is_flushing);
}

/* ---- taking a record in -------------------------------------------------------------------- */

static void take_pair(struct lc_model *model, const struct lc_obs *obs)
{
    uint16_t other = LC_HANDLE_WIDE(obs->arg & 255);
    lc_model_at(model, obs->handle)->peer = other;
    lc_model_at(model, other)->peer = obs->handle;
    if (lc_model_at(model, other)->is_broken || lc_model_at(model, obs->handle)->is_broken) /* before it was joined */
        lc_model_at(model, other)->is_broken = lc_model_at(model, obs->handle)->is_broken = true;
    lc_model_at(model, obs->handle)->may_grow = lc_model_at(model, other)->may_grow = obs->code == LC_OP_TCP;
}

/* Bytes left the kernel here, so that the other end has room again. */
static void take_bytes(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *end)
{
    end->got += obs->arg;
    if (obs->arg > 0)
        lc_model_at(model, end->peer)->is_full = false;
}

/* The same, of a stream: with the last of them the end is no longer ready to be read, before it is looked at again. */
static void take_data(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *end)
{
    const struct lc_model_handle *peer = lc_model_at(model, end->peer);
    take_bytes(model, obs, end);
    if (end->peer != 0 && end->got == peer->sent && !peer->is_shut && !end->is_broken)
        end->readiness &= (uint8_t)~LC_IN;
}

/* An end that is closed with bytes unread resets the connection, on most kernels. */
static void take_hangup(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *end)
{
    struct lc_model_handle *peer = lc_model_at(model, end->peer);
    end->is_shut = end->is_closed = true;
    if (LC_WIDE_KIND(end->server) == LC_KIND_FD)
        lc_model_at(model, end->server)->is_broken = true;
    if (obs->code == LC_OP_RST || peer->sent > end->got)
        end->is_broken = peer->is_broken = true;
}

static void take_stream(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    if (obs->result < 0)
        return;
    lc_model_set_state(model, h, LC_ARMED);
    h->fd = LC_HANDLE_WIDE(obs->arg & 255);
    h->stream = (struct lc_model_stream){.is_made = h->stream.is_made}; /* it may have been told inside the call */
    h->stream.has_ended = end_of(model, h)->is_shut;
    h->stream.endings = h->stream.has_ended ? EOF_ASKED : 0;
    if (h->fd != 0)
        end_of(model, h)->owner = obs->handle;
}

/* Of an fd: by this fault its connection is broken. */
static void take_fault(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *end)
{
    model->has_jumped |= (obs->bits & LC_FAULT_JUMP) != 0;
    if (obs->bits & LC_FAULT_JUMP)
        return;
    model->faults += (uint32_t)obs->arg;
    model->costly += (obs->bits & LC_FAULT_COSTLY) != 0;
    model->fault_ns = obs->time_ns;
    end->lost += end->is_udp;
    if (lc_model_is_of(obs, LC_KIND_FD) || lc_model_is_of(obs, LC_KIND_END))
        end->is_broken = lc_model_at(model, end->peer)->is_broken = true;
}

static void take_connect(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    if (obs->result < 0) {
        lc_model_set_state(model, h, LC_IDLE);
        h->stream.is_connecting = false;
        return;
    }
    const uint16_t listener = LC_HANDLE_WIDE(obs->bits);
    lc_model_set_state(model, h, LC_ARMED);
    h->fd = LC_HANDLE_WIDE(obs->arg & 255);
    h->stream = (struct lc_model_stream){.is_connecting = true, .may_fail = lc_model_at(model, listener)->is_closed};
    struct lc_model_handle *end = end_of(model, h);
    lc_model_forget(model, (unsigned)(end - model->handles));
    end->owner = obs->handle;
    end->server = listener;
}

static void take_done(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    h->stream.is_connecting = false;
    h->stream.is_done = true;
    if (obs->result == 0 || h->stream.is_made)
        return;
    if (h->state == LC_ARMED)
        lc_model_set_state(model, h, LC_IDLE);
    end_of(model, h)->is_shut = end_of(model, h)->is_closed = true;
}

static void take_request(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    lc_model_set_state(model, h, obs->result < 0 ? LC_IDLE : LC_ARMED);
    h->call = obs->code;
    h->armed_turn = model->turn;
    h->fd = LC_HANDLE_WIDE(obs->arg & 255);
    h->asked_bytes = obs->arg >> 8;
    if (obs->code != LC_OP_SENDALL)
        return;
    end_of(model, h)->is_called = true;
    end_of(model, h)->is_cut |= obs->result < 0;
    if (obs->result >= 0)
        end_of(model, h)->sent += h->asked_bytes;
}

void lc_model_take_request_cancel(struct lc_model *model, struct lc_model_handle *h)
{
    h->was_cancelled = true;
    h->was_unstarted = model->phase == LC_AT_REST && h->armed_turn == model->turn;
    if (h->call == LC_OP_SENDALL)
        end_of(model, h)->is_cut = true;
    if (h->call == LC_OP_RECV)
        end_of(model, h)->is_unsure = true;
}

void lc_model_take_request_done(struct lc_model *model, const struct lc_obs *obs)
{
    struct lc_model_handle *h = lc_model_at(model, obs->handle);
    if (h->state == LC_ARMED)
        lc_model_set_state(model, h, LC_IDLE);
    if (h->call == LC_OP_RECV)
        take_bytes(model, obs, end_of(model, h));
    else if (h->call == LC_OP_SENDALL && obs->result < 0)
        end_of(model, h)->is_cut = true;
}

/* A client of a server is awaited until its stream is made. */
static void take_client(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    if (obs->result < 0)
        return;
    h->server = LC_HANDLE_WIDE(obs->arg & 255);
    lc_model_set_state(model, h, LC_ARMED);
}

/* What is sent to an end that is closed makes it answer that the connection is broken. */
static void take_sent(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *end)
{
    struct lc_model_handle *peer = lc_model_at(model, end->peer);
    end->sent += obs->arg;
    if (obs->arg > 0 && peer->is_closed)
        end->is_broken = peer->is_broken = true;
}

/* Recorded before the call; a second record tells when it was refused. */
static void take_write(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    struct lc_model_handle *end = end_of(model, h);
    if (obs->result < 0) {
        end->sent -= end->sent < obs->arg ? end->sent : obs->arg;
        h->stream.held -= h->stream.held < obs->arg ? h->stream.held : obs->arg;
        return;
    }
    take_sent(model, obs, end);
    h->stream.held = end->is_full ? h->stream.held + obs->arg : 0;
}

/* Recorded before the call too, and what is refused leaves what was asked for before. */
static void take_ending(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    const uint8_t bit = obs->code == LC_OP_ABORT ? ABORT_ASKED : obs->code == LC_OP_FLUSH ? FLUSH_ASKED : EOF_ASKED;
    struct lc_model_stream *s = &h->stream;
    struct lc_model_handle *end = end_of(model, h);
    s->endings = (uint8_t)(obs->result >= 0 ? s->endings | bit : s->endings & ~bit);
    s->has_ended = s->endings != 0;
    s->is_flushing = (s->endings & (FLUSH_ASKED | ABORT_ASKED)) != 0;
    s->is_aborted = (s->endings & ABORT_ASKED) != 0;
    end->is_shut = s->has_ended;
    end->dropped = s->is_aborted && end->is_full ? s->held : 0;
}

void lc_model_take_failure(struct lc_model *model, struct lc_model_handle *h)
{
    struct lc_model_stream *s = &h->stream;
    s->has_raised = false;
    s->has_failed = true;
    s->must_tell = !s->is_flushing;
    s->endings |= ABORT_ASKED;
    s->has_ended = s->is_flushing = s->is_aborted = true;
    end_of(model, h)->is_shut = true;
}

/* What it had not sent is dropped. */
static void take_destroy(struct lc_model *model, struct lc_model_handle *h)
{
    struct lc_model_handle *end = end_of(model, h), *peer = lc_model_at(model, end->peer);
    h->stream.is_aborted = true;
    end->is_shut = end->is_closed = true;
    if (peer->sent > end->got)
        end->is_broken = peer->is_broken = true;
}

static void take_socket_op(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    switch (obs->code) {
    case LC_OP_LISTEN:
        if (obs->result >= 0)
            lc_model_set_state(model, h, LC_ARMED);
        break;
    case LC_OP_CLIENT:
        take_client(model, obs, h);
        break;
    case LC_OP_RECV:
    case LC_OP_SENDALL:
    case LC_OP_TASK:
        take_request(model, obs, h);
        break;
    case LC_OP_ACCEPT:
        h->server = LC_HANDLE_WIDE(obs->arg & 255);
        break;
    case LC_OP_CONNECT:
        take_connect(model, obs, h);
        break;
    default:
        break;
    }
}

void lc_model_take_stream_op(struct lc_model *model, const struct lc_obs *obs)
{
    struct lc_model_handle *h = lc_model_at(model, obs->handle);
    switch (obs->code) {
    case LC_OP_PAIR:
    case LC_OP_TCP:
        take_pair(model, obs);
        break;
    case LC_OP_PUT:
    case LC_OP_FILL:
        take_sent(model, obs, h);
        h->is_full = obs->code == LC_OP_FILL && (model->is_exact || !h->may_grow);
        break;
    case LC_OP_TAKE:
        take_bytes(model, obs, h);
        h->has_seen_end |= (obs->bits & LC_BYTES_END) != 0;
        break;
    case LC_OP_SHUT:
        h->is_shut = true;
        break;
    case LC_OP_HANGUP:
    case LC_OP_RST:
        take_hangup(model, obs, h);
        break;
    case LC_OP_DESTROY:
        take_destroy(model, h);
        break;
    case LC_OP_FAULT:
        take_fault(model, obs, h);
        break;
    case LC_OP_STREAM:
        take_stream(model, obs, h);
        break;
    case LC_OP_WRITE:
        take_write(model, obs, h);
        break;
    case LC_OP_WRITE_EOF:
    case LC_OP_FLUSH:
    case LC_OP_ABORT:
        take_ending(model, obs, h);
        break;
    case LC_OP_PAUSE:
    case LC_OP_RESUME:
        h->stream.is_paused = (obs->code == LC_OP_PAUSE) == (obs->result >= 0);
        h->arrived_ns = 0; /* it is asked for anew */
        break;
    case LC_OP_LIMITS:
        h->stream.has_limit = obs->result >= 0;
        h->stream.limit = obs->arg;
        h->stream.held = 0;
        break;
    default:
        take_socket_op(model, obs, h);
        break;
    }
}

/* With the stream its end of the connection is closed; bytes that nobody read reset the connection. */
static void take_lost(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    struct lc_model_handle *end = end_of(model, h), *peer = lc_model_at(model, end->peer);
    if (h->state == LC_ARMED)
        lc_model_set_state(model, h, LC_IDLE);
    h->stream.is_lost = true;
    end->is_shut = end->is_closed = true;
    if (obs->result < 0 || peer->sent > end->got)
        end->is_broken = peer->is_broken = true;
}

void lc_model_take_stream_event(struct lc_model *model, const struct lc_obs *obs)
{
    struct lc_model_handle *h = lc_model_at(model, obs->handle);
    switch (obs->code) {
    case LC_EVENT_MADE:
        h->stream.is_made = true;
        break;
    case LC_EVENT_GET_BUFFER:
        h->stream.asked_turn = model->turn;
        break;
    case LC_EVENT_DATA:
        take_data(model, obs, end_of(model, h));
        h->stream.asked_turn = 0;
        break;
    case LC_EVENT_EOF:
        h->stream.asked_turn = 0;
        h->stream.has_seen_eof = true;
        break;
    case LC_EVENT_PAUSE_WRITING:
    case LC_EVENT_RESUME_WRITING:
        h->stream.is_writing_paused = obs->code == LC_EVENT_PAUSE_WRITING;
        break;
    case LC_EVENT_DONE:
        take_done(model, obs, h);
        break;
    case LC_EVENT_LOST:
        take_lost(model, obs, h);
        break;
    default:
        break;
    }
}
