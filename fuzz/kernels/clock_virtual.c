/* Virtual time under anybody's loop, without LD_PRELOAD: the program defines the functions of libc by which a loop
 * reads clocks and sleeps, and is linked so that shared libraries find these first (-rdynamic). Fds are the real
 * kernel's.
 *
 * A wait asks the kernel without sleeping. If nothing is ready, time jumps to what would have ended the wait: its
 * timeout, a timerfd, a post. Posts run on another thread while the loop waits for them, so that a run repeats
 * exactly. A wait that nothing would ever end is a hang, and told at once.
 *
 * Not caught: system calls that a library makes by itself, and clocks and waits that are not below.
 */
#define _GNU_SOURCE /* epoll_pwait2, ppoll */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "kernel.h"

enum { TIMERFDS_MAX = 8, POSTS_MAX = 32, NS_A_MS = 1000000, TIMERFD_WAIT_MS = 1000, PAIR_BUFFER_BYTES = 1 << 16 };
#define NS_A_S UINT64_C(1000000000)
#define EPOCH_NS (1000 * NS_A_S)     /* the monotonic clock when a loop is opened */
#define WALL_AHEAD_NS (NS_A_S << 30) /* the wall clock shows the year 2004 */
#define CREEP_NS 1000                /* what a wait takes: some loops fire a timer only when its time has passed */
#define NEVER UINT64_MAX

static struct {
    uint64_t now_ns;
    struct {
        int fd;
        uint64_t deadline_ns; /* NEVER: not armed */
    } timerfds[TIMERFDS_MAX];
    size_t timerfds_count;
    struct {
        uint64_t due_ns;
        void (*work)(void *arg);
        void *arg;
    } posts[POSTS_MAX]; /* in the order of asking */
    size_t posts_count;
    int fds_folder; /* /proc/self/fd */
    int listener;   /* -1: none could be had */
    uint16_t port;
    struct lc_kernel kernel; /* the real one, but for posts and pairs over TCP */
} at = {.now_ns = EPOCH_NS, .fds_folder = -1, .listener = -1};

/* ---- time ---------------------------------------------------------------------------------- */

static uint64_t to_ns(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * NS_A_S + (uint64_t)time->tv_nsec;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > NEVER - b ? NEVER : a + b;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID)
        return (int)syscall(SYS_clock_gettime, clock, time);
    const bool is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    const uint64_t now_ns = at.now_ns + (is_wall ? WALL_AHEAD_NS : 0);
    *time = (struct timespec){.tv_sec = (time_t)(now_ns / NS_A_S), .tv_nsec = (long)(now_ns % NS_A_S)};
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    const uint64_t now_ns = at.now_ns + WALL_AHEAD_NS;
    (void)zone;
    *time = (struct timeval){.tv_sec = (time_t)(now_ns / NS_A_S), .tv_usec = (suseconds_t)(now_ns % NS_A_S / 1000)};
    return 0;
}

int nanosleep(const struct timespec *duration, struct timespec *left)
{
    (void)left;
    at.now_ns += to_ns(duration);
    return 0;
}

/* ---- timerfds: the real ones, expired by hand ---------------------------------------------- */

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
    const struct itimerspec off = {{0, 0}, {0, 0}};
    const uint64_t value_ns = to_ns(&value->it_value);
    size_t i = 0;
    while (i < at.timerfds_count && at.timerfds[i].fd != fd)
        i++;
    if (i == TIMERFDS_MAX)
        return errno = ENOMEM, -1;
    at.timerfds_count += i == at.timerfds_count;
    at.timerfds[i].fd = fd;
    at.timerfds[i].deadline_ns = value_ns == 0               ? NEVER
                                 : flags & TFD_TIMER_ABSTIME ? value_ns
                                                             : add(at.now_ns, value_ns);
    return (int)syscall(SYS_timerfd_settime, fd, 0, &off, old);
}

static void expire_timerfds(void)
{
    const struct itimerspec soon = {{0, 0}, {0, 1}};
    for (size_t i = 0; i < at.timerfds_count; i++) {
        struct pollfd one = {.fd = at.timerfds[i].fd, .events = POLLIN};
        const struct timespec limit = {.tv_sec = TIMERFD_WAIT_MS / 1000};
        if (at.timerfds[i].deadline_ns > at.now_ns)
            continue;
        at.timerfds[i].deadline_ns = NEVER;
        if (syscall(SYS_timerfd_settime, one.fd, 0, &soon, NULL) == 0)
            syscall(SYS_ppoll, &one, 1, &limit, NULL, 0);
    }
}

