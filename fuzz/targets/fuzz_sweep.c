/* Property: whatever fails, the n-th call into the kernel of a run for every n, by whichever error it can have, or the
 * n-th request for memory, the reference loop loses nothing: no rule is broken, every handle is closed once, every fd
 * and all memory is given back. So it does when it is closed early, with all that is open then.
 *
 * Targets: rl_loop_turn, rl_loop_close, rl_loop_watch, rl_loop_check, rl_watch_start, rl_stream_open, rl_stream_write,
 * rl_server_open, rl_datagram_open, rl_stream_write_eof, rl_stream_close, rl_stream_abort, rl_handle_close,
 * rl_handle_allocate.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "program_faults.h"

enum { CALLS_MAX = 160, ERRORS_MAX = 6 }; /* of long programs the calls behind are left out */
enum { OPS_MAX = 1 << 20 };               /* more than a run has */

const char *const fuzz_program_driver_name = "refloop_sim";

/* The linker sends here who asks for memory, or gives it back. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *block);

static struct {
    bool is_in_loop;
    uint32_t requests, failing; /* of the loop; which of them is refused, counted from 1 */
    int64_t live;               /* blocks that the loop holds */
    uint32_t ops, ops_max;      /* carried to the loop; behind so many come only stop and close */
    int64_t (*apply)(struct lc_driver *driver, const struct lc_op *op);
} memory;

static void *granted(void *block)
{
    memory.live += memory.is_in_loop && block != NULL;
    return block;
}

static bool is_refused(void)
{
    const bool is_refused = memory.is_in_loop && ++memory.requests == memory.failing;
    if (is_refused)
        fuzz_faults_note_no_memory();
    return is_refused;
}

void *__wrap_malloc(size_t size)
{
    return is_refused() ? NULL : granted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : granted(__real_calloc(count, size));
}

void __wrap_free(void *block)
{
    memory.live -= memory.is_in_loop && block != NULL;
    __real_free(block);
}

static int64_t apply(struct lc_driver *driver, const struct lc_op *op)
{
    const bool was_in_loop = memory.is_in_loop;
    if (op->op != LC_OP_STOP && op->op != LC_OP_CLOSE && ++memory.ops > memory.ops_max)
        return op->op == LC_OP_STEP || op->op == LC_OP_RUN ? 0 : -ENOMEM;
    memory.is_in_loop = op->op != LC_OP_POST; /* which comes on another thread */
    int64_t result = memory.apply(driver, op);
    memory.is_in_loop = was_in_loop;
    return result;
}

/* Under every other program sockets hold little, so that much has to wait. */
static struct sim_plan plan_for(const struct lc_program *program)
{
    return (struct sim_plan){.has_small_buffers = program->count % 2 == 1, .adversary.seed = program->count};
}

static void judge(struct sim_plan plan, const struct lc_program *program, struct lc_judgement *found)
{
    struct lc_driver *driver = fuzz_program_driver();
    memory.requests = memory.ops = 0;
    memory.live = 0;
    memory.apply = driver->apply;
    driver->apply = apply;
    fuzz_faults_judge(&plan, program, found);
    driver->apply = memory.apply;
}

static void look_for_leak(struct lc_judgement *found)
{
    if (memory.live == 0 || found->count == LC_VIOLATIONS_MAX)
        return;
    struct lc_violation *leak = &found->violations[found->count++];
    snprintf(leak->rule, sizeof leak->rule, "LEAK");
    snprintf(leak->text, sizeof leak->text, "the loop kept %lld blocks of memory", (long long)memory.live);
}

/* One run in which a call or a request fails. True: it was right. */
static bool passes(struct sim_plan plan, uint32_t request, const struct lc_program *program, struct lc_judgement *found)
{
    memory.failing = request;
    memory.ops_max = OPS_MAX;
    judge(plan, program, found);
    look_for_leak(found);
    return found->count == 0;
}

/* One run that ends after so many ops: what is open is closed with the loop. Nobody is told of that, so that the trace
 * says nothing but whether all fds are there again. */
static bool gives_back(uint32_t ops_max, const struct lc_program *program, struct lc_judgement *found)
{
    memory.failing = 0;
    memory.ops_max = ops_max;
    judge(plan_for(program), program, found);
    size_t count = 0;
    for (size_t i = 0; i < found->count; i++)
        if (strcmp(found->violations[i].rule, "LIFE-3") == 0)
            found->violations[count++] = found->violations[i];
    found->count = count;
    look_for_leak(found);
    return found->count == 0;
}

void fuzz_program_judge(const struct lc_program *program, struct lc_judgement *judgement)
{
    const struct sim_faults *faults = &fuzz_faults_sim()->faults;
    memory.ops = 0;
    for (uint32_t ops_max = 2; ops_max == 2 || memory.ops > ops_max / 2; ops_max *= 2)
        if (!gives_back(ops_max, program, judgement))
            return;
    for (uint32_t n = 2; /* the first is for the loop itself: without it there is no run */ n <= CALLS_MAX; n++)
        if (!passes(plan_for(program), n, program, judgement))
            return;
        else if (memory.requests < n)
            break;
    struct sim_plan plan = plan_for(program);
    for (plan.failing_call = 1; plan.failing_call <= CALLS_MAX; plan.failing_call++)
        for (plan.failing_choice = 0; plan.failing_choice < ERRORS_MAX; plan.failing_choice++)
            if (!passes(plan, 0, program, judgement) || faults->calls < plan.failing_call)
                return;
            else if (!faults->has_failed) /* no other error */
                break;
}
