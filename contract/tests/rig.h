/* A fake loop, the runner and the monitor put together: a program goes in, a verdict comes out. */
#ifndef RIG_H
#define RIG_H

#include "fake_loop.h"
#include "monitor.h"
#include "runner.h"

enum {
    RIG_CAPABILITIES = LC_CAP_STOP | LC_CAP_RAISE | LC_CAP_EXIT | LC_CAP_TURNS | LC_CAP_GC,
    RIG_STREAMS = LC_CAP_STREAM | LC_CAP_MADE | LC_CAP_FLUSH | LC_CAP_WRITE_EOF | LC_CAP_FLOW | LC_CAP_WRITELINES |
                  LC_CAP_BUFFERED | LC_CAP_SWITCH,
    RIG_SOCKETS = LC_CAP_SERVER | LC_CAP_CONNECT | LC_CAP_CANCEL | LC_CAP_REQUEST | LC_CAP_TASK,
    RIG_DATAGRAMS = LC_CAP_DATAGRAM,
    RIG_PROGRAMS = 2000
};

/* What the last program left. */
struct rig {
    struct fake_loop loop;
    struct lc_stats stats;
    struct lc_judgement judgement;
    struct lc_obs *trace; /* rig_dispose frees it */
    size_t trace_count;
    int result; /* of lc_run */
    bool has_no_network;
};

extern struct rig rig;

void rig_init(int defect, uint32_t capabilities);
void rig_dispose(void);
void rig_run(const struct lc_program *program);
void rig_run_text(const char *text);
/* The generated program of a seed, for this rig's loop. */
void rig_generate(struct lc_program *program, uint64_t seed);
bool rig_is_broken(const char *rule);
/* Runs a program; were so many of its ops executed, ignored and never fired, with nothing wrong and no sleep in vain?
 */
bool rig_counts(const char *text, uint32_t executed, uint32_t ignored, uint32_t unfired);
/* Prints a program with the verdict on it. */
void rig_print(const char *name, const struct lc_program *program);

#endif
