/* Rules STREAM-1 to STREAM-6, STREAM-9, FLOW-1, CLOSE-1, CLOSE-2, EOF-1, EOF-2 and ERR-4: streams of bytes. */
#include <inttypes.h>

#include "monitor_areas.h"

struct scene { /* a stream, its end of the connection, and the other end */
    const struct lc_model_handle *stream, *end, *peer;
};

static struct scene scene_of(struct lc_model *model, const struct lc_model_handle *stream)
{
    const struct lc_model_handle *end = lc_model_at(model, stream->fd);
    return (struct scene){.stream = stream, .end = end, .peer = lc_model_at(model, end->peer)};
}

static bool is_reading(uint8_t event)
{
    return event == LC_EVENT_DATA || event == LC_EVENT_EOF;
}

/* May bytes that this end was given to send be lost, rightly? */
static bool may_lose(struct lc_model *model, const struct lc_model_handle *end)
{
    const struct lc_model_stream *s = &lc_model_at(model, end->owner)->stream;
    return end->is_broken || end->is_cut || lc_model_at(model, end->peer)->is_unsure ||
           (end->owner != 0 && s->is_aborted);
}

/* ---- the order of a stream's life ---------------------------------------------------------- */

/* False when something is wrong that makes what follows meaningless. */
static bool judge_order(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_stream *s)
{
    const uint8_t event = obs->code;
    const bool is_filling = s->asked_turn != 0 && s->asked_turn == model->turn;
    if (event == LC_EVENT_STALE)
        lc_monitor_report(model, obs, "STREAM-9", "was called through the protocol that another has replaced");
    else if (s->is_lost && event != LC_EVENT_DONE)
        lc_monitor_report(model, obs, "STREAM-1", "was called after its connection was lost");
    else if (event == LC_EVENT_MADE && s->is_made)
        lc_monitor_report(model, obs, "STREAM-1", "was told twice that its connection is made");
    else if (event != LC_EVENT_MADE && event != LC_EVENT_DONE && !s->is_made && (model->capabilities & LC_CAP_MADE))
        lc_monitor_report(model, obs, "STREAM-1", "was called before its connection was made");
    else if (is_reading(event) && s->has_seen_eof)
        lc_monitor_report(model, obs, "STREAM-1", "was called after the end of file");
    else if (is_reading(event) && s->has_failed)
        lc_monitor_report(model, obs, "ERR-4", "was given something to read after its callback had raised");
    else if (is_reading(event) && s->is_flushing && !is_filling)
        lc_monitor_report(model, obs, "CLOSE-1", "was given something to read after it was closed");
    else if (is_reading(event) && s->is_paused && !is_filling)
        lc_monitor_report(model, obs, "STREAM-6", "was given something to read while reading was paused");
    else
        return true;
    return false;
}

/* Bytes that an abort had to drop are seen where they arrive. */
static void judge_dropped(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_handle *sender,
                          uint64_t got)
{
    if (got <= sender->sent && got > sender->sent - sender->dropped)
        lc_monitor_report_of(model, obs, sender->owner, "STREAM-4", "sent bytes that it held when it was aborted");
}

static void judge_data(struct lc_model *model, const struct lc_obs *obs, struct scene at)
{
    uint64_t due = at.peer->sent - at.end->got;
    if (obs->arg == 0)
        lc_monitor_report(model, obs, "STREAM-1", "was given no bytes as data");
    else if (at.end->got + obs->arg > at.peer->sent)
        lc_monitor_report(model, obs, "STREAM-2", "was given %" PRIu64 " bytes when %" PRIu64 " were on their way",
                          obs->arg, at.peer->sent > at.end->got ? due : 0);
    else if (obs->bits & LC_BYTES_WRONG)
        lc_monitor_report(model, obs, "STREAM-2", "was given other bytes than were sent, from byte %" PRIu64 " on",
                          at.end->got + (uint64_t)obs->result);
    judge_dropped(model, obs, at.peer, at.end->got + obs->arg);
}

