/* What the targets share whose input is a program: they run it, print it, and count what was done. */
#include "fuzz_program.h"

#include <stdio.h>
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "drivers/drivers.h"
#include "kernels/clock.h"
#include "names.h"

enum { TRACE_BYTES = 1 << 20, HEAP_BYTES_KEPT = 64 << 20 };

static struct lc_driver *driver;
static struct lc_trace *trace;
static struct lc_stats totals;
static _Alignas(struct lc_obs) unsigned char memory[TRACE_BYTES];

struct lc_profile fuzz_program_profile(void)
{
    const uint64_t delay_ns_max = driver->is_exact ? UINT64_C(1) << 40 : 4 * UINT64_C(1000000);
    return (struct lc_profile){.capabilities = driver->capabilities,
                               .delay_ns_max = delay_ns_max,
                               .tick_ns = driver->is_exact ? 1000000 : driver->tick_ns};
}

size_t fuzz_program_run(struct lc_driver *on, const struct lc_program *program, struct lc_obs **merged)
{
    struct lc_stats stats;

    clock_reset();
    lc_trace_reset(trace);
    if (lc_run(on, program, 0, trace, &stats) < 0) {
        fprintf(stderr, "the driver %s cannot open a loop\n", on->name);
        exit(3);
    }
    if (stats.unimplemented != 0) {
        fprintf(stderr, "the driver %s does not implement %s, and says that its loop can do it\n", on->name,
                lc_op_forms[stats.unimplemented].name);
        abort();
    }
    totals.ops += stats.ops;
    totals.executed += stats.executed;
    totals.callbacks += stats.callbacks;
    return lc_trace_merge(trace, sizeof memory, merged);
}

void fuzz_program_note(struct lc_obs obs)
{
    lc_trace_add(trace, obs);
}

/* The one that came last to this number: a handle of before, whose fd is closed, may be shown with it once more. */
uint16_t fuzz_program_handle(int fd)
{
    const uint32_t count = trace->lane[0].count;
    bool has_had[LC_KIND_COUNT << 4] = {false};
    uint16_t last = 0;
    for (uint32_t i = 0; i < count && i < trace->lane_records; i++) {
        const struct lc_obs *obs = &trace->records[i];
        const unsigned place = (unsigned)(LC_WIDE_KIND(obs->handle) << 4 | (LC_WIDE_INDEX(obs->handle) & 15));
        if (obs->what != LC_WHAT_FD || obs->arg != (uint64_t)fd || place >= sizeof has_had || has_had[place])
            continue;
        has_had[place] = true;
        last = obs->handle;
    }
    return last;
}

struct lc_driver *fuzz_program_driver(void)
{
    return driver;
}

void fuzz_program_use(struct lc_driver *chosen)
{
    struct lc_judgement judgement;
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, HEAP_BYTES_KEPT); /* else each program gets fresh pages from the kernel */
#endif
    driver = chosen;
    clock_use(driver);
    trace = lc_trace_init(memory, sizeof memory);
    fuzz_program_judge(&(struct lc_program){0}, &judgement);
    totals = (struct lc_stats){0};
}

const struct lc_stats *fuzz_program_totals(void)
{
    return &totals;
}

void fuzz_program_print(const struct lc_program *program, const struct lc_judgement *judgement)
{
    static char text[LC_PROGRAM_OPS_MAX * LC_TEXT_LINE_MAX];
    struct lc_obs *merged;

    lc_program_format(program, text, sizeof text);
    size_t count = lc_trace_merge(trace, sizeof memory, &merged);
    fprintf(stderr, "# program on %s\n%s\n# trace\n", driver->name, text);
    lc_trace_print(merged, count, stderr);
    for (size_t i = 0; i < judgement->count; i++)
        fprintf(stderr, "%s at record %u: %s\n", judgement->violations[i].rule, judgement->violations[i].seq,
                judgement->violations[i].text);
    free(merged);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lc_program program;
    struct lc_judgement judgement;

    if (driver == NULL)
        fuzz_program_use(driver_find(fuzz_program_driver_name));
    lc_program_decode(&program, data, size);
    lc_program_canonical(&program);
    fuzz_program_judge(&program, &judgement);
    if (judgement.count > 0 || getenv("FUZZ_VERBOSE") != NULL)
        fuzz_program_print(&program, &judgement);
    if (judgement.count > 0)
        abort();
    return 0;
}
