/* Rules SOON-1 to SOON-4, ERR-1 to ERR-3: callbacks of the next turn, and exceptions in callbacks. */
#include "monitor_areas.h"

/* Does a turn end with the present step? Only then can "in the same turn" be seen from outside. */
static bool is_one_turn(const struct lc_model *model)
{
    return model->phase == LC_IN_STEP && (model->capabilities & LC_CAP_TURNS);
}

static void judge_begin(struct lc_model *model, const struct lc_obs *obs)
{
    const struct lc_model_handle *h = lc_model_at(model, obs->handle), *other;

    if (h->state == LC_FREE)
        lc_monitor_report(model, obs, "SOON-2", "ran before the call that asked for it returned");
    if (h->state == LC_IDLE && h->was_cancelled)
        lc_monitor_report(model, obs, "SOON-4", "ran after it was cancelled");
    else if (h->state == LC_IDLE)
        lc_monitor_report(model, obs, "SOON-3", "ran a second time");
    if (h->state != LC_ARMED)
        return;

    if ((model->promises & LC_PROMISE_TURN) && h->armed_turn == model->turn && is_one_turn(model))
        lc_monitor_report(model, obs, "SOON-2", "ran in the turn in which it was asked for");
    if (!(model->promises & LC_PROMISE_FIFO))
        return;
    const unsigned end = (LC_KIND_SOON + 1) * model->width;
    for (unsigned i = LC_KIND_SOON * model->width; (i = lc_model_next(model, i, end)) < end; i++) {
        other = &model->handles[i];
        if (other->state == LC_ARMED && other->armed_seq < h->armed_seq)
            lc_monitor_report(model, obs, "SOON-1", "ran before %c%u, which was asked for earlier",
                              lc_wide_letter(other->wide), LC_WIDE_INDEX(other->wide));
    }
}

/* Those of the turn that ends, or since the last one ended: PAUSE_WRITING comes inside the user's own call. */
static void judge_told(struct lc_model *model, const struct lc_obs *obs)
{
    if ((model->capabilities & LC_CAP_RAISE) && model->errors < model->raises && obs->result >= 0)
        lc_monitor_report(model, obs, "ERR-2", "called its exception handler %u times for %u exceptions in callbacks",
                          model->errors, model->raises);
}

/* Programs alone are judged so: in a case what run_until_complete raises may be the result of its future. */
static void judge_exit(struct lc_model *model, const struct lc_obs *obs)
{
    if (!(model->capabilities & LC_CAP_EXIT))
        return;
    if (model->exits > 0 && obs->result != LC_LEFT)
        lc_monitor_report(model, obs, "ERR-3", "was not left by the SystemExit or KeyboardInterrupt of a callback");
    if (model->exits == 0 && obs->result == LC_LEFT)
        lc_monitor_report(model, obs, "ERR-3", "was left by an exit, and no callback had raised one");
}

static void judge_turn_end(struct lc_model *model, const struct lc_obs *obs)
{
    judge_told(model, obs);
    judge_exit(model, obs);
    if (!(model->capabilities & LC_CAP_RAISE) || model->raises == 0 || obs->result == LC_LEFT)
        return;
    if (obs->result < 0)
        lc_monitor_report(model, obs, "ERR-1", "ended its turn because a callback raised an Exception");
    if (model->capabilities & LC_CAP_ONE_PER_STEP)
        return;
    const unsigned end = (LC_KIND_SOON + 1) * model->width;
    for (unsigned i = LC_KIND_SOON * model->width; (i = lc_model_next(model, i, end)) < end; i++) {
        const struct lc_model_handle *h = &model->handles[i];
        if (h->state == LC_ARMED && h->armed_turn != model->turn)
            lc_monitor_report(model, obs, "ERR-1", "did not run %c%u in the turn in which another callback raised",
                              lc_wide_letter(h->wide), LC_WIDE_INDEX(h->wide));
    }
}

void lc_monitor_soon(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what == LC_WHAT_BEGIN && obs->code == LC_EVENT_SOON)
        judge_begin(model, obs);
    if (obs->what == LC_WHAT_BEGIN && model->exits > 0 && model->depth == 0)
        lc_monitor_report(model, obs, "ERR-3",
                          "was called after the exit of another callback should have left the run");
    if (obs->what == LC_WHAT_STEP || obs->what == LC_WHAT_RUN)
        judge_told(model, obs);
    if (obs->what == LC_WHAT_STEPPED || obs->what == LC_WHAT_RAN)
        judge_turn_end(model, obs);
    if (obs->what == LC_WHAT_ERROR && (model->capabilities & LC_CAP_RAISE) &&
        model->errors >= model->raises + model->refusals)
        lc_monitor_report(model, obs, "ERR-2", "called its exception handler though no callback raised, or twice");
}
