/* Two kernels for one test: the simulated one, and the real one that it has to answer like. */
#ifndef SIM_WORLDS_H
#define SIM_WORLDS_H

#include "kernels/sim_files.h"
#include "runner.h"

struct world {
    struct rl_backend backend; /* as the loop sees it, */
    struct lc_kernel kernel;   /* and as the runner does */
    int fds[2];                /* of a test that is about a pair of sockets; -1: none, or closed */
};

extern struct sim sim;
extern struct world worlds[2]; /* simulated, real */

void worlds_open(void);
/* Closes what is left of the pairs. Nothing else may be open, or on its way, in the simulated kernel. */
void worlds_close(void);
/* One end of the pair, unless it is closed. */
void world_close_end(struct world *world, int end);
/* LC_* bits of one end; 0 once it is closed. */
unsigned world_ready(const struct world *world, int end);

#endif
