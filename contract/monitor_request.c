/* Rules FD-10 and SOCK-2, and STREAM-2 and EOF-1 for raw reads: calls on an fd, and what a cancel takes with it. */
#include <errno.h>
#include <inttypes.h>

#include "monitor_model.h"

static void judge_data(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_handle *h)
{
    const struct lc_model_handle *end = lc_model_at(model, h->fd), *peer = lc_model_at(model, end->peer);
    if (obs->arg > h->asked_bytes)
        lc_monitor_report(model, obs, "SOCK-2", "was given %" PRIu64 " bytes and had asked for %" PRIu64, obs->arg,
                          h->asked_bytes);
    else if (obs->bits & LC_BYTES_WRONG || end->got + obs->arg > peer->sent)
        lc_monitor_report(model, obs, "STREAM-2", "was given other bytes than were sent");
    else if (obs->arg == 0 && !peer->is_shut && !end->is_broken)
        lc_monitor_report(model, obs, "EOF-1", "saw an end of file that the other side did not send");
}

void lc_monitor_request(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what != LC_WHAT_BEGIN || obs->code != LC_EVENT_DONE || !lc_model_is_of(obs, LC_KIND_REQUEST))
        return;
    const struct lc_model_handle *h = lc_model_at(model, obs->handle);
    if (h->state != LC_ARMED)
        lc_monitor_report(model, obs, "FD-10", "ended %s", h->state == LC_FREE ? "unasked" : "a second time");
    else if (obs->result == -ECANCELED && !h->was_cancelled)
        lc_monitor_report(model, obs, "FD-10", "was cancelled, and nobody asked for that");
    else if (obs->result < 0 && obs->result != -ECANCELED && !lc_model_at(model, h->fd)->is_broken)
        lc_monitor_report(model, obs, "FD-10", "failed with error %" PRId64 ", but its connection is well",
                          -(int64_t)obs->result);
    else if (obs->result == 0)
        judge_data(model, obs, h);
}
