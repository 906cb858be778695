/* The monitor: a naive automaton that judges a trace against the rules.
 *
 * It knows nothing of the loop or the driver but what the trace says, it never guesses, and it is
 * total: any array of records gets a verdict, since a hostile loop may have written into them.
 */
#ifndef LC_MONITOR_H
#define LC_MONITOR_H

#include "trace.h"

enum { LC_VIOLATIONS_MAX = 16 };

struct lc_violation {
    char rule[12];  /* an id of rules.toml, or KIT-1 when the trace itself is impossible */
    char text[148]; /* one sentence: which handle, what was seen, what was due */
    uint32_t seq;   /* of the record at which it was noticed */
    uint32_t run;   /* which LC_WHAT_OPEN of the trace it belongs to, from 1; 0: before any */
};

struct lc_judgement {
    uint32_t runs;      /* LC_WHAT_OPEN records */
    uint32_t callbacks; /* LC_WHAT_BEGIN records of handles */
    uint32_t ops;       /* ops that executed: LC_WHAT_OP with result >= 0 */
    char owed[160];     /* for a trace that ends inside a step: what the loop still owed, or "" */
    char owed_rule[12]; /* the rule that it then breaks */
    size_t count;       /* violations stored, in the order in which they were noticed; others are not written */
    struct lc_violation violations[LC_VIOLATIONS_MAX];
};

/* The bytes of a judgement that are written: those of two that are equal are. */
static inline size_t lc_judgement_bytes(const struct lc_judgement *judgement)
{
    return offsetof(struct lc_judgement, violations) + judgement->count * sizeof *judgement->violations;
}

/* Judges records in the order of seq, as lc_trace_merge gives them. */
void lc_monitor_judge(const struct lc_obs *merged, size_t count, struct lc_judgement *judgement);

#endif
