/* What the fuzzer and the replayer of programs share. */
#ifndef FUZZ_PROGRAM_H
#define FUZZ_PROGRAM_H

#include "monitor.h"
#include "program.h"
#include "runner.h"

/* The driver that programs run on from now on; refloop_sim until it is called. Runs the empty program
 * once, since what a loop's first use keeps for the process is no leak. */
void fuzz_program_use(struct lc_driver *driver);
struct lc_profile fuzz_program_profile(void);
/* Runs the program and judges its trace, which stays readable until the next call. */
void fuzz_program_judge(const struct lc_program *program, struct lc_judgement *judgement);
/* Sums over all programs since fuzz_program_use: how much of them really executed. */
const struct lc_stats *fuzz_program_totals(void);
/* The program, its trace and its violations, for people. */
void fuzz_program_print(const struct lc_program *program, const struct lc_judgement *judgement);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
