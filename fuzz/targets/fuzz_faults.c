/* Property: whatever program runs on the reference loop while its kernel does all that a kernel may do, no rule is
 * broken: short reads and writes, calls that are interrupted or say "not now", events that come late, in another order,
 * with other bits or for nothing, small buffers, time that jumps ahead, connections reset at any call, datagrams that
 * are lost, too large or refused late, accept without a free fd or memory,
 * connects that end late or badly.
 *
 * Targets: the reference loop on sim_faults.c: rl_loop_turn, rl_stream_write, rl_stream_close, rl_watch_start,
 * rl_chunks_take, rl_flow_must_resume, rl_datagram_send, rl_datagram_close, rl_packets_take,
 * rl_server_open, rl_stream_connect.
 */
#include "program_faults.h"

const char *const fuzz_program_driver_name = "refloop_sim";

/* All the ways to be adverse: which faults, and two draws of each. */
static const struct adversary adversaries[] = {
    {.level = ADVERSARY_LINUX, .seed = 1},
    {.level = ADVERSARY_POSIX, .seed = 2},
    {.level = ADVERSARY_LINUX, .is_loud = true, .seed = 3},
    {.level = ADVERSARY_POSIX, .is_loud = true, .seed = 4},
};

/* The first op stands at the input's head: it also decides what the faults are. */
static uint64_t head_of(const struct lc_program *program)
{
    const struct lc_op *op = &program->ops[0];
    return program->count == 0 ? 0 : (op->op * 31u + op->a) * UINT64_C(31) + op->n + op->arg;
}

void fuzz_program_judge(const struct lc_program *program, struct lc_judgement *judgement)
{
    for (size_t i = 0; i < sizeof adversaries / sizeof *adversaries; i++) {
        struct sim_plan plan = {.adversary = adversaries[i], .has_small_buffers = true, .has_jumps = true};
        plan.adversary.seed += head_of(program) * 16;
        if (fuzz_faults_judge(&plan, program, judgement) > 0)
            return;
    }
}
