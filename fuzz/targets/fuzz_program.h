/* What the targets whose input is a program share with each other, with their mutator and their replayer. */
#ifndef FUZZ_PROGRAM_H
#define FUZZ_PROGRAM_H

#include "monitor.h"
#include "program.h"
#include "runner.h"

/* The target's own two: the driver that it is for, if none is asked for; and what it finds wrong with a run of the
 * program, whose trace stays readable until the next call. */
extern const char *const fuzz_program_driver_name;
void fuzz_program_judge(const struct lc_program *program, struct lc_judgement *judgement);

/* The driver that programs run on from now on. Runs the empty program once, since what a loop's first use keeps for the
 * process is no leak. */
void fuzz_program_use(struct lc_driver *driver);
struct lc_driver *fuzz_program_driver(void);
/* The records of a run on any driver; *merged is malloc'ed. */
size_t fuzz_program_run(struct lc_driver *on, const struct lc_program *program, struct lc_obs **merged);
/* What the monitor finds wrong with a run. */
void fuzz_program_run_judged(const struct lc_program *program, struct lc_judgement *judgement);
/* The op that a capability vows and that was answered with -ENOSYS, in the last run; NULL: none. */
const char *fuzz_program_lie(void);
#define LC_LIE_FORMAT "the driver says that its loop can do \"%s\", and answers it with -ENOSYS\n"
/* Adds a record to the trace of the run that is under way, on the thread of the loop. */
void fuzz_program_note(struct lc_obs obs);
/* The handle under which the runner knows an fd of that run; 0: none. */
uint16_t fuzz_program_handle(int fd);
struct lc_profile fuzz_program_profile(void);
/* Sums over all programs since fuzz_program_use: how much of them really executed. */
const struct lc_stats *fuzz_program_totals(void);
/* The program, its trace and its violations, for people. */
void fuzz_program_print(const struct lc_program *program, const struct lc_judgement *judgement);
/* The same of a run that will not come to its end, without the program, and what the loop owed then. */
void fuzz_program_print_unfinished(void);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
