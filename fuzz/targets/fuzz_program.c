/* Property: whatever program runs on the reference loop, the monitor finds no rule broken, and every
 * validator of the loop holds after every turn.
 *
 * Targets: the reference loop as a whole on the simulated kernel, from rl_loop_turn, rl_loop_run and rl_loop_close to
 * rl_soon_start, rl_timer_start_at, rl_watch_start, rl_waker_post, rl_stream_open, rl_stream_write,
 * rl_stream_write_eof, rl_stream_pause, rl_stream_resume, rl_stream_set_limits, rl_stream_close, rl_stream_abort,
 * rl_datagram_open, rl_datagram_send, rl_datagram_set_limits, rl_datagram_close, rl_datagram_abort,
 * rl_server_open, rl_server_close, rl_stream_connect. With FUZZ_VERBOSE=1 in the environment every program is printed
 * with its trace.
 */
#include "fuzz_program.h"

const char *const fuzz_program_driver_name = "refloop_sim";

void fuzz_program_judge(const struct lc_program *program, struct lc_judgement *judgement)
{
    fuzz_program_run_judged(program, judgement);
}
