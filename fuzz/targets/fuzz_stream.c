/* Property: whatever the user, the peer and the kernel do, in whichever order, a stream's life answers as the sentences
 * of loop/include/rl_stream.h say: what is refused, when the end of file is sent and told, when it is lost, and once.
 *
 * Targets: rl_stream_life_init, rl_stream_life_init_connecting, rl_stream_life_take, rl_stream_life_step,
 * rl_stream_life_set_paused, rl_stream_life_is_reading, rl_stream_life_is_losing, rl_stream_life_is_connecting,
 * rl_stream_life_check.
 */
#include <string.h>

#include "core/stream.h"
#include "input.h"

static struct rl_stream_life life;
static struct { /* the model: plain facts, no states */
    bool is_connecting;
    unsigned waiting; /* bytes */
    bool has_written_eof, has_sent_eof, has_seen_eof, is_closed, is_aborted, has_failed, is_ended, is_lost, is_paused;
} is;

/* "-EPIPE after write_eof, close, abort or a failure"; and until it is connected */
static bool is_refused(void)
{
    return is.is_connecting || is.has_written_eof || is.is_closed || is.is_aborted || is.has_failed;
}

/* "after close or abort returned, neither data nor eof comes"; nor once a failure or the peer's end came */
static bool may_read(void)
{
    return !is.is_connecting && !is.has_seen_eof && !is.is_closed && !is.is_aborted && !is.has_failed && !is.is_paused;
}

static void tell(enum rl_stream_event event, unsigned expected)
{
    enum rl_stream_effect first = (enum rl_stream_effect)(expected & (0u - expected));
    input_check(expected == 0 || rl_stream_effect_name(first) != NULL, "an effect without a name");
    input_check(rl_stream_life_take(&life, event) == expected, rl_stream_event_name(event));
}

/* What follows when nothing waits: the end of file that was asked for; of a closed stream, that it is lost. */
static void drain(void)
{
    unsigned expected = 0;
    if (is.waiting > 0)
        return;
    if (is.is_closed || (is.has_written_eof && !is.has_sent_eof))
        expected = is.is_ended ? 0 : is.is_closed ? RL_STREAM_END : RL_STREAM_SHUT;
    tell(RL_STREAM_DRAINED, expected);
    is.is_ended |= expected == RL_STREAM_END;
    is.has_sent_eof |= expected == RL_STREAM_SHUT;
}

static void end(enum rl_stream_event event)
{
    tell(event, is.is_ended ? 0 : RL_STREAM_DROP | RL_STREAM_END);
    is.waiting = 0;
    is.is_connecting = false;
    is.is_ended = true;
}

static void act(unsigned op, unsigned number)
{
    unsigned answer = is_refused() ? RL_STREAM_REFUSE : 0;
    if (op == 0) {
        tell(RL_STREAM_WRITE, answer), is.waiting += answer == 0 ? number % 3 : 0;
    } else if (op == 1) {
        tell(RL_STREAM_WRITE_EOF, answer);
        is.has_written_eof |= !is.is_connecting;
    } else if (op == 2 && is.waiting > 0) {
        is.waiting -= 1 + number % is.waiting;
    } else if (op == 3 && rl_stream_life_is_reading(&life)) {
        tell(RL_STREAM_PEER_EOF, RL_STREAM_TELL_EOF);
        is.has_seen_eof = true;
    } else if (op == 4) {
        tell(RL_STREAM_CLOSE, 0);
        is.is_closed = true;
        is.is_connecting = false;
    } else if (op == 5) {
        end(RL_STREAM_ABORT);
        is.is_aborted = true;
    } else if (op == 6 && !is.is_ended) {
        end(RL_STREAM_FAIL);
        is.has_failed = true;
    } else if (op == 7 && rl_stream_life_is_losing(&life)) {
        tell(RL_STREAM_REPORT, RL_STREAM_TELL_LOST);
        is.is_lost = true;
    } else if (op == 8) {
        rl_stream_life_set_paused(&life, is.is_paused = number % 2);
    } else if (op == 9 && rl_stream_life_is_connecting(&life)) {
        tell(RL_STREAM_CONNECTED, RL_STREAM_TELL_CONNECTED);
        is.is_connecting = false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_begin(data, size, 10);
    memset(&is, 0, sizeof is);
    is.is_connecting = size % 2 != 0;
    (is.is_connecting ? rl_stream_life_init_connecting : rl_stream_life_init)(&life);
    while (input.left > 0) {
        unsigned op = input_op(&input);
        act(op % 10, op / 10);
        drain();
        input_check(rl_stream_life_is_reading(&life) == may_read(), "reads, or does not");
        input_check(rl_stream_life_is_connecting(&life) == is.is_connecting, "connects, or does not");
        input_check(rl_stream_life_is_losing(&life) == (is.is_ended && !is.is_lost), "lost is due, or is not");
        input_check(rl_stream_life_check(&life) == 0 && rl_stream_state_name(life.state) != NULL, "an invariant");
    }
    return 0;
}
