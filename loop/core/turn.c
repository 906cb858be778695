#include "core/turn.h"

#include <assert.h>

void rl_turn_init(struct rl_turn *turn)
{
    rl_ready_init(&turn->ready);
    rl_timers_init(&turn->timers);
    rl_watches_init(&turn->watches);
    turn->now_ns = 0;
    turn->phase = RL_TURN_RESTING;
    turn->is_broken_off = false;
}

void rl_turn_set_now(struct rl_turn *turn, uint64_t now_ns)
{
    if (now_ns > turn->now_ns)
        turn->now_ns = now_ns;
}

bool rl_turn_is_alive(const struct rl_turn *turn)
{
    return !rl_ready_is_empty(&turn->ready) || !rl_timers_is_empty(&turn->timers) || turn->watches.watchers_count > 0;
}

int64_t rl_turn_prepare(struct rl_turn *turn, uint64_t now_ns, bool may_wait, bool is_alive_outside)
{
    assert(turn->phase == RL_TURN_RESTING);
    rl_turn_set_now(turn, now_ns);
    turn->phase = RL_TURN_WAITING;
    if (!may_wait || !rl_ready_is_empty(&turn->ready))
        return 0;
    if (!is_alive_outside && !rl_turn_is_alive(turn))
        return 0;
    return rl_timers_sleep_ns(&turn->timers, turn->now_ns);
}

void rl_turn_collect(struct rl_turn *turn, uint64_t now_ns, const struct rl_event *events, size_t events_count)
{
    assert(turn->phase == RL_TURN_WAITING);
    rl_turn_set_now(turn, now_ns);
    rl_watches_begin_round(&turn->watches);
    for (size_t i = 0; i < events_count; i++)
        rl_watches_dispatch(&turn->watches, events[i], &turn->ready);
    turn->phase = RL_TURN_COLLECTED;
}

void rl_turn_expire(struct rl_turn *turn)
{
    assert(turn->phase == RL_TURN_COLLECTED);
    rl_timers_expire(&turn->timers, turn->now_ns, &turn->ready);
    rl_ready_begin(&turn->ready);
    turn->phase = RL_TURN_RUNNING;
}

struct rl_ready_entry *rl_turn_next(struct rl_turn *turn)
{
    assert(turn->phase == RL_TURN_RUNNING);
    return turn->is_broken_off ? NULL : rl_ready_next(&turn->ready);
}

void rl_turn_break(struct rl_turn *turn)
{
    assert(turn->phase == RL_TURN_RUNNING);
    turn->is_broken_off = true;
}

bool rl_turn_is_broken_off(const struct rl_turn *turn)
{
    return turn->is_broken_off;
}

void rl_turn_end(struct rl_turn *turn)
{
    assert(turn->phase != RL_TURN_RESTING);
    if (turn->phase == RL_TURN_RUNNING)
        rl_ready_end(&turn->ready);
    turn->is_broken_off = false;
    turn->phase = RL_TURN_RESTING;
}

int rl_turn_check(const struct rl_turn *turn)
{
    int broken = rl_ready_check(&turn->ready);
    if (broken != 0)
        return -10 + broken;
    broken = rl_timers_check(&turn->timers);
    if (broken != 0)
        return -20 + broken;
    broken = rl_watches_check(&turn->watches);
    if (broken != 0)
        return -30 + broken;
    if (turn->ready.is_running != (turn->phase == RL_TURN_RUNNING))
        return -41;
    return turn->is_broken_off && turn->phase == RL_TURN_RESTING ? -42 : 0;
}
