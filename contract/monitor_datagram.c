/* Rules DGRAM-1 to DGRAM-4 and DGRAM-6: endpoints of datagrams. The runner lets no more be on its way to a socket than
 * it holds, so that nothing may be lost but to who is closed. */
#include <errno.h>
#include <inttypes.h>

#include "monitor_areas.h"

/* ---- the order of an endpoint's life --------------------------------------------------------- */

/* False when something is wrong that makes what follows meaningless. */
static bool judge_order(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_stream *s)
{
    const uint8_t event = obs->code;
    if (s->is_lost)
        lc_monitor_report(model, obs, "DGRAM-6", "was called after it was lost");
    else if (event == LC_EVENT_MADE && s->is_made)
        lc_monitor_report(model, obs, "DGRAM-6", "was told twice that it is made");
    else if (event != LC_EVENT_MADE && !s->is_made && (model->capabilities & LC_CAP_MADE))
        lc_monitor_report(model, obs, "DGRAM-6", "was called before it was made");
    else if (event == LC_EVENT_DATAGRAM && s->is_flushing)
        lc_monitor_report(model, obs, "DGRAM-4", "was given a datagram after it was closed");
    else
        return true;
    return false;
}

/* What has arrived at an end, of which `told` has to hear: the receiver, or the sender. */
static void judge_arrival(struct lc_model *model, const struct lc_obs *obs, uint16_t told,
                          const struct lc_model_handle *end, const char *verb)
{
    const uint64_t number = (uint64_t)obs->result;
    const struct lc_model_handle *peer = lc_model_at(model, end->peer);
    if (obs->bits & LC_BYTES_WRONG)
        lc_monitor_report_of(model, obs, told, "DGRAM-1",
                             "%s a datagram of %" PRIu64 " bytes that is none of those asked for", verb, obs->arg);
    else if (number < end->got || number >= peer->sent)
        lc_monitor_report_of(model, obs, told, "DGRAM-1", "%s datagram number %" PRIu64 " a second time, or too late",
                             verb, number);
    else if (number - end->got > lc_model_losable(model, end))
        lc_monitor_report_of(model, obs, told, "DGRAM-1",
                             "%s datagram number %" PRIu64 " without number %" PRIu64 " before it", verb, number,
                             end->got);
    else if (obs->bits & LC_BYTES_FOREIGN)
        lc_monitor_report_of(model, obs, told, "DGRAM-1", "was told that somebody else than its peer sent a datagram");
}

/* Of a pair: then a datagram may be lost with any error, and an endpoint too. */
static bool has_met_faults(struct lc_model *model, const struct lc_model_handle *end)
{
    return end->lost + lc_model_at(model, end->peer)->lost > 0;
}

/* A refusal is an answer to something sent to who is closed, or to a datagram that is too large. */
static void judge_refused(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_handle *h)
{
    const struct lc_model_handle *end = lc_model_at(model, h->fd), *peer = lc_model_at(model, end->peer);
    const bool is_of_peer = end->sent > 0 && lc_model_may_be_closed(model, peer);
    if (has_met_faults(model, end))
        return;
    if (obs->result == -EMSGSIZE ? h->told >= h->too_large : !is_of_peer)
        lc_monitor_report(model, obs, "DGRAM-2", "was told of error %" PRId64 ", and nothing was wrong",
                          -(int64_t)obs->result);
}

static void judge_lost(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_handle *h)
{
    const struct lc_model_stream *s = &h->stream;
    if (has_met_faults(model, lc_model_at(model, h->fd)))
        return;
    if (!s->is_flushing)
        lc_monitor_report(model, obs, "DGRAM-2", "was lost with error %" PRId64 ", and nobody closed it",
                          -(int64_t)obs->result);
    else if (obs->result < 0)
        lc_monitor_report(model, obs, "DGRAM-4", "was closed, and lost with error %" PRId64, -(int64_t)obs->result);
}

static void judge_flow(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_handle *h)
{
    const bool is_pause = obs->code == LC_EVENT_PAUSE_WRITING;
    if (h->stream.is_writing_paused == is_pause)
        lc_monitor_report(model, obs, "DGRAM-3", "was told to %s writing twice in a row",
                          is_pause ? "pause" : "resume");
    else if (is_pause && lc_model_outstanding(model, h) == 0 && h->too_large <= h->told)
        lc_monitor_report(model, obs, "DGRAM-3", "was told to pause writing when nothing waited");
}

static void judge_event(struct lc_model *model, const struct lc_obs *obs)
{
    const struct lc_model_handle *h = lc_model_at(model, obs->handle);
    if (obs->code == LC_EVENT_CLOSED || !judge_order(model, obs, &h->stream) || !lc_model_is_joined(model, h))
        return;
    switch (obs->code) {
    case LC_EVENT_DATAGRAM:
        judge_arrival(model, obs, obs->handle, lc_model_at(model, h->fd), "was given");
        break;
    case LC_EVENT_REFUSED:
        judge_refused(model, obs, h);
        break;
    case LC_EVENT_LOST:
        judge_lost(model, obs, h);
        break;
    case LC_EVENT_PAUSE_WRITING:
    case LC_EVENT_RESUME_WRITING:
        judge_flow(model, obs, h);
        break;
    default:
        break;
    }
}

/* ---- what arrives at the runner's end --------------------------------------------------------- */

static void judge_take(struct lc_model *model, const struct lc_obs *obs)
{
    const struct lc_model_handle *end = lc_model_at(model, obs->handle), *peer = lc_model_at(model, end->peer);
    if (end->is_udp && peer->owner != 0 && obs->result >= 0)
        judge_arrival(model, obs, peer->owner, end, "sent");
}

/* Does this end take whatever comes? */
static bool is_taking(struct lc_model *model, const struct lc_model_handle *end)
{
    const struct lc_model_stream *s = &lc_model_at(model, end->owner)->stream;
    return !end->is_closed && (end->owner == 0 || !(s->is_flushing || s->is_aborted || s->is_lost));
}

static void judge_drained(struct lc_model *model, const struct lc_obs *obs)
{
    const unsigned last = (LC_KIND_DATAGRAM + 1) * model->width;
    for (unsigned i = LC_KIND_DATAGRAM * model->width; (i = lc_model_next(model, i, last)) < last; i++) {
        const struct lc_model_handle *h = &model->handles[i], *end = lc_model_at(model, h->fd);
        const struct lc_model_handle *peer = lc_model_at(model, end->peer);
        if (!lc_model_is_joined(model, h))
            continue;
        const bool is_cut_off = h->stream.is_aborted || (h->stream.is_lost && has_met_faults(model, end));
        if (end->sent > peer->got + lc_model_losable(model, peer) && is_taking(model, peer) && !is_cut_off)
            lc_monitor_report_of(model, obs, h->wide, h->stream.is_flushing ? "DGRAM-3" : "DGRAM-1",
                                 "never sent %" PRIu64 " of its datagrams", end->sent - peer->got);
        if (peer->owner == 0 && peer->sent > end->got + lc_model_losable(model, end) && is_taking(model, end))
            lc_monitor_report_of(model, obs, h->wide, "DGRAM-1",
                                 "was never given %" PRIu64 " datagrams that were sent to it", peer->sent - end->got);
    }
}

void lc_monitor_datagram(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what == LC_WHAT_BEGIN && lc_model_is_of(obs, LC_KIND_DATAGRAM))
        judge_event(model, obs);
    else if (obs->what == LC_WHAT_OP && obs->code == LC_OP_TAKE)
        judge_take(model, obs);
    else if (obs->what == LC_WHAT_DRAINED)
        judge_drained(model, obs);
}
