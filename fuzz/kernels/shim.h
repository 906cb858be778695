/* The kernel shim: a library that is preloaded under somebody else's loop. It gives virtual time to a tree of
 * processes, lets calls meet lawful faults (adversary.h), and counts them. Linux, glibc.
 *
 * A process is inert until it is armed: by lc_shim_arm, or from its start when its parent was. The whole tree shares
 * one page of memory, whose file stands in the environment.
 */
#ifndef SHIM_H
#define SHIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "adversary.h"

enum {
    SHIM_PAGE_BYTES = 32768, /* python/loopcheck/shim.py knows this number */
    SHIM_PROCESSES_MAX = 64,
    SHIM_SLEEPERS_MAX = 256,
    SHIM_TIMERS_MAX = 256,
    SHIM_FDS_MAX = 4096 /* fds beyond meet no fault */
};
#define SHIM_NEVER_NS INT64_MAX
#define SHIM_EXPORT __attribute__((visibility("default")))

enum shim_count {
    SHIM_COUNT_READ,
    SHIM_COUNT_WRITE,
    SHIM_COUNT_ACCEPT,
    SHIM_COUNT_WAIT,
    SHIM_COUNT_WAKE,
    SHIM_COUNT_CONTROL,
    SHIM_COUNT_TIMER,
    SHIM_COUNT_SLEEP,
    SHIM_COUNT_CLOCK,
    SHIM_COUNT_RAW,
    SHIM_COUNT_RING,
    SHIM_COUNT_LOCK,
    SHIM_COUNT_CONDITION,
    SHIM_COUNT_ALLOCATION,
    SHIM_COUNT_GIL,
    SHIM_COUNT_JUMP,
    SHIM_COUNT_FAULT,
    SHIM_COUNTS
};

/* Shared by all processes of the tree; any of them may die at any point. A slot whose tid or pid is 0 is free. */
struct shim_page {
    struct {
        char name[24]; /* "" ends the list for who reads it from outside */
        _Atomic uint64_t count;
    } counters[SHIM_COUNTS + 1];
    _Atomic int is_armed;
    bool has_time;
    struct adversary adversary;
    int64_t to_real_time_ns, to_boot_time_ns; /* added to now_ns they give the other clocks */
    _Atomic int64_t now_ns;                   /* CLOCK_MONOTONIC of the tree; never goes back */
    _Atomic int64_t busy_since_ns;            /* real; the tree was not seen asleep since; 0: it was */
    _Atomic uint32_t busy_probes;             /* how often it was asked since then */
    _Atomic int64_t flowed_ns;                /* real; up to here now_ns has followed the real clock */
    _Atomic int prober;                       /* tid of the waiter that asks whether the tree is asleep; 0: nobody */
    _Atomic int64_t probed_ns;                /* real; when it last asked */
    _Atomic uint32_t reads;                   /* of the clock since it last jumped */
    _Atomic int pids[SHIM_PROCESSES_MAX];
    struct shim_sleeper {
        _Atomic int tid;
        _Atomic int pid;
        _Atomic int64_t deadline_ns;
    } sleepers[SHIM_SLEEPERS_MAX];
    struct shim_timer {
        _Atomic int pid;
        int fd;                      /* an eventfd that stands for a timerfd, or -1: SIGALRM */
        int clock;                   /* as timerfd_create was told */
        int64_t period_ns;           /* 0: once */
        _Atomic int64_t deadline_ns; /* SHIM_NEVER_NS: disarmed */
    } timers[SHIM_TIMERS_MAX];
};

extern struct shim_page *shim_page; /* NULL: none */
extern bool shim_is_armed;          /* this process */

/* Where the code of a program or library is; empty: nowhere. */
struct shim_object {
    uintptr_t begin, end;
};
extern struct shim_object shim_kit; /* that drives the loop: its calls meet no fault, since they are the tester's */
extern struct shim_object shim_interpreter; /* CPython's */

static inline bool shim_is_in(const struct shim_object *object, const void *caller)
{
    return (uintptr_t)caller - object->begin < object->end - object->begin;
}

static inline bool shim_has_time(void)
{
    return shim_is_armed && shim_page->has_time;
}

/* The next definition of a function, below the shim. */
void *shim_real(const char *name);
#define REAL(name)                                                                                                     \
    (__extension__({                                                                                                   \
        static __typeof__(&name) real_;                                                                                \
        if (real_ == NULL)                                                                                             \
            *(void **)&real_ = shim_real(#name);                                                                       \
        real_;                                                                                                         \
    }))

static inline void shim_count(enum shim_count what)
{
    if (shim_is_armed)
        atomic_fetch_add_explicit(&shim_page->counters[what].count, 1, memory_order_relaxed);
}

/* The number of the next call on an fd (shim_io.c). */
uint32_t shim_call_number(int fd);
bool shim_meets_eintr(int fd, uint32_t number); /* a wait that is about to sleep */

#endif
