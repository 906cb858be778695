/* Real clock and kernel. The epoll backend keeps every sentence of backend.h. */
#define _GNU_SOURCE
#include "backend/epoll.h"
#include "testing/test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define MS_NS INT64_C(1000000)
#define LONG_NS (INT64_C(10000) * MS_NS) /* a sleep that a defect only would let run out */

static struct rl_epoll epoll;
static struct rl_backend backend;
static struct rl_event events[RL_EVENTS_MAX];
static int pair[2];

/* The linker sends here who waits by epoll_pwait2. */
static int pwait2_error; /* what it is told; 0: it is let through */
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 35)
int __real_epoll_pwait2(int set, struct epoll_event *found, int found_max, const struct timespec *timeout,
                        const sigset_t *mask);
int __wrap_epoll_pwait2(int set, struct epoll_event *found, int found_max, const struct timespec *timeout,
                        const sigset_t *mask);

int __wrap_epoll_pwait2(int set, struct epoll_event *found, int found_max, const struct timespec *timeout,
                        const sigset_t *mask)
{
    if (pwait2_error == 0)
        return __real_epoll_pwait2(set, found, found_max, timeout, mask);
    errno = pwait2_error;
    return -1;
}
#endif

static void open_all(void)
{
    memset(events, 0, sizeof events);
    pwait2_error = 0;
    CHECK(rl_epoll_open(&epoll, &backend) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
}

static void close_all(void)
{
    backend.close(backend.self);
    for (int i = 0; i < 2; i++)
        (void)close(pair[i]);
}

static int apply(int fd, uint32_t interest)
{
    return backend.apply(backend.self, fd, interest);
}

static int wait_events(int64_t timeout_ns)
{
    return backend.wait(backend.self, timeout_ns, events, RL_EVENTS_MAX);
}

/* Is exactly this fd reported, for exactly this? */
static bool finds(int fd, uint32_t bits)
{
    return wait_events(0) == 1 && events[0].fd == fd && events[0].events == bits;
}

/* [FD-1] A ready fd is reported by every wait until it is not ready any more, for what was asked and nothing else. */
static void readiness_is_level_triggered(void)
{
    char byte;
    open_all();
    CHECK(apply(pair[0], RL_IN) == 0);
    CHECK(wait_events(0) == 0);
    CHECK(write(pair[1], "x", 1) == 1);
    for (int i = 0; i < 3; i++)
        CHECK(finds(pair[0], RL_IN));
    CHECK(apply(pair[0], RL_IN | RL_OUT) == 0);
    CHECK(finds(pair[0], RL_IN | RL_OUT));
    CHECK(apply(pair[0], RL_OUT) == 0);
    CHECK(finds(pair[0], RL_OUT));
    CHECK(apply(pair[0], RL_IN) == 0);
    CHECK(read(pair[0], &byte, 1) == 1);
    CHECK(wait_events(0) == 0);
    close_all();
}

/* The other side's end is reported unasked, an error too. */
static void hup_and_err_come_unasked(void)
{
    int pipe_fds[2];
    open_all();
    CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
    CHECK(apply(pipe_fds[1], RL_OUT) == 0);
    CHECK(close(pipe_fds[0]) == 0);
    CHECK(finds(pipe_fds[1], RL_OUT | RL_ERR));
    CHECK(apply(pipe_fds[1], 0) == 0);
    CHECK(close(pipe_fds[1]) == 0);
    CHECK(apply(pair[0], RL_IN) == 0);
    CHECK(close(pair[1]) == 0);
    CHECK(finds(pair[0], RL_IN | RL_HUP));
    pair[1] = -1;
    close_all();
}

/* [FD-3] [FD-4] An fd that was forgotten, or closed without a duplicate, is never reported again. */
static void forgotten_fds_are_silent(void)
{
    open_all();
    CHECK(apply(pair[0], RL_IN) == 0);
    CHECK(close(pair[1]) == 0);
    CHECK(finds(pair[0], RL_IN | RL_HUP));
    CHECK(apply(pair[0], 0) == 0);
    CHECK(wait_events(0) == 0);
    CHECK(apply(pair[0], RL_IN) == 0);
    CHECK(close(pair[0]) == 0);
    CHECK(wait_events(0) == 0);
    pair[0] = pair[1] = -1;
    close_all();
}

/* A set with an entry that cannot be removed is replaced: the loop is told, and the old fd never ends a wait again. */
static void closed_before_forgotten_does_not_spin(void)
{
    open_all();
    int twin = dup(pair[0]);
    CHECK(write(pair[1], "x", 1) == 1);
    CHECK(apply(pair[0], RL_IN) == 0);
    CHECK(close(pair[0]) == 0);
    CHECK(finds(pair[0], RL_IN)); /* the entry lives on with the twin */
    CHECK(apply(pair[0], 0) == 0);
    CHECK(backend.wake(backend.self) == 0);
    CHECK(wait_events(LONG_NS) == -ESTALE);
    CHECK(wait_events(LONG_NS) == 0); /* the wake has survived the change of sets */
    CHECK(wait_events(MS_NS) == 0);
    CHECK(apply(pair[1], RL_OUT) == 0);
    CHECK(finds(pair[1], RL_OUT));
    pair[0] = twin;
    close_all();
}

/* So it is if the number means another file by then, one that was never watched or that cannot be. */
static void reopened_before_forgotten_does_not_spin(void)
{
    for (int is_socket = 0; is_socket < 2; is_socket++) {
        open_all();
        const int twin = dup(pair[0]), file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        CHECK(twin >= 0 && file >= 0 && apply(pair[0], RL_OUT) == 0);
        CHECK(dup2(is_socket ? pair[1] : file, pair[0]) == pair[0]);
        CHECK(apply(pair[0], 0) == 0);
        CHECK(wait_events(LONG_NS) == -ESTALE && wait_events(MS_NS) == 0);
        CHECK(close(twin) == 0 && close(file) == 0);
        close_all();
    }
}

/* A file that epoll cannot watch, and no file at all, are the caller's to handle. */
static void unfit_fds_are_refused(void)
{
    open_all();
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0);
    CHECK(apply(file, RL_IN) == -EPERM);
    CHECK(close(file) == 0);
    CHECK(apply(file, RL_IN) == -EBADF);
    CHECK(apply(INT_MAX, RL_IN) == -EBADF);
    close_all();
}