/* ---- posts --------------------------------------------------------------------------------- */

/* The thread of all posts: to make one for each would cost more than the program it is for. */
static struct {
    sem_t asked, done;
    void (*work)(void *arg);
    void *arg;
    bool is_there;
} helper;

static void *help(void *arg)
{
    for (;;)
        if (sem_wait(&helper.asked) == 0) {
            helper.work(helper.arg);
            sem_post(&helper.done);
        }
    return arg;
}

static int work_there(void (*work)(void *arg), void *arg)
{
    if (!helper.is_there) {
        pthread_t thread;
        const int error = sem_init(&helper.asked, 0, 0) != 0 || sem_init(&helper.done, 0, 0) != 0
                              ? errno
                              : pthread_create(&thread, NULL, help, NULL);
        if (error != 0)
            return -error;
    }
    helper.is_there = true;
    helper.work = work;
    helper.arg = arg;
    sem_post(&helper.asked);
    while (sem_wait(&helper.done) != 0)
        ; /* a signal came */
    return 0;
}

/* Runs posts that are due by then, the earliest first; time goes on to each. */
static void run_posts(uint64_t until_ns)
{
    for (;;) {
        size_t first = at.posts_count;
        for (size_t i = at.posts_count; i-- > 0;)
            if (at.posts[i].due_ns <= until_ns &&
                (first == at.posts_count || at.posts[i].due_ns <= at.posts[first].due_ns))
                first = i;
        if (first == at.posts_count)
            return;
        if (at.now_ns < at.posts[first].due_ns)
            at.now_ns = at.posts[first].due_ns;
        work_there(at.posts[first].work, at.posts[first].arg);
        at.posts_count--;
        for (size_t i = first; i < at.posts_count; i++)
            at.posts[i] = at.posts[i + 1];
    }
}

static int post(void *self, uint64_t delay_ns, void (*work)(void *arg), void *arg)
{
    (void)self;
    if (delay_ns == 0)
        return work_there(work, arg);
    if (at.posts_count == POSTS_MAX)
        return -EAGAIN;
    at.posts[at.posts_count].due_ns = add(at.now_ns, delay_ns);
    at.posts[at.posts_count].work = work;
    at.posts[at.posts_count++].arg = arg;
    return 0;
}

static void join(void *self)
{
    (void)self;
    run_posts(NEVER);
}

/* ---- waits --------------------------------------------------------------------------------- */

/* When the first timerfd or post is due. */
static uint64_t next_ns(void)
{
    uint64_t next = NEVER;
    for (size_t i = 0; i < at.timerfds_count; i++)
        next = at.timerfds[i].deadline_ns < next ? at.timerfds[i].deadline_ns : next;
    for (size_t i = 0; i < at.posts_count; i++)
        next = at.posts[i].due_ns < next ? at.posts[i].due_ns : next;
    return next;
}

/* `ask` is the wait without sleeping. */
static int wait_for(int (*ask)(void *arg), void *arg, uint64_t timeout_ns)
{
    const uint64_t deadline_ns = add(at.now_ns, timeout_ns);
    for (;;) {
        expire_timerfds();
        if (timeout_ns > 0)
            run_posts(at.now_ns);
        const int found = ask(arg);
        if (found != 0 || at.now_ns >= deadline_ns)
            return found;
        const uint64_t next = next_ns(), until = next < deadline_ns ? next : deadline_ns;
        if (until == NEVER)
            raise(SIGALRM); /* as if it had been waited for */
        if (until == NEVER)
            return errno = EINTR, -1;
        at.now_ns = until > at.now_ns ? until : at.now_ns;
        if (next > deadline_ns) /* time alone has passed: the answer would be the same */
            return 0;
    }
}

static uint64_t of_ms(int timeout_ms)
{
    return timeout_ms < 0 ? NEVER : (uint64_t)timeout_ms * NS_A_MS;
}

struct epoll_args {
    int fd;
    struct epoll_event *events;
    int count;
};

static int ask_epoll(void *arg)
{
    const struct epoll_args *args = arg;
    return (int)syscall(SYS_epoll_pwait, args->fd, args->events, args->count, 0, NULL, 0);
}

static int wait_epoll(int fd, struct epoll_event *events, int count, uint64_t timeout_ns)
{
    at.now_ns += CREEP_NS;
    return wait_for(ask_epoll, &(struct epoll_args){fd, events, count}, timeout_ns);
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms)
{
    return wait_epoll(fd, events, count, of_ms(timeout_ms));
}

