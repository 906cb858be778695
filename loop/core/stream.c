#include "core/stream.h"

#include <assert.h>
#include <stddef.h>

/* clang-format off */
#define IMPOSSIBLE {RL_STREAM_NO_STATE, 0}
/* clang-format on */

/* The table. A state that the event leaves as it is stands there too: nothing is implied. */
static const struct rl_stream_step table[RL_STREAM_STATES][RL_STREAM_EVENTS] =
    {
        [RL_STREAM_CONNECTING] =
            {
                [RL_STREAM_CONNECTED] = {RL_STREAM_OPEN, RL_STREAM_TELL_CONNECTED},
                [RL_STREAM_WRITE] = {RL_STREAM_CONNECTING, RL_STREAM_REFUSE},
                [RL_STREAM_WRITE_EOF] = {RL_STREAM_CONNECTING, RL_STREAM_REFUSE},
                [RL_STREAM_DRAINED] = {RL_STREAM_CONNECTING, 0},
                [RL_STREAM_PEER_EOF] = IMPOSSIBLE,
                [RL_STREAM_CLOSE] = {RL_STREAM_CLOSING, 0},
                [RL_STREAM_ABORT] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_FAIL] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_REPORT] = IMPOSSIBLE,
            },
        [RL_STREAM_OPEN] =
            {
                [RL_STREAM_CONNECTED] = IMPOSSIBLE,
                [RL_STREAM_WRITE] = {RL_STREAM_OPEN, 0},
                [RL_STREAM_WRITE_EOF] = {RL_STREAM_ENDING, 0},
                [RL_STREAM_DRAINED] = {RL_STREAM_OPEN, 0},
                [RL_STREAM_PEER_EOF] = {RL_STREAM_PEER_ENDED, RL_STREAM_TELL_EOF},
                [RL_STREAM_CLOSE] = {RL_STREAM_CLOSING, 0},
                [RL_STREAM_ABORT] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_FAIL] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_REPORT] = IMPOSSIBLE,
            },
        [RL_STREAM_ENDING] =
            {
                [RL_STREAM_CONNECTED] = IMPOSSIBLE,
                [RL_STREAM_WRITE] = {RL_STREAM_ENDING, RL_STREAM_REFUSE},
                [RL_STREAM_WRITE_EOF] = {RL_STREAM_ENDING, RL_STREAM_REFUSE},
                [RL_STREAM_DRAINED] = {RL_STREAM_ENDED, RL_STREAM_SHUT},
                [RL_STREAM_PEER_EOF] = {RL_STREAM_PEER_ENDED_ENDING, RL_STREAM_TELL_EOF},
                [RL_STREAM_CLOSE] = {RL_STREAM_CLOSING, 0},
                [RL_STREAM_ABORT] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_FAIL] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_REPORT] = IMPOSSIBLE,
            },
        [RL_STREAM_ENDED] =
            {
                [RL_STREAM_CONNECTED] = IMPOSSIBLE,
                [RL_STREAM_WRITE] = {RL_STREAM_ENDED, RL_STREAM_REFUSE},
                [RL_STREAM_WRITE_EOF] = {RL_STREAM_ENDED, RL_STREAM_REFUSE},
                [RL_STREAM_DRAINED] = {RL_STREAM_ENDED, 0},
                [RL_STREAM_PEER_EOF] = {RL_STREAM_BOTH_ENDED, RL_STREAM_TELL_EOF},
                [RL_STREAM_CLOSE] = {RL_STREAM_CLOSING, 0},
                [RL_STREAM_ABORT] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_FAIL] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_REPORT] = IMPOSSIBLE,
            },
        [RL_STREAM_PEER_ENDED] =
            {
                [RL_STREAM_CONNECTED] = IMPOSSIBLE,
                [RL_STREAM_WRITE] = {RL_STREAM_PEER_ENDED, 0},
                [RL_STREAM_WRITE_EOF] = {RL_STREAM_PEER_ENDED_ENDING, 0},
                [RL_STREAM_DRAINED] = {RL_STREAM_PEER_ENDED, 0},
                [RL_STREAM_PEER_EOF] = IMPOSSIBLE,
                [RL_STREAM_CLOSE] = {RL_STREAM_CLOSING, 0},
                [RL_STREAM_ABORT] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_FAIL] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_REPORT] = IMPOSSIBLE,
            },
        [RL_STREAM_PEER_ENDED_ENDING] =
            {
                [RL_STREAM_CONNECTED] = IMPOSSIBLE,
                [RL_STREAM_WRITE] = {RL_STREAM_PEER_ENDED_ENDING, RL_STREAM_REFUSE},
                [RL_STREAM_WRITE_EOF] = {RL_STREAM_PEER_ENDED_ENDING, RL_STREAM_REFUSE},
                [RL_STREAM_DRAINED] = {RL_STREAM_BOTH_ENDED, RL_STREAM_SHUT},
                [RL_STREAM_PEER_EOF] = IMPOSSIBLE,
                [RL_STREAM_CLOSE] = {RL_STREAM_CLOSING, 0},
                [RL_STREAM_ABORT] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_FAIL] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_REPORT] = IMPOSSIBLE,
            },
        [RL_STREAM_BOTH_ENDED] =
            {
                [RL_STREAM_CONNECTED] = IMPOSSIBLE,
                [RL_STREAM_WRITE] = {RL_STREAM_BOTH_ENDED, RL_STREAM_REFUSE},
                [RL_STREAM_WRITE_EOF] = {RL_STREAM_BOTH_ENDED, RL_STREAM_REFUSE},
                [RL_STREAM_DRAINED] = {RL_STREAM_BOTH_ENDED, 0},
                [RL_STREAM_PEER_EOF] = IMPOSSIBLE,
                [RL_STREAM_CLOSE] = {RL_STREAM_CLOSING, 0},
                [RL_STREAM_ABORT] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_FAIL] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_REPORT] = IMPOSSIBLE,
            },
        [RL_STREAM_CLOSING] =
            {
                [RL_STREAM_CONNECTED] = IMPOSSIBLE,
                [RL_STREAM_WRITE] = {RL_STREAM_CLOSING, RL_STREAM_REFUSE},
                [RL_STREAM_WRITE_EOF] = {RL_STREAM_CLOSING, RL_STREAM_REFUSE},
                [RL_STREAM_DRAINED] = {RL_STREAM_LOSING, RL_STREAM_END},
                [RL_STREAM_PEER_EOF] = IMPOSSIBLE,
                [RL_STREAM_CLOSE] = {RL_STREAM_CLOSING, 0},
                [RL_STREAM_ABORT] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_FAIL] = {RL_STREAM_LOSING, RL_STREAM_DROP | RL_STREAM_END},
                [RL_STREAM_REPORT] = IMPOSSIBLE,
            },
        [RL_STREAM_LOSING] =
            {
                [RL_STREAM_CONNECTED] = IMPOSSIBLE,
                [RL_STREAM_WRITE] = {RL_STREAM_LOSING, RL_STREAM_REFUSE},
                [RL_STREAM_WRITE_EOF] = {RL_STREAM_LOSING, RL_STREAM_REFUSE},
                [RL_STREAM_DRAINED] = {RL_STREAM_LOSING, 0},
                [RL_STREAM_PEER_EOF] = IMPOSSIBLE,
                [RL_STREAM_CLOSE] = {RL_STREAM_LOSING, 0},
                [RL_STREAM_ABORT] = {RL_STREAM_LOSING, 0},
                [RL_STREAM_FAIL] = IMPOSSIBLE,
                [RL_STREAM_REPORT] = {RL_STREAM_LOST, RL_STREAM_TELL_LOST},
            },
        [RL_STREAM_LOST] =
            {
                [RL_STREAM_CONNECTED] = IMPOSSIBLE,
                [RL_STREAM_WRITE] = {RL_STREAM_LOST, RL_STREAM_REFUSE},
                [RL_STREAM_WRITE_EOF] = {RL_STREAM_LOST, RL_STREAM_REFUSE},
                [RL_STREAM_DRAINED] = {RL_STREAM_LOST, 0},
                [RL_STREAM_PEER_EOF] = IMPOSSIBLE,
                [RL_STREAM_CLOSE] = {RL_STREAM_LOST, 0},
                [RL_STREAM_ABORT] = {RL_STREAM_LOST, 0},
                [RL_STREAM_FAIL] = IMPOSSIBLE,
                [RL_STREAM_REPORT] = IMPOSSIBLE,
            },
};

