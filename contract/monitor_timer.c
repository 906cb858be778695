/* Rules TIMER-1 to TIMER-4, TIMER-6 and TIMER-9: when timers fire, how often and in what order; and by what clock. */
#include <errno.h>
#include <inttypes.h>

#include "monitor_areas.h"

static void judge_order(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_handle *h)
{
    const unsigned end = (LC_KIND_TIMER + 1) * model->width;
    if (model->has_nan) /* comparisons with it are false both ways: asyncio's own heap is in no order then */
        return;
    for (unsigned i = LC_KIND_TIMER * model->width; (i = lc_model_next(model, i, end)) < end; i++) {
        const struct lc_model_handle *other = &model->handles[i];

        /* One that was armed in this very turn may have come after the due ones were collected. */
        if (other == h || other->state != LC_ARMED || other->armed_turn == model->turn)
            continue;
        /* Some loops hand what is due already to their ready queue: TIMER-7 has cases of its own. */
        if (h->was_past || other->was_past)
            continue;
        if (h->found_seq != 0 && other->armed_seq > h->found_seq)
            continue;
        /* Each of the two deadlines may have been rounded by less than a tick. */
        if ((model->promises & LC_PROMISE_ORDER) && other->latest_ns < h->deadline_ns &&
            h->deadline_ns - other->latest_ns > 2 * (model->tick_ns - 1))
            lc_monitor_report(model, obs, "TIMER-2", "fired before %c%u, whose deadline is %" PRIu64 " ns earlier",
                              lc_wide_letter(other->wide), LC_WIDE_INDEX(other->wide),
                              h->deadline_ns - other->latest_ns);
        if ((model->promises & LC_PROMISE_TIES) && other->deadline_ns == h->deadline_ns &&
            other->armed_seq < h->armed_seq)
            lc_monitor_report(model, obs, "TIMER-6",
                              "fired before %c%u, which has the same deadline and was armed earlier",
                              lc_wide_letter(other->wide), LC_WIDE_INDEX(other->wide));
    }
}

/* A number is refused as one that is out of range, or as anything is when there is no memory; not by what broke on it.
 */
static void judge_edge(struct lc_model *model, const struct lc_obs *obs)
{
    const int64_t why = -(int64_t)obs->result;
    if (why > 0 && why != EINVAL && why != ERANGE && why != EOVERFLOW && why != ENOSYS && why != ENOMEM)
        lc_monitor_report(model, obs, "TIMER-9", "was refused for its delay with error %" PRId64, why);
}

/* Deadlines are compared with the kernel's clock, so that a driver's now() has to be on it: what it caches may lag, not
 * by so much when the loop was just opened, and never lead. Only what is odd is in the trace. */
static void judge_clock(struct lc_model *model, const struct lc_obs *obs)
{
    const uint64_t now_ns = obs->arg;
    if (now_ns > obs->time_ns && now_ns - obs->time_ns > LC_CLOCK_OFF_NS_MAX)
        lc_monitor_report(model, obs, "KIT-1", "reads a clock that is %" PRIu64 " ms ahead of CLOCK_MONOTONIC",
                          (now_ns - obs->time_ns) / 1000000);
    else if (model->turn == 0 && obs->time_ns > now_ns && obs->time_ns - now_ns > LC_CLOCK_OFF_NS_MAX)
        lc_monitor_report(model, obs, "KIT-1", "reads a clock that is %" PRIu64 " ms behind CLOCK_MONOTONIC",
                          (obs->time_ns - now_ns) / 1000000);
    else if (now_ns < model->now_ns && model->now_ns - now_ns > model->tick_ns)
        lc_monitor_report(model, obs, "KIT-1", "reads a clock that went back by %" PRIu64 " ns",
                          model->now_ns - now_ns);
}

void lc_monitor_timer(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what == LC_WHAT_OP && obs->code == LC_OP_NOW)
        judge_clock(model, obs);
    if (obs->what == LC_WHAT_OP && obs->code == LC_OP_EDGE)
        judge_edge(model, obs);
    if (obs->what != LC_WHAT_BEGIN || obs->code != LC_EVENT_TIMER)
        return;
    const struct lc_model_handle *h = lc_model_at(model, obs->handle);

    if (h->state == LC_FREE)
        lc_monitor_report(model, obs, "TIMER-1", "fired before the call that armed it returned");
    if (h->state == LC_IDLE && h->was_cancelled)
        lc_monitor_report(model, obs, "TIMER-3", "fired after it was cancelled");
    else if (h->state == LC_IDLE)
        lc_monitor_report(model, obs, "TIMER-4", "fired a second time");
    if (h->state != LC_ARMED)
        return;
    if (h->edge == LC_EDGE_INF || h->edge == LC_EDGE_HUGE)
        lc_monitor_report(model, obs, "TIMER-9", "fired, and its delay has no end");
    else if (h->edge != LC_EDGE_NAN && h->deadline_ns > obs->time_ns && h->deadline_ns - obs->time_ns >= model->tick_ns)
        lc_monitor_report(model, obs, "TIMER-1", "fired %" PRIu64 " ns early", h->deadline_ns - obs->time_ns);
    judge_order(model, obs, h);
}
