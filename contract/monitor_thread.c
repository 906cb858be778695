/* Rules WAKE-2 and THREAD-1: posts from other threads, and the thread of the callbacks. */
#include "monitor_areas.h"

/* They come inside the user's own call. */
static bool may_come_at_rest(uint8_t event)
{
    return event == LC_EVENT_CLOSED || event == LC_EVENT_PAUSE_WRITING || event == LC_EVENT_REFUSED;
}

void lc_monitor_thread(struct lc_model *model, const struct lc_obs *obs)
{
    if (obs->what != LC_WHAT_BEGIN)
        return;
    const struct lc_model_handle *h = lc_model_at(model, obs->handle);

    if (obs->thread != model->thread)
        lc_monitor_report(model, obs, "THREAD-1", "was called on another thread than the loop's");
    else if (model->phase == LC_AT_REST && !may_come_at_rest(obs->code) && h->state != LC_FREE)
        lc_monitor_report(model, obs, "THREAD-1", "was called while the loop did not run");
    if (obs->code == LC_EVENT_POSTED && h->posted >= h->posts)
        lc_monitor_report(model, obs, "WAKE-2", "was called %u times for %u posts", h->posted + 1, h->posts);
}
