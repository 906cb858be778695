/* Two traces of one program on two loops: what differs, handle by handle.
 *
 * Compared is what a handle saw: which callbacks came, and for a stream how many bytes arrived, in whatever chunks.
 * Never compared is the order between handles, and nothing of a handle for which the order between handles matters: one
 * that a callback of another meddled with while it had callbacks of its own. Left to the rules, because loops are free
 * there or because a rule says it better: how often a watcher is called, pause_writing and resume_writing, refused
 * datagrams, what a reset connection still delivers, an end of file while reading is paused, a timer cancelled about
 * when it is due, a call that is ended before it was through, and what a connection delivers when a callback of its
 * other end raised or when another number of bytes fitted in.
 *
 * Both programs have to be settled (lc_program_settle), or how much one step does decides what is seen.
 */
#ifndef LC_TRACE_COMPARE_H
#define LC_TRACE_COMPARE_H

#include "program.h"
#include "trace.h"

enum { LC_DIFFERENCES_MAX = 8 };

struct lc_difference {
    uint16_t handle; /* 0: the loop itself */
    char text[192];  /* one sentence: "s1 saw made, 5 bytes; on the control made" */
};

/* Differences between the records of one run each, the first of each handle, by handle. Returns how many were stored.
 * Total: any records are compared. */
size_t lc_trace_compare(const struct lc_obs *trace, size_t count, const struct lc_obs *control, size_t control_count,
                        struct lc_difference differences[LC_DIFFERENCES_MAX]);

/* Puts short steps that do not wait behind every step and run, so that what a step began is over before the next op.
 * A settled program stays as it is; ops that no longer fit are left out at the end. */
void lc_program_settle(struct lc_program *program);

#endif
