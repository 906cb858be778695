/* Calls that wait: for events, or for time to pass.
 *
 * A wait under virtual time looks, and while there is nothing, asks whether the tree is asleep; if so it looks AGAIN
 * and only then lets the clock jump. (A child's exit that falls between the first look and the question would otherwise
 * be overtaken by the next timer.) If not it sleeps a slice of real time. Signals are blocked but for the slices, so
 * that one that comes between two of them ends the wait as it should.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

#include "shim_time.h"

enum {
    SLICE_NS_MIN = 30 * 1000,
    SLICE_NS_MAX = 1000 * 1000,
    LONG_SLICE_NS_MAX = 10 * 1000 * 1000, /* of who is not the prober */
    NS_PER_MS = 1000 * 1000,
    NS_PER_US = 1000,
    READS_OF_POLL = 50, /* what a wait counts that is told not to sleep and finds nothing; see shim_time.c */
    SHUFFLED_MAX = 1024 /* events of one wait that are given out in another order */
};

static int look(const struct shim_wait *wait)
{
    shim_timers_fire();
    return wait->probe(wait->arg);
}

/* What a waiter does that has found nothing and has time left. Returns what came, 0: look again. */
static int sleep_a_while(const struct shim_wait *wait, int64_t *slice_ns)
{
    const bool is_prober = shim_is_prober();
    const int64_t max_ns = is_prober ? SLICE_NS_MAX : LONG_SLICE_NS_MAX;
    struct shim_calm calm;
    bool is_busy = is_prober;
    int result;
    if (is_prober && shim_is_quiet(NULL, &calm)) {
        if ((result = look(wait)) != 0)
            return result;
        enum shim_jump jump = shim_jump(&calm);
        if (jump == SHIM_JUMPED) {
            *slice_ns = SLICE_NS_MIN;
            return 0;
        }
        is_busy = jump == SHIM_BLOCKED;
    }
    if (is_busy)
        shim_flow();
    const struct timespec length = shim_to_timespec(*slice_ns);
    *slice_ns = *slice_ns * 2 < max_ns ? *slice_ns * 2 : max_ns;
    return wait->slice(wait->arg, &length, wait->mask);
}

/* -1 with EINTR when a signal was handled since the wait began. */
static int interruption(const struct shim_wait *wait, unsigned signals)
{
    if (wait->signals() == signals)
        return 0;
    errno = EINTR;
    return -1;
}

int shim_wait(const struct shim_wait *wait, int64_t deadline_ns)
{
    const unsigned signals = wait->signals();
    int result = look(wait), error;
    int64_t slice_ns = SLICE_NS_MIN;
    const bool is_over = deadline_ns <= shim_now_ns();
    if (result != 0 || is_over)
        shim_creep();
    if (result != 0)
        return result;
    if (is_over) { /* whoever only polls waits for the clock to move, in the end */
        atomic_fetch_add(&shim_page->reads, READS_OF_POLL);
        return 0;
    }
    struct shim_sleeper *sleeper = shim_sleep_begin(deadline_ns);
    while ((result = look(wait)) == 0 && deadline_ns > shim_now_ns())
        if ((result = interruption(wait, signals)) != 0 || (result = sleep_a_while(wait, &slice_ns)) != 0)
            break;
    error = errno;
    shim_stop_probing();
    shim_sleep_end(sleeper);
    errno = error;
    shim_count(SHIM_COUNT_WAKE);
    return result;
}

/* A slice of a wait that poll(2) can sleep for. */
static int slice_of_poll(struct pollfd *fds, nfds_t count, const struct timespec *length, const sigset_t *mask)
{
    return REAL(ppoll)(fds, count, length, mask) < 0 ? -1 : 0;
}

static int64_t after_ms(int timeout_ms)
{
    return timeout_ms < 0 ? SHIM_NEVER_NS : shim_after_ns((int64_t)timeout_ms * NS_PER_MS);
}

/* A time to wait, as the kernel sees it. False: EINVAL. */
static bool is_valid(const struct timespec *time)
{
    return time == NULL || (time->tv_sec >= 0 && time->tv_nsec >= 0 && time->tv_nsec < 1000000000);
}

