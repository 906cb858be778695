/* Rules SOON-5, TIMER-5, FD-2, FD-10, TASK-1, WAKE-1, STREAM-8, FLOW-2 (and the ends of LIFE-9, STREAM-1, CLOSE-1,
 * ERR-4, SERVER-4, CONNECT-1 and, as monitor_model_datagram.c names them, DGRAM-1 to DGRAM-4 and DGRAM-6): what is due
 * comes, within a few steps. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "monitor_areas.h"

enum {
    STEPS_MADE_MAX = 8,           /* steps in which a stream must be made, or closed again before it was */
    STEPS_CONNECTED_MAX = 16,     /* steps in which a connect must end, or a server let in who has connected */
    STEPS_UNPAID_MAX = 3,         /* steps in which what was due at their start must have come */
    OWED_SOON_NS = 1000 * 1000000 /* a hang: timers due within this time count as what was owed */
};

static const struct lc_owed by_kind[LC_KIND_COUNT] = {
    [LC_KIND_SOON] = {"SOON-5", "was asked for and never ran"},
    [LC_KIND_TIMER] = {"TIMER-5", "was due and did not fire"},
    [LC_KIND_WATCH] = {"FD-2", "was not called though its fd was ready"},
    [LC_KIND_FD] = {"SERVER-4", "connected to a server that never made a stream for it"},
    [LC_KIND_REQUEST] = {"FD-10", "could have ended, or was cancelled, and never did"},
    [LC_KIND_WAKER] = {"WAKE-1", "was posted to and never called: the wake-up was lost"},
};

static struct lc_owed owed_by_stream(const char *rule)
{
    const char *sentence = strcmp(rule, "STREAM-1") == 0    ? "was never told that its connection is made"
                           : strcmp(rule, "CLOSE-1") == 0   ? "was closed and never told that its connection is lost"
                           : strcmp(rule, "CONNECT-1") == 0 ? "was asked to connect and never answered"
                           : strcmp(rule, "ERR-4") == 0     ? "raised and was never told that its connection is lost"
                           : strcmp(rule, "FLOW-2") == 0
                               ? "was told to pause writing and, with nothing left to send, not to resume"
                               : "was not called though its connection had something to read";
    return (struct lc_owed){rule, sentence};
}

/* What the loop owes this handle. */
static struct lc_owed owed(struct lc_model *model, unsigned i)
{
    const struct lc_model_handle *h = &model->handles[i];
    const unsigned kind = i / model->width;
    const char *rule = kind == LC_KIND_STREAM ? lc_model_stream_owed(model, h) : NULL;
    const struct lc_owed *of_datagram = kind == LC_KIND_DATAGRAM ? lc_model_datagram_owed(model, h) : NULL;
    if (h->state == LC_CLOSING)
        return (struct lc_owed){"LIFE-9", "was destroyed and not reported closed within 3 steps"};
    if (of_datagram != NULL)
        return *of_datagram;
    if (kind == LC_KIND_REQUEST && h->call == LC_OP_TASK)
        return (struct lc_owed){"TASK-1", "was not run to its end"};
    if (rule != NULL)
        return owed_by_stream(rule);
    return by_kind[kind].rule != NULL ? by_kind[kind] : (struct lc_owed){"STREAM-8", "was not called"};
}

static uint32_t count_live(const struct lc_model *model)
{
    uint32_t live = 0;
    const unsigned end = LC_KIND_COUNT * model->width;
    for (unsigned i = 0; (i = lc_model_next(model, i, end)) < end; i++)
        live += model->handles[i].state == LC_ARMED;
    return live;
}

/* With one callback a step, each handle that lived at any time of the wait may have been served before. */
static uint32_t steps_allowed(const struct lc_model *model, unsigned kind, const struct lc_model_handle *h)
{
    uint32_t steps = STEPS_UNPAID_MAX;
    if (kind == LC_KIND_FD || kind == LC_KIND_REQUEST || h->stream.is_connecting)
        steps = STEPS_CONNECTED_MAX;
    else if ((kind == LC_KIND_STREAM || kind == LC_KIND_DATAGRAM) && !h->stream.is_made &&
             (model->capabilities & LC_CAP_MADE))
        steps = STEPS_MADE_MAX;
    else if (kind == LC_KIND_STREAM || kind == LC_KIND_DATAGRAM)
        steps += model->faults;
    const uint32_t turns = h->call == LC_OP_TASK ? (uint32_t)h->asked_bytes + 1 : 1;
    return model->capabilities & LC_CAP_ONE_PER_STEP ? h->live_max * turns + steps + 1 : steps;
}

static void report(struct lc_model *model, const struct lc_obs *obs, unsigned i)
{
    const struct lc_owed what = owed(model, i);
    lc_monitor_report_of(model, obs, lc_model_wide(model, i), what.rule, "%s", what.sentence);
}

/* Where time passes in sleeps alone, and is counted in ns. */
static bool is_timed(const struct lc_model *model)
{
    return model->is_exact && model->tick_ns == 1;
}

static bool has_called(const struct lc_model *model)
{
    return model->judgement->callbacks != model->callbacks_before;
}

