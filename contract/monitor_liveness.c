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
    POLLED_NS_MAX = 500 * 1000,   /* what the waits of a step that must not sleep may take on virtual time */
    ROUNDED_NS_MAX = 3 * 1000000, /* by so much a sleep of whole milliseconds may be too long, rounded twice */
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
static struct lc_owed owed(struct lc_model *model, const struct lc_model_handle *h)
{
    const unsigned kind = LC_WIDE_KIND(h->wide);
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
static uint32_t steps_allowed(const struct lc_model *model, const struct lc_model_handle *h)
{
    const unsigned kind = LC_WIDE_KIND(h->wide);
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

static void report(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_handle *h)
{
    const struct lc_owed what = owed(model, h);
    lc_monitor_report_of(model, obs, h->wide, what.rule, "%s", what.sentence);
}

/* Where time passes in sleeps alone, and is counted in ns. */
static bool is_exactly_timed(const struct lc_model *model)
{
    return model->is_exact && model->tick_ns == 1;
}

static bool has_called(const struct lc_model *model)
{
    return model->judgement->callbacks != model->callbacks_before;
}

/* The step was one sleep, from which the loop woke on time and called nobody, though somebody was due by then. */
static bool is_late(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_handle *h)
{
    const unsigned kind = LC_WIDE_KIND(h->wide);
    if (obs->what != LC_WHAT_STEPPED || h->state != LC_ARMED || !is_exactly_timed(model) || has_called(model))
        return false;
    return kind == LC_KIND_TIMER ? h->latest_ns <= obs->time_ns
                                 : kind == LC_KIND_WAKER && lc_model_is_due(model, h, obs->time_ns);
}

/* The first callback after a sleep comes before the deadline of each timer, or at the first of them. */
static void judge_sleep(struct lc_model *model, const struct lc_obs *obs)
{
    const unsigned end = (LC_KIND_TIMER + 1) * model->width;
    if (model->phase == LC_AT_REST || model->has_jumped || !is_exactly_timed(model) || has_called(model))
        return;
    for (unsigned i = LC_KIND_TIMER * model->width; (i = lc_model_next(model, i, end)) < end; i++) {
        const struct lc_model_handle *h = &model->handles[i];
        if (h->state == LC_ARMED && h->latest_ns > model->turn_ns && h->latest_ns < obs->time_ns)
            lc_monitor_report_of(model, obs, h->wide, "TIMER-5", "was due %" PRIu64 " ns before the loop woke",
                                 obs->time_ns - h->latest_ns);
    }
}

/* The same where the loop rounds its sleeps, to milliseconds at the worst: it sleeps by its own libc, on virtual time.
 * Some reckon a sleep from a time that they took before the callbacks: late by what these took is no long sleep. */
static void judge_long_sleep(struct lc_model *model, const struct lc_obs *obs)
{
    static const unsigned kinds[] = {LC_KIND_TIMER, LC_KIND_WAKER};
    const uint64_t slack_ns = ROUNDED_NS_MAX + 2 * model->tick_ns + model->away_ns;
    if (!model->is_timed || model->is_exact || model->phase == LC_AT_REST || model->has_jumped || has_called(model))
        return;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const unsigned end = (kinds[k] + 1) * model->width;
        for (unsigned i = kinds[k] * model->width; (i = lc_model_next(model, i, end)) < end; i++) {
            const struct lc_model_handle *h = &model->handles[i];
            uint64_t since_ns = kinds[k] == LC_KIND_TIMER ? h->latest_ns : h->post_ns;
            since_ns = since_ns > model->turn_ns ? since_ns : model->turn_ns;
            if (h->state == LC_ARMED && lc_model_is_due(model, h, obs->time_ns) && obs->time_ns > since_ns &&
                obs->time_ns - since_ns > slack_ns)
                lc_monitor_report_of(model, obs, h->wide, by_kind[kinds[k]].rule,
                                     "was due %" PRIu64 " ns before the loop woke", obs->time_ns - since_ns);
        }
    }
}

static void judge_poll(struct lc_model *model, const struct lc_obs *obs)
{
    const uint64_t passed_ns = obs->time_ns - model->turn_ns, away_ns = model->away_ns - model->turn_away_ns;
    if (model->is_timed && !model->is_exact && !model->may_sleep && !model->has_jumped && passed_ns > away_ns &&
        passed_ns - away_ns > POLLED_NS_MAX)
        lc_monitor_report(model, obs, "KIT-1", "slept %" PRIu64 " ns in a step that must not sleep",
                          passed_ns - away_ns);
}

/* Who reads may be a thread, which turns tell nothing of: on a real clock it gets its time before they count. */
static bool has_had_time(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    if (model->is_exact)
        return true;
    const char *rule = owed(model, h).rule;
    if (strcmp(rule, "STREAM-8") != 0 && strcmp(rule, "DGRAM-1") != 0)
        return true;
    if (h->arrived_ns == 0)
        h->arrived_ns = obs->time_ns;
    return obs->time_ns - h->arrived_ns >= LC_ARRIVAL_NS;
}

static void begin_step(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    const bool is_due = lc_model_is_due(model, h, obs->time_ns);
    h->arrived_ns = is_due ? h->arrived_ns : 0;
    h->is_owed = is_due && has_had_time(model, obs, h);
}

/* `live`: handles that wait beside it, where that counts. */
static void end_step(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h, uint32_t live)
{
    const bool is_unpaid = h->is_owed && lc_model_is_due(model, h, obs->time_ns);
    h->steps_unpaid = is_unpaid ? h->steps_unpaid + 1 : 0;
    h->live_max = h->steps_unpaid <= 1 || live > h->live_max ? live : h->live_max;
    if (is_late(model, obs, h) || (h->steps_unpaid >= STEPS_UNPAID_MAX && h->steps_unpaid >= steps_allowed(model, h)))
        report(model, obs, h);
}

static void rescue(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_handle *h)
{
    const uint64_t rest_ns = LC_WIDE_KIND(h->wide) == LC_KIND_FD ? LC_REST_NS_MAX : 0; /* nobody would end that sleep */
    if (lc_model_is_due(model, h, obs->time_ns + rest_ns))
        report(model, obs, h);
}

void lc_monitor_liveness(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what == LC_WHAT_BEGIN)
        judge_sleep(model, obs);
    if (obs->what == LC_WHAT_BEGIN || obs->what == LC_WHAT_STEPPED)
        judge_long_sleep(model, obs);
    if (obs->what == LC_WHAT_STEPPED)
        judge_poll(model, obs);
    const bool is_end = obs->what == LC_WHAT_STEPPED && obs->result == 0;
    if (obs->what != LC_WHAT_STEP && obs->what != LC_WHAT_RESCUE && !is_end)
        return;
    const uint32_t live = is_end && (model->capabilities & LC_CAP_ONE_PER_STEP) ? count_live(model) : 0;
    const unsigned end = LC_KIND_COUNT * model->width;
    for (unsigned i = 0; (i = lc_model_next(model, i, end)) < end; i++) {
        if (is_end)
            end_step(model, obs, &model->handles[i], live);
        else if (obs->what == LC_WHAT_STEP)
            begin_step(model, obs, &model->handles[i]);
        else
            rescue(model, obs, &model->handles[i]);
    }
}