static int64_t after(const struct timespec *timeout)
{
    return timeout == NULL ? SHIM_NEVER_NS : shim_after_ns(shim_to_ns(timeout));
}

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- epoll --------------------------------------------------------------------------------- */

struct epoll_call {
    int epfd;
    struct epoll_event *events;
    int count;
    uint32_t number; /* of this call on epfd */
};

static int probe_epoll(void *arg)
{
    const struct epoll_call *call = arg;
    return REAL(epoll_wait)(call->epfd, call->events, call->count, 0);
}

static int slice_epoll(void *arg, const struct timespec *length, const sigset_t *mask)
{
    const struct epoll_call *call = arg;
    struct pollfd one = {.fd = call->epfd, .events = POLLIN};
    return slice_of_poll(&one, 1, length, mask);
}

/* The order of the ready list is the kernel's to choose. */
static void shuffle(const struct epoll_call *call, int count)
{
    if (count > SHUFFLED_MAX || shim_page->adversary.level == ADVERSARY_OFF)
        return;
    for (int i = count - 1; i > 0; i--) {
        int j =
            (int)adversary_choice(&shim_page->adversary, call->epfd, call->number, (uint32_t)i + 1, (uint32_t)i + 1);
        struct epoll_event event = call->events[i];
        call->events[i] = call->events[j];
        call->events[j] = event;
    }
}

/* The real wait, with no clock but the true one. */
static int wait_really(const struct epoll_call *call, const struct timespec *timeout, const sigset_t *mask)
{
    int64_t ns = timeout == NULL ? -1 : shim_to_ns(timeout);
    int64_t ms = ns < 0 ? -1 : (ns / NS_PER_MS) + (ns % NS_PER_MS != 0);
    if (timeout != NULL && ns % NS_PER_MS != 0)
        return REAL(epoll_pwait2)(call->epfd, call->events, call->count, timeout, mask);
    return REAL(epoll_pwait)(call->epfd, call->events, call->count, ms > INT_MAX ? INT_MAX : (int)ms, mask);
}

static int wait_for_events(struct epoll_call *call, const struct timespec *timeout, const sigset_t *mask)
{
    const struct adversary *adversary = &shim_page->adversary;
    const bool may_sleep = timeout == NULL || shim_to_ns(timeout) > 0;
    int count;

    call->number = shim_call_number(call->epfd);
    call->count = adversary_batch(adversary, call->epfd, call->number, call->count); /* asked for, not dropped */
    if (may_sleep && adversary->level != ADVERSARY_OFF) {
        if ((count = probe_epoll(call)) != 0) {
            shuffle(call, count);
            return count;
        }
        if (shim_meets_eintr(call->epfd, call->number))
            return fail(EINTR);
    }
    if (shim_page->has_time)
        count =
            shim_wait(&(struct shim_wait){probe_epoll, slice_epoll, call, mask, shim_signals_handled}, after(timeout));
    else
        count = wait_really(call, timeout, mask);
    shuffle(call, count);
    return count;
}

SHIM_EXPORT int epoll_pwait2(int epfd, struct epoll_event *events, int max, const struct timespec *timeout,
                             const sigset_t *mask)
{
    struct epoll_call call = {.epfd = epfd, .events = events, .count = max};
    shim_count(SHIM_COUNT_WAIT);
    if (!shim_is_armed || max <= 0 || !is_valid(timeout))
        return REAL(epoll_pwait2)(epfd, events, max, timeout, mask);
    return wait_for_events(&call, timeout, mask);
}

SHIM_EXPORT int epoll_pwait(int epfd, struct epoll_event *events, int max, int timeout_ms, const sigset_t *mask)
{
    struct epoll_call call = {.epfd = epfd, .events = events, .count = max};
    const struct timespec timeout = shim_to_timespec((int64_t)timeout_ms * NS_PER_MS);
    shim_count(SHIM_COUNT_WAIT);
    if (!shim_is_armed || max <= 0)
        return REAL(epoll_pwait)(epfd, events, max, timeout_ms, mask);
    return wait_for_events(&call, timeout_ms < 0 ? NULL : &timeout, mask);
}