/* A wake ends the next wait, and one wait ends however many wakes came before it. */
static void wake_ends_one_wait(void)
{
    open_all();
    for (int i = 0; i < 3; i++)
        CHECK(backend.wake(backend.self) == 0);
    CHECK(wait_events(LONG_NS) == 0);
    uint64_t before_ns = backend.now_ns(backend.self);
    CHECK(wait_events(MS_NS) == 0);
    CHECK(backend.now_ns(backend.self) - before_ns >= (uint64_t)MS_NS);
    close_all();
}

/* What is ready beside a wake is told, and alone, whichever came first. */
static void wake_hides_nothing(void)
{
    for (int is_first = 0; is_first < 2; is_first++) {
        open_all();
        CHECK(apply(pair[0], RL_IN) == 0);
        CHECK(!is_first || backend.wake(backend.self) == 0);
        CHECK(write(pair[1], "x", 1) == 1);
        CHECK(is_first || backend.wake(backend.self) == 0);
        CHECK(finds(pair[0], RL_IN));
        close_all();
    }
}

/* A wake that finds the counter full is as good as any, and leaves the errno of whom a signal handler interrupted. */
static void wake_of_a_full_counter_succeeds(void)
{
    const uint64_t full = UINT64_MAX - 1;
    open_all();
    CHECK(write(epoll.wake_fd, &full, sizeof full) == sizeof full);
    errno = EXDEV;
    CHECK(backend.wake(backend.self) == 0 && errno == EXDEV);
    CHECK(wait_events(LONG_NS) == 0 && wait_events(0) == 0);
    close_all();
}

