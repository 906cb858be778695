/* Rules LIFE-1 to LIFE-4, LIFE-8, LIFE-9, LIFE-13 and HOLD-4: running, stopping, and the end of handles and loop.
 */
#include <inttypes.h>

#include "monitor_areas.h"

static void judge_begin(struct lc_model *model, const struct lc_obs *obs)
{
    const struct lc_model_handle *h = lc_model_at(model, obs->handle);

    if (model->is_loop_closed)
        lc_monitor_report(model, obs, "LIFE-9", "was called after the loop was closed");
    else if (obs->code == LC_EVENT_CLOSED && h->state != LC_CLOSING)
        lc_monitor_report(model, obs, "LIFE-9",
                          h->state == LC_CLOSED ? "was closed a second time" : "was closed though nobody destroyed it");
    else if (obs->code != LC_EVENT_CLOSED && h->state >= LC_CLOSING)
        lc_monitor_report(model, obs, "LIFE-9", "was called after it was destroyed");
    if (model->stop_seq != 0 && h->state == LC_ARMED && h->armed_seq > model->stop_seq && obs->code == LC_EVENT_SOON &&
        (model->promises & LC_PROMISE_TURN))
        lc_monitor_report(model, obs, "LIFE-2", "was asked for after stop and ran before run returned");
}

static void judge_turn_end(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->result == LC_SPUN)
        lc_monitor_report(model, obs, "LIFE-4", "was woken for an event and did nothing about it: it spins");
    else if (obs->result < 0 && model->raises == 0)
        lc_monitor_report(model, obs, "LIFE-1", "%s with error %" PRId64,
                          model->is_late_run ? "refused to run again" : "refused to run", -(int64_t)obs->result);
    if (obs->what == LC_WHAT_RAN && obs->result == 0 && model->stop_seq == 0 && (model->capabilities & LC_CAP_STOP))
        lc_monitor_report(model, obs, "LIFE-8", "returned from run though nobody stopped it");
}

static void judge_closed(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->result < 0)
        lc_monitor_report(model, obs, "LIFE-3", "could not be closed: error %" PRId64, -(int64_t)obs->result);
    const unsigned end = LC_KIND_COUNT * model->width;
    for (unsigned i = 0; (i = lc_model_next(model, i, end)) < end; i++)
        if (model->handles[i].state == LC_CLOSING)
            lc_monitor_report_of(model, obs, model->handles[i].wide, "LIFE-9",
                                 "was destroyed but never reported closed");
}

static void judge_canary(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->bits & LC_CANARY_CLOSED)
        lc_monitor_report(model, obs, "LIFE-13", "was never the loop's, and the loop has closed it");
    else if (obs->bits & LC_CANARY_READ)
        lc_monitor_report(model, obs, "LIFE-13", "was never the loop's, and the loop has read from it");
    else if (obs->bits & LC_CANARY_WRITTEN)
        lc_monitor_report(model, obs, "LIFE-13", "was never the loop's, and the loop has written to it or shut it");
}

void lc_monitor_life(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what == LC_WHAT_BEGIN)
        judge_begin(model, obs);
    if (obs->what == LC_WHAT_STEPPED || obs->what == LC_WHAT_RAN)
        judge_turn_end(model, obs);
    if (obs->what == LC_WHAT_CLOSED)
        judge_closed(model, obs);
    if (obs->what == LC_WHAT_CANARY)
        judge_canary(model, obs);
    if (obs->what == LC_WHAT_HELD)
        lc_monitor_report(model, obs, "HOLD-4", "is still held by the loop, which is closed");
    if (obs->what == LC_WHAT_FDS && model->is_loop_closed && model->open_fds != UINT64_MAX &&
        obs->arg > model->open_fds)
        lc_monitor_report(model, obs, "LIFE-3", "left %" PRIu64 " fds open when it was closed",
                          obs->arg - model->open_fds);
}
