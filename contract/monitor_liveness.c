/* Rules SOON-5, TIMER-5, FD-2, WAKE-1 (and LIFE-9's end): what is due comes, within a few steps. */
#include <stdio.h>
#include <string.h>

#include "monitor_model.h"

enum {
    STEPS_UNPAID_MAX = 3,         /* steps in which what was due at their start must have come */
    OWED_SOON_NS = 1000 * 1000000 /* a hang: timers due within this time count as what was owed */
};

static const struct {
    const char *rule;
    const char *sentence;
} by_kind[LC_KIND_COUNT] = {
    [LC_KIND_SOON] = {"SOON-5", "was asked for and never ran"},
    [LC_KIND_TIMER] = {"TIMER-5", "was due and did not fire"},
    [LC_KIND_WATCH] = {"FD-2", "was not called though its fd was ready"},
    [LC_KIND_WAKER] = {"WAKE-1", "was posted to and never called: the wake-up was lost"},
};

static uint32_t count_live(const struct lc_model *model)
{
    uint32_t live = 0;
    for (unsigned i = 0; i < LC_KIND_FD * model->width; i++)
        live += model->handles[i].state == LC_ARMED;
    return live;
}

/* With one callback a step, each handle that lived at any time of the wait may have been served before. */
static uint32_t steps_allowed(const struct lc_model *model, const struct lc_model_handle *h)
{
    if (!(model->capabilities & LC_CAP_ONE_PER_STEP))
        return STEPS_UNPAID_MAX;
    return h->live_max + STEPS_UNPAID_MAX + 1;
}

static void report(struct lc_model *model, const struct lc_obs *obs, unsigned i)
{
    struct lc_obs named = *obs;
    unsigned kind = i / model->width;
    named.handle = (uint16_t)(kind << 12 | i % model->width);
    if (model->handles[i].state == LC_CLOSING)
        lc_monitor_report(model, &named, "LIFE-9", "was destroyed and not reported closed within 3 steps");
    else
        lc_monitor_report(model, &named, by_kind[kind].rule, "%s", by_kind[kind].sentence);
}

void lc_monitor_liveness(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what != LC_WHAT_STEP && obs->what != LC_WHAT_STEPPED && obs->what != LC_WHAT_RESCUE)
        return;
    const uint32_t live = obs->what == LC_WHAT_STEPPED ? count_live(model) : 0;
    for (unsigned i = 0; i < LC_KIND_FD * model->width; i++) {
        struct lc_model_handle *h = &model->handles[i];
        unsigned kind = i / model->width;
        if (h->state == LC_FREE || h->state == LC_CLOSED)
            continue;
        if (obs->what == LC_WHAT_STEP)
            h->is_owed = lc_model_is_due(model, kind, h, obs->time_ns);
        if (obs->what == LC_WHAT_RESCUE && lc_model_is_due(model, kind, h, obs->time_ns))
            report(model, obs, i);
        if (obs->what != LC_WHAT_STEPPED || obs->result < 0)
            continue;
        bool is_unpaid = h->is_owed && lc_model_is_due(model, kind, h, obs->time_ns);
        h->steps_unpaid = is_unpaid ? h->steps_unpaid + 1 : 0;
        h->live_max = h->steps_unpaid <= 1 || live > h->live_max ? live : h->live_max;
        if (h->steps_unpaid >= steps_allowed(model, h))
            report(model, obs, i);
    }
}

void lc_monitor_owed(struct lc_model *model)
{
    struct lc_judgement *judgement = model->judgement;
    if (model->phase == LC_AT_REST)
        return;
    for (unsigned i = 0; i < LC_KIND_FD * model->width; i++) {
        char name[12];
        unsigned kind = i / model->width;
        const struct lc_model_handle *h = &model->handles[i];
        const bool is_closing = h->state == LC_CLOSING;
        if (!lc_model_is_due(model, kind, h, model->time_ns + OWED_SOON_NS) || by_kind[kind].rule == NULL)
            continue;
        snprintf(judgement->owed, sizeof judgement->owed, "%s %s",
                 lc_wide_format((uint16_t)(kind << 12 | i % model->width), name),
                 is_closing ? "was destroyed and not reported closed" : by_kind[kind].sentence);
        snprintf(judgement->owed_rule, sizeof judgement->owed_rule, "%s", is_closing ? "LIFE-9" : by_kind[kind].rule);
        return;
    }
}
