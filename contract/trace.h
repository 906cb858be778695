/* The trace: the ordered list of what was asked of a loop and what its callbacks saw.
 *
 * Records are written to one lane per thread with no lock and no ordering between lanes but a
 * relaxed counter, because a lock around the trace would hide the very races that TSan is to find.
 * `lc_trace_merge` puts the lanes in one order after the threads were joined (or the process died:
 * the memory may be shared with a parent that outlives it).
 */
#ifndef LC_TRACE_H
#define LC_TRACE_H

#include <stddef.h>
#include <stdio.h>

#include "driver.h"

/* What a record tells. Numbers are append-only: they are stored. */
enum lc_what {
    LC_WHAT_NONE = 0,
    LC_WHAT_OPEN = 1,     /* a run begins: arg = capabilities | promises << 32, handle = program number */
    LC_WHAT_TERMS = 2,    /* arg = tick_ns, bits = LC_TERMS_* */
    LC_WHAT_OP = 3,       /* code = op, handle = a, arg, result = 0 or -errno; written after apply. Of a timer: arg =
                           * its deadline, result = how many ns later the loop may have read its clock. Of EDGE: bits
                           * = enum lc_edge, arg = the deadline, UINT64_MAX if it has none. Of RAISE:
                           * handle and arg = the callback and its event, bits = enum lc_raise. NOW, where it is odd:
                           * arg = the driver's time */
    LC_WHAT_POST = 4,     /* code = LC_OP_POST, handle: written before the post is made */
    LC_WHAT_BEGIN = 5,    /* code = event, handle; READY: bits = reported, arg = readiness as the kernel shows it;
                           * DATA: arg = bytes; LOST: result = error */
    LC_WHAT_END = 6,      /* the callback returned (result = exception number it ended by) */
    LC_WHAT_STEP = 7,     /* a step begins: bits = flags */
    LC_WHAT_STEPPED = 8,  /* it ended: result, LC_LEFT when an exception has left it */
    LC_WHAT_RUN = 9,      /* run begins */
    LC_WHAT_RAN = 10,     /* run returned: result, as that of a step */
    LC_WHAT_FD = 11,      /* handle = fd, arg = its number, bits = its readiness now (bits 0: closed) */
    LC_WHAT_FDS = 12,     /* arg = open fds of the process */
    LC_WHAT_CLOSED = 13,  /* the loop was closed: result */
    LC_WHAT_ERROR = 14,   /* the loop's exception handler was called */
    LC_WHAT_RESCUE = 15,  /* the loop slept through something that was due */
    LC_WHAT_NOTE = 16,    /* a case's own observation */
    LC_WHAT_DRAINED = 17, /* the runner took all that its streams sent: what has not arrived now never will */
    LC_WHAT_HELD = 18,    /* handle: the loop, closed, still holds what belonged to it */
    LC_WHAT_CANARY = 19,  /* handle, bits: what has been done to a file that is nobody's */
    LC_WHAT_COUNT
};

/* Bits of a DATA or DATAGRAM callback and of LC_OP_TAKE; arg is the number of bytes. Of datagrams each is a record, and
 * result its number among those that were sent to this end, from 0. */
enum {
    LC_BYTES_WRONG = 1,   /* they are not what stands there in what the other end sent; of DATA, result = first wrong */
    LC_BYTES_FOREIGN = 4, /* a datagram's sender is said to be another */
    LC_BYTES_END = 2      /* the end of file was seen behind them */
};

/* Bits of LC_WHAT_TERMS: of the driver, is_exact; of its kernel, is_timed. */
enum { LC_TERMS_EXACT = 1, LC_TERMS_TIMED = 2 };

/* Bits of LC_WHAT_CANARY: what was done to it. */
enum { LC_CANARY_CLOSED = 1, LC_CANARY_READ = 2, LC_CANARY_WRITTEN = 4 };
/* Bits of LC_OP_FAULT: a call of the loop has failed for good, and somebody who had connected may be lost by it; no
 * call has failed, but more time has passed than any was asked to take. */
enum { LC_FAULT_COSTLY = 128, LC_FAULT_JUMP = 64 };

