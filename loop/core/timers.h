/* The armed timers: who is due, and how long nobody is. Times are ns of one monotonic clock. */
#ifndef RL_TIMERS_H
#define RL_TIMERS_H

#include "core/heap.h"
#include "core/ready.h"

#define RL_SLEEP_FOREVER_NS INT64_C(-1)

struct rl_timers {
    struct rl_heap heap;    /* the armed entries that were not yet found due */
    uint64_t sequence_next; /* greater than every sequence in the heap, so that equal deadlines keep arming order */
};

struct rl_timers_entry {
    struct rl_heap_node node;     /* in the heap from arm until the entry is found due or disarmed */
    struct rl_ready_entry *ready; /* what becomes ready when the entry is due; of the same owner; never NULL; waits only
                                     while node is out of the heap */
};

void rl_timers_init(struct rl_timers *timers);
void rl_timers_entry_init(struct rl_timers_entry *entry, struct rl_ready_entry *ready);

/* now_ns + delay_ns, or UINT64_MAX if that does not fit. */
uint64_t rl_timers_deadline_ns(uint64_t now_ns, uint64_t delay_ns);

/* The entry is not armed. */
void rl_timers_arm(struct rl_timers *timers, struct rl_timers_entry *entry, uint64_t deadline_ns);
/* [AFTER] Also if the entry is due and waits to run; does nothing if it is not armed. */
void rl_timers_disarm(struct rl_timers *timers, struct rl_timers_entry *entry);
/* [TIMER-1] [ORDER] [TIES] Moves the entries with deadline <= now_ns to ready, by (deadline, arming order). All of them
 * move before any can run, so a callback that disarms another due timer finds it. */
void rl_timers_expire(struct rl_timers *timers, uint64_t now_ns, struct rl_ready *ready);
/* How long the loop may sleep: 0 if an entry is due, RL_SLEEP_FOREVER_NS if none is armed, at most INT64_MAX. */
int64_t rl_timers_sleep_ns(const struct rl_timers *timers, uint64_t now_ns);

bool rl_timers_is_empty(const struct rl_timers *timers);
/* Will the entry run, unless it is disarmed? */
bool rl_timers_is_armed(const struct rl_timers_entry *entry);

/* 0 when sound; -1 to -3 as rl_heap_check. */
int rl_timers_check(const struct rl_timers *timers);

#endif
