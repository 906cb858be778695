/* Timed waits of threads for one another, and raw system calls through libc's syscall(). */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim_time.h"

enum {
    SLICE_NS = 500 * 1000,
    LONG_SLICE_NS = 2 * 1000 * 1000, /* of who is not the prober */
    GIL_NS_MAX = 5100 * 1000         /* CPython's switch interval is 5 ms */
};

/* pthread_cond_timedwait does not say which clock its deadline is of: the one that is nearer to it. */
static int nearest_clock(const struct timespec *deadline)
{
    const int64_t ns = shim_to_ns(deadline), now_ns = shim_now_ns();
    const int64_t real_ns = now_ns + shim_page->to_real_time_ns;
    const int64_t from_now = ns > now_ns ? ns - now_ns : now_ns - ns;
    const int64_t from_real = ns > real_ns ? ns - real_ns : real_ns - ns;
    return from_now < from_real ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

/* ---- condition variables ------------------------------------------------------------------- */

/* CPython's threads ask for the GIL by waiting 5 ms for it, again and again. On frozen time two threads that compute
 * would never hand it over. That wait is made by the object that holds the interpreter, and by nobody else in it. */
static bool is_wait_for_gil(const void *caller, int64_t deadline_ns)
{
    return deadline_ns <= shim_after_ns(GIL_NS_MAX) && shim_is_in(&shim_interpreter, caller);
}

static int wait_slice(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t length_ns)
{
    const struct timespec end = shim_to_timespec(shim_real_now_ns() + length_ns);
    return REAL(pthread_cond_clockwait)(condition, mutex, CLOCK_MONOTONIC, &end);
}

/* The caller holds the mutex and has found its predicate false under it. So if all others are asleep now, and none of
 * them waits for that very mutex, then nobody has signalled, and the clock may jump. A slice that ends is told as a
 * spurious wake-up: whoever signals between two slices would not be heard by the second one. */
static int wait_virtually(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t deadline_ns)
{
    struct shim_calm calm;
    int error = 0;
    shim_timers_fire();
    if (deadline_ns <= shim_now_ns())
        return wait_slice(condition, mutex, 0); /* lets go of the mutex for a moment, as the real one does */
    struct shim_sleeper *sleeper = shim_sleep_begin(deadline_ns);
    const bool is_prober = shim_is_prober();
    if (!is_prober || !shim_is_quiet(mutex, &calm) || shim_jump(&calm) != SHIM_JUMPED) {
        if (is_prober)
            shim_flow();
        error = wait_slice(condition, mutex, is_prober ? SLICE_NS : LONG_SLICE_NS);
    }
    shim_stop_probing();
    shim_sleep_end(sleeper);
    return error == ETIMEDOUT ? 0 : error;
}

SHIM_EXPORT int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *time)
{
    shim_count(SHIM_COUNT_CONDITION);
    if (!shim_has_time())
        return REAL(pthread_cond_timedwait)(condition, mutex, time);
    const int clock = nearest_clock(time);
    const int64_t deadline_ns = shim_from_clock_ns(clock, time);
    if (is_wait_for_gil(__builtin_return_address(0), deadline_ns))
        return wait_slice(condition, mutex, deadline_ns - shim_now_ns());
    return wait_virtually(condition, mutex, deadline_ns);
}

SHIM_EXPORT int pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock,
                                       const struct timespec *time)
{
    shim_count(SHIM_COUNT_CONDITION);
    if (!shim_has_time())
        return REAL(pthread_cond_clockwait)(condition, mutex, clock, time);
    return wait_virtually(condition, mutex, shim_from_clock_ns(clock, time));
}

/* ---- semaphores ---------------------------------------------------------------------------- */

static int probe_semaphore(void *arg)
{
    if (REAL(sem_trywait)(arg) == 0)
        return 1;
    return errno == EAGAIN ? 0 : -1;
}

static int slice_semaphore(void *arg, const struct timespec *length, const sigset_t *mask)
{
    const struct timespec end = shim_to_timespec(shim_real_now_ns() + shim_to_ns(length));
    (void)mask;
    int result = REAL(sem_clockwait)(arg, CLOCK_MONOTONIC, &end);
    return result == 0 ? 1 : errno == ETIMEDOUT ? 0 : -1;
}