/* No program that is started gets the loop's fds. */
static void fds_are_not_inherited(void)
{
    open_all();
    CHECK(fcntl(epoll.epoll_fd, F_GETFD) == FD_CLOEXEC && fcntl(epoll.wake_fd, F_GETFD) == FD_CLOEXEC);
    close_all();
}

/* [TIMER-1] Where epoll_pwait2 is not there, or a sandbox refuses it, waits are as long, and fds found, as ever. */
static void pwait2_may_be_refused(void)
{
    static const int errors[] = {ENOSYS, EPERM};
    for (int i = 0; i < 2; i++) {
        open_all();
        pwait2_error = errors[i];
        const uint64_t before_ns = backend.now_ns(backend.self);
        CHECK(wait_events(MS_NS + 1) == 0 && backend.now_ns(backend.self) - before_ns > (uint64_t)MS_NS);
        CHECK(apply(pair[0], RL_OUT) == 0 && finds(pair[0], RL_OUT));
        close_all();
    }
}

static struct rlimit limit_before; /* by limit_fds */

/* From now on at most more_max fds can be had besides those below the lowest free one, which is returned. */
static int limit_fds(int more_max)
{
    const int free_fd = dup(STDOUT_FILENO);
    CHECK(close(free_fd) == 0 && getrlimit(RLIMIT_NOFILE, &limit_before) == 0);
    const struct rlimit limit = {.rlim_cur = (rlim_t)(free_fd + more_max), .rlim_max = limit_before.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    return free_fd;
}

static void unlimit_fds(void)
{
    CHECK(setrlimit(RLIMIT_NOFILE, &limit_before) == 0);
}

/* Without a free fd for the set, or for the wakes, open fails and keeps none. */
static void failed_open_keeps_no_fd(void)
{
    for (int more_max = 0; more_max < 2; more_max++) {
        const int free_fd = limit_fds(more_max), error = rl_epoll_open(&epoll, &backend);
        unlimit_fds();
        CHECK(error == -EMFILE && fcntl(free_fd, F_GETFD) == -1 && errno == EBADF);
    }
}

/* A set that could not be replaced for want of an fd serves on, and is replaced as soon as there is one. */
static void suspect_set_is_replaced_once_it_can_be(void)
{
    open_all();
    const int twin = dup(pair[0]);
    CHECK(twin >= 0 && apply(pair[0], RL_OUT) == 0 && apply(pair[1], RL_OUT) == 0);
    CHECK(dup2(STDOUT_FILENO, pair[0]) == pair[0] && apply(pair[0], 0) == 0);
    (void)limit_fds(0);
    const int found = wait_events(0), found_again = wait_events(0);
    unlimit_fds();
    CHECK(found == 2 && found_again == 2); /* the twin's as well */
    CHECK(wait_events(LONG_NS) == -ESTALE && wait_events(0) == 0);
    CHECK(apply(pair[1], RL_OUT) == 0 && finds(pair[1], RL_OUT));
    CHECK(close(twin) == 0);
    close_all();
}

/* What has no connection, or no half that could be shut alone, says so. */
static void shutting_what_is_not_connected_fails(void)
{
    int pipe_fds[2];
    open_all();
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && pipe2(pipe_fds, O_CLOEXEC) == 0);
    CHECK(backend.shut(backend.self, fd) == -ENOTCONN && backend.shut(backend.self, pipe_fds[1]) == -ENOTSOCK);
    CHECK(backend.shut(backend.self, pair[0]) == 0);
    CHECK(close(fd) == 0 && close(pipe_fds[0]) == 0 && close(pipe_fds[1]) == 0);
    close_all();
}

/* A wake-up for nothing: a socket that is not connected has not failed either. */
static void unfinished_connect_is_under_way(void)
{
    open_all();
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && backend.finish_connect(backend.self, fd) == -EINPROGRESS);
    CHECK(backend.finish_connect(backend.self, pair[0]) == 0);
    CHECK(close(fd) == 0);
    close_all();
}

