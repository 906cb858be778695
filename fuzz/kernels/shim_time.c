/* Virtual time: one clock for the tree of processes. It stands still while somebody computes, jumps to the next
 * deadline when all are asleep, and follows the real clock when neither is the case for long (somebody waits for an
 * outsider, or computes without end), because real time passes then too.
 */
#include <stddef.h>
#include <sys/time.h>
#include <unistd.h>

#include "shim_time.h"

enum {
    NS_PER_S = 1000000000,
    NS_PER_US = 1000,
    STALL_NS = 200 * 1000 * 1000, /* real; so long the clock waits for a tree that is neither asleep nor done, */
    STALL_PROBES = 150,           /* and so often it is asked: on a busy machine the tree may lack a processor */
    READS_MAX = 10000,            /* reads of the clock between two jumps; whoever reads on waits for it to move */
    READ_NS = 1000,               /* what each further read takes then */
    POLL_NS = 1                   /* what a wait takes that does not sleep */
};

int64_t shim_to_ns(const struct timespec *time)
{
    int64_t ns;
    if (__builtin_mul_overflow((int64_t)time->tv_sec, (int64_t)NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, (int64_t)time->tv_nsec, &ns))
        return time->tv_sec < 0 ? -SHIM_NEVER_NS : SHIM_NEVER_NS;
    return ns;
}

struct timespec shim_to_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

int64_t shim_real_now_ns(void)
{
    struct timespec now;
    REAL(clock_gettime)(CLOCK_MONOTONIC, &now);
    return shim_to_ns(&now);
}

int64_t shim_now_ns(void)
{
    return atomic_load(&shim_page->now_ns);
}

int64_t shim_after_ns(int64_t delay_ns)
{
    int64_t sum;
    return __builtin_add_overflow(shim_now_ns(), delay_ns, &sum) ? SHIM_NEVER_NS : sum;
}

/* What the clock is ahead of CLOCK_MONOTONIC, or -1: it is not a clock of time that passes. */
static int64_t ahead_ns(clockid_t clock)
{
    switch (clock) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
        return 0;
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        return shim_page->to_real_time_ns;
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        return shim_page->to_boot_time_ns;
    default:
        return -1;
    }
}

int64_t shim_from_clock_ns(int clock, const struct timespec *time)
{
    int64_t ahead = ahead_ns(clock), ns = shim_to_ns(time);
    return ns == SHIM_NEVER_NS || ahead < 0 ? ns : ns - ahead;
}

/* ---- how the clock moves ------------------------------------------------------------------- */

static void move_to(int64_t now_ns)
{
    int64_t old_ns = shim_now_ns();
    while (old_ns < now_ns && !atomic_compare_exchange_weak(&shim_page->now_ns, &old_ns, now_ns))
        ;
}

/* A loop that reads the clock until it has moved would read for ever. That time passes while a program runs is lawful
 * always; it does not from the first read on, so that timers can be judged to the nanosecond. */
static int64_t read_ns(void)
{
    if (atomic_fetch_add_explicit(&shim_page->reads, 1, memory_order_relaxed) >= READS_MAX)
        atomic_fetch_add(&shim_page->now_ns, READ_NS);
    return shim_now_ns();
}

/* libev fires a timer when its time has passed, not when it has come; on a clock that stood still it would poll for
 * ever. */
void shim_creep(void)
{
    atomic_fetch_add(&shim_page->now_ns, POLL_NS);
}

/* Takes one deadline into account. False: it has passed, and its owner, who lives, has not run since. */
static bool take_deadline(struct shim_calm *calm, int64_t deadline_ns, _Atomic int *owner, int pid, int tid)
{
    if (deadline_ns > calm->since_ns) {
        calm->next_ns = deadline_ns < calm->next_ns ? deadline_ns : calm->next_ns;
        return true;
    }
    if (shim_is_thread_alive(pid, tid))
        return false;
    atomic_store(owner, 0); /* died in its sleep */
    return true;
}

