/* The FIFO of callbacks that are ready to run, with the boundary of a turn [TURN]: a batch is what was ready when it
 * began; what is pushed meanwhile waits for the next batch. */
#ifndef RL_READY_H
#define RL_READY_H

#include "core/list.h"

struct rl_ready_entry {
    struct rl_node node; /* linked in queue or batch while the entry waits to run, else in no list */
};

struct rl_ready {
    struct rl_list queue; /* pushed since the current batch began, in order; all that waits if no batch runs */
    struct rl_list batch; /* what the current batch has still to run, in order; empty if no batch runs */
    bool is_running;      /* between begin and end */
};

void rl_ready_init(struct rl_ready *ready);
void rl_ready_entry_init(struct rl_ready_entry *entry);

/* [FIFO] To the end of the queue. The entry is not queued. */
void rl_ready_push(struct rl_ready *ready, struct rl_ready_entry *entry);
/* [AFTER] Takes the entry out, wherever it waits, also out of the running batch; does nothing if it does not wait. */
void rl_ready_remove(struct rl_ready_entry *entry);

/* [TURN] Makes all that waits now the batch. */
void rl_ready_begin(struct rl_ready *ready);
/* [ONCE] Takes the next entry of the batch; NULL when the batch is done. */
struct rl_ready_entry *rl_ready_next(struct rl_ready *ready);
/* What the batch did not run goes back, in order, before what was pushed meanwhile. */
void rl_ready_end(struct rl_ready *ready);

bool rl_ready_is_empty(const struct rl_ready *ready);
bool rl_ready_is_queued(const struct rl_ready_entry *entry);

/* 0 when sound; -1: a damaged list; -2: a batch outside begin and end. */
int rl_ready_check(const struct rl_ready *ready);

#endif