SHIM_EXPORT int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout_ms)
{
    return epoll_pwait(epfd, events, max, timeout_ms, NULL);
}

/* ---- poll and select ----------------------------------------------------------------------- */

struct poll_call {
    struct pollfd *fds;
    nfds_t count;
};

static int probe_poll(void *arg)
{
    const struct poll_call *call = arg;
    return REAL(poll)(call->fds, call->count, 0);
}

static int slice_poll(void *arg, const struct timespec *length, const sigset_t *mask)
{
    const struct poll_call *call = arg;
    return slice_of_poll(call->fds, call->count, length, mask);
}

/* Does a call that is not on one fd meet a signal, when it finds nothing and would sleep? */
static bool is_interrupted(const struct shim_wait *wait, bool may_sleep, int *result)
{
    if (!may_sleep || shim_page->adversary.level == ADVERSARY_OFF)
        return false;
    if ((*result = wait->probe(wait->arg)) != 0)
        return true;
    *result = -1;
    return shim_meets_eintr(0, shim_call_number(0)) && fail(EINTR);
}

SHIM_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    struct poll_call call = {fds, count};
    const struct shim_wait wait = {probe_poll, slice_poll, &call, mask, shim_signals_handled};
    int result;
    shim_count(SHIM_COUNT_WAIT);
    if (!shim_is_armed || !is_valid(timeout))
        return REAL(ppoll)(fds, count, timeout, mask);
    if (is_interrupted(&wait, timeout == NULL || shim_to_ns(timeout) > 0, &result))
        return result;
    return shim_page->has_time ? shim_wait(&wait, after(timeout)) : REAL(ppoll)(fds, count, timeout, mask);
}

SHIM_EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct poll_call call = {fds, count};
    const struct shim_wait wait = {probe_poll, slice_poll, &call, NULL, shim_signals_handled};
    int result;
    shim_count(SHIM_COUNT_WAIT);
    if (!shim_is_armed)
        return REAL(poll)(fds, count, timeout_ms);
    if (is_interrupted(&wait, timeout_ms != 0, &result))
        return result;
    return shim_page->has_time ? shim_wait(&wait, after_ms(timeout_ms)) : REAL(poll)(fds, count, timeout_ms);
}

/* What programs that were compiled with _FORTIFY_SOURCE call. */
SHIM_EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t bytes);
SHIM_EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t bytes)
{
    if (bytes / sizeof *fds < count)
        abort();
    return poll(fds, count, timeout_ms);
}

SHIM_EXPORT int __ppoll_chk(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *, size_t);
SHIM_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                            size_t bytes)
{
    if (bytes / sizeof *fds < count)
        abort();
    return ppoll(fds, count, timeout, mask);
}

/* select(2) writes its answer over its question, of which the next look needs a copy. A set may be longer than fd_set,
 * since its size is up to the caller. */
enum { SETS = 3, SET_BYTES_MAX = 8192 };

struct select_call {
    int count;
    size_t bytes; /* of each set that the kernel reads and writes */
    fd_set *sets[SETS];
    unsigned char asked[SETS][SET_BYTES_MAX];
};

static int select_now(struct select_call *call, const struct timespec *length, const sigset_t *mask)
{
    for (int i = 0; i < SETS; i++)
        if (call->sets[i] != NULL)
            memcpy(call->sets[i], call->asked[i], call->bytes);
    return REAL(pselect)(call->count, call->sets[0], call->sets[1], call->sets[2], length, mask);
}

static int probe_select(void *arg)
{
    return select_now(arg, &(struct timespec){0}, NULL);
}

static int slice_select(void *arg, const struct timespec *length, const sigset_t *mask)
{
    return select_now(arg, length, mask) < 0 ? -1 : 0;
}

