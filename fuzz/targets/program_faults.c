#include "program_faults.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim *fuzz_faults_sim(void)
{
    const struct lc_driver *driver = fuzz_program_driver();
    if (strcmp(driver->name, "refloop_sim") == 0)
        return driver->kernel->self;
    fprintf(stderr, "%s runs on no kernel of ours: only refloop_sim can meet these faults\n", driver->name);
    exit(2);
}

/* A call that met a fault may cost the loop a step; one that failed has broken a connection. */
static void note_fault(void *arg, int fd, bool is_broken)
{
    const struct sim *sim = arg;
    fuzz_program_note((struct lc_obs){.what = LC_WHAT_OP,
                                      .code = LC_OP_FAULT,
                                      .handle = is_broken ? fuzz_program_handle(fd) : 0,
                                      .bits = is_broken ? LC_FAULT_COSTLY : 0,
                                      .arg = 1,
                                      .time_ns = sim->now_ns});
}

static void note_jump(void *arg)
{
    const struct sim *sim = arg;
    fuzz_program_note(
        (struct lc_obs){.what = LC_WHAT_OP, .code = LC_OP_FAULT, .bits = LC_FAULT_JUMP, .time_ns = sim->now_ns});
}

void fuzz_faults_note_no_memory(void)
{
    note_fault(fuzz_faults_sim(), -1, true);
}

size_t fuzz_faults_judge(const struct sim_plan *plan, const struct lc_program *program, struct lc_judgement *judgement)
{
    struct sim *sim = fuzz_faults_sim();
    sim->plan = *plan;
    sim->plan.on_fault = note_fault;
    sim->plan.on_jump = note_jump;
    sim->plan.arg = sim;
    fuzz_program_run_judged(program, judgement);
    sim->plan = (struct sim_plan){.adversary.level = ADVERSARY_OFF};
    return judgement->count;
}
