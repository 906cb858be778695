#define _POSIX_C_SOURCE 200809L
#include "trace.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Which lane this thread writes to, and in which generation of which trace it was given out. */
struct place {
    const struct lc_trace *trace;
    uint32_t generation;
    uint32_t lane;
};
static _Thread_local struct place mine, other; /* other: while it writes as another thread, its own; else the other's */

/* Counts the traces of this process: two traces at one address must not have the same number. */
static _Atomic uint32_t generations;

static void take_lane(struct lc_trace *trace)
{
    mine.trace = trace;
    mine.generation = trace->generation;
    mine.lane = atomic_fetch_add_explicit(&trace->lanes, 1, memory_order_relaxed);
}

struct lc_trace *lc_trace_init(void *memory, size_t bytes)
{
    struct lc_trace *trace = memory;
    size_t header = sizeof *trace;

    if ((uintptr_t)memory % _Alignof(struct lc_trace) != 0 || bytes < header + LC_LANES_MAX * sizeof(struct lc_obs))
        return NULL;
    memset(trace, 0, header);
    trace->lane_records = (uint32_t)((bytes - header) / sizeof(struct lc_obs) / LC_LANES_MAX);
    trace->magic = LC_TRACE_MAGIC;
    lc_trace_reset(trace);
    return trace;
}

void lc_trace_reset(struct lc_trace *trace)
{
    memset(trace->lane, 0, sizeof trace->lane);
    atomic_store_explicit(&trace->seq, 0, memory_order_relaxed);
    atomic_store_explicit(&trace->lanes, 0, memory_order_relaxed);
    trace->generation = atomic_fetch_add_explicit(&generations, 1, memory_order_relaxed) + 1;
    take_lane(trace);
}

struct lc_trace_mark lc_trace_mark(const struct lc_trace *trace)
{
    struct lc_trace_mark mark;
    for (size_t i = 0; i < LC_LANES_MAX; i++) {
        mark.count[i] = atomic_load_explicit(&trace->lane[i].count, memory_order_relaxed);
        mark.full_seq[i] = trace->lane[i].full_seq;
    }
    return mark;
}

void lc_trace_rewind(struct lc_trace *trace, const struct lc_trace_mark *mark)
{
    for (size_t i = 0; i < LC_LANES_MAX; i++) {
        atomic_store_explicit(&trace->lane[i].count, mark->count[i], memory_order_relaxed);
        trace->lane[i].full_seq = mark->full_seq[i];
    }
}

void lc_trace_change_thread(void)
{
    const struct place kept = mine;
    mine = other;
    other = kept;
}

/* Threads beyond the last lane share it: each takes a place of its own, which orders nothing between them. */
static uint32_t take_place(struct lc_lane *lane, bool is_shared)
{
    if (is_shared)
        return atomic_fetch_add_explicit(&lane->count, 1, memory_order_relaxed);
    uint32_t place = atomic_load_explicit(&lane->count, memory_order_relaxed);
    atomic_store_explicit(&lane->count, place + 1, memory_order_relaxed);
    return place;
}

struct lc_obs *lc_trace_next(struct lc_trace *trace)
{
    if (mine.trace != trace || mine.generation != trace->generation)
        take_lane(trace);
    uint32_t number = mine.lane < LC_LANES_MAX ? mine.lane : LC_LANES_MAX - 1;
    struct lc_lane *lane = &trace->lane[number];

    const uint32_t seq = atomic_fetch_add_explicit(&trace->seq, 1, memory_order_relaxed) + 1;
    uint32_t place = take_place(lane, mine.lane >= LC_LANES_MAX - 1);
    if (place >= trace->lane_records) {
        atomic_store_explicit(&lane->count, trace->lane_records, memory_order_relaxed);
        lane->full_seq = lane->full_seq != 0 ? lane->full_seq : seq;
        return NULL;
    }
    struct lc_obs *obs = &trace->records[(size_t)number * trace->lane_records + place];
    obs->seq = seq;
    obs->thread = (uint16_t)(mine.lane < UINT16_MAX ? mine.lane : UINT16_MAX);
    return obs;
}

size_t lc_trace_count_in_place(const struct lc_trace *trace)
{
    const bool is_alone = atomic_load_explicit(&trace->lanes, memory_order_relaxed) == 1;
    const uint32_t count = atomic_load_explicit(&trace->lane[0].count, memory_order_relaxed);
    return is_alone && trace->lane[0].full_seq == 0 && count <= trace->lane_records ? count : 0;
}

static int by_seq(const void *left, const void *right)
{
    uint32_t a = ((const struct lc_obs *)left)->seq, b = ((const struct lc_obs *)right)->seq;
    return (a > b) - (a < b);
}

static bool is_in_order(const struct lc_obs *merged, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (merged[i].seq < merged[i - 1].seq)
            return false;
    return true;
}

/* Records from the first gap on are left out. */
static size_t count_before_gap(const struct lc_trace *trace, const struct lc_obs *merged, size_t total)
{
    for (size_t i = 0; i < LC_LANES_MAX; i++)
        for (uint32_t full = trace->lane[i].full_seq; full != 0 && total > 0; total--)
            if (merged[total - 1].seq < full)
                break;
    return total;
}

/* Each lane is in order, unless somebody wrote into it: then the result is not in order, either. */
static void merge_lanes(const struct lc_trace *trace, size_t capacity, const size_t counts[], struct lc_obs *merged)
{
    const struct lc_obs *heads[LC_LANES_MAX], *ends[LC_LANES_MAX];
    size_t lanes = 0;
    for (size_t i = 0; i < LC_LANES_MAX; i++) {
        heads[lanes] = &trace->records[i * capacity];
        ends[lanes] = heads[lanes] + counts[i];
        lanes += counts[i] > 0;
    }
    while (lanes > 1) {
        size_t first = 0;
        for (size_t i = 1; i < lanes; i++)
            if (heads[i]->seq < heads[first]->seq)
                first = i;
        *merged++ = *heads[first]++;
        if (heads[first] == ends[first]) {
            lanes--;
            heads[first] = heads[lanes];
            ends[first] = ends[lanes];
        }
    }
    if (lanes == 1)
        memcpy(merged, heads[0], (size_t)(ends[0] - heads[0]) * sizeof *merged);
}

size_t lc_trace_merge(const struct lc_trace *trace, size_t bytes, struct lc_obs **merged)
{
    *merged = NULL;
    if (bytes < sizeof *trace || trace->magic != LC_TRACE_MAGIC)
        return 0;
    size_t capacity = (bytes - sizeof *trace) / sizeof(struct lc_obs) / LC_LANES_MAX;
    if (trace->lane_records != capacity) /* somebody wrote into the header */
        return 0;

    size_t total = 0, counts[LC_LANES_MAX];
    for (size_t i = 0; i < LC_LANES_MAX; i++) {
        uint32_t count = atomic_load_explicit(&trace->lane[i].count, memory_order_relaxed); /* its writer may live */
        total += counts[i] = count < capacity ? count : capacity;
    }
    if (total == 0 || (*merged = malloc(total * sizeof **merged)) == NULL)
        return 0;

    merge_lanes(trace, capacity, counts, *merged);
    if (!is_in_order(*merged, total))
        qsort(*merged, total, sizeof **merged, by_seq);
    return count_before_gap(trace, *merged, total);
}
