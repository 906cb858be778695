/* A trace keeps what every thread saw in one order up to the first gap, and reading it trusts nothing in its memory. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "program.h"
#include "testing/test.h"
#include "trace.h"

enum {
    THREADS = 4,
    RECORDS = 200,
    RECORDS_MANY = 20000,
    HEADER_BYTES = sizeof(struct lc_trace),
    RECORD_BYTES = sizeof(struct lc_obs)
};

static struct lc_trace *trace;
static size_t trace_bytes;
static struct lc_obs *merged;

/* Memory of exactly the size that the lanes need, so that a sanitizer sees the first byte beyond it. */
static void setup(size_t lane_records)
{
    trace_bytes = HEADER_BYTES + LC_LANES_MAX * lane_records * RECORD_BYTES;
    trace = lc_trace_init(calloc(1, trace_bytes), trace_bytes);
    CHECK(trace != NULL && trace->lane_records == lane_records);
}

static void teardown(void)
{
    free(merged);
    free(trace);
    merged = NULL;
}

static size_t merge(void)
{
    free(merged);
    return lc_trace_merge(trace, trace_bytes, &merged);
}

static void add_note(uint64_t arg)
{
    lc_trace_add(trace, (struct lc_obs){.what = LC_WHAT_NOTE, .arg = arg});
}

static void *add_some(void *count)
{
    for (uint64_t i = 0; i < *(const uint64_t *)count; i++)
        add_note(i);
    return NULL;
}

static pthread_t start(const uint64_t *count)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, add_some, (void *)(uintptr_t)count) == 0);
    return thread;
}

static void add_on_thread(uint64_t count)
{
    CHECK(pthread_join(start(&count), NULL) == 0);
}

static void check_in_order(size_t count)
{
    for (size_t i = 1; i < count; i++)
        CHECK(merged[i - 1].seq <= merged[i].seq);
}

/* ---- threads and gaps ------------------------------------------------------------------------ */

/* What threads write at the same time is all there once, numbered from 1 without a hole, each thread's in its order. */
static void threads_merge_in_one_order(void)
{
    const uint64_t count = RECORDS_MANY;
    pthread_t threads[THREADS];
    uint64_t next[THREADS + 1] = {0};
    setup(RECORDS_MANY);
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(&count);
    add_some((void *)(uintptr_t)&count);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(merge() == (THREADS + 1) * RECORDS_MANY);
    for (uint32_t i = 0; i < (THREADS + 1) * RECORDS_MANY; i++) {
        CHECK(merged[i].seq == i + 1 && merged[i].thread <= THREADS);
        CHECK(merged[i].arg == next[merged[i].thread]++);
    }
    teardown();
}

/* What one thread wrote before another one began stands before it; lane 0 is the thread that made the trace. */
static void order_of_causes_is_kept(void)
{
    setup(RECORDS);
    for (uint64_t i = 0; i < 3; i++) {
        add_note(100 + i);
        add_on_thread(1);
    }
    CHECK(merge() == 6);
    for (uint16_t i = 0; i < 6; i++) {
        CHECK(merged[i].thread == (i % 2 == 0 ? 0 : (i + 1) / 2));
        CHECK(merged[i].arg == (i % 2 == 0 ? 100 + i / 2u : 0));
    }
    teardown();
}

/* Threads beyond the last lane share it, and still are told apart from the loop's thread. */
static void threads_beyond_the_lanes_are_kept(void)
{
    enum { MANY = 3 * LC_LANES_MAX };
    setup(RECORDS);
    for (int i = 0; i < MANY; i++)
        add_on_thread(2);
    CHECK(merge() == 2 * MANY);
    for (size_t i = 0; i < 2 * MANY; i++)
        CHECK(merged[i].thread == 1 + i / 2);
    teardown();
}

