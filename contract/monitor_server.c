/* Rules SERVER-1, SERVER-4, CONNECT-1 and CONNECT-2: who connects to a server, and what the loop connects to. That an
 * answer comes at all is judged in monitor_liveness.c. */
#include <errno.h>
#include <inttypes.h>

#include "monitor_areas.h"

/* A server's stream has come into being: for whom? */
static void judge_accepted(struct lc_model *model, const struct lc_obs *obs)
{
    const uint16_t end = LC_HANDLE_WIDE(obs->arg & 255);
    const struct lc_model_handle *peer = lc_model_at(model, lc_model_at(model, end)->peer);
    if (LC_WIDE_KIND(end) != LC_KIND_END)
        return;
    if (lc_model_at(model, end)->peer == 0 || peer->server == 0)
        lc_monitor_report(model, obs, "SERVER-4", "was made by a server, and nobody had connected for it");
}

/* Nobody gets in once the server was reported closed. */
static void judge_client(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->result >= 0 && lc_model_at(model, LC_HANDLE_WIDE(obs->arg & 255))->state == LC_CLOSED)
        lc_monitor_report(model, obs, "SERVER-1", "could connect to a server that was closed");
    if (obs->result < 0 && lc_model_at(model, LC_HANDLE_WIDE(obs->arg & 255))->state == LC_ARMED)
        lc_monitor_report(model, obs, "SERVER-4", "could not connect to a server that listens: error %" PRId64,
                          -(int64_t)obs->result);
}

/* The listener, or somebody that it had accepted, may be gone by now: a connect finds that out, or a stream does. */
static bool is_listener_gone(struct lc_model *model, const struct lc_model_handle *stream)
{
    const struct lc_model_handle *listener = lc_model_at(model, lc_model_at(model, stream->fd)->server);
    return listener->is_closed || listener->is_broken;
}

static void judge_done(struct lc_model *model, const struct lc_obs *obs)
{
    const struct lc_model_handle *h = lc_model_at(model, obs->handle);
    const struct lc_model_stream *s = &h->stream;
    if (!s->is_connecting)
        lc_monitor_report(model, obs, "CONNECT-1", "was told %s that it has connected",
                          s->is_done ? "a second time" : "unasked");
    else if (obs->result == 0 && !s->is_made)
        lc_monitor_report(model, obs, "CONNECT-1", "was told that it has connected before it was made");
    else if (obs->result == -ECANCELED && !s->was_cancelled)
        lc_monitor_report(model, obs, "CONNECT-2", "was cancelled, and nobody asked for that");
    else if (obs->result < 0 && !s->was_cancelled && !is_listener_gone(model, h) && model->costly == 0)
        lc_monitor_report(model, obs, "CONNECT-2", "could not connect, though somebody listened: error %" PRId64,
                          -(int64_t)obs->result);
}

static void judge_made(struct lc_model *model, const struct lc_obs *obs)
{
    const struct lc_model_stream *s = &lc_model_at(model, obs->handle)->stream;
    if (s->may_fail)
        lc_monitor_report(model, obs, "CONNECT-2", "has connected, though nobody listened");
    else if (s->is_done && !s->is_made)
        lc_monitor_report(model, obs, "CONNECT-1", "was made after it was told that it cannot connect");
}

void lc_monitor_server(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what == LC_WHAT_OP && obs->code == LC_OP_STREAM)
        judge_accepted(model, obs);
    else if (obs->what == LC_WHAT_OP && obs->code == LC_OP_CLIENT)
        judge_client(model, obs);
    else if (obs->what == LC_WHAT_BEGIN && obs->code == LC_EVENT_DONE && lc_model_is_of(obs, LC_KIND_STREAM))
        judge_done(model, obs);
    else if (obs->what == LC_WHAT_BEGIN && obs->code == LC_EVENT_MADE && lc_model_is_of(obs, LC_KIND_STREAM))
        judge_made(model, obs);
}