struct rl_stream_step rl_stream_life_step(enum rl_stream_state state, enum rl_stream_event event)
{
    assert(state > RL_STREAM_NO_STATE && state < RL_STREAM_STATES && event < RL_STREAM_EVENTS);
    return table[state][event];
}

void rl_stream_life_init(struct rl_stream_life *life)
{
    *life = (struct rl_stream_life){.state = RL_STREAM_OPEN};
}

void rl_stream_life_init_connecting(struct rl_stream_life *life)
{
    *life = (struct rl_stream_life){.state = RL_STREAM_CONNECTING};
}

unsigned rl_stream_life_take(struct rl_stream_life *life, enum rl_stream_event event)
{
    struct rl_stream_step step = rl_stream_life_step(life->state, event);
    assert(step.next != RL_STREAM_NO_STATE);
    life->state = step.next;
    return step.effects;
}

void rl_stream_life_set_paused(struct rl_stream_life *life, bool is_paused)
{
    life->is_paused = is_paused;
}

bool rl_stream_life_is_reading(const struct rl_stream_life *life)
{
    return !life->is_paused && table[life->state][RL_STREAM_PEER_EOF].next != RL_STREAM_NO_STATE;
}

bool rl_stream_life_is_connecting(const struct rl_stream_life *life)
{
    return life->state == RL_STREAM_CONNECTING;
}