static void judge_eof(struct lc_model *model, const struct lc_obs *obs, struct scene at)
{
    if (!at.peer->is_shut && !at.end->is_broken)
        lc_monitor_report(model, obs, "EOF-1", "saw an end of file that the other side did not send");
    else if (at.peer->sent > at.end->got && !may_lose(model, at.peer))
        lc_monitor_report(model, obs, "EOF-1", "saw the end of file before %" PRIu64 " bytes that were sent before it",
                          at.peer->sent - at.end->got);
}

static void judge_lost(struct lc_model *model, const struct lc_obs *obs, struct scene at)
{
    if (at.stream->stream.has_failed)
        return; /* judge_failed has seen it */
    if (obs->result < 0 && !at.end->is_broken && !lc_model_may_be_closed(model, at.peer))
        lc_monitor_report(model, obs, "CLOSE-2", "was lost with error %" PRId64 ", but its connection is well",
                          -(int64_t)obs->result);
    else if (obs->result == 0 && !at.stream->stream.is_flushing && !at.stream->stream.was_cancelled)
        lc_monitor_report(model, obs, "CLOSE-2", "was lost without an error, and nobody closed it");
}

static void judge_flow(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_handle *stream)
{
    const bool is_pause = obs->code == LC_EVENT_PAUSE_WRITING;
    const uint64_t waiting = lc_model_outstanding(model, stream);
    if (stream->stream.is_writing_paused == is_pause)
        lc_monitor_report(model, obs, "STREAM-5", "was told to %s writing twice in a row",
                          is_pause ? "pause" : "resume");
    else if (is_pause && lc_model_is_joined(model, stream) &&
             (waiting == 0 || (stream->stream.has_limit && waiting <= stream->stream.limit)))
        lc_monitor_report(model, obs, "FLOW-1", "was told to pause writing when at most %" PRIu64 " bytes waited",
                          waiting);
}

static void judge_failed(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_stream *s)
{
    if (obs->code == LC_EVENT_LOST && s->must_tell && obs->result >= 0)
        lc_monitor_report(model, obs, "ERR-4", "was lost without being told what its callback had raised");
}

static void judge_event(struct lc_model *model, const struct lc_obs *obs)
{
    const struct lc_model_handle *stream = lc_model_at(model, obs->handle);
    if (obs->code == LC_EVENT_CLOSED || !judge_order(model, obs, &stream->stream))
        return;
    if (obs->code == LC_EVENT_PAUSE_WRITING || obs->code == LC_EVENT_RESUME_WRITING)
        judge_flow(model, obs, stream);
    judge_failed(model, obs, &stream->stream);
    if (!lc_model_is_joined(model, stream))
        return;
    if (obs->code == LC_EVENT_DATA)
        judge_data(model, obs, scene_of(model, stream));
    else if (obs->code == LC_EVENT_EOF)
        judge_eof(model, obs, scene_of(model, stream));
    else if (obs->code == LC_EVENT_LOST)
        judge_lost(model, obs, scene_of(model, stream));
}

/* ---- what arrives at the runner's end ------------------------------------------------------ */

static void judge_take(struct lc_model *model, const struct lc_obs *obs)
{
    const struct lc_model_handle *end = lc_model_at(model, obs->handle), *peer = lc_model_at(model, end->peer);
    const uint64_t got = end->got + obs->arg;
    const uint16_t sender = peer->owner != 0 ? peer->owner : end->peer;
    if (end->peer == 0 || (peer->owner == 0 && !peer->is_called) || end->is_udp)
        return; /* both ends are the runner's: what goes wrong there is the kernel's */
    if (obs->bits & LC_BYTES_WRONG || got > peer->sent)
        lc_monitor_report_of(model, obs, sender, "STREAM-2", "sent other bytes than were written");
    if (peer->owner == 0)
        return;
    judge_dropped(model, obs, peer, got);
    if (!(obs->bits & LC_BYTES_END) || end->is_broken)
        return;
    if (!peer->is_shut)
        lc_monitor_report_of(model, obs, sender, "CLOSE-2", "ended its connection, and nobody asked it to");
    else if (got < peer->sent && !may_lose(model, peer))
        lc_monitor_report_of(model, obs, sender, "STREAM-3",
                             "ended its connection with %" PRIu64 " written bytes unsent", peer->sent - got);
}