/* [TIMER-1] A wait is never shorter than asked, with and without epoll_pwait2. */
static void wait_is_not_shorter_than_asked(void)
{
    const int64_t timeouts_ns[] = {1, 999, 100000, MS_NS + 1};
    open_all();
    for (int i = 0; i < 8; i++) {
        epoll.has_pwait2 = epoll.has_pwait2 && i < 4;
        int64_t timeout_ns = timeouts_ns[i % 4];
        uint64_t before_ns = backend.now_ns(backend.self);
        CHECK(wait_events(timeout_ns) == 0);
        CHECK(backend.now_ns(backend.self) - before_ns >= (uint64_t)timeout_ns);
    }
    close_all();
}

/* A timeout in ms is rounded up, so that the end of the sleep finds the timer due; the ends of the range fit. */
static void timeouts_are_rounded_up(void)
{
    CHECK(rl_epoll_timeout_ms(-1) == -1);
    CHECK(rl_epoll_timeout_ms(0) == 0);
    CHECK(rl_epoll_timeout_ms(1) == 1);
    CHECK(rl_epoll_timeout_ms(MS_NS) == 1);
    CHECK(rl_epoll_timeout_ms(MS_NS + 1) == 2);
    CHECK(rl_epoll_timeout_ms(INT64_MAX) == INT_MAX);
}

static void on_alarm(int number)
{
    (void)number;
}

/* A signal ends the wait with -EINTR. */
static void signal_ends_the_wait(void)
{
    struct sigaction action = {.sa_handler = on_alarm}, old_action;
    const struct itimerval soon = {.it_value = {.tv_usec = 5000}};
    open_all();
    CHECK(sigaction(SIGALRM, &action, &old_action) == 0);
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    CHECK(wait_events(LONG_NS) == -EINTR);
    CHECK(sigaction(SIGALRM, &old_action, NULL) == 0);
    close_all();
}

/* More ready fds than fit into one wait all come within two. */
static void surplus_events_come_next(void)
{
    enum { MANY = RL_EVENTS_MAX + 44 };
    int twins[MANY];
    char is_found[4096] = {0};
    open_all();
    for (int i = 0; i < MANY; i++) {
        twins[i] = dup(pair[0]);
        CHECK(twins[i] > 0 && twins[i] < (int)sizeof is_found);
        CHECK(apply(twins[i], RL_OUT) == 0);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(wait_events(0) == RL_EVENTS_MAX);
        for (int j = 0; j < RL_EVENTS_MAX; j++)
            is_found[events[j].fd] = 1;
    }
    for (int i = 0; i < MANY; i++) {
        CHECK(is_found[twins[i]]);
        CHECK(close(twins[i]) == 0);
    }
    close_all();
}

static const struct test tests[] = {TEST(readiness_is_level_triggered),
                                    TEST(hup_and_err_come_unasked),
                                    TEST(forgotten_fds_are_silent),
                                    TEST(closed_before_forgotten_does_not_spin),
                                    TEST(unfit_fds_are_refused),
                                    TEST(wake_ends_one_wait),
                                    TEST(wait_is_not_shorter_than_asked),
                                    TEST(timeouts_are_rounded_up),
                                    TEST(signal_ends_the_wait),
                                    TEST(surplus_events_come_next),
                                    TEST(wake_hides_nothing),
                                    TEST(wake_of_a_full_counter_succeeds),
                                    TEST(failed_open_keeps_no_fd),
                                    TEST(suspect_set_is_replaced_once_it_can_be),
                                    TEST(shutting_what_is_not_connected_fails),
                                    TEST(fds_are_not_inherited),
                                    TEST(pwait2_may_be_refused),
                                    TEST(reopened_before_forgotten_does_not_spin),
                                    TEST(unfinished_connect_is_under_way)};

TEST_MAIN(tests)
