/* Property: in whatever portions a program writes its bytes, and has them sent to its streams, each of its handles sees
 * the same: the same callbacks, and the same bytes when they are put together.
 *
 * Targets: lc_trace_compare, lc_program_settle, and the streams of the reference loop: rl_stream_write,
 * rl_chunks_append, rl_chunks_take, rl_chunks_room, rl_flow_must_pause, rl_flow_must_resume, rl_stream_life_take.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fuzz_program.h"
#include "trace_compare.h"

enum { SPLITS = 3 };

const char *const fuzz_program_driver_name = "refloop_sim";

/* A fault meets the next call, whichever that is; and after which portion a writer has to pause, it is told at once. */
static bool depends_on_portions(const struct lc_op *op)
{
    bool is_told = op->event == LC_EVENT_ANY || op->event == LC_EVENT_PAUSE_WRITING;
    return op->op == LC_OP_FAULT || (op->on >> 4 == LC_KIND_STREAM && is_told);
}

static void leave_out_what_depends(struct lc_program *program)
{
    size_t kept = 0;
    for (size_t i = 0; i < program->count; i++)
        if (!depends_on_portions(&program->ops[i]))
            program->ops[kept++] = program->ops[i];
    program->count = kept;
}

/* Each write and each put, as long as there is room for ops, in two. */
static void split(struct lc_program *out, const struct lc_program *whole, uint64_t seed)
{
    size_t room = LC_PROGRAM_OPS_MAX - whole->count;
    out->count = 0;
    for (size_t i = 0; i < whole->count; i++) {
        struct lc_op op = whole->ops[i];
        if ((op.op == LC_OP_PUT || op.op == LC_OP_WRITE) && op.n >= 2 && room > 0) {
            struct lc_op first = op;
            first.n = (uint16_t)(1 + lc_random(&seed) % (op.n - 1u));
            op.n = (uint16_t)(op.n - first.n);
            out->ops[out->count++] = first;
            room--;
        }
        out->ops[out->count++] = op;
    }
}

static void compare(const struct lc_program *program, const struct lc_obs *whole, size_t whole_count,
                    struct lc_judgement *judgement)
{
    struct lc_difference differences[LC_DIFFERENCES_MAX];
    struct lc_obs *there;
    size_t there_count = fuzz_program_run(fuzz_program_driver(), program, &there);
    lc_monitor_judge(there, there_count, judgement);
    size_t count = lc_trace_compare(there, there_count, whole, whole_count, differences);
    for (size_t i = 0; i < count && judgement->count < LC_VIOLATIONS_MAX; i++) {
        struct lc_violation *violation = &judgement->violations[judgement->count++];
        snprintf(violation->rule, sizeof violation->rule, "SPLIT");
        snprintf(violation->text, sizeof violation->text, "%.*s", (int)sizeof violation->text - 1, differences[i].text);
    }
    free(there);
}

void fuzz_program_judge(const struct lc_program *program, struct lc_judgement *judgement)
{
    static struct lc_program settled, portions;
    struct lc_obs *whole;
    settled = *program;
    leave_out_what_depends(&settled);
    lc_program_settle(&settled);
    size_t whole_count = fuzz_program_run(fuzz_program_driver(), &settled, &whole);
    judgement->count = 0;
    for (uint64_t seed = 1; seed <= SPLITS && judgement->count == 0; seed++) {
        split(&portions, &settled, seed);
        compare(&portions, whole, whole_count, judgement);
    }
    free(whole);
}