SHIM_EXPORT int pselect(int count, fd_set *readable, fd_set *writable, fd_set *except, const struct timespec *timeout,
                        const sigset_t *mask)
{
    struct select_call call; /* large: only what is used is written */
    const struct shim_wait wait = {probe_select, slice_select, &call, mask, shim_signals_handled};
    const size_t bits = 8 * sizeof(long);
    int result;
    shim_count(SHIM_COUNT_WAIT);
    call.count = count;
    call.sets[0] = readable, call.sets[1] = writable, call.sets[2] = except;
    call.bytes = count < 0 ? 0 : ((size_t)count + bits - 1) / bits * sizeof(long);
    if (!shim_is_armed || count < 0 || call.bytes > SET_BYTES_MAX || !is_valid(timeout))
        return REAL(pselect)(count, readable, writable, except, timeout, mask);
    for (int i = 0; i < SETS; i++)
        if (call.sets[i] != NULL)
            memcpy(call.asked[i], call.sets[i], call.bytes);
    if (is_interrupted(&wait, timeout == NULL || shim_to_ns(timeout) > 0, &result))
        return result;
    return shim_page->has_time ? shim_wait(&wait, after(timeout)) : select_now(&call, timeout, mask);
}

SHIM_EXPORT int select(int count, fd_set *readable, fd_set *writable, fd_set *except, struct timeval *timeout)
{
    struct timespec length;
    if (!shim_is_armed || (timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_usec < 0))) {
        shim_count(SHIM_COUNT_WAIT);
        return REAL(select)(count, readable, writable, except, timeout);
    }
    if (timeout == NULL)
        return pselect(count, readable, writable, except, NULL, NULL);
    length = shim_to_timespec(timeout->tv_sec > INT32_MAX
                                  ? SHIM_NEVER_NS
                                  : timeout->tv_sec * INT64_C(1000000000) + timeout->tv_usec * (int64_t)NS_PER_US);
    int64_t deadline_ns = after(&length), left_ns;
    int result = pselect(count, readable, writable, except, &length, NULL);
    if (shim_page->has_time) { /* Linux says what was left */
        left_ns = deadline_ns - shim_now_ns();
        length = shim_to_timespec(left_ns > 0 ? left_ns : 0);
        *timeout = (struct timeval){.tv_sec = length.tv_sec, .tv_usec = length.tv_nsec / NS_PER_US};
    }
    return result;
}

/* ---- sleep --------------------------------------------------------------------------------- */

static int probe_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int slice_nothing(void *arg, const struct timespec *length, const sigset_t *mask)
{
    (void)arg;
    return slice_of_poll(NULL, 0, length, mask);
}

/* 0, or EINTR. */
static int sleep_until(int64_t deadline_ns, struct timespec *left)
{
    if (shim_wait(&(struct shim_wait){probe_nothing, slice_nothing, NULL, NULL, shim_signals_handled}, deadline_ns) ==
        0)
        return 0;
    int64_t left_ns = deadline_ns - shim_now_ns();
    if (left != NULL)
        *left = shim_to_timespec(left_ns > 0 ? left_ns : 0);
    return EINTR;
}

SHIM_EXPORT int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
    const bool is_absolute = (flags & TIMER_ABSTIME) != 0;
    shim_count(SHIM_COUNT_SLEEP);
    if (!shim_has_time() || !is_valid(time) || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID)
        return REAL(clock_nanosleep)(clock, flags, time, left);
    return sleep_until(is_absolute ? shim_from_clock_ns(clock, time) : after(time), is_absolute ? NULL : left);
}

SHIM_EXPORT int nanosleep(const struct timespec *time, struct timespec *left)
{
    if (!shim_has_time() || !is_valid(time)) {
        shim_count(SHIM_COUNT_SLEEP);
        return REAL(nanosleep)(time, left);
    }
    int error = clock_nanosleep(CLOCK_MONOTONIC, 0, time, left);
    return error == 0 ? 0 : fail(error);
}

SHIM_EXPORT int usleep(useconds_t us)
{
    return nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * NS_PER_US}, NULL);
}

SHIM_EXPORT unsigned sleep(unsigned seconds)
{
    struct timespec left = {0};
    if (nanosleep(&(struct timespec){.tv_sec = seconds}, &left) == 0)
        return 0;
    return (unsigned)left.tv_sec + (left.tv_nsec > 0);
}
