/* Runs under the kernel shim. Time is virtual: hours pass at once, in the right order, to the nanosecond. */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "testing/test.h"

#define S INT64_C(1000000000)

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * S + now.tv_nsec;
}

static struct timespec at(clockid_t clock, int64_t delay_ns)
{
    struct timespec time;
    clock_gettime(clock, &time);
    int64_t ns = time.tv_sec * S + time.tv_nsec + delay_ns;
    return (struct timespec){.tv_sec = ns / S, .tv_nsec = ns % S};
}

static void sleep_ns(int64_t ns)
{
    nanosleep(&(struct timespec){.tv_sec = ns / S, .tv_nsec = ns % S}, NULL);
}

static void test_the_clock_stands_still(void)
{
    int64_t began = now_ns();
    for (volatile int i = 0; i < 1000000; i++)
        ;
    CHECK(now_ns() == began);
}

static void test_sleeps_are_exact(void)
{
    static const int64_t lengths[] = {1, 999, 500000, 12345678, 36000 * S + 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int64_t began = now_ns();
        sleep_ns(lengths[i]);
        CHECK(now_ns() - began == lengths[i]);
    }
}

/* Some loops fire a timer only when its time has passed: a clock that stood still would keep them polling. */
static void test_a_wait_that_does_not_sleep_takes_a_nanosecond(void)
{
    int64_t began = now_ns();
    sleep_ns(0);
    CHECK(poll(NULL, 0, 0) == 0 && now_ns() - began == 2);
}

static void test_waits_for_nothing_are_exact(void)
{
    int64_t began = now_ns();
    int epfd = epoll_create1(0);
    struct epoll_event event;
    struct timeval tv = {.tv_sec = 3};
    CHECK(epoll_wait(epfd, &event, 1, 1000) == 0 && now_ns() - began == 1 * S);
    CHECK(poll(NULL, 0, 2000) == 0 && now_ns() - began == 3 * S);
    CHECK(select(0, NULL, NULL, NULL, &tv) == 0 && now_ns() - began == 6 * S && tv.tv_sec == 0);
    CHECK(sleep(4) == 0 && now_ns() - began == 10 * S);
    CHECK(epoll_pwait2(epfd, &event, 1, &(struct timespec){.tv_nsec = 7}, NULL) == 0);
    CHECK(now_ns() - began == 10 * S + 7);
    close(epfd);
}

static void test_all_clocks_agree(void)
{
    struct timespec real_before, real_after;
    clock_gettime(CLOCK_REALTIME, &real_before);
    time_t began = time(NULL);
    sleep_ns(100 * S);
    clock_gettime(CLOCK_REALTIME, &real_after);
    struct timeval tv;
    gettimeofday(&tv, NULL);
    CHECK(real_after.tv_sec - real_before.tv_sec == 100 && time(NULL) - began == 100);
    CHECK(tv.tv_sec == real_after.tv_sec && tv.tv_usec == real_after.tv_nsec / 1000);
}

/* A program that waits by reading the clock, or by polling, gets on as well. */
static void test_busy_waits_end(void)
{
    int64_t end = now_ns() + 2000000;
    while (now_ns() < end)
        ;
    end = now_ns() + 2000000;
    while (now_ns() < end)
        poll(NULL, 0, 0);
}

struct sleeper {
    pthread_t thread;
    int64_t delay_ns, woke_ns;
};

static atomic_int order[8], woken;

static void *sleep_in_thread(void *arg)
{
    struct sleeper *sleeper = arg;
    sleep_ns(sleeper->delay_ns);
    sleeper->woke_ns = now_ns();
    order[atomic_fetch_add(&woken, 1)] = (int)(sleeper->delay_ns / S);
    return NULL;
}

