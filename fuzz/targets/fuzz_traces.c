/* Property: the trace of a real run, with some records lost, doubled, swapped or altered, as a broken loop would leave
 * it, is judged within bounds and twice the same; and two such traces are compared.
 *
 * Targets: lc_monitor_judge, lc_model_take, lc_monitor_report, lc_monitor_owed, lc_trace_compare, lc_trace_merge,
 * lc_trace_format.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_program.h"
#include "trace_compare.h"

enum { ROUNDS = 8, EDITS_MAX = 6 };

const char *const fuzz_program_driver_name = "refloop_sim";

static size_t edit(struct lc_obs *records, size_t count, uint64_t *seed)
{
    static const int32_t results[] = {0, 0, 1, -5, -104};
    const size_t at = lc_random(seed) % count, from = lc_random(seed) % count;
    struct lc_obs *record = &records[at];
    switch (lc_random(seed) % 9) {
    case 0: /* lost */
        memmove(record, record + 1, (count - at - 1) * sizeof *record);
        return count - 1;
    case 1: /* doubled: there is room for one more an edit */
        memmove(record + 1, record, (count - at) * sizeof *record);
        return count + 1;
    case 2: { /* swapped */
        const struct lc_obs kept = *record;
        *record = records[from];
        records[from] = kept;
        break;
    }
    case 3:
        record->handle = records[from].handle;
        break;
    case 4:
        record->code = records[from].code;
        break;
    case 5:
        record->bits = (uint8_t)lc_random(seed);
        break;
    case 6:
        record->result = results[lc_random(seed) % (sizeof results / sizeof *results)];
        break;
    case 7:
        record->arg = lc_random(seed) % 2 == 0 ? records[from].arg : record->arg + lc_random(seed) % 3 - 1;
        break;
    default:
        record->thread = (uint16_t)(lc_random(seed) % 3);
        break;
    }
    return count;
}

static void complain(struct lc_judgement *judgement, const char *sentence)
{
    struct lc_violation *violation = &judgement->violations[0];
    judgement->count = 1;
    snprintf(violation->rule, sizeof violation->rule, "KIT");
    snprintf(violation->text, sizeof violation->text, "%s", sentence);
}

static void try_edited(const struct lc_obs *real, size_t real_count, uint64_t seed, struct lc_judgement *judgement)
{
    static struct lc_judgement first, second;
    struct lc_difference differences[LC_DIFFERENCES_MAX];
    struct lc_obs *records = malloc((real_count + EDITS_MAX + 1) * sizeof *records);
    char line[256];
    memcpy(records, real, real_count * sizeof *records);
    size_t count = real_count;
    for (uint64_t edits = 1 + lc_random(&seed) % EDITS_MAX; edits > 0 && count > 1; edits--)
        count = edit(records, count, &seed);
    for (size_t i = 0; i < count; i++)
        if (lc_trace_format(&records[i], line, sizeof line) <= 0)
            complain(judgement, "a record cannot be printed");
    lc_monitor_judge(records, count, &first);
    lc_monitor_judge(records, count, &second);
    if (memcmp(&first, &second, lc_judgement_bytes(&first)) != 0 || first.count > LC_VIOLATIONS_MAX)
        complain(judgement, "the same trace got two verdicts");
    if (lc_trace_compare(records, count, real, real_count, differences) > LC_DIFFERENCES_MAX)
        complain(judgement, "more differences than there is room for");
    free(records);
}

void fuzz_program_judge(const struct lc_program *program, struct lc_judgement *judgement)
{
    struct lc_obs *merged;
    size_t count = fuzz_program_run(fuzz_program_driver(), program, &merged);
    lc_monitor_judge(merged, count, judgement);
    for (uint64_t seed = 0; seed < ROUNDS && judgement->count == 0; seed++)
        try_edited(merged, count, seed * LC_PROGRAM_OPS_MAX + program->count, judgement);
    free(merged);
}
