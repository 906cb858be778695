/* What the monitor knows of endpoints of datagrams and of the sockets under them. */
#include <errno.h>

#include "monitor_model.h"

enum { BYTES_MAX = 65507 }; /* of a datagram over IPv4 */

/* ---- questions ----------------------------------------------------------------------------- */

const struct lc_owed *lc_model_datagram_owed(struct lc_model *model, const struct lc_model_handle *h)
{
    static const struct lc_owed made = {"DGRAM-6", "was never told that it is made"};
    static const struct lc_owed lost = {"DGRAM-4", "was closed and never told that it is lost"};
    static const struct lc_owed resume = {"DGRAM-3",
                                          "was told to pause writing and, with nothing left to send, not to resume"};
    static const struct lc_owed too_large = {"DGRAM-2", "was not told that its datagram cannot be sent"};
    static const struct lc_owed arrived = {"DGRAM-1", "was not called though a datagram had arrived"};
    static const struct lc_owed refused = {"DGRAM-2", "was not told that its datagram was refused"};
    const struct lc_model_stream *s = &h->stream;
    const struct lc_model_handle *end = lc_model_at(model, h->fd), *peer = lc_model_at(model, end->peer);
    const bool is_joined = lc_model_is_joined(model, h);
    const bool has_arrived = is_joined && (peer->is_closed || lc_model_outstanding(model, h) == 0);
    const unsigned shown = is_joined && end->is_known ? end->readiness : 0;
    const bool is_full = is_joined && end->is_known && (shown & LC_OUT) == 0;

    if (!s->is_made && (model->capabilities & LC_CAP_MADE))
        return &made;
    if (s->is_aborted || (s->is_flushing && has_arrived))
        return &lost;
    if (s->is_flushing)
        return NULL;
    if (s->is_writing_paused && has_arrived)
        return &resume;
    /* A fault may have answered in its place; and behind others it may wait. */
    if (h->too_large > h->told + end->lost && !is_full)
        return &too_large;
    if (shown & LC_IN)
        return &arrived;
    return shown & LC_ERR ? &refused : NULL;
}

uint64_t lc_model_losable(struct lc_model *model, const struct lc_model_handle *end)
{
    const uint64_t lost = end->lost + lc_model_at(model, end->peer)->lost;
    return lost > end->missed ? lost - end->missed : 0;
}

/* ---- taking a record in -------------------------------------------------------------------- */

static void take_udp(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *fd)
{
    const uint16_t other = LC_HANDLE_WIDE(obs->arg & 255);
    struct lc_model_handle *peer = lc_model_at(model, other);
    fd->peer = other;
    peer->peer = obs->handle;
    fd->is_udp = peer->is_udp = true;
}

static void take_datagram(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    if (obs->result < 0)
        return;
    lc_model_set_state(model, h, LC_ARMED);
    h->fd = LC_HANDLE_WIDE(obs->arg & 255);
    h->stream = (struct lc_model_stream){.is_made = h->stream.is_made}; /* it may have been told inside the call */
    if (h->fd != 0)
        lc_model_at(model, h->fd)->owner = obs->handle;
}

/* Recorded before the call; a second record tells when it was refused. What is sent to nobody is not counted. */
static void take_send(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    struct lc_model_handle *end = lc_model_at(model, h->fd);
    const bool is_large = obs->arg > BYTES_MAX;
    if (is_large)
        h->too_large = obs->result >= 0 ? h->too_large + 1 : h->too_large - (h->too_large > h->told);
    else if (obs->result >= 0)
        end->sent++;
    else
        end->sent -= end->sent > 0;
}

/* A datagram that is none of those that were sent takes the place of the next one. */
static void take_arrival(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *end)
{
    const uint64_t number = obs->bits & LC_BYTES_WRONG ? end->got : (uint64_t)obs->result;
    if (number < end->got || number >= lc_model_at(model, end->peer)->sent)
        return;
    end->missed += number - end->got;
    end->got = number + 1;
}

bool lc_model_take_datagram_op(struct lc_model *model, const struct lc_obs *obs)
{
    struct lc_model_handle *h = lc_model_at(model, obs->handle);
    switch (obs->code) {
    case LC_OP_UDP:
        take_udp(model, obs, h);
        return true;
    case LC_OP_DATAGRAM:
        take_datagram(model, obs, h);
        return true;
    case LC_OP_SEND:
        take_send(model, obs, h);
        return true;
    case LC_OP_PUT:
    case LC_OP_FILL: /* each of its datagrams is a record */
        h->sent += h->is_udp && obs->result >= 0;
        return h->is_udp;
    case LC_OP_TAKE:
        if (h->is_udp && obs->result >= 0)
            take_arrival(model, obs, h);
        return h->is_udp;
    default:
        return false;
    }
}

void lc_model_take_datagram_event(struct lc_model *model, const struct lc_obs *obs)
{
    struct lc_model_handle *h = lc_model_at(model, obs->handle), *end = lc_model_at(model, h->fd);
    switch (obs->code) {
    case LC_EVENT_MADE:
        h->stream.is_made = true;
        break;
    case LC_EVENT_DATAGRAM:
        if (obs->result >= 0)
            take_arrival(model, obs, end);
        break;
    case LC_EVENT_REFUSED:
        h->told += obs->result == -EMSGSIZE;
        break;
    case LC_EVENT_PAUSE_WRITING:
    case LC_EVENT_RESUME_WRITING:
        h->stream.is_writing_paused = obs->code == LC_EVENT_PAUSE_WRITING;
        break;
    case LC_EVENT_LOST:
        if (h->state == LC_ARMED)
            lc_model_set_state(model, h, LC_IDLE);
        h->stream.is_lost = true;
        end->is_closed = true;
        break;
    default:
        break;
    }
}