/* The step was one sleep, from which the loop woke on time and called nobody, though somebody was due by then. */
static bool is_late(struct lc_model *model, const struct lc_obs *obs, unsigned kind, const struct lc_model_handle *h)
{
    if (obs->what != LC_WHAT_STEPPED || h->state != LC_ARMED || !is_timed(model) || has_called(model))
        return false;
    return kind == LC_KIND_TIMER ? h->latest_ns <= obs->time_ns
                                 : kind == LC_KIND_WAKER && lc_model_is_due(model, kind, h, obs->time_ns);
}

/* The first callback after a sleep comes before the deadline of each timer, or at the first of them. */
static void judge_sleep(struct lc_model *model, const struct lc_obs *obs)
{
    const unsigned end = (LC_KIND_TIMER + 1) * model->width;
    if (model->phase == LC_AT_REST || model->has_jumped || !is_timed(model) || has_called(model))
        return;
    for (unsigned i = LC_KIND_TIMER * model->width; (i = lc_model_next(model, i, end)) < end; i++) {
        const struct lc_model_handle *h = &model->handles[i];
        if (h->state == LC_ARMED && h->latest_ns > model->turn_ns && h->latest_ns < obs->time_ns)
            lc_monitor_report_of(model, obs, lc_model_wide(model, i), "TIMER-5",
                                 "was due %" PRIu64 " ns before the loop woke", obs->time_ns - h->latest_ns);
    }
}

/* Who reads may be a thread, which turns tell nothing of: on a real clock it gets its time before they count. */
static bool has_had_time(struct lc_model *model, const struct lc_obs *obs, unsigned i, struct lc_model_handle *h)
{
    if (model->is_exact)
        return true;
    const char *rule = owed(model, i).rule;
    if (strcmp(rule, "STREAM-8") != 0 && strcmp(rule, "DGRAM-1") != 0)
        return true;
    if (h->arrived_ns == 0)
        h->arrived_ns = obs->time_ns;
    return obs->time_ns - h->arrived_ns >= LC_ARRIVAL_NS;
}

static void begin_step(struct lc_model *model, const struct lc_obs *obs, unsigned i)
{
    struct lc_model_handle *h = &model->handles[i];
    const bool is_due = lc_model_is_due(model, i / model->width, h, obs->time_ns);
    h->arrived_ns = is_due ? h->arrived_ns : 0;
    h->is_owed = is_due && has_had_time(model, obs, i, h);
}

/* `live`: handles that wait beside it, where that counts. */
static void end_step(struct lc_model *model, const struct lc_obs *obs, unsigned i, uint32_t live)
{
    struct lc_model_handle *h = &model->handles[i];
    const unsigned kind = i / model->width;
    const bool is_unpaid = h->is_owed && lc_model_is_due(model, kind, h, obs->time_ns);
    h->steps_unpaid = is_unpaid ? h->steps_unpaid + 1 : 0;
    h->live_max = h->steps_unpaid <= 1 || live > h->live_max ? live : h->live_max;
    if (is_late(model, obs, kind, h) ||
        (h->steps_unpaid >= STEPS_UNPAID_MAX && h->steps_unpaid >= steps_allowed(model, kind, h)))
        report(model, obs, i);
}

static void rescue(struct lc_model *model, const struct lc_obs *obs, unsigned i)
{
    const unsigned kind = i / model->width;
    const uint64_t rest_ns = kind == LC_KIND_FD ? LC_REST_NS_MAX : 0; /* nobody would end that sleep */
    if (lc_model_is_due(model, kind, &model->handles[i], obs->time_ns + rest_ns))
        report(model, obs, i);
}

void lc_monitor_liveness(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what == LC_WHAT_BEGIN)
        judge_sleep(model, obs);
    const bool is_end = obs->what == LC_WHAT_STEPPED && obs->result == 0;
    if (obs->what != LC_WHAT_STEP && obs->what != LC_WHAT_RESCUE && !is_end)
        return;
    const uint32_t live = is_end && (model->capabilities & LC_CAP_ONE_PER_STEP) ? count_live(model) : 0;
    const unsigned end = LC_KIND_COUNT * model->width;
    for (unsigned i = 0; (i = lc_model_next(model, i, end)) < end; i++) {
        if (is_end)
            end_step(model, obs, i, live);
        else if (obs->what == LC_WHAT_STEP)
            begin_step(model, obs, i);
        else
            rescue(model, obs, i);
    }
}

void lc_monitor_owed(struct lc_model *model)
{
    struct lc_judgement *judgement = model->judgement;
    if (model->phase == LC_AT_REST)
        return;
    const unsigned end = LC_KIND_COUNT * model->width;
    for (unsigned i = 0; (i = lc_model_next(model, i, end)) < end; i++) {
        const uint16_t wide = lc_model_wide(model, i);
        unsigned kind = i / model->width;
        const struct lc_model_handle *h = &model->handles[i];
        if (!lc_model_is_due(model, kind, h, model->time_ns + OWED_SOON_NS))
            continue;
        const struct lc_owed what = owed(model, i);
        snprintf(judgement->owed, sizeof judgement->owed, "%c%u %s", lc_wide_letter(wide), LC_WIDE_INDEX(wide),
                 what.sentence);
        snprintf(judgement->owed_rule, sizeof judgement->owed_rule, "%s", what.rule);
        return;
    }
}
