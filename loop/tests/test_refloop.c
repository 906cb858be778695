/* Real clock and kernel, one thread more; run it under TSan too. What the loop promises, on epoll. */
#define _GNU_SOURCE
#include "backend/backend.h"
#include "refloop.h"
#include "testing/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS_NS UINT64_C(1000000)

static rl_loop *loop;
static int pair[2];
static int runs_count;

static void make_pair(int *fds)
{
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
}

static void open_all(void)
{
    CHECK(rl_loop_open(&loop) == 0);
    make_pair(pair);
    runs_count = 0;
}

static void close_all(void)
{
    CHECK(rl_loop_check(loop) == 0);
    CHECK(rl_loop_close(loop) == 0);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void send_byte(void)
{
    CHECK(write(pair[1], "x", 1) == 1);
}

/* arg is NULL or an int that counts the runs of this watch alone. */
static void count_watch(rl_watch *watch, void *arg, unsigned events)
{
    (void)watch, (void)events;
    runs_count++;
    if (arg != NULL)
        ++*(int *)arg;
}

static void count_timer(rl_timer *timer, void *arg)
{
    (void)timer, (void)arg;
    runs_count++;
}

static void count_waker(rl_waker *waker, void *arg)
{
    (void)waker, (void)arg;
    runs_count++;
}

static void stop_on_timer(rl_timer *timer, void *arg)
{
    (void)timer, (void)arg;
    rl_loop_stop(loop);
}

static rl_watch *watch_start(int fd, unsigned interest)
{
    rl_watch *watch;
    CHECK(rl_watch_open(loop, count_watch, NULL, &watch) == 0);
    CHECK(rl_watch_start(watch, fd, interest) == 0);
    return watch;
}

/* Turns until so many ms have passed; returns the number of turns: few if the loop slept, very many if not. */
static int turns_in_ms(uint64_t ms)
{
    rl_timer *timer;
    int turns_count = 0;
    uint64_t end_ns = rl_loop_now_ns(loop) + ms * MS_NS;
    CHECK(rl_timer_open(loop, stop_on_timer, NULL, &timer) == 0);
    CHECK(rl_timer_start_at(timer, end_ns) == 0);
    for (; rl_loop_now_ns(loop) < end_ns; turns_count++)
        CHECK(rl_loop_turn(loop, true) >= 0);
    rl_timer_close(timer);
    return turns_count;
}

/* [FD-1] A watch is called once a turn for as long as its fd is ready, and not otherwise. */
static void watch_is_called_while_ready(void)
{
    char byte;
    open_all();
    (void)watch_start(pair[0], RL_IN);
    CHECK(rl_loop_turn(loop, false) == 0);
    send_byte();
    for (int i = 0; i < 3; i++)
        CHECK(rl_loop_turn(loop, true) == 1);
    CHECK(read(pair[0], &byte, 1) == 1);
    CHECK(rl_loop_turn(loop, false) == 0);
    CHECK(runs_count == 3);
    close_all();
}

/* Several watches of one fd are called for what each of them asked. */
static void watches_share_an_fd(void)
{
    open_all();
    rl_watch *in = watch_start(pair[0], RL_IN), *out = watch_start(pair[0], RL_OUT);
    CHECK(rl_loop_turn(loop, true) == 1);
    send_byte();
    CHECK(rl_loop_turn(loop, true) == 2);
    rl_watch_stop(out);
    CHECK(rl_loop_turn(loop, true) == 1);
    rl_watch_stop(in);
    CHECK(rl_loop_turn(loop, true) == 0);
    close_all();
}

/* The other side's end wakes a watch that did not ask for it, and could not. */
static void hup_comes_unasked(void)
{
    int pipe_fds[2];
    open_all();
    CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
    (void)watch_start(pipe_fds[0], RL_IN);
    CHECK(rl_loop_turn(loop, false) == 0);
    CHECK(close(pipe_fds[1]) == 0);
    CHECK(rl_loop_turn(loop, true) == 1);
    CHECK(rl_loop_turn(loop, true) == 1);
    close_all();
    CHECK(close(pipe_fds[0]) == 0);
}

/* The state of fd_number_is_reused: a watch whose fd is closed and reopened in the batch in which it was to run. */
static rl_watch *old_watch, *new_watch;
static int new_pair[2], old_runs_count;

static void count_old(rl_watch *watch, void *arg, unsigned events)
{
    (void)watch, (void)arg, (void)events;
    old_runs_count++;
}

static void recycle_fd(rl_soon *soon, void *arg)
{
    (void)soon, (void)arg;
    rl_watch_stop(old_watch);
    CHECK(close(pair[0]) == 0);
    make_pair(new_pair);
    CHECK(new_pair[0] == pair[0]);
    new_watch = watch_start(new_pair[0], RL_IN);
}

/* [FD-3] [FD-4] The new owner of an fd number hears nothing of the old file, and the old watch nothing at all. */
static void fd_number_is_reused(void)
{
    rl_soon *soon;
    open_all();
    old_runs_count = 0;
    int twin = dup(pair[0]); /* keeps the old file alive, and ready */
    CHECK(rl_watch_open(loop, count_old, NULL, &old_watch) == 0 && rl_watch_start(old_watch, pair[0], RL_IN) == 0);
    CHECK(rl_soon_open(loop, recycle_fd, NULL, &soon) == 0 && rl_soon_start(soon) == 0);
    send_byte();
    CHECK(rl_loop_turn(loop, true) == 1); /* the soon came first and took back what was found */
    CHECK(rl_loop_turn(loop, false) == 0);
    CHECK(write(new_pair[1], "x", 1) == 1);
    CHECK(rl_loop_turn(loop, true) == 1);
    CHECK(runs_count == 1 && old_runs_count == 0);
    CHECK(close(twin) == 0 && close(new_pair[1]) == 0);
    close_all();
}

/* An fd that is closed under its watch, with or without a living duplicate, does not make the loop spin. */
static void closed_fd_does_not_spin(void)
{
    for (int has_twin = 0; has_twin < 2; has_twin++) {
        open_all();
        int twin = dup(pair[0]);
        rl_watch *watch = watch_start(pair[0], RL_IN);
        send_byte();
        if (!has_twin)
            CHECK(close(twin) == 0);
        CHECK(close(pair[0]) == 0);
        if (has_twin) /* else it has to be silent by itself */
            rl_watch_stop(watch);
        CHECK(turns_in_ms(10) <= 5);
        CHECK(runs_count == 0);
        pair[0] = has_twin ? twin : -1;
        close_all();
    }
}

/* [IDLE] A loop with an open waker, an idle watch and a timer sleeps until the timer. */
static void idle_loop_sleeps(void)
{
    rl_waker *waker;
    open_all();
    (void)watch_start(pair[0], RL_IN);
    CHECK(rl_waker_open(loop, count_waker, NULL, &waker) == 0);
    CHECK(turns_in_ms(20) <= 5);
    CHECK(runs_count == 0);
    close_all();
}

/* An fd that cannot be watched is the caller's to handle, and no callback comes. */
static void unfit_fds_are_refused(void)
{
    rl_watch *watch;
    open_all();
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK(rl_watch_open(loop, count_watch, NULL, &watch) == 0);
    CHECK(rl_watch_start(watch, file, RL_IN) == -EPERM);
    CHECK(close(file) == 0);
    CHECK(rl_watch_start(watch, file, RL_IN) == -EBADF);
    CHECK(rl_watch_start(watch, INT_MAX, RL_IN) == -EBADF);
    CHECK(!rl_loop_is_alive(loop));
    CHECK(rl_loop_run(loop) == 0 && runs_count == 0);
    close_all();
}

/* [STOP] A loop that was stopped, or had nothing left to do, runs again. */
static void stopped_loop_runs_again(void)
{
    rl_timer *stopper, *timer;
    open_all();
    CHECK(rl_timer_open(loop, stop_on_timer, NULL, &stopper) == 0);
    CHECK(rl_timer_open(loop, count_timer, NULL, &timer) == 0);
    for (int i = 1; i <= 3; i++) {
        CHECK(rl_timer_start(stopper, 0) == 0 && rl_timer_start(timer, MS_NS) == 0);
        CHECK(rl_loop_run(loop) == 0);
        CHECK(runs_count == i - 1 && rl_loop_is_alive(loop));
        CHECK(rl_loop_run(loop) == 0);
        CHECK(runs_count == i && !rl_loop_is_alive(loop));
    }
    close_all();
}

static void expect_deadline(rl_timer *timer, void *arg)
{
    (void)timer;
    CHECK(rl_loop_now_ns(loop) >= *(const uint64_t *)arg);
    runs_count++;
}

/* [TIMER-1] The callback of a timer finds its deadline passed, in the loop's time. */
static void timers_are_not_early(void)
{
    uint64_t deadlines_ns[8];
    open_all();
    for (unsigned i = 0; i < 8; i++) {
        rl_timer *timer;
        deadlines_ns[i] = rl_loop_now_ns(loop) + (8 - i) * (MS_NS / 3) + i;
        CHECK(rl_timer_open(loop, expect_deadline, &deadlines_ns[i], &timer) == 0);
        CHECK(rl_timer_start_at(timer, deadlines_ns[i]) == 0);
    }
    CHECK(rl_loop_run(loop) == 0);
    CHECK(runs_count == 8);
    close_all();
}

/* More ready fds than one turn takes are all served within two. */
static void surplus_fds_are_served_next(void)
{
    enum { MANY = RL_EVENTS_MAX + 44 };
    rl_watch *watches[MANY];
    int twins[MANY], counts[MANY] = {0};
    open_all();
    for (int i = 0; i < MANY; i++) {
        twins[i] = dup(pair[0]);
        CHECK(rl_watch_open(loop, count_watch, &counts[i], &watches[i]) == 0);
        CHECK(rl_watch_start(watches[i], twins[i], RL_OUT) == 0);
    }
    CHECK(rl_loop_turn(loop, true) == RL_EVENTS_MAX);
    CHECK(rl_loop_turn(loop, true) == RL_EVENTS_MAX);
    for (int i = 0; i < MANY; i++) {
        CHECK(counts[i] > 0);
        rl_watch_close(watches[i]);
        CHECK(close(twins[i]) == 0);
    }
    CHECK(!rl_loop_is_alive(loop));
    close_all();
}

/* How many posts the other thread has made, and how many the callback has answered. */
static atomic_int posted, answered;
enum { POSTS = 2000 };

static void *post_and_await(void *arg)
{
    for (int i = 1; i <= POSTS; i++) {
        atomic_store(&posted, i);
        if (rl_waker_post(arg) != 0)
            break;
        while (atomic_load(&answered) < i)
            sched_yield();
    }
    return NULL;
}

static void answer(rl_waker *waker, void *arg)
{
    (void)arg;
    runs_count++;
    atomic_store(&answered, atomic_load(&posted));
    if (atomic_load(&answered) == POSTS)
        rl_waker_close(waker);
}

/* [WAKE-1] A post from another thread wakes a sleeping loop, every time: the thread waits for each answer. */
static void posts_wake_the_loop(void)
{
    pthread_t thread;
    rl_waker *waker;
    open_all();
    atomic_store(&answered, 0);
    CHECK(rl_waker_open(loop, answer, NULL, &waker) == 0);
    CHECK(pthread_create(&thread, NULL, post_and_await, waker) == 0);
    CHECK(rl_loop_run(loop) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(runs_count == POSTS);
    close_all();
}

static void *post_until_refused(void *arg)
{
    int error = 0;
    while (error == 0)
        error = rl_waker_post(arg);
    atomic_store(&answered, error);
    return NULL;
}

static void close_in_callback(rl_waker *waker, void *arg)
{
    (void)arg;
    runs_count++;
    rl_waker_close(waker);
}

/* [AFTER] A waker that is closed while another thread posts to it refuses in the end, and runs no more: 1000 times. */
static void waker_is_closed_under_posts(void)
{
    pthread_t thread;
    rl_waker *waker;
    open_all();
    for (int i = 1; i <= 1000; i++) {
        CHECK(rl_waker_open(loop, close_in_callback, NULL, &waker) == 0);
        CHECK(pthread_create(&thread, NULL, post_until_refused, waker) == 0);
        CHECK(rl_loop_run(loop) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(atomic_load(&answered) == -ECANCELED);
        CHECK(rl_loop_turn(loop, false) == 0);
        CHECK(runs_count == i);
    }
    close_all();
}

static int open_fds(void)
{
    int count = 0;
    DIR *fds = opendir("/proc/self/fd");
    CHECK(fds != NULL);
    while (readdir(fds) != NULL)
        count++;
    CHECK(closedir(fds) == 0);
    return count;
}

/* A loop gives its fds back, also after its set of fds was replaced. */
static void fds_are_given_back(void)
{
    int before_count = open_fds();
    open_all();
    rl_watch *watch = watch_start(pair[0], RL_IN);
    CHECK(close(pair[0]) == 0);
    rl_watch_stop(watch);
    CHECK(rl_loop_turn(loop, false) == 0);
    pair[0] = -1;
    close_all();
    CHECK(open_fds() == before_count);
}

/* A loop for which there is no fd is not opened, and leaves no memory behind. */
static void failed_open_leaves_nothing(void)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    rl_loop *none_opened = NULL;
    const int error = rl_loop_open(&none_opened);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(error == -EMFILE && none_opened == NULL);
}

static const struct test tests[] = {
    TEST(watch_is_called_while_ready), TEST(watches_share_an_fd),       TEST(hup_comes_unasked),
    TEST(fd_number_is_reused),         TEST(closed_fd_does_not_spin),   TEST(idle_loop_sleeps),
    TEST(unfit_fds_are_refused),       TEST(stopped_loop_runs_again),   TEST(timers_are_not_early),
    TEST(surplus_fds_are_served_next), TEST(posts_wake_the_loop),       TEST(waker_is_closed_under_posts),
    TEST(fds_are_given_back),          TEST(failed_open_leaves_nothing)};

TEST_MAIN(tests)
