#include "core/flow.h"

#include <assert.h>

void rl_flow_init(struct rl_flow *flow, size_t high, size_t low)
{
    flow->is_paused = false;
    rl_flow_set_limits(flow, high, low);
}

void rl_flow_set_limits(struct rl_flow *flow, size_t high, size_t low)
{
    assert(high >= low);
    flow->high = high;
    flow->low = low;
}

bool rl_flow_must_pause(struct rl_flow *flow, size_t size)
{
    if (flow->is_paused || size <= flow->high)
        return false;
    flow->is_paused = true;
    return true;
}

bool rl_flow_must_resume(struct rl_flow *flow, size_t size)
{
    if (!flow->is_paused || size > flow->low)
        return false;
    flow->is_paused = false;
    return true;
}

int rl_flow_check(const struct rl_flow *flow)
{
    return flow->high >= flow->low ? 0 : -1;
}
