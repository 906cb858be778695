/* The order in which the areas' rules see the records of a trace. */
#include "monitor.h"

#include <string.h>

#include "monitor_areas.h"
#include "names.h"

/* How many indices of a kind there are: at least those of a program. */
static uint32_t width_of(const struct lc_obs *merged, size_t count)
{
    uint32_t last = 15;
    for (size_t i = 0; i < count; i++) {
        const uint32_t index = merged[i].what != LC_WHAT_OPEN ? LC_WIDE_INDEX(merged[i].handle) : 0u;
        last = index > last ? index : last;
    }
    return last + 1;
}

/* What no loop can do, whatever its driver says: a callback of another kind's event, or of none. */
static void judge_event(struct lc_model *model, const struct lc_obs *obs)
{
    static const uint8_t own[LC_KIND_COUNT] = {[LC_KIND_SOON] = LC_EVENT_SOON,
                                               [LC_KIND_TIMER] = LC_EVENT_TIMER,
                                               [LC_KIND_WATCH] = LC_EVENT_READY,
                                               [LC_KIND_WAKER] = LC_EVENT_POSTED};
    const unsigned kind = LC_WIDE_KIND(obs->handle);
    const uint8_t expected = kind < LC_KIND_COUNT ? own[kind] : 0;
    if (obs->code >= LC_EVENT_COUNT)
        lc_monitor_report(model, obs, "KIT-1", "was called with event %u, and there is none such", obs->code);
    else if (expected != 0 && obs->code != expected && obs->code != LC_EVENT_CLOSED)
        lc_monitor_report(model, obs, "KIT-1", "was called with event \"%s\", which is not its kind's",
                          lc_event_names[obs->code]);
}

/* Exceptions end callbacks in ways of their own; where there are none, each that began has ended by the step's end. */
static void judge_depth(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what == LC_WHAT_STEPPED && model->depth > 0 && (model->capabilities & (LC_CAP_RAISE | LC_CAP_EXIT)) == 0)
        lc_monitor_report(model, obs, "KIT-1", "came back from a step before callbacks had ended that it began: %u",
                          model->depth);
}

/* To the areas that look at records of its kind. */
static void show(struct lc_model *model, const struct lc_obs *obs)
{
    switch (obs->what) {
    case LC_WHAT_BEGIN:
        judge_event(model, obs);
        lc_monitor_soon(model, obs);
        lc_monitor_timer(model, obs);
        lc_monitor_watch(model, obs);
        lc_monitor_thread(model, obs);
        lc_monitor_life(model, obs);
        lc_monitor_stream(model, obs);
        lc_monitor_datagram(model, obs);
        lc_monitor_server(model, obs);
        lc_monitor_request(model, obs);
        lc_monitor_liveness(model, obs);
        break;
    case LC_WHAT_STEPPED:
    case LC_WHAT_RAN:
        judge_depth(model, obs);
        lc_monitor_soon(model, obs);
        lc_monitor_life(model, obs);
        lc_monitor_stream(model, obs);
        lc_monitor_liveness(model, obs);
        break;
    case LC_WHAT_STEP:
    case LC_WHAT_RUN:
        lc_monitor_soon(model, obs);
        lc_monitor_liveness(model, obs);
        break;
    case LC_WHAT_RESCUE:
        lc_monitor_liveness(model, obs);
        break;
    case LC_WHAT_OP:
        lc_monitor_timer(model, obs);
        lc_monitor_server(model, obs);
        lc_monitor_stream(model, obs);
        lc_monitor_datagram(model, obs);
        break;
    case LC_WHAT_DRAINED:
        lc_monitor_stream(model, obs);
        lc_monitor_datagram(model, obs);
        lc_monitor_request(model, obs);
        break;
    case LC_WHAT_ERROR:
        lc_monitor_soon(model, obs);
        break;
    case LC_WHAT_CLOSED:
    case LC_WHAT_FDS:
    case LC_WHAT_HELD:
    case LC_WHAT_CANARY:
        lc_monitor_life(model, obs);
        break;
    default:
        break;
    }
}

void lc_monitor_judge(const struct lc_obs *merged, size_t count, struct lc_judgement *judgement)
{
    struct lc_model model;

    memset(judgement, 0, offsetof(struct lc_judgement, violations));
    if (!lc_model_init(&model, width_of(merged, count), judgement)) {
        lc_monitor_report(&model, &(struct lc_obs){0}, "KIT-1", "cannot be judged: no memory");
        lc_model_drop(&model);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct lc_obs *obs = &merged[i];
        if (obs->what == LC_WHAT_NONE || obs->what >= LC_WHAT_COUNT)
            lc_monitor_report(&model, obs, "KIT-1", "wrote a record of unknown kind into the trace");
        else
            show(&model, obs);
        lc_model_take(&model, obs);
    }
    lc_monitor_owed(&model);
    lc_model_drop(&model);
}