int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask)
{
    (void)mask; /* no signals are sent here */
    return wait_epoll(fd, events, count, of_ms(timeout_ms));
}

int epoll_pwait2(int fd, struct epoll_event *events, int count, const struct timespec *timeout, const sigset_t *mask)
{
    (void)mask;
    return wait_epoll(fd, events, count, timeout != NULL ? to_ns(timeout) : NEVER);
}

struct poll_args {
    struct pollfd *fds;
    nfds_t count;
};

static int ask_poll(void *arg)
{
    const struct poll_args *args = arg;
    const struct timespec now = {0, 0};
    return (int)syscall(SYS_ppoll, args->fds, args->count, &now, NULL, 0);
}

/* Time does not creep for a poll that may not sleep: the runner looks at fds by it. */
int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    at.now_ns += timeout_ms != 0 ? CREEP_NS : 0;
    return wait_for(ask_poll, &(struct poll_args){fds, count}, of_ms(timeout_ms));
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    (void)mask;
    at.now_ns += CREEP_NS;
    return wait_for(ask_poll, &(struct poll_args){fds, count}, timeout != NULL ? to_ns(timeout) : NEVER);
}

/* ---- fds ----------------------------------------------------------------------------------- */

/* Newer kernels tell how many there are by the size of their folder: less work than to ask for each number. */
static int open_fds(void *self)
{
    const struct lc_kernel *real = lc_kernel_posix();
    struct stat fds;
    if (at.fds_folder >= 0 && fstat(at.fds_folder, &fds) == 0 && fds.st_size > 0)
        return (int)fds.st_size;
    return real->open_fds(self);
}

/* ---- pairs --------------------------------------------------------------------------------- */

/* Who fills an end has soon done so; and a loop has soon to wait until it can write. */
static void keep_little(int fd, int option)
{
    const int bytes = PAIR_BUFFER_BYTES;
    setsockopt(fd, SOL_SOCKET, option, &bytes, sizeof bytes);
}

/* All pairs over TCP are made through one listener: to search for a free port takes longer than most programs. */
static void open_listener(void)
{
    const struct lc_kernel *real = lc_kernel_posix();
    at.listener = real->listen(real->self, &at.port);
    if (at.listener < 0)
        return;
    fcntl(at.listener, F_SETFL, 0);      /* who has connected may still be on the way to accept */
    keep_little(at.listener, SO_SNDBUF); /* and so do those who are accepted */
    keep_little(at.listener, SO_RCVBUF);
}

static int pair(void *self, int fds[2], bool is_tcp)
{
    const struct lc_kernel *real = lc_kernel_posix();
    uint16_t own = 0, peer = 0;
    if (!is_tcp || at.listener < 0) {
        const int result = real->pair(self, fds, is_tcp);
        for (int i = 0; i < 2 && result == 0; i++)
            keep_little(fds[i], SO_SNDBUF);
        return result;
    }
    if ((fds[0] = real->connect(self, at.port, &own)) < 0)
        return fds[0];
    keep_little(fds[0], SO_SNDBUF);
    while ((fds[1] = real->accept(self, at.listener, &peer)) >= 0 && peer != own)
        close(fds[1]); /* a stranger */
    if (fds[1] >= 0)
        return 0;
    close(fds[0]);
    return fds[1];
}

/* ---- the driver ---------------------------------------------------------------------------- */

void clock_reset(void)
{
    at.now_ns = EPOCH_NS;
    at.timerfds_count = at.posts_count = 0; /* those of the loop before are closed, and their numbers used again */
}

/* Not is_exact: the sockets are real, and no loop but a simulated one is asked how it orders deadlines of the past. */
void clock_use(struct lc_driver *driver)
{
    if (driver->kernel != NULL)
        return;
    at.kernel = *lc_kernel_posix();
    if (at.listener < 0)
        open_listener();
    if (at.fds_folder < 0)
        at.fds_folder = open("/proc/self/fd", O_RDONLY | O_CLOEXEC);
    at.kernel.open_fds = open_fds;
    at.kernel.pair = pair;
    at.kernel.post = post;
    at.kernel.join = join;
    at.kernel.is_timed = true;
    /* What a network needs passes in real time, which nobody waits for here. */
    at.kernel.listen = NULL;
    driver->capabilities &= ~(uint32_t)(LC_CAP_SERVER | LC_CAP_CONNECT);
    driver->kernel = &at.kernel;
}