/* Threads that share the last lane and write at the same time overwrite nothing of each other's. */
static void threads_on_one_lane_keep_apart(void)
{
    enum { EARLY = LC_LANES_MAX, LATE = 4 };
    const uint64_t count = RECORDS_MANY;
    pthread_t threads[LATE];
    setup(LATE * RECORDS_MANY + EARLY);
    for (int i = 0; i < EARLY; i++)
        add_on_thread(1); /* takes the lanes */
    for (int i = 0; i < LATE; i++)
        threads[i] = start(&count);
    for (int i = 0; i < LATE; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(merge() == LATE * RECORDS_MANY + EARLY);
    for (uint32_t i = 0; i < LATE * RECORDS_MANY + EARLY; i++)
        CHECK(merged[i].seq == i + 1);
    teardown();
}

/* A full lane drops what comes, and nothing that came after the first dropped record is told. */
static void trace_ends_at_the_first_gap(void)
{
    setup(4);
    add_on_thread(1); /* 1 */
    for (uint64_t i = 0; i < 4; i++)
        add_note(i);  /* 2 to 5 */
    add_on_thread(2); /* 6 and 7: the last before the gap */
    CHECK(merge() == 7);
    add_note(4); /* 8 is dropped */
    add_on_thread(3);
    add_note(5);
    CHECK(merge() == 7);
    for (uint32_t i = 0; i < 7; i++)
        CHECK(merged[i].seq == i + 1);
    teardown();
}

/* The earliest of several gaps counts, on whichever lane it is. */
static void earliest_gap_counts(void)
{
    setup(2);
    add_on_thread(3); /* 1, 2, gap at 3 */
    for (uint64_t i = 0; i < 3; i++)
        add_note(i); /* 4, 5, gap at 6 */
    CHECK(merge() == 2 && merged[1].seq == 2);
    teardown();
}

/* After a reset the trace is empty, numbers begin at 1, and every thread gets its lane anew. */
static void reset_forgets(void)
{
    setup(2);
    add_on_thread(1);
    for (uint64_t i = 0; i < 4; i++)
        add_note(i);
    lc_trace_reset(trace);
    CHECK(merge() == 0 && merged == NULL);
    add_note(7);
    CHECK(merge() == 1 && merged[0].seq == 1 && merged[0].thread == 0 && merged[0].arg == 7);
    teardown();
}

static void *make_anew(void *note)
{
    trace = lc_trace_init(trace, trace_bytes);
    add_note(*(uint64_t *)note);
    return NULL;
}

/* A new trace in the memory of an old one is another one, also for the threads that wrote to the old. */
static void new_trace_at_the_same_place_is_another(void)
{
    pthread_t thread;
    setup(4);
    add_note(1);
    CHECK(pthread_create(&thread, NULL, make_anew, &(uint64_t){2}) == 0 && pthread_join(thread, NULL) == 0);
    add_note(3);
    CHECK(merge() == 2);
    CHECK(merged[0].arg == 2 && merged[0].thread == 0);
    CHECK(merged[1].arg == 3 && merged[1].thread == 1);
    teardown();
}

/* Two traces that one thread writes to in turn do not mix. */
static void traces_do_not_mix(void)
{
    static _Alignas(struct lc_trace) unsigned char memory[HEADER_BYTES + LC_LANES_MAX * 4 * RECORD_BYTES];
    struct lc_trace *other = lc_trace_init(memory, sizeof memory);
    setup(4);
    add_note(1);
    lc_trace_add(other, (struct lc_obs){.what = LC_WHAT_NOTE, .arg = 2});
    add_note(3);
    CHECK(merge() == 2 && merged[0].arg == 1 && merged[1].arg == 3);
    free(merged);
    CHECK(lc_trace_merge(other, sizeof memory, &merged) == 1 && merged[0].arg == 2);
    teardown();
}

/* What one thread has written lies in order as it is, as long as nobody else writes and nothing is dropped. */
static void trace_of_one_thread_is_in_place(void)
{
    setup(4);
    CHECK(lc_trace_count_in_place(trace) == 0);
    for (uint64_t i = 0; i < 4; i++) {
        add_note(i);
        CHECK(lc_trace_count_in_place(trace) == i + 1 && trace->records[i].arg == i && trace->records[i].seq == i + 1);
    }
    add_note(4);
    CHECK(lc_trace_count_in_place(trace) == 0 && merge() == 4);
    lc_trace_reset(trace);
    add_note(0);
    add_on_thread(1);
    CHECK(lc_trace_count_in_place(trace) == 0 && merge() == 2);
    lc_trace_reset(trace);
    add_note(0);
    trace->lane[0].count = 5; /* more than there is room for */
    CHECK(lc_trace_count_in_place(trace) == 0);
    teardown();
}

/* ---- memory that cannot be trusted ------------------------------------------------------------ */

/* Memory for less than one record a lane is refused, for one or more it is taken; so is only aligned memory. */
static void unfit_memory_is_refused(void)
{
    const size_t least = HEADER_BYTES + LC_LANES_MAX * RECORD_BYTES;
    for (size_t size = 0; size < least + 2 * LC_LANES_MAX * RECORD_BYTES; size++) {
        unsigned char *memory = calloc(1, size + 1);
        trace = lc_trace_init(memory, size);
        CHECK((trace != NULL) == (size >= least));
        CHECK(trace == NULL || trace->lane_records == (size - HEADER_BYTES) / RECORD_BYTES / LC_LANES_MAX);
        CHECK(lc_trace_init(memory + 1, size) == NULL);
        free(memory);
    }
}

/* Any size that does not belong to the header gives nothing; no byte beyond the size is read. */
static void wrong_size_gives_nothing(void)
{
    setup(3);
    add_note(1);
    for (size_t size = 0; size <= trace_bytes; size++) {
        void *copy = malloc(size + !size);
        memcpy(copy, trace, size);
        free(merged);
        size_t count = lc_trace_merge(copy, size, &merged);
        CHECK(count == (size == trace_bytes) && (merged != NULL) == (count > 0));
        free(copy);
    }
    teardown();
}

/* A header with another magic or capacity gives nothing. */
static void tampered_header_gives_nothing(void)
{
    static const uint32_t wrong[] = {0, 1, 2, 4, 1000, UINT32_MAX / 32, UINT32_MAX};
    setup(3);
    add_note(1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        trace->lane_records = wrong[i];
        CHECK(merge() == 0 && merged == NULL);
    }
    trace->lane_records = 3;
    CHECK(merge() == 1);
    trace->magic ^= 1;
    CHECK(merge() == 0 && merged == NULL);
    teardown();
}

/* Counts beyond the capacity stand for a full lane, and what is then read is in order of seq too. */
static void tampered_counts_are_bounded(void)
{
    setup(3);
    add_note(1);
    add_on_thread(2);
    for (size_t lane = 0; lane < LC_LANES_MAX; lane++) {
        trace->lane[lane].count = lane % 2 ? UINT32_MAX : 4;
        size_t count = merge();
        CHECK(count >= 3 && count <= LC_LANES_MAX * 3);
        check_in_order(count);
    }
    CHECK(merge() == LC_LANES_MAX * 3);
    teardown();
}

/* Whatever stands in the memory, merging stays inside it and gives records in order of seq. */
static void any_memory_can_be_merged(void)
{
    uint64_t seed = 1;
    setup(3);
    for (int i = 0; i < 20000; i++) {
        unsigned char *bytes = (unsigned char *)trace;
        size_t wild = i % 2 ? HEADER_BYTES : trace_bytes;
        for (size_t j = offsetof(struct lc_trace, seq); j < wild; j++)
            bytes[j] = lc_random(&seed) % 4 ? 0 : (unsigned char)lc_random(&seed);
        size_t count = merge();
        CHECK(count <= LC_LANES_MAX * 3);
        check_in_order(count);
    }
    teardown();
}

/* What was added since a mark can be forgotten, on all lanes and also beyond a gap; what was there before stays. */
static void rewind_forgets_what_came_since(void)
{
    setup(5);
    const uint64_t two = 2;
    add_note(0);
    pthread_join(start(&two), NULL);
    const struct lc_trace_mark mark = lc_trace_mark(trace);
    for (uint64_t i = 0; i < 7; i++)
        add_note(i);
    CHECK(merge() == 7 && trace->lane[0].full_seq != 0);
    lc_trace_rewind(trace, &mark);
    CHECK(merge() == 3 && merged[2].thread == 1);
    add_note(9);
    CHECK(merge() == 4 && merged[3].arg == 9);
    teardown();
}

/* ---- text -------------------------------------------------------------------------------------- */

/* Any record is one line of text that fits the printer's, whatever stands in it. */
static void any_record_is_one_line(void)
{
    uint64_t seed = 2;
    for (int i = 0; i < 100000; i++) {
        struct lc_obs obs;
        char line[200];
        for (size_t j = 0; j < sizeof obs / sizeof seed; j++)
            memcpy((char *)&obs + j * sizeof seed, &(uint64_t){lc_random(&seed)}, sizeof seed);
        obs.what = i % 4 ? (uint8_t)(i % (LC_WHAT_COUNT + 1)) : obs.what;
        int length = lc_trace_format(&obs, line, sizeof line);
        CHECK(length > 0 && length < (int)sizeof line && strlen(line) == (size_t)length);
        CHECK(strchr(line, '\n') == NULL);
        CHECK(lc_trace_format(&obs, line, 8) == length && strlen(line) == 7);
    }
}

/* A printed trace has one line a record. */
static void trace_prints_by_the_line(void)
{
    char *text = NULL;
    size_t size = 0, lines = 0;
    FILE *out = open_memstream(&text, &size);
    setup(5);
    for (uint64_t i = 0; i < 5; i++)
        add_note(i);
    lc_trace_print(NULL, 0, out);
    size_t count = merge();
    lc_trace_print(merged, count, out);
    CHECK(fclose(out) == 0);
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    CHECK(lines == 5 && strstr(text, "    5   0.000000 ms  thread 0  note 0\n") != NULL);
    free(text);
    teardown();
}

static const struct test tests[] = {
    TEST(threads_merge_in_one_order),
    TEST(order_of_causes_is_kept),
    TEST(threads_beyond_the_lanes_are_kept),
    TEST(threads_on_one_lane_keep_apart),
    TEST(trace_ends_at_the_first_gap),
    TEST(earliest_gap_counts),
    TEST(reset_forgets),
    TEST(new_trace_at_the_same_place_is_another),
    TEST(traces_do_not_mix),
    TEST(trace_of_one_thread_is_in_place),
    TEST(unfit_memory_is_refused),
    TEST(wrong_size_gives_nothing),
    TEST(tampered_header_gives_nothing),
    TEST(tampered_counts_are_bounded),
    TEST(any_memory_can_be_merged),
    TEST(rewind_forgets_what_came_since),
    TEST(any_record_is_one_line),
    TEST(trace_prints_by_the_line),
};
TEST_MAIN(tests)
