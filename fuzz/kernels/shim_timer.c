/* Timers that fire by themselves, under virtual time. A timerfd becomes an eventfd with a deadline: reading it gives
 * the same 8 bytes, and waits see it readable. alarm(2) and ITIMER_REAL become a deadline with a signal.
 *
 * The threads of the process fire them, whenever they look for events or read; while all others sleep, somebody does.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "shim_time.h"

enum { SIGNAL = -1, FORGET_ALL = -2, NS_PER_S = 1000000000, NS_PER_US = 1000 };

static struct shim_timer *timer_of(int fd)
{
    const int pid = getpid(); /* in a vfork child it is not that of the entries */
    for (int i = 0; i < SHIM_TIMERS_MAX; i++)
        if (atomic_load(&shim_page->timers[i].pid) == pid && shim_page->timers[i].fd == fd)
            return &shim_page->timers[i];
    return NULL;
}

static struct shim_timer *add_timer(int fd, int clock)
{
    for (int i = 0; i < SHIM_TIMERS_MAX; i++) {
        struct shim_timer *t = &shim_page->timers[i];
        int nobody = 0;
        if (atomic_load(&t->pid) != 0 || !atomic_compare_exchange_strong(&t->pid, &nobody, -1))
            continue;
        t->fd = fd;
        t->clock = clock;
        t->period_ns = 0;
        atomic_store(&t->deadline_ns, SHIM_NEVER_NS);
        atomic_store(&t->pid, getpid());
        return t;
    }
    return NULL;
}

bool shim_is_timer(int fd)
{
    return timer_of(fd) != NULL;
}

void shim_timers_forget(int fd)
{
    const int pid = getpid();
    for (int i = 0; i < SHIM_TIMERS_MAX; i++)
        if (atomic_load(&shim_page->timers[i].pid) == pid && (fd == FORGET_ALL || shim_page->timers[i].fd == fd))
            atomic_store(&shim_page->timers[i].pid, 0);
}

static void fire(struct shim_timer *t, uint64_t times)
{
    if (t->fd == SIGNAL)
        kill(getpid(), SIGALRM);
    else if (REAL(write)(t->fd, &times, sizeof times) < 0)
        atomic_store(&t->pid, 0); /* closed behind our back */
}

void shim_timers_fire(void)
{
    const int saved = errno, pid = getpid();
    const int64_t now_ns = shim_now_ns();
    for (int i = 0; i < SHIM_TIMERS_MAX; i++) {
        struct shim_timer *t = &shim_page->timers[i];
        int64_t deadline_ns = atomic_load(&t->deadline_ns), next_ns = SHIM_NEVER_NS, times = 1;
        if (atomic_load(&t->pid) != pid || deadline_ns > now_ns || deadline_ns == SHIM_NEVER_NS)
            continue;
        if (t->period_ns > 0) {
            times += (now_ns - deadline_ns) / t->period_ns;
            next_ns = deadline_ns + times * t->period_ns;
        }
        if (atomic_compare_exchange_strong(&t->deadline_ns, &deadline_ns, next_ns)) /* else another thread did it */
            fire(t, (uint64_t)times);
    }
    errno = saved;
}

/* What is left until a timer fires; 0: it is disarmed. */
static int64_t left_ns(const struct shim_timer *t)
{
    int64_t deadline_ns = atomic_load(&t->deadline_ns), now_ns = shim_now_ns();
    if (deadline_ns == SHIM_NEVER_NS)
        return 0;
    return deadline_ns > now_ns ? deadline_ns - now_ns : 1;
}

/* ---- timerfd ------------------------------------------------------------------------------- */

SHIM_EXPORT int timerfd_create(clockid_t clock, int flags)
{
    shim_count(SHIM_COUNT_TIMER);
    if (!shim_has_time())
        return REAL(timerfd_create)(clock, flags);
    int fd = eventfd(0, (flags & TFD_NONBLOCK ? EFD_NONBLOCK : 0) | (flags & TFD_CLOEXEC ? EFD_CLOEXEC : 0));
    if (fd < 0 || add_timer(fd, clock) != NULL)
        return fd;
    REAL(close)(fd);
    errno = ENOMEM;
    return -1;
}

SHIM_EXPORT int timerfd_gettime(int fd, struct itimerspec *value)
{
    const struct shim_timer *t = shim_has_time() ? timer_of(fd) : NULL;
    if (t == NULL)
        return REAL(timerfd_gettime)(fd, value);
    *value = (struct itimerspec){shim_to_timespec(t->period_ns), shim_to_timespec(left_ns(t))};
    return 0;
}

/* Setting a timer takes back what it has fired and nobody has read. */
static void drain(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    uint64_t times;
    if (REAL(poll)(&one, 1, 0) > 0)
        (void)!REAL(read)(fd, &times, sizeof times);
}

SHIM_EXPORT int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *had)
{
    struct shim_timer *t = shim_has_time() ? timer_of(fd) : NULL;
    shim_count(SHIM_COUNT_TIMER);
    if (t == NULL)
        return REAL(timerfd_settime)(fd, flags, value, had);
    int64_t value_ns = shim_to_ns(&value->it_value);
    if (had != NULL)
        timerfd_gettime(fd, had);
    atomic_store(&t->deadline_ns, SHIM_NEVER_NS);
    drain(fd);
    t->period_ns = shim_to_ns(&value->it_interval);
    if (value_ns != 0)
        atomic_store(&t->deadline_ns, flags & TFD_TIMER_ABSTIME ? shim_from_clock_ns(t->clock, &value->it_value)
                                                                : shim_after_ns(value_ns));
    return 0;
}

/* ---- SIGALRM ------------------------------------------------------------------------------- */

static struct timeval to_timeval(int64_t ns)
{
    return (struct timeval){.tv_sec = (time_t)(ns / NS_PER_S), .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US)};
}

static int64_t timeval_ns(const struct timeval *time)
{
    return shim_to_ns(&(struct timespec){.tv_sec = time->tv_sec, .tv_nsec = time->tv_usec * NS_PER_US});
}

SHIM_EXPORT int getitimer(__itimer_which_t which, struct itimerval *value)
{
    if (!shim_has_time() || which != ITIMER_REAL)
        return REAL(getitimer)(which, value);
    const struct shim_timer *t = timer_of(SIGNAL);
    *value = (struct itimerval){to_timeval(t == NULL ? 0 : t->period_ns), to_timeval(t == NULL ? 0 : left_ns(t))};
    return 0;
}

SHIM_EXPORT int setitimer(__itimer_which_t which, const struct itimerval *value, struct itimerval *had)
{
    shim_count(SHIM_COUNT_TIMER);
    if (!shim_has_time() || which != ITIMER_REAL)
        return REAL(setitimer)(which, value, had);
    if (had != NULL)
        getitimer(which, had);
    shim_timers_forget(SIGNAL);
    struct shim_timer *t = value == NULL ? NULL : add_timer(SIGNAL, CLOCK_MONOTONIC);
    if (t == NULL)
        return 0;
    t->period_ns = timeval_ns(&value->it_interval);
    if (timeval_ns(&value->it_value) != 0)
        atomic_store(&t->deadline_ns, shim_after_ns(timeval_ns(&value->it_value)));
    return 0;
}

SHIM_EXPORT unsigned alarm(unsigned seconds)
{
    struct itimerval had = {0}, value = {.it_value = {.tv_sec = seconds}};
    setitimer(ITIMER_REAL, &value, &had);
    return (unsigned)had.it_value.tv_sec + (had.it_value.tv_usec > 0);
}
