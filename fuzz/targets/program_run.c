/* What the targets share whose input is a program: they run it, print it, and count what was done. */
#include "fuzz_program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "drivers/drivers.h"
#include "kernels/clock.h"
#include "names.h"

enum { TRACE_BYTES = 1 << 20, HEAP_BYTES_KEPT = 64 << 20 };

static struct lc_driver *driver;
static struct lc_trace *trace;
static struct lc_stats totals, present; /* present: of the last run, or the one that is under way */
static _Alignas(struct lc_obs) unsigned char memory[TRACE_BYTES];

struct lc_profile fuzz_program_profile(void)
{
    const bool is_timed = driver->kernel != NULL && driver->kernel->is_timed; /* delays cost nothing, and the runner */
    const uint64_t real_ns_max = (is_timed ? 40 : 4) * UINT64_C(1000000);     /* waits for these yet */
    const uint64_t delay_ns_max = driver->is_exact ? UINT64_C(1) << 40 : real_ns_max;
    return (struct lc_profile){.capabilities = driver->capabilities,
                               .delay_ns_max = delay_ns_max,
                               .tick_ns = driver->is_exact ? 1000000 : driver->tick_ns};
}

static void run(struct lc_driver *on, const struct lc_program *program)
{
    clock_reset();
    lc_trace_reset(trace);
    const int opened = lc_run(on, program, 0, trace, &present);
    if (opened < 0) {
        fprintf(stderr, "the driver %s cannot open a loop: %s\n", on->name, strerror(-opened));
        fflush(NULL);
        _exit(3); /* an exit() in the middle of a program would be the driver's */
    }
    totals.ops += present.ops;
    totals.executed += present.executed;
    totals.callbacks += present.callbacks;
    totals.sleeps += present.sleeps;
    totals.vain_waits += present.vain_waits;
}

size_t fuzz_program_run(struct lc_driver *on, const struct lc_program *program, struct lc_obs **merged)
{
    run(on, program);
    return lc_trace_merge(trace, sizeof memory, merged);
}

void fuzz_program_run_judged(const struct lc_program *program, struct lc_judgement *judgement)
{
    run(driver, program);
    size_t count = lc_trace_count_in_place(trace);
    if (count > 0) {
        lc_monitor_judge(trace->records, count, judgement);
        return;
    }
    struct lc_obs *merged;
    count = lc_trace_merge(trace, sizeof memory, &merged);
    lc_monitor_judge(merged, count, judgement);
    free(merged);
}

const char *fuzz_program_lie(void)
{
    return present.unimplemented == 0 ? NULL : lc_op_forms[present.unimplemented].name;
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

static void print_trace(const struct lc_obs *merged, size_t count, const struct lc_judgement *judgement)
{
    fprintf(stderr, "# trace\n");
    lc_trace_print(merged, count, stderr);
    for (size_t i = 0; i < judgement->count; i++)
        fprintf(stderr, "%s at record %u: %s\n", judgement->violations[i].rule, judgement->violations[i].seq,
                judgement->violations[i].text);
}

void fuzz_program_print(const struct lc_program *program, const struct lc_judgement *judgement)
{
    static char text[LC_PROGRAM_OPS_MAX * LC_TEXT_LINE_MAX];
    struct lc_obs *merged;

    lc_program_format(program, text, sizeof text);
    size_t count = lc_trace_merge(trace, sizeof memory, &merged);
    fprintf(stderr, "# program on %s\n%s\n", driver->name, text);
    print_trace(merged, count, judgement);
    free(merged);
}

void fuzz_program_print_unfinished(void)
{
    struct lc_judgement judgement;
    struct lc_obs *merged;

    if (trace == NULL) /* the driver was not even loaded */
        return;
    size_t count = lc_trace_merge(trace, sizeof memory, &merged);
    lc_monitor_judge(merged, count, &judgement);
    print_trace(merged, count, &judgement);
    if (judgement.owed[0] != 0)
        fprintf(stderr, "%s: the loop still owed: %s\n", judgement.owed_rule, judgement.owed);
    if (fuzz_program_lie() != NULL)
        fprintf(stderr, LC_LIE_FORMAT, fuzz_program_lie());
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
    if (fuzz_program_lie() != NULL)
        fprintf(stderr, LC_LIE_FORMAT, fuzz_program_lie());
    if (judgement.count > 0 || fuzz_program_lie() != NULL)
        abort();
    return 0;
}
