/* The runner: program x driver -> trace. Budgets, attachments, and the guards that keep a program
 * from asking what no loop has to answer (two watchers on one fd where that is not allowed, sleeping
 * with nothing promised). */
#ifndef LC_RUNNER_H
#define LC_RUNNER_H

#include "kernel.h"
#include "program.h"
#include "trace.h"

enum {
    LC_CALLBACKS_MAX = 2000, /* a run: then ops no longer run inside callbacks and the run ends */
    LC_STEPS_MAX = 512,      /* a run, with those of the closing part */
    LC_DEPTH_MAX = 8         /* callbacks within callbacks */
};

struct lc_stats {
    uint32_t ops;      /* in the program */
    uint32_t executed; /* reached the loop or the kernel and were accepted */
    uint32_t ignored;  /* unknown handle, wrong kind, guarded, refused */
    uint32_t unfired;  /* attached to a callback that never came */
    uint32_t callbacks;
    /* Of the steps that were let sleep: those that did for a while and called back, and those that had to call and
     * called nobody. Of a loop that never sleeps there are the latter alone. */
    uint32_t sleeps, vain_waits;
    uint8_t unimplemented; /* an op that a capability vows and the driver answered with -ENOSYS; 0: none */
};

/* Runs the program on a fresh loop: LC_OP_OPEN, the ops, then every handle destroyed, steps until
 * each is CLOSED, LC_OP_CLOSE. `number` goes into the LC_WHAT_OPEN record. Returns 0, or -errno when
 * the driver cannot open a loop. Never fails otherwise: what the loop does wrong is in the trace. A process runs one
 * program at a time: the state of the run is static, since it is large. */
int lc_run(struct lc_driver *driver, const struct lc_program *program, uint16_t number, struct lc_trace *trace,
           struct lc_stats *stats);

#endif