/* One record, 32 bytes. Handles are wider than in a program, since cases may use many. */
struct lc_obs {
    uint64_t time_ns; /* the kernel's clock when it was written */
    uint64_t arg;
    uint32_t seq; /* order over all lanes, from 1 */
    int32_t result;
    uint16_t handle; /* kind << 12 | index */
    uint16_t thread; /* lane: 0 is the thread that opened the loop */
    uint8_t what;
    uint8_t code;
    uint8_t bits;
    uint8_t spare; /* 0 */
};

/* A driver's now() is odd when it differs so much from the kernel's clock, or went back. */
#define LC_CLOCK_OFF_NS_MAX UINT64_C(1000000000)

enum { LC_LANES_MAX = 8 };

struct lc_lane {
    _Atomic uint32_t count; /* records asked for, also those beyond the capacity; relaxed */
    uint32_t full_seq;      /* sequence number of the first record that found the lane full, or 0 */
};

/* Header of the memory that a trace lives in; the lanes' records follow it. */
struct lc_trace {
    uint32_t magic;         /* LC_TRACE_MAGIC once initialised */
    uint32_t lane_records;  /* capacity of each lane */
    _Atomic uint32_t seq;   /* last sequence number given out; relaxed */
    _Atomic uint32_t lanes; /* lanes given out; relaxed; may pass LC_LANES_MAX */
    uint32_t generation;    /* tells this trace from an earlier one at the same address */
    uint32_t spare;
    struct lc_lane lane[LC_LANES_MAX];
    struct lc_obs records[]; /* LC_LANES_MAX * lane_records */
};

enum { LC_TRACE_MAGIC = 0x6c637472 };

#define LC_HANDLE_WIDE(h) ((uint16_t)(((h) >> 4) << 12 | ((h) & 15)))
#define LC_WIDE_KIND(w) ((w) >> 12)
#define LC_WIDE_INDEX(w) ((w) & 0xfff)

/* Makes `bytes` of zeroed memory at `memory` (8-byte aligned) a trace; the calling thread gets lane
 * 0. Returns NULL when it is unaligned, or too small for one record a lane. */
struct lc_trace *lc_trace_init(void *memory, size_t bytes);
/* Forgets all records; the calling thread gets lane 0. No other thread may be writing. */
void lc_trace_reset(struct lc_trace *trace);
/* How far the lanes are. */
struct lc_trace_mark {
    uint32_t count[LC_LANES_MAX];
    uint32_t full_seq[LC_LANES_MAX];
};
struct lc_trace_mark lc_trace_mark(const struct lc_trace *trace);
/* Forgets the records since the mark. No other thread may be writing. */
void lc_trace_rewind(struct lc_trace *trace, const struct lc_trace_mark *mark);
/* Where the calling thread's next record has to be put, with seq and thread filled in. NULL when the lane is full: the
 * record is dropped, so that a loop that calls back for ever cannot grow the trace. */
struct lc_obs *lc_trace_next(struct lc_trace *trace);
/* Appends a record; seq and thread are filled in. Inline, so that it is written where it stays. */
static inline void lc_trace_add(struct lc_trace *trace, struct lc_obs obs)
{
    struct lc_obs *to = lc_trace_next(trace);
    if (to == NULL)
        return;
    to->what = obs.what;
    to->code = obs.code;
    to->handle = obs.handle;
    to->bits = obs.bits;
    to->result = obs.result;
    to->arg = obs.arg;
    to->time_ns = obs.time_ns;
}
/* The calling thread writes as another thread from now on; called again, as itself. For a simulated kernel, which has
 * no threads but acts as if it had. */
void lc_trace_change_thread(void);
/* The number of records when they lie in order as they are, from trace->records on: one lane has them all, and none was
 * dropped. Otherwise 0: lc_trace_merge puts them in order. For who alone writes to the trace, and has ended. */
size_t lc_trace_count_in_place(const struct lc_trace *trace);
/* All lanes in the order of seq, up to the first record that was dropped: what comes after a gap
 * cannot be judged. Tolerates any content of the memory: counts are bounded by the
 * capacity that `bytes` allows. Returns the number of records; *merged is malloc'ed, or NULL. */
size_t lc_trace_merge(const struct lc_trace *trace, size_t bytes, struct lc_obs **merged);
/* One record as one line of text without a newline; returns the length as snprintf does. */
int lc_trace_format(const struct lc_obs *obs, char *text, size_t size);
void lc_trace_print(const struct lc_obs *merged, size_t count, FILE *out);

#endif
