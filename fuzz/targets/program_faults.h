/* What the targets share that run programs on the simulated kernel with faults. */
#ifndef PROGRAM_FAULTS_H
#define PROGRAM_FAULTS_H

#include "fuzz_program.h"
#include "kernels/sim.h"

/* The simulated kernel under the driver that programs run on now. Ends the process where there is none. */
struct sim *fuzz_faults_sim(void);
/* Notes in its trace that a request for memory was refused. */
void fuzz_faults_note_no_memory(void);
/* One run of the program with these faults, each of which stands in its trace, judged. Returns how many rules were
 * broken. */
size_t fuzz_faults_judge(const struct sim_plan *plan, const struct lc_program *program, struct lc_judgement *judgement);

#endif
