/* Runner, trace and monitor ask for memory as often for a long program as for a short one: never for an op. */
#include <stdlib.h>
#include <string.h>

#include "drivers/drivers.h"
#include "monitor.h"
#include "program.h"
#include "runner.h"
#include "testing/test.h"

enum { TRACE_BYTES = 1 << 20, PROGRAMS = 500 };

/* The linker sends here who asks for memory. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static struct {
    bool is_in_loop; /* the loop's own: it makes handles and buffers */
    unsigned requests;
    int64_t (*apply)(struct lc_driver *driver, const struct lc_op *op);
} memory;

void *__wrap_malloc(size_t size)
{
    memory.requests += !memory.is_in_loop;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    memory.requests += !memory.is_in_loop;
    return __real_calloc(count, size);
}

static int64_t apply(struct lc_driver *driver, const struct lc_op *op)
{
    const bool was_in_loop = memory.is_in_loop;
    memory.is_in_loop = true;
    int64_t result = memory.apply(driver, op);
    memory.is_in_loop = was_in_loop;
    return result;
}

static unsigned requests_of(struct lc_driver *driver, const struct lc_program *program)
{
    static _Alignas(struct lc_obs) unsigned char bytes[TRACE_BYTES];
    struct lc_trace *trace = lc_trace_init(memset(bytes, 0, sizeof(struct lc_trace)), sizeof bytes);
    struct lc_judgement judgement;
    struct lc_stats stats;
    struct lc_obs *merged;
    memory.requests = 0;
    CHECK(lc_run(driver, program, 0, trace, &stats) == 0);
    size_t count = lc_trace_merge(trace, sizeof bytes, &merged);
    lc_monitor_judge(merged, count, &judgement);
    free(merged);
    CHECK(judgement.count == 0);
    return memory.requests;
}

static void no_op_costs_a_request(void)
{
    static struct lc_program program;
    struct lc_driver *driver = driver_find("refloop_sim");
    const struct lc_profile profile = {
        .capabilities = driver->capabilities, .delay_ns_max = 1 << 30, .tick_ns = driver->tick_ns};
    memory.apply = driver->apply;
    driver->apply = apply;
    const unsigned needed = requests_of(driver, &(struct lc_program){.count = 0});
    for (uint64_t seed = 1; seed <= PROGRAMS; seed++) {
        lc_program_generate(&program, seed, &profile);
        CHECK(requests_of(driver, &program) == needed);
    }
    driver->apply = memory.apply;
}

static const struct test tests[] = {TEST(no_op_costs_a_request)};

TEST_MAIN(tests)
