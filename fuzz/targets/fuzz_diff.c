/* Property: what a program's handles see on libuv, each by itself and with its bytes in whatever chunks, they see on
 * the reference loop on epoll, too; of what both can do.
 *
 * Targets: lc_trace_compare, lc_program_settle, and the reference loop on epoll: rl_loop_turn, rl_epoll_open.
 */
#include <stdio.h>
#include <stdlib.h>

#include "drivers/drivers.h"
#include "fuzz_program.h"
#include "trace_compare.h"

enum { RUNS_MAX = 6 };

const char *const fuzz_program_driver_name = "libuv";

/* Both do only what both can, and time is as coarse on both. Without datagrams: libuv sends them in its turn, and tells
 * then what the reference loop answers at once, so that much of what follows is another thing. */
static struct lc_driver *equal_control(struct lc_driver *driver)
{
    struct lc_driver *control = driver_find("refloop_epoll");
    control->capabilities = driver->capabilities &= control->capabilities & ~(uint32_t)LC_CAP_DATAGRAM;
    if (control->tick_ns < driver->tick_ns)
        control->tick_ns = driver->tick_ns;
    return control;
}

/* An error comes now or later, as the kernel has it; and libuv ends a watcher by it, the reference loop does not. That
 * an error is a true one the rules judge. */
static bool has_error(const struct lc_obs *records, size_t count, uint16_t handle)
{
    for (size_t i = 0; i < count; i++)
        if (records[i].what == LC_WHAT_BEGIN && records[i].handle == handle && records[i].result < 0)
            return true;
    return false;
}

static void add(struct lc_judgement *judgement, const struct lc_difference *difference)
{
    struct lc_violation *violation = &judgement->violations[judgement->count++];
    snprintf(violation->rule, sizeof violation->rule, "DIFF");
    snprintf(violation->text, sizeof violation->text, "%.*s", (int)sizeof violation->text - 1, difference->text);
}

/* One run of the program on both. Where libuv itself breaks a rule (docs/findings/libuv.md) there is nothing to compare
 * with. */
static void compare(struct lc_driver *driver, const struct lc_program *program, struct lc_judgement *judgement)
{
    struct lc_difference differences[LC_DIFFERENCES_MAX];
    struct lc_obs *there, *here;
    size_t here_count = fuzz_program_run(equal_control(driver), program, &here);
    size_t there_count = fuzz_program_run(driver, program, &there);

    lc_monitor_judge(there, there_count, judgement);
    const bool is_right = judgement->count == 0;
    lc_monitor_judge(here, here_count, judgement);
    size_t count = is_right ? lc_trace_compare(there, there_count, here, here_count, differences) : 0;
    for (size_t i = 0; i < count && judgement->count < LC_VIOLATIONS_MAX; i++)
        if (!has_error(there, there_count, differences[i].handle) &&
            !has_error(here, here_count, differences[i].handle))
            add(judgement, &differences[i]);
    free(there);
    free(here);
}

/* libuv is deaf to an fd behind a poll handle that was stopped and is stopped again, or closed
 * (docs/findings/libuv.md), and then sleeps for good: here a watcher goes with its cancel. */
static void destroy_the_cancelled(struct lc_program *program)
{
    for (size_t i = 0; i < program->count; i++)
        if (program->ops[i].op == LC_OP_CANCEL && program->ops[i].a >> 4 == LC_KIND_WATCH)
            program->ops[i].op = LC_OP_DESTROY;
}

/* Real time passes as it likes: what is seen in each of several runs is not its doing. */
void fuzz_program_judge(const struct lc_program *program, struct lc_judgement *judgement)
{
    static struct lc_program settled;
    settled = *program;
    lc_program_settle(&settled);
    destroy_the_cancelled(&settled);
    judgement->count = 1;
    for (int runs = 0; runs < RUNS_MAX && judgement->count > 0; runs++)
        compare(fuzz_program_driver(), &settled, judgement);
}
