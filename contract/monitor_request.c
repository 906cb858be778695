/* Rules FD-10, SOCK-2, TASK-1 and TASK-2, and STREAM-2 and EOF-1 for raw reads and writes: calls that end by
 * themselves, and what a cancel takes with it. */
#include <errno.h>
#include <inttypes.h>

#include "monitor_areas.h"

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

/* May this call fail? */
static bool may_fail(struct lc_model *model, const struct lc_model_handle *h)
{
    const struct lc_model_handle *end = lc_model_at(model, h->fd), *peer = lc_model_at(model, end->peer);
    if (h->call == LC_OP_TASK)
        return false;
    return end->is_broken ||
           (h->call == LC_OP_SENDALL &&
            (peer->is_closed || (peer->owner != 0 && lc_model_at(model, peer->owner)->stream.is_flushing)));
}

/* What a call that ended well was given to send has arrived by now. */
static void judge_drained(struct lc_model *model, const struct lc_obs *obs)
{
    const unsigned stop = (LC_KIND_FD + 1) * model->width;
    for (unsigned i = LC_KIND_FD * model->width; i < stop; i++) {
        if (!lc_model_is_known(model, i))
            continue;
        const struct lc_model_handle *end = &model->handles[i], *peer = lc_model_at(model, end->peer);
        if (end->is_called && !end->is_cut && !end->is_broken && !peer->is_unsure && peer->owner == 0 &&
            !peer->is_closed && end->sent > peer->got)
            lc_monitor_report_of(model, obs, end->wide, "STREAM-2",
                                 "never sent %" PRIu64 " bytes that it was given to send", end->sent - peer->got);
    }
}

static void judge_done(struct lc_model *model, const struct lc_obs *obs)
{
    const struct lc_model_handle *h = lc_model_at(model, obs->handle);
    const bool is_task = h->call == LC_OP_TASK;
    const char *rule = is_task ? "TASK-2" : "FD-10";
    if (h->state != LC_ARMED)
        lc_monitor_report(model, obs, is_task ? "TASK-1" : "FD-10", "ended %s",
                          h->state == LC_FREE ? "unasked" : "a second time");
    else if (obs->result == -ECANCELED && !h->was_cancelled)
        lc_monitor_report(model, obs, rule, "was cancelled, and nobody asked for that");
    else if (obs->result < 0 && obs->result != -ECANCELED && !may_fail(model, h))
        lc_monitor_report(model, obs, rule, "failed with error %" PRId64 ", but its connection is well",
                          -(int64_t)obs->result);
    else if (obs->result == 0 && is_task && h->was_unstarted)
        lc_monitor_report(model, obs, rule, "was cancelled before it began and ran to its end");
    else if (obs->result == 0 && h->call == LC_OP_RECV)
        judge_data(model, obs, h);
}

void lc_monitor_request(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what == LC_WHAT_BEGIN && obs->code == LC_EVENT_DONE && lc_model_is_of(obs, LC_KIND_REQUEST))
        judge_done(model, obs);
    else if (obs->what == LC_WHAT_DRAINED)
        judge_drained(model, obs);
}