static void test_threads_wake_in_order(void)
{
    struct sleeper sleepers[8];
    int64_t began = now_ns();
    woken = 0;
    for (int i = 0; i < 8; i++) {
        sleepers[i].delay_ns = (int64_t)(1 + i * 5 % 8) * 3600 * S;
        pthread_create(&sleepers[i].thread, NULL, sleep_in_thread, &sleepers[i]);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(sleepers[i].thread, NULL);
    for (int i = 0; i < 8; i++) {
        CHECK(sleepers[i].woke_ns - began == sleepers[i].delay_ns);
        CHECK(order[i] == 3600 * (i + 1));
    }
}

static void test_children_sleep_along(void)
{
    int64_t began = now_ns();
    pid_t child = fork();
    if (child == 0) {
        sleep_ns(5 * S);
        execlp("sleep", "sleep", "1000", (char *)NULL);
        _exit(1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(now_ns() - began == 1005 * S);
}

static void test_timerfd(void)
{
    const struct itimerspec every = {.it_value = {.tv_sec = 10}, .it_interval = {.tv_sec = 60}};
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int64_t began = now_ns();
    uint64_t times = 0;
    struct itimerspec left;
    CHECK(timerfd_settime(fd, 0, &every, NULL) == 0 && read(fd, &times, 8) < 0 && errno == EAGAIN);
    CHECK(poll(&one, 1, -1) == 1 && now_ns() - began == 10 * S);
    CHECK(read(fd, &times, 8) == 8 && times == 1);
    sleep_ns(185 * S);
    CHECK(read(fd, &times, 8) == 8 && times == 3);
    CHECK(timerfd_gettime(fd, &left) == 0 && left.it_value.tv_sec == 55 && left.it_interval.tv_sec == 60);
    CHECK(timerfd_settime(fd, 0, &(struct itimerspec){0}, NULL) == 0 && poll(&one, 1, 1000000) == 0);
    close(fd);
}

static void test_blocking_read_of_a_timerfd(void)
{
    const struct itimerspec once = {.it_value = {.tv_sec = 77}};
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    int64_t began = now_ns();
    uint64_t times = 0;
    CHECK(timerfd_settime(fd, 0, &once, NULL) == 0 && read(fd, &times, 8) == 8);
    CHECK(times == 1 && now_ns() - began == 77 * S);
    close(fd);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

static void test_alarm_ends_a_sleep(void)
{
    struct timespec left;
    struct sigaction action = {.sa_handler = count_signal}, had;
    int64_t began = now_ns();
    signals = 0;
    sigaction(SIGALRM, &action, &had);
    alarm(30);
    CHECK(nanosleep(&(struct timespec){.tv_sec = 100}, &left) < 0 && errno == EINTR);
    CHECK(signals == 1 && now_ns() - began == 30 * S && left.tv_sec == 70);
    CHECK(sigaction(SIGALRM, &had, &action) == 0 && action.sa_handler == count_signal);
}

static void *signal_later(void *arg)
{
    (void)arg;
    sleep_ns(20 * S);
    kill(getpid(), SIGUSR1);
    return NULL;
}

/* The main thread gets it, and its wait ends, each time. */
static void test_a_signal_ends_the_wait(void)
{
    struct sigaction action = {.sa_handler = count_signal};
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        int64_t began = now_ns();
        pthread_create(&thread, NULL, signal_later, NULL);
        CHECK(poll(NULL, 0, -1) < 0 && errno == EINTR);
        CHECK(now_ns() - began == 20 * S);
        pthread_join(thread, NULL);
    }
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static bool is_ready;

static void *set_ready(void *arg)
{
    const int64_t delay_ns = *(int64_t *)arg;
    if (delay_ns > 0) /* a sleep of nothing takes a nanosecond, too */
        sleep_ns(delay_ns);
    pthread_mutex_lock(&mutex);
    is_ready = true;
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static int wait_for_ready(clockid_t clock, int64_t delay_ns)
{
    const struct timespec end = at(clock, delay_ns);
    int error = 0;
    pthread_mutex_lock(&mutex);
    while (!is_ready && error == 0)
        error = clock == CLOCK_REALTIME ? pthread_cond_timedwait(&condition, &mutex, &end)
                                        : pthread_cond_clockwait(&condition, &mutex, clock, &end);
    pthread_mutex_unlock(&mutex);
    return error;
}

static void test_condition_variables(void)
{
    for (int i = 0; i < 20; i++) {
        const clockid_t clock = i % 2 == 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC;
        int64_t delay = 50 * S, began = now_ns();
        pthread_t thread;
        is_ready = false;
        pthread_create(&thread, NULL, set_ready, &delay);
        CHECK(wait_for_ready(clock, 20 * S) == ETIMEDOUT && now_ns() - began == 20 * S);
        CHECK(wait_for_ready(clock, 80 * S) == 0 && now_ns() - began == 50 * S);
        pthread_join(thread, NULL);
    }
}

/* Who waits for the very mutex that a wait lets go of is not asleep: it runs next. */
static void test_condition_variable_and_its_mutex(void)
{
    for (int i = 0; i < 20; i++) {
        const struct timespec end = at(CLOCK_MONOTONIC, 100 * S);
        int64_t delay = 0, began = now_ns();
        pthread_t thread;
        is_ready = false;
        pthread_mutex_lock(&mutex);
        pthread_create(&thread, NULL, set_ready, &delay);
        sleep_ns(1); /* until it waits for the mutex */
        while (!is_ready)
            CHECK(pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &end) == 0);
        pthread_mutex_unlock(&mutex);
        CHECK(now_ns() - began == 1);
        pthread_join(thread, NULL);
    }
}

static sem_t semaphore;

static void *post_later(void *arg)
{
    sleep_ns(*(int64_t *)arg);
    sem_post(&semaphore);
    return NULL;
}

static void test_semaphores(void)
{
    int64_t delay = 50 * S, began = now_ns();
    struct timespec early = at(CLOCK_REALTIME, 20 * S), late = at(CLOCK_MONOTONIC, 80 * S);
    pthread_t thread;
    sem_init(&semaphore, 0, 0);
    pthread_create(&thread, NULL, post_later, &delay);
    CHECK(sem_timedwait(&semaphore, &early) < 0 && errno == ETIMEDOUT && now_ns() - began == 20 * S);
    CHECK(sem_clockwait(&semaphore, CLOCK_MONOTONIC, &late) == 0 && now_ns() - began == 50 * S);
    pthread_join(thread, NULL);
}

static atomic_int word;

static void *change_word(void *arg)
{
    sleep_ns(*(int64_t *)arg);
    word = 1;
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return NULL;
}

static void test_futexes(void)
{
    int64_t delay = 50 * S, began = now_ns();
    const struct timespec early = {.tv_sec = 20}, late = at(CLOCK_MONOTONIC, 80 * S);
    pthread_t thread;
    word = 0;
    pthread_create(&thread, NULL, change_word, &delay);
    CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &early, NULL, 0) < 0 && errno == ETIMEDOUT);
    CHECK(now_ns() - began == 20 * S);
    (void)syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 0, &late, NULL, -1);
    CHECK(word == 1 && now_ns() - began == 50 * S);
    pthread_join(thread, NULL);
}

static void *write_later(void *arg)
{
    sleep_ns(40 * S);
    return (void *)(intptr_t)write(*(int *)arg, "x", 1);
}

/* Who sleeps in a blocking read keeps nobody from jumping, and is woken by whoever wakes at his time. */
static void test_blocking_read_of_a_pipe(void)
{
    int ends[2];
    char byte;
    int64_t began = now_ns();
    pthread_t thread;
    CHECK(pipe(ends) == 0);
    pthread_create(&thread, NULL, write_later, &ends[1]);
    CHECK(read(ends[0], &byte, 1) == 1 && now_ns() - began == 40 * S);
    pthread_join(thread, NULL);
    close(ends[0]);
    close(ends[1]);
}

static void test_rings_are_refused(void)
{
    CHECK(syscall(SYS_io_uring_setup, 8, NULL) < 0 && errno == ENOSYS);
}

int main(void)
{
    static const struct test tests[] = {
        TEST(test_the_clock_stands_still),
        TEST(test_sleeps_are_exact),
        TEST(test_a_wait_that_does_not_sleep_takes_a_nanosecond),
        TEST(test_waits_for_nothing_are_exact),
        TEST(test_all_clocks_agree),
        TEST(test_threads_wake_in_order),
        TEST(test_children_sleep_along),
        TEST(test_timerfd),
        TEST(test_blocking_read_of_a_timerfd),
        TEST(test_alarm_ends_a_sleep),
        TEST(test_a_signal_ends_the_wait),
        TEST(test_condition_variables),
        TEST(test_condition_variable_and_its_mutex),
        TEST(test_semaphores),
        TEST(test_futexes),
        TEST(test_blocking_read_of_a_pipe),
        TEST(test_rings_are_refused),
        TEST(test_busy_waits_end), /* last: it uses up what the clock is read for nothing */
    };
    return test_main(tests, sizeof tests / sizeof *tests);
}
