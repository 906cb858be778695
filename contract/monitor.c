/* The order in which the areas' rules see the records of a trace. */
#include "monitor.h"

#include <stdlib.h>
#include <string.h>

#include "monitor_model.h"

static uint32_t width_of(const struct lc_obs *merged, size_t count)
{
    uint32_t width = 16;
    for (size_t i = 0; i < count; i++)
        if (merged[i].what != LC_WHAT_OPEN && LC_WIDE_INDEX(merged[i].handle) >= width)
            width = LC_WIDE_INDEX(merged[i].handle) + 1u;
    return width;
}

void lc_monitor_judge(const struct lc_obs *merged, size_t count, struct lc_judgement *judgement)
{
    struct lc_model model = {
        .width = width_of(merged, count), .tick_ns = 1, .open_fds = UINT64_MAX, .judgement = judgement};

    memset(judgement, 0, sizeof *judgement);
    model.handles = calloc((size_t)LC_KIND_COUNT * model.width, sizeof *model.handles);
    if (model.handles == NULL) {
        lc_monitor_report(&model, &(struct lc_obs){0}, "KIT-1", "cannot be judged: no memory");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct lc_obs *obs = &merged[i];
        if (obs->what == LC_WHAT_NONE || obs->what >= LC_WHAT_COUNT)
            lc_monitor_report(&model, obs, "KIT-1", "wrote a record of unknown kind into the trace");
        lc_monitor_soon(&model, obs);
        lc_monitor_timer(&model, obs);
        lc_monitor_watch(&model, obs);
        lc_monitor_thread(&model, obs);
        lc_monitor_life(&model, obs);
        lc_monitor_stream(&model, obs);
        lc_monitor_liveness(&model, obs);
        lc_model_take(&model, obs);
    }
    lc_monitor_owed(&model);
    free(model.handles);
}
