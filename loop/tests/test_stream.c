/* The life of a stream is what a few questions say of it, and each cell of its table is reached or impossible. */
#include "core/stream.h"
#include "testing/test.h"

#include <string.h>

enum { LENGTH = 6, OP_BUFFER = RL_STREAM_EVENTS, OP_PAUSE, OP_RESUME, OPS };

/* The naive model: a truth for each thing that can be asked. */
static struct {
    bool is_connecting, has_peer_ended, is_eof_asked, is_shut, is_closed, is_losing, is_lost;
    bool is_paused, is_buffered;
} model;

static struct rl_stream_life life;
static bool was_reached[RL_STREAM_STATES][RL_STREAM_EVENTS];

static void reset(bool is_connecting)
{
    memset(&model, 0, sizeof model);
    model.is_connecting = is_connecting;
    (is_connecting ? rl_stream_life_init_connecting : rl_stream_life_init)(&life);
}

static bool is_over(void)
{
    return model.is_losing || model.is_lost;
}

/* Can this come at all? What the user does always can; what the fd and the loop do only while there is a cause. */
static bool is_legal(unsigned op)
{
    switch (op) {
    case RL_STREAM_CONNECTED:
        return model.is_connecting;
    case RL_STREAM_DRAINED:
        return !model.is_buffered;
    case RL_STREAM_PEER_EOF:
        return !model.is_connecting && !model.has_peer_ended && !model.is_closed && !is_over() && !model.is_paused;
    case RL_STREAM_FAIL:
        return !is_over();
    case RL_STREAM_REPORT:
        return model.is_losing;
    case OP_BUFFER: /* the kernel took less than was written */
        return !model.is_connecting && !model.is_eof_asked && !model.is_closed && !is_over();
    default:
        return true;
    }
}

static unsigned lose(bool must_drop)
{
    model.is_losing = true;
    model.is_buffered = model.is_connecting = false;
    return (must_drop ? RL_STREAM_DROP : 0u) | RL_STREAM_END;
}

static unsigned expect_drained(void)
{
    if (is_over())
        return 0;
    if (model.is_closed)
        return lose(false);
    if (!model.is_eof_asked || model.is_shut)
        return 0;
    model.is_shut = true;
    return RL_STREAM_SHUT;
}

/* Changes the model; returns the effects that it asks for. */
static unsigned expect(unsigned event)
{
    bool is_refused = model.is_connecting || model.is_eof_asked || model.is_closed || is_over();
    switch (event) {
    case RL_STREAM_CONNECTED:
        model.is_connecting = false;
        return RL_STREAM_TELL_CONNECTED;
    case RL_STREAM_WRITE:
        return is_refused ? RL_STREAM_REFUSE : 0;
    case RL_STREAM_WRITE_EOF:
        model.is_eof_asked |= !model.is_connecting;
        return is_refused ? RL_STREAM_REFUSE : 0;
    case RL_STREAM_DRAINED:
        return expect_drained();
    case RL_STREAM_PEER_EOF:
        model.has_peer_ended = true;
        return RL_STREAM_TELL_EOF;
    case RL_STREAM_CLOSE:
        model.is_closed = true;
        model.is_connecting = false; /* given up */
        return 0;
    case RL_STREAM_REPORT:
        model.is_losing = false;
        model.is_lost = true;
        return RL_STREAM_TELL_LOST;
    default: /* abort, fail */
        return is_over() ? 0 : lose(true);
    }
}

static void apply(unsigned op)
{
    if (!is_legal(op))
        return;
    if (op == OP_BUFFER) {
        model.is_buffered = true;
    } else if (op == OP_PAUSE || op == OP_RESUME) {
        model.is_paused = op == OP_PAUSE;
        rl_stream_life_set_paused(&life, model.is_paused);
    } else {
        was_reached[life.state][op] = true;
        CHECK(rl_stream_life_step(life.state, op).next != RL_STREAM_NO_STATE);
        CHECK(rl_stream_life_take(&life, op) == expect(op));
    }
    CHECK(rl_stream_life_check(&life) == 0);
    CHECK(rl_stream_life_is_losing(&life) == model.is_losing);
    CHECK(rl_stream_life_is_connecting(&life) == model.is_connecting);
    bool may_read = !model.is_connecting && !model.has_peer_ended && !model.is_closed && !is_over();
    CHECK(rl_stream_life_is_reading(&life) == (may_read && !model.is_paused));
}

/* As the owner does it: whenever nothing waits after an event, it says so. */
static void apply_all(unsigned long code, bool is_connecting)
{
    reset(is_connecting);
    for (unsigned i = 0; i < LENGTH; i++) {
        apply(test_op(code, OPS, i));
        apply(RL_STREAM_DRAINED);
    }
}

/* Every sequence of six events has the effects that the model asks for, and reaches all cells but the impossible. */
static void life_is_what_the_model_says(void)
{
    memset(was_reached, 0, sizeof was_reached);
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++)
        for (int is_connecting = 0; is_connecting <= 1; is_connecting++)
            apply_all(code, is_connecting != 0);
    for (unsigned state = RL_STREAM_CONNECTING; state < RL_STREAM_STATES; state++)
        for (unsigned event = 0; event < RL_STREAM_EVENTS; event++)
            CHECK(was_reached[state][event] == (rl_stream_life_step(state, event).next != RL_STREAM_NO_STATE));
}

/* Lost is told once, is the last thing told, and a stream that is losing is told by nothing else. */
static void lost_is_the_end(void)
{
    for (unsigned event = 0; event < RL_STREAM_EVENTS; event++) {
        struct rl_stream_step losing = rl_stream_life_step(RL_STREAM_LOSING, event);
        struct rl_stream_step lost = rl_stream_life_step(RL_STREAM_LOST, event);
        CHECK((losing.effects & RL_STREAM_TELL_LOST) == 0 || losing.next == RL_STREAM_LOST);
        CHECK(losing.next != RL_STREAM_LOST || event == RL_STREAM_REPORT);
        CHECK(lost.next == RL_STREAM_NO_STATE || lost.next == RL_STREAM_LOST);
        CHECK((lost.effects & ~(unsigned)RL_STREAM_REFUSE) == 0);
    }
}

/* Each state, event and effect has a name of its own. */
static void names_are_distinct(void)
{
    for (unsigned a = RL_STREAM_CONNECTING; a < RL_STREAM_STATES; a++)
        for (unsigned b = RL_STREAM_CONNECTING; b < a; b++)
            CHECK(strcmp(rl_stream_state_name(a), rl_stream_state_name(b)) != 0);
    for (unsigned a = 0; a < RL_STREAM_EVENTS; a++)
        for (unsigned b = 0; b < a; b++)
            CHECK(strcmp(rl_stream_event_name(a), rl_stream_event_name(b)) != 0);
    for (unsigned a = RL_STREAM_REFUSE; a <= RL_STREAM_TELL_LOST; a *= 2)
        for (unsigned b = RL_STREAM_REFUSE; b < a; b *= 2)
            CHECK(strcmp(rl_stream_effect_name(a), rl_stream_effect_name(b)) != 0);
}

/* The validator notices what is no state. */
static void check_sees_damage(void)
{
    reset(false);
    life.state = RL_STREAM_NO_STATE;
    CHECK(rl_stream_life_check(&life) == -1);
    life.state = RL_STREAM_STATES;
    CHECK(rl_stream_life_check(&life) == -1);
}

static const struct test tests[] = {TEST(life_is_what_the_model_says), TEST(lost_is_the_end), TEST(names_are_distinct),
                                    TEST(check_sees_damage)};

TEST_MAIN(tests)
