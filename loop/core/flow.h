/* When to ask the writer to pause, and when to let it go on [STREAM-5]. Between the two marks nothing changes, so that
 * a buffer that hovers around one of them does not tell twice. */
#ifndef RL_FLOW_H
#define RL_FLOW_H

#include <stdbool.h>
#include <stddef.h>

struct rl_flow {
    size_t high;    /* bytes; the writer is asked to pause when more than this wait; not less than low */
    size_t low;     /* bytes; the writer may go on when no more than this wait */
    bool is_paused; /* the writer was asked to pause and was not yet told to go on */
};

/* High >= low. The writer is not paused. */
void rl_flow_init(struct rl_flow *flow, size_t high, size_t low);
/* High >= low. Tells nobody: the new marks count from the next time that the size changes. */
void rl_flow_set_limits(struct rl_flow *flow, size_t high, size_t low);

/* After bytes came in, size bytes wait. True: ask the writer to pause. */
bool rl_flow_must_pause(struct rl_flow *flow, size_t size);
/* After bytes went out, size bytes wait. True: tell the writer to go on. */
bool rl_flow_must_resume(struct rl_flow *flow, size_t size);

/* 0 when sound; -1: the marks are in the wrong order. */
int rl_flow_check(const struct rl_flow *flow);

#endif