/* While somebody has not run whose deadline has passed, jumping on would make him late by the whole jump. */
bool shim_find_next(struct shim_calm *calm)
{
    const int own_tid = gettid(); /* asleep only in a wait around the one that a signal's handler is in */
    for (int i = 0; i < SHIM_SLEEPERS_MAX; i++) {
        struct shim_sleeper *s = &shim_page->sleepers[i];
        const int tid = atomic_load(&s->tid);
        const int64_t deadline_ns = atomic_load(&s->deadline_ns);
        if (tid == 0 || (tid == own_tid && deadline_ns <= calm->since_ns))
            continue;
        if (!take_deadline(calm, deadline_ns, &s->tid, atomic_load(&s->pid), tid))
            return false;
    }
    for (int i = 0; i < SHIM_TIMERS_MAX; i++) {
        struct shim_timer *t = &shim_page->timers[i];
        const int pid = atomic_load(&t->pid);
        if (pid > 0 && !take_deadline(calm, atomic_load(&t->deadline_ns), &t->pid, pid, pid))
            return false;
    }
    return true;
}

/* The deadlines are asked for before the tree is looked at and again after: a sleeper may have woken by the end of its
 * slice, and be at work on what was due, since the look found it asleep. */
enum shim_jump shim_jump(struct shim_calm *calm)
{
    int64_t from_ns = calm->since_ns;
    if (!shim_find_next(calm))
        return SHIM_BLOCKED;
    if (calm->next_ns == SHIM_NEVER_NS)
        return SHIM_NOTHING_AHEAD;
    if (!atomic_compare_exchange_strong(&shim_page->now_ns, &from_ns, calm->next_ns))
        return SHIM_BLOCKED; /* another thread has jumped meanwhile, and those whom it woke may be at work */
    atomic_store(&shim_page->reads, 0);
    shim_count(SHIM_COUNT_JUMP);
    return SHIM_JUMPED;
}

/* Lets virtual time pass as real time does, once the tree has been neither asleep nor done for long. */
void shim_flow(void)
{
    const int64_t real_ns = shim_real_now_ns(), since_ns = atomic_load(&shim_page->busy_since_ns);
    if (since_ns == 0) {
        atomic_store(&shim_page->busy_probes, 0);
        atomic_store(&shim_page->busy_since_ns, real_ns);
        return;
    }
    if (atomic_fetch_add(&shim_page->busy_probes, 1) < STALL_PROBES || real_ns < since_ns + STALL_NS) {
        atomic_store(&shim_page->flowed_ns, real_ns);
        return;
    }
    int64_t from_ns = atomic_load(&shim_page->flowed_ns);
    if (real_ns <= from_ns || !atomic_compare_exchange_strong(&shim_page->flowed_ns, &from_ns, real_ns))
        return;
    struct shim_calm calm = {shim_now_ns(), SHIM_NEVER_NS};
    const int64_t to_ns = calm.since_ns + (real_ns - from_ns);
    (void)shim_find_next(&calm);
    move_to(to_ns < calm.next_ns ? to_ns : calm.next_ns);
}

/* ---- reading it ---------------------------------------------------------------------------- */

SHIM_EXPORT int clock_gettime(clockid_t clock, struct timespec *time)
{
    shim_count(SHIM_COUNT_CLOCK);
    if (!shim_has_time() || ahead_ns(clock) < 0)
        return REAL(clock_gettime)(clock, time);
    *time = shim_to_timespec(read_ns() + ahead_ns(clock));
    return 0;
}

SHIM_EXPORT int gettimeofday(struct timeval *time, void *zone)
{
    shim_count(SHIM_COUNT_CLOCK);
    if (!shim_has_time())
        return REAL(gettimeofday)(time, zone);
    int64_t ns = read_ns() + shim_page->to_real_time_ns;
    *time = (struct timeval){.tv_sec = (time_t)(ns / NS_PER_S), .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US)};
    return 0;
}

SHIM_EXPORT time_t time(time_t *seconds)
{
    shim_count(SHIM_COUNT_CLOCK);
    if (!shim_has_time())
        return REAL(time)(seconds);
    time_t now = (time_t)((read_ns() + shim_page->to_real_time_ns) / NS_PER_S);
    if (seconds != NULL)
        *seconds = now;
    return now;
}

SHIM_EXPORT int timespec_get(struct timespec *time, int base)
{
    if (base != TIME_UTC)
        return REAL(timespec_get)(time, base);
    return clock_gettime(CLOCK_REALTIME, time) == 0 ? base : 0;
}
