/* Rules FD-1 and FD-3 to FD-6: watchers of file descriptors. */
#include "monitor_areas.h"

static const char *bits_name(unsigned bits)
{
    return (bits & LC_IN) && (bits & LC_OUT) ? "in+out" : bits & LC_IN ? "in" : bits & LC_OUT ? "out" : "hup or err";
}

static void judge_stale(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_handle *h)
{
    const struct lc_model_handle *fd = lc_model_at(model, h->fd);
    if (h->fd != 0 && fd->is_reused && fd->reused_turn == model->turn)
        lc_monitor_report(model, obs, "FD-4", "was called for a new owner of its old fd number");
    else
        lc_monitor_report(model, obs, "FD-3", "was called after it was cancelled");
}

/* Ready for what was reported, at any time since the last callback? Hang-up and error count as
 * readiness for both directions, as in poll(2). */
static bool was_ready(const struct lc_model_handle *h, const struct lc_obs *obs)
{
    unsigned seen = h->ready_since | (unsigned)(obs->arg & 15);
    unsigned reported = obs->bits & (LC_IN | LC_OUT);
    return (seen & (LC_HUP | LC_ERR)) != 0 || (reported != 0 ? (seen & reported) == reported : (seen & h->asked) != 0);
}

static void judge_armed(struct lc_model *model, const struct lc_obs *obs, const struct lc_model_handle *h)
{
    const struct lc_model_handle *fd = lc_model_at(model, h->fd);
    unsigned actual = (unsigned)(obs->arg & 15), unasked;

    unasked = obs->bits & ~((unsigned)h->asked | LC_HUP | LC_ERR);
    if (unasked != 0)
        lc_monitor_report(model, obs, "FD-6", "was called for %s, which it did not ask for", bits_name(unasked));
    else if (obs->result >= 0 && !was_ready(h, obs) && !model->was_left) { /* asyncio calls it for what it left, too */
        if (fd->is_reused && fd->reused_turn == model->turn)
            lc_monitor_report(model, obs, "FD-4", "was called for what happened to the old owner of its fd number");
        else
            lc_monitor_report(model, obs, "FD-1", "was called for %s, but its fd was not ready", bits_name(obs->bits));
    }
    if (h->fd != 0 && fd->is_known && (fd->readiness & LC_IN) && !(actual & LC_IN))
        lc_monitor_report(model, obs, "FD-5", "found its fd emptied, though only the user may read it");
}

void lc_monitor_watch(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what != LC_WHAT_BEGIN || obs->code != LC_EVENT_READY)
        return;
    const struct lc_model_handle *h = lc_model_at(model, obs->handle);

    if (h->state == LC_FREE && (obs->arg & 15 & obs->bits) == 0)
        lc_monitor_report(model, obs, "FD-1", "was called before the call that made it returned");
    else if (h->state == LC_IDLE)
        judge_stale(model, obs, h);
    else if (h->state == LC_ARMED)
        judge_armed(model, obs, h);
}