bool rl_stream_life_is_losing(const struct rl_stream_life *life)
{
    return life->state == RL_STREAM_LOSING;
}

const char *rl_stream_state_name(enum rl_stream_state state)
{
    static const char *const names[RL_STREAM_STATES] = {
        [RL_STREAM_CONNECTING] = "connecting", [RL_STREAM_OPEN] = "open",
        [RL_STREAM_ENDING] = "ending",         [RL_STREAM_ENDED] = "ended",
        [RL_STREAM_PEER_ENDED] = "peer_ended", [RL_STREAM_PEER_ENDED_ENDING] = "peer_ended_ending",
        [RL_STREAM_BOTH_ENDED] = "both_ended", [RL_STREAM_CLOSING] = "closing",
        [RL_STREAM_LOSING] = "losing",         [RL_STREAM_LOST] = "lost",
    };
    return names[state];
}

const char *rl_stream_event_name(enum rl_stream_event event)
{
    static const char *const names[RL_STREAM_EVENTS] = {
        [RL_STREAM_CONNECTED] = "connected", [RL_STREAM_WRITE] = "write",       [RL_STREAM_WRITE_EOF] = "write_eof",
        [RL_STREAM_DRAINED] = "drained",     [RL_STREAM_PEER_EOF] = "peer_eof", [RL_STREAM_CLOSE] = "close",
        [RL_STREAM_ABORT] = "abort",         [RL_STREAM_FAIL] = "fail",         [RL_STREAM_REPORT] = "report",
    };
    return names[event];
}

const char *rl_stream_effect_name(enum rl_stream_effect effect)
{
    switch (effect) {
    case RL_STREAM_REFUSE:
        return "refuse";
    case RL_STREAM_DROP:
        return "drop";
    case RL_STREAM_SHUT:
        return "shut";
    case RL_STREAM_TELL_EOF:
        return "tell_eof";
    case RL_STREAM_END:
        return "end";
    case RL_STREAM_TELL_CONNECTED:
        return "tell_connected";
    case RL_STREAM_TELL_LOST:
        return "tell_lost";
    }
    return NULL;
}

int rl_stream_life_check(const struct rl_stream_life *life)
{
    return life->state > RL_STREAM_NO_STATE && life->state < RL_STREAM_STATES ? 0 : -1;
}
