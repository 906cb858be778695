/* A turn of the loop, in numbered phases:
 *
 *   1 prepare   the time comes in, how long to sleep goes out
 *   2 wait      the backend sleeps; not here
 *   3 collect   the events and the time after the sleep come in; watchers become ready
 *   4 expire    due timers become ready, by (deadline, arming order)
 *   5 run       what is ready now runs, one entry after the other
 *
 * Between 3 and 4 the owner may make more ready (posts of other threads). */
#ifndef RL_TURN_H
#define RL_TURN_H

#include "core/ready.h"
#include "core/timers.h"
#include "core/watch.h"

enum rl_turn_phase {
    RL_TURN_RESTING = 0, /* between two turns */
    RL_TURN_WAITING = 2,
    RL_TURN_COLLECTED = 3,
    RL_TURN_RUNNING = 5
};

struct rl_turn {
    struct rl_ready ready;     /* runs a batch if and only if phase is RL_TURN_RUNNING */
    struct rl_timers timers;   /* no entry was due in phase 5 of the last turn, except those armed since */
    struct rl_watches watches; /* its round counts the turns that collected */
    uint64_t now_ns;           /* the latest time that came in; never goes back */
    enum rl_turn_phase phase;  /* how far this turn has got */
    bool is_broken_off;        /* the batch ends with the current entry; false while resting */
};

void rl_turn_init(struct rl_turn *turn);

/* Notes the time. A time before the one noted is a defect of the clock, and is ignored. */
void rl_turn_set_now(struct rl_turn *turn, uint64_t now_ns);
/* Is there anything that may still become ready by itself? */
bool rl_turn_is_alive(const struct rl_turn *turn);

/* 1. Returns the sleep in ns: 0 = do not sleep, RL_SLEEP_FOREVER_NS = until an event or a wake. Sleeps only if
 * may_wait, if nothing is ready, and if somebody can end the sleep: is_alive_outside says whether a post can. */
int64_t rl_turn_prepare(struct rl_turn *turn, uint64_t now_ns, bool may_wait, bool is_alive_outside);
/* 3. */
void rl_turn_collect(struct rl_turn *turn, uint64_t now_ns, const struct rl_event *events, size_t events_count);
/* 4. After this, what becomes ready waits for the next turn [TURN]. */
void rl_turn_expire(struct rl_turn *turn);
/* 5. The next entry to run, or NULL. */
struct rl_ready_entry *rl_turn_next(struct rl_turn *turn);
/* Ends the batch with the entry that runs now. Only in phase 5. */
void rl_turn_break(struct rl_turn *turn);
/* Must nothing more run in this turn? */
bool rl_turn_is_broken_off(const struct rl_turn *turn);
/* Ends the turn, in whichever phase it is. What did not run stays queued, in order. */
void rl_turn_end(struct rl_turn *turn);

/* 0 when sound; -1x: ready, -2x: timers, -3x: watches; -41: the phases disagree; -42: broken off at rest. */
int rl_turn_check(const struct rl_turn *turn);

#endif
