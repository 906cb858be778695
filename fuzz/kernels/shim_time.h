/* Virtual time inside the shim: the clock, who sleeps, how to wait. Used while shim_has_time(). */
#ifndef SHIM_TIME_H
#define SHIM_TIME_H

#include <signal.h>
#include <time.h>

#include "shim.h"

/* Clocks (shim_time.c). Times are ns on CLOCK_MONOTONIC unless a name says otherwise; sums saturate. */
int64_t shim_now_ns(void);                       /* of the tree */
int64_t shim_real_now_ns(void);                  /* the true one */
int64_t shim_to_ns(const struct timespec *time); /* saturates */
struct timespec shim_to_timespec(int64_t ns);
int64_t shim_after_ns(int64_t delay_ns);                        /* now + delay; saturates */
int64_t shim_from_clock_ns(int clock, const struct timespec *); /* an absolute time of another clock */
void shim_flow(void);
void shim_creep(void);
/* A moment at which the tree was seen asleep, and the deadline that is next. False: somebody whose deadline has passed
 * has not run yet. Then a jump to the next deadline; SHIM_BLOCKED: the clock has moved, or somebody has run. */
struct shim_calm {
    int64_t since_ns, next_ns;
};
bool shim_find_next(struct shim_calm *calm);
enum shim_jump { SHIM_JUMPED, SHIM_NOTHING_AHEAD, SHIM_BLOCKED } shim_jump(struct shim_calm *calm);

/* Sleepers (shim_quiet.c): whoever waits in a call of ours is known with its deadline. NULL: no slot is free. */
struct shim_sleeper *shim_sleep_begin(int64_t deadline_ns);
void shim_sleep_end(struct shim_sleeper *sleeper);
/* Is it this thread that asks whether the tree sleeps? One does, since whoever asks is awake and in the way of all
 * others who ask. It is the first that waits, until it stops waiting or does not get to it for long. */
bool shim_is_prober(void);
void shim_stop_probing(void);
/* Does every other thread of the tree sleep? held: the futex word of a mutex that the caller holds, or NULL. */
bool shim_is_quiet(const void *held, struct shim_calm *calm);
bool shim_is_thread_alive(int pid, int tid);
void shim_join_tree(void); /* this process belongs to the tree */
/* No more, since it becomes another program, which may know nothing of the shim. False: it did not belong to it. */
bool shim_leave_tree(void);

/* One wait. probe: as the call itself with timeout 0; slice: sleeps that long at most; < 0: the call's result. */
struct shim_wait {
    int (*probe)(void *arg);
    int (*slice)(void *arg, const struct timespec *length, const sigset_t *mask);
    void *arg;
    const sigset_t *mask;      /* signals blocked while it sleeps; NULL: as they are */
    unsigned (*signals)(void); /* the count of those that end it with EINTR */
};
int shim_wait(const struct shim_wait *wait, int64_t deadline_ns);

/* Handlers that this thread has run (shim_signal.c): all, and those that do not restart what they interrupt. */
unsigned shim_signals_handled(void);
unsigned shim_signals_interrupting(void);

/* Is the kernel about to deliver what this process has written (shim_io.c)? */
bool shim_is_data_in_flight(void);

/* Timers (shim_timer.c): those of this process that are due fire. */
void shim_timers_fire(void);
void shim_timers_forget(int fd); /* -2: all of this process */
bool shim_is_timer(int fd);

#endif