/* Does the other end take whatever comes? */
static bool is_taking(struct lc_model *model, const struct lc_model_handle *end)
{
    const struct lc_model_stream *s = &lc_model_at(model, end->owner)->stream;
    if (end->is_closed)
        return false;
    return end->owner == 0 || !(s->is_paused || s->is_flushing || s->is_lost);
}

static void judge_sent(struct lc_model *model, const struct lc_obs *obs, struct scene at)
{
    const uint64_t unsent = lc_model_outstanding(model, at.stream);
    if (!is_taking(model, at.peer) || may_lose(model, at.end))
        return;
    if (unsent > 0)
        lc_monitor_report_of(model, obs, at.stream->wide, at.stream->stream.is_flushing ? "STREAM-3" : "STREAM-2",
                             "never sent %" PRIu64 " bytes that were written to it", unsent);
    else if (at.stream->stream.has_ended && at.peer->owner == 0 && !at.peer->has_seen_end)
        lc_monitor_report_of(model, obs, at.stream->wide, "EOF-2", "did not let the other side see the end of file");
}

/* Of what the runner's end sent: another stream's may wait in that stream. */
static void judge_received(struct lc_model *model, const struct lc_obs *obs, struct scene at)
{
    if (at.peer->owner == 0 && !at.peer->is_cut && is_taking(model, at.end) && !at.stream->stream.has_seen_eof &&
        !at.end->is_broken && at.peer->sent > at.end->got)
        lc_monitor_report_of(model, obs, at.stream->wide, "STREAM-2",
                             "was never given %" PRIu64 " bytes that were sent to it", at.peer->sent - at.end->got);
}

static void judge_drained(struct lc_model *model, const struct lc_obs *obs)
{
    const unsigned end = (LC_KIND_STREAM + 1) * model->width;
    for (unsigned i = LC_KIND_STREAM * model->width; (i = lc_model_next(model, i, end)) < end; i++) {
        const struct lc_model_handle *stream = &model->handles[i];
        if (!lc_model_is_joined(model, stream))
            continue;
        judge_sent(model, obs, scene_of(model, stream));
        judge_received(model, obs, scene_of(model, stream));
    }
}

/* The kernel takes nothing, and more waits in the loop than it was allowed to hold without a word. */
static void judge_held(struct lc_model *model, const struct lc_obs *obs)
{
    const unsigned end = (LC_KIND_STREAM + 1) * model->width;
    for (unsigned i = LC_KIND_STREAM * model->width; (i = lc_model_next(model, i, end)) < end; i++) {
        const struct lc_model_handle *h = &model->handles[i];
        const struct lc_model_stream *s = &h->stream;
        if (h->state == LC_ARMED && s->has_limit && s->held > s->limit && !s->is_writing_paused && !s->is_flushing &&
            lc_model_at(model, h->fd)->is_full && !lc_model_at(model, h->fd)->is_broken)
            lc_monitor_report_of(model, obs, h->wide, "FLOW-1",
                                 "was not told to pause writing when %" PRIu64 " bytes waited, %" PRIu64
                                 " above its limit",
                                 s->held, s->held - s->limit);
    }
}

void lc_monitor_stream(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what == LC_WHAT_BEGIN && lc_model_is_of(obs, LC_KIND_STREAM))
        judge_event(model, obs);
    else if (obs->what == LC_WHAT_OP && obs->code == LC_OP_TAKE)
        judge_take(model, obs);
    else if (obs->what == LC_WHAT_DRAINED)
        judge_drained(model, obs);
    else if (obs->what == LC_WHAT_STEPPED)
        judge_held(model, obs);
}
