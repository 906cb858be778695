#include "rig.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACE_BYTES = 1 << 22 };

struct rig rig;
static _Alignas(struct lc_trace) unsigned char memory[TRACE_BYTES];

void rig_dispose(void)
{
    free(rig.trace);
    rig.trace = NULL;
}

void rig_init(int defect, uint32_t capabilities)
{
    rig_dispose();
    fake_loop_init(&rig.loop, defect, capabilities);
}

void rig_run(const struct lc_program *program)
{
    struct lc_trace *trace = lc_trace_init(memory, sizeof memory);
    const bool is_threaded = rig.loop.kernel.is_threaded;

    rig_dispose();
    fake_kernel_init(&rig.loop.kernel);
    rig.loop.kernel.is_threaded = is_threaded;
    if (rig.has_no_network) {
        rig.loop.kernel.base.listen = NULL;
        rig.loop.kernel.base.connect = NULL;
        rig.loop.kernel.base.udp = NULL;
    }
    rig.result = lc_run(&rig.loop.base, program, 7, trace, &rig.stats);
    rig.trace_count = lc_trace_merge(trace, sizeof memory, &rig.trace);
    lc_monitor_judge(rig.trace, rig.trace_count, &rig.judgement);
}

void rig_run_text(const char *text)
{
    static struct lc_program program;
    const char *why = NULL;
    int line = lc_program_parse(&program, text, &why);
    assert(line == 0);
    rig_run(&program);
}

void rig_generate(struct lc_program *program, uint64_t seed)
{
    lc_program_generate(program, seed,
                        &(struct lc_profile){.capabilities = rig.loop.base.capabilities,
                                             .delay_ns_max = UINT64_C(1) << 40,
                                             .tick_ns = 1000000});
}

bool rig_is_broken(const char *rule)
{
    for (size_t i = 0; i < rig.judgement.count; i++)
        if (strcmp(rig.judgement.violations[i].rule, rule) == 0)
            return true;
    return false;
}

bool rig_counts(const char *text, uint32_t executed, uint32_t ignored, uint32_t unfired)
{
    const struct lc_stats *s = &rig.stats;
    rig_run_text(text);
    if (s->executed == executed && s->ignored == ignored && s->unfired == unfired && rig.judgement.count == 0 &&
        rig.loop.rescues == 0)
        return true;
    printf("%s: %u executed, %u ignored, %u unfired\n", text, s->executed, s->ignored, s->unfired);
    lc_trace_print(rig.trace, rig.trace_count, stdout);
    return false;
}

void rig_print(const char *name, const struct lc_program *program)
{
    static char text[LC_PROGRAM_OPS_MAX * LC_TEXT_LINE_MAX];
    lc_program_format(program, text, sizeof text);
    printf("%s:\n%s", name, text);
    for (size_t i = 0; i < rig.judgement.count; i++)
        printf("# %s: %s\n", rig.judgement.violations[i].rule, rig.judgement.violations[i].text);
}
