/* Real kernel, virtual time. The same program on the simulated kernel without faults and on epoll gives the same
 * normalised trace, handle by handle: of what both can do, and does not depend on how much a socket holds. */
#include <stdlib.h>
#include <string.h>

#include "drivers/drivers.h"
#include "kernels/clock.h"
#include "monitor.h"
#include "runner.h"
#include "testing/test.h"
#include "trace_compare.h"

enum { TRACE_BYTES = 1 << 20, PROGRAMS = 1500, BYTES_MAX = 300, EXECUTED_MIN = 8 * PROGRAMS };

static _Alignas(struct lc_obs) unsigned char memory[TRACE_BYTES];
static struct lc_trace *trace;
static uint32_t executed;

static size_t run(struct lc_driver *driver, const struct lc_program *program, struct lc_obs **merged)
{
    struct lc_stats stats;
    clock_use(driver);
    clock_reset();
    lc_trace_reset(trace);
    CHECK(lc_run(driver, program, 0, trace, &stats) == 0);
    executed += stats.executed;
    return lc_trace_merge(trace, sizeof memory, merged);
}

/* How much a buffer holds is the kernel's business; and no fault can be asked of the real one. */
static void fit(struct lc_program *program)
{
    size_t kept = 0;
    for (size_t i = 0; i < program->count; i++) {
        struct lc_op op = program->ops[i];
        if (op.op == LC_OP_FILL || op.op == LC_OP_FAULT)
            continue;
        if (op.op == LC_OP_PUT || op.op == LC_OP_WRITE || op.op == LC_OP_SEND)
            op.n = (uint16_t)(op.n % BYTES_MAX);
        program->ops[kept++] = op;
    }
    program->count = kept;
    lc_program_settle(program);
}

static void compare(const struct lc_program *program, uint64_t seed)
{
    struct lc_difference differences[LC_DIFFERENCES_MAX];
    struct lc_obs *simulated, *real;
    size_t simulated_count = run(driver_find("refloop_sim"), program, &simulated);
    size_t real_count = run(driver_find("refloop_epoll"), program, &real);
    size_t count = lc_trace_compare(simulated, simulated_count, real, real_count, differences);
    if (count > 0)
        printf("seed %llu: %s\n", (unsigned long long)seed, differences[0].text);
    CHECK(count == 0);
    free(simulated);
    free(real);
}

static void programs_see_the_same_on_both(void)
{
    static struct lc_program program;
    const struct lc_driver *driver = driver_find("refloop_epoll");
    const struct lc_profile profile = {
        .capabilities = driver->capabilities, .delay_ns_max = 4000000, .tick_ns = 1000000};
    trace = lc_trace_init(memory, sizeof memory);
    for (uint64_t seed = 1; seed <= PROGRAMS; seed++) {
        lc_program_generate(&program, seed, &profile);
        fit(&program);
        compare(&program, seed);
    }
    CHECK(executed > EXECUTED_MIN);
}

static const struct test tests[] = {TEST(programs_see_the_same_on_both)};

TEST_MAIN(tests)