static int wait_for_semaphore(sem_t *semaphore, int64_t deadline_ns)
{
    int result = shim_wait(
        &(struct shim_wait){probe_semaphore, slice_semaphore, semaphore, NULL, shim_signals_interrupting}, deadline_ns);
    if (result == 0)
        errno = ETIMEDOUT;
    return result == 1 ? 0 : -1;
}

SHIM_EXPORT int sem_timedwait(sem_t *semaphore, const struct timespec *time)
{
    if (!shim_has_time())
        return REAL(sem_timedwait)(semaphore, time);
    return wait_for_semaphore(semaphore, shim_from_clock_ns(CLOCK_REALTIME, time));
}

SHIM_EXPORT int sem_clockwait(sem_t *semaphore, clockid_t clock, const struct timespec *time)
{
    if (!shim_has_time())
        return REAL(sem_clockwait)(semaphore, clock, time);
    return wait_for_semaphore(semaphore, shim_from_clock_ns(clock, time));
}

/* ---- raw calls ----------------------------------------------------------------------------- */

struct futex_call {
    _Atomic int *word;
    int op, value, bits;
};

static int probe_futex(void *arg)
{
    const struct futex_call *call = arg;
    if (atomic_load(call->word) == call->value)
        return 0;
    errno = EAGAIN;
    return -1;
}

static int slice_futex(void *arg, const struct timespec *length, const sigset_t *mask)
{
    const struct futex_call *call = arg;
    const int op = FUTEX_WAIT_BITSET | (call->op & FUTEX_PRIVATE_FLAG);
    const struct timespec end = shim_to_timespec(shim_real_now_ns() + shim_to_ns(length));
    long result = REAL(syscall)(SYS_futex, call->word, op, call->value, &end, NULL, call->bits);
    (void)mask;
    return result == 0 ? 1 : errno == ETIMEDOUT ? 0 : -1;
}

/* FUTEX_WAIT counts from now, FUTEX_WAIT_BITSET until a time of CLOCK_MONOTONIC unless it says otherwise. The word is
 * looked at again after each slice, so that no wake-up is lost between two. */
static long wait_for_futex(const struct futex_call *call, const struct timespec *time)
{
    const bool is_relative = (call->op & FUTEX_CMD_MASK) == FUTEX_WAIT;
    const int clock = call->op & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    const int64_t deadline_ns = is_relative ? shim_after_ns(shim_to_ns(time)) : shim_from_clock_ns(clock, time);
    const struct shim_wait wait = {probe_futex, slice_futex, (void *)(uintptr_t)call, NULL, shim_signals_interrupting};
    int result = shim_wait(&wait, deadline_ns);
    if (result == 0)
        errno = ETIMEDOUT;
    return result == 1 ? 0 : -1;
}

static bool is_timed_futex(long number, const long arg[6])
{
    const long op = arg[1] & FUTEX_CMD_MASK;
    return number == SYS_futex && (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET) && arg[3] != 0;
}

/* A ring (io_uring) would take time and bytes past every function here; refused, libuv falls back to epoll. */
SHIM_EXPORT long syscall(long number, ...)
{
    long arg[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        arg[i] = va_arg(list, long);
    va_end(list);
    shim_count(SHIM_COUNT_RAW);
    if (shim_page != NULL && number == SYS_io_uring_setup) {
        atomic_fetch_add(&shim_page->counters[SHIM_COUNT_RING].count, 1);
        errno = ENOSYS;
        return -1;
    }
    if (shim_has_time() && is_timed_futex(number, arg)) {
        const struct futex_call call = {(_Atomic int *)arg[0], (int)arg[1], (int)arg[2],
                                        (arg[1] & FUTEX_CMD_MASK) == FUTEX_WAIT ? -1 : (int)arg[5]};
        return wait_for_futex(&call, (const struct timespec *)arg[3]);
    }
    if (shim_is_armed && number == SYS_epoll_pwait2)
        return epoll_pwait2((int)arg[0], (struct epoll_event *)arg[1], (int)arg[2], (const struct timespec *)arg[3],
                            (const sigset_t *)arg[4]);
    return REAL(syscall)(number, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}
