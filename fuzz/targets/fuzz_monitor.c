/* Property: any bytes are a trace that gets a verdict, within the bounds of struct lc_judgement, and twice the same;
 * and of any memory that says it is a trace, as many records are read as were stored at most, in order.
 *
 * Targets: lc_monitor_judge, lc_model_take, lc_monitor_owed, lc_trace_merge, lc_trace_init, lc_trace_format.
 */
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "monitor.h"

enum { MEMORY_BYTES = 1 << 14, INVENTED_MAX = 1024 };

static bool ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static void judge(const struct lc_obs *records, size_t count)
{
    char text[16];
    static struct lc_judgement judgement, again;
    uint32_t runs = 0;
    for (size_t i = 0; i < count; i++) {
        runs += records[i].what == LC_WHAT_OPEN;
        memset(text, 0xa5, sizeof text);
        int length = lc_trace_format(&records[i], text, sizeof text);
        input_check(length > 0 && ends(text, sizeof text), "a record cannot be printed");
    }
    memset(&again, 0xa5, sizeof again);
    lc_monitor_judge(records, count, &judgement);
    lc_monitor_judge(records, count, &again);
    input_check(memcmp(&judgement, &again, lc_judgement_bytes(&judgement)) == 0, "the same trace got two verdicts");
    input_check(judgement.count <= LC_VIOLATIONS_MAX && judgement.runs == runs, "a verdict out of its bounds");
    input_check(judgement.callbacks <= count && judgement.ops <= count, "a verdict counts more than there are records");
    input_check(ends(judgement.owed, sizeof judgement.owed), "what is owed has no end");
    for (size_t i = 0; i < judgement.count; i++) {
        const struct lc_violation *violation = &judgement.violations[i];
        input_check(ends(violation->rule, sizeof violation->rule) && strchr(violation->rule, '-') != NULL, "no rule");
        input_check(ends(violation->text, sizeof violation->text) && violation->run <= runs, "no sentence, or no run");
    }
}

static void merge(const uint8_t *data, size_t size)
{
    static _Alignas(struct lc_obs) unsigned char memory[MEMORY_BYTES];
    struct lc_trace *trace = (struct lc_trace *)memory;
    struct lc_obs *merged;
    memset(memory, 0, sizeof memory);
    lc_trace_init(memory, sizeof memory);
    const uint32_t lane_records = trace->lane_records, magic = trace->magic;
    memcpy(memory, data, size < sizeof memory ? size : sizeof memory);
    if (size > 0 && data[0] % 4 != 0) { /* else a wrong header would be all that is ever tried */
        trace->lane_records = lane_records;
        trace->magic = magic;
    }
    size_t count = lc_trace_merge(trace, sizeof memory, &merged);
    input_check(count <= (size_t)LC_LANES_MAX * lane_records, "more records than there is memory for");
    for (size_t i = 1; i < count; i++)
        input_check(merged[i].seq >= merged[i - 1].seq, "records out of order");
    judge(merged, count);
    free(merged);
}

/* Records that are nearly possible: of handles that meet, in the order of time. */
static size_t invent(struct input *input, struct lc_obs *records, size_t count_max)
{
    static const int32_t results[8] = {0, 0, 0, 0, 1, -5, INT32_MAX, INT32_MIN};
    size_t count = 0;
    for (; input->left > 0 && count < count_max; count++) {
        unsigned what = input_byte(input), code = input_byte(input), handle = input_byte(input);
        records[count] = (struct lc_obs){.what = (uint8_t)(what % 19),
                                         .code = (uint8_t)(code % 68),
                                         .handle = LC_HANDLE_WIDE(handle),
                                         .bits = (uint8_t)(code / 68 * 3),
                                         .result = results[what / 32],
                                         .arg = input_byte(input) * (what == 1 ? UINT64_C(0x100000007) : 1),
                                         .time_ns = count * 1000,
                                         .seq = 1 + (uint32_t)count};
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lc_obs invented[INVENTED_MAX];
    struct input input = {.bytes = data, .left = size};
    size_t count = size / sizeof(struct lc_obs);
    struct lc_obs *records = malloc(count * sizeof *records + 1);
    input_check(records != NULL, "no memory");
    memcpy(records, data, count * sizeof *records);
    judge(records, count);
    merge(data, size);
    judge(invented, invent(&input, invented, INVENTED_MAX));
    free(records);
    return 0;
}