void lc_monitor_owed(struct lc_model *model)
{
    struct lc_judgement *judgement = model->judgement;
    if (model->phase == LC_AT_REST)
        return;
    const unsigned end = LC_KIND_COUNT * model->width;
    for (unsigned i = 0; (i = lc_model_next(model, i, end)) < end; i++) {
        const struct lc_model_handle *h = &model->handles[i];
        if (!lc_model_is_due(model, h, model->time_ns + OWED_SOON_NS))
            continue;
        const struct lc_owed what = owed(model, h);
        snprintf(judgement->owed, sizeof judgement->owed, "%c%u %s", lc_wide_letter(h->wide), LC_WIDE_INDEX(h->wide),
                 what.sentence);
        snprintf(judgement->owed_rule, sizeof judgement->owed_rule, "%s", what.rule);
        return;
    }
    if (!model->may_sleep) {
        snprintf(judgement->owed, sizeof judgement->owed, "an end of the step, which must not sleep");
        snprintf(judgement->owed_rule, sizeof judgement->owed_rule, "KIT-1");
    } else if (model->phase == LC_IN_RUN && model->stop_seq != 0) {
        snprintf(judgement->owed, sizeof judgement->owed, "an end of its run, which was stopped");
        snprintf(judgement->owed_rule, sizeof judgement->owed_rule, "LIFE-2");
    }
}
