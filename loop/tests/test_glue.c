/* The loop on a backend made for the test: a clock that stands still, waits that answer what the test says. */
#include "backend/backend.h"
#include "refloop.h"
#include "testing/test.h"

#include <errno.h>
#include <string.h>

enum { LOG_MAX = 32, WAITS_MAX = 8 };

/* The backend: what it will answer, and what it was asked. */
static struct {
    uint64_t now_ns;
    uint64_t sleep_ns;      /* how far a wait moves the clock */
    int answers[WAITS_MAX]; /* one per wait; a count of events, or -errno */
    struct rl_event event;  /* what a wait that answers 1 reports */
    int apply_answer, wake_answer;
    int waits_count, wakes_count, applies_count, closes_count;
    int64_t timeout_ns; /* of the last wait */
    int fd;             /* of the last apply */
    uint32_t interest;  /* of the last apply */
} fake;

static rl_loop *loop;
static char trace[LOG_MAX];
static size_t trace_size;

static uint64_t fake_now_ns(void *self)
{
    (void)self;
    return fake.now_ns;
}

static int fake_apply(void *self, int fd, uint32_t interest)
{
    (void)self;
    fake.applies_count++;
    fake.fd = fd;
    fake.interest = interest;
    return fake.apply_answer;
}

static int fake_wait(void *self, int64_t timeout_ns, struct rl_event *events, int events_max)
{
    (void)self;
    CHECK(events_max == RL_EVENTS_MAX);
    fake.timeout_ns = timeout_ns;
    fake.now_ns += fake.sleep_ns;
    int answer = fake.waits_count < WAITS_MAX ? fake.answers[fake.waits_count] : 0;
    fake.waits_count++;
    if (answer == 1)
        events[0] = fake.event;
    return answer;
}

static int fake_wake(void *self)
{
    (void)self;
    fake.wakes_count++;
    return fake.wake_answer;
}

static void fake_close(void *self)
{
    (void)self;
    fake.closes_count++;
}

static void open_loop(void)
{
    static const struct rl_backend backend = {
        .now_ns = fake_now_ns, .apply = fake_apply, .wait = fake_wait, .wake = fake_wake, .close = fake_close};
    memset(&fake, 0, sizeof fake);
    memset(trace, 0, sizeof trace);
    trace_size = 0;
    CHECK(rl_loop_open_on(&loop, &backend) == 0);
}

static void close_loop(void)
{
    CHECK(rl_loop_check(loop) == 0);
    CHECK(rl_loop_close(loop) == 0);
    CHECK(fake.closes_count == 1);
}

/* Callbacks write the letter that arg points at. */
static void note(const void *arg)
{
    CHECK(trace_size + 1 < LOG_MAX);
    CHECK(rl_loop_check(loop) == 0);
    trace[trace_size++] = *(const char *)arg;
}

static void on_soon(rl_soon *soon, void *arg)
{
    (void)soon;
    note(arg);
}

static void on_timer(rl_timer *timer, void *arg)
{
    (void)timer;
    note(arg);
}

static void on_watch(rl_watch *watch, void *arg, unsigned events)
{
    (void)watch;
    CHECK(events != 0);
    note(arg);
}

static void on_waker(rl_waker *waker, void *arg)
{
    (void)waker;
    note(arg);
}

static rl_soon *soon_open(char *letter)
{
    rl_soon *soon;
    CHECK(rl_soon_open(loop, on_soon, letter, &soon) == 0);
    return soon;
}

static rl_timer *timer_open(char *letter)
{
    rl_timer *timer;
    CHECK(rl_timer_open(loop, on_timer, letter, &timer) == 0);
    return timer;
}

static rl_watch *watch_open(char *letter)
{
    rl_watch *watch;
    CHECK(rl_watch_open(loop, on_watch, letter, &watch) == 0);
    return watch;
}

static rl_waker *waker_open(char *letter)
{
    rl_waker *waker;
    CHECK(rl_waker_open(loop, on_waker, letter, &waker) == 0);
    return waker;
}

static bool traced(const char *letters)
{
    return strcmp(trace, letters) == 0;
}

/* [FIFO] [ORDER] [TIES] Soons run in starting order, then timers by deadline, equal ones in starting order. */
static void order_is_kept(void)
{
    open_loop();
    rl_soon *first = soon_open("a");
    CHECK(rl_timer_start(timer_open("d"), 7) == 0 && rl_timer_start(timer_open("c"), 5) == 0);
    CHECK(rl_timer_start(timer_open("e"), 7) == 0 && rl_timer_start(timer_open("-"), 8) == 0);
    CHECK(rl_soon_start(first) == 0 && rl_soon_start(soon_open("b")) == 0);
    fake.now_ns = 7;
    CHECK(rl_loop_turn(loop, true) == 5);
    CHECK(traced("abcde"));
    CHECK(rl_loop_turn(loop, true) == 0);
    CHECK(fake.timeout_ns == 1);
    close_loop();
}

/* A started handle that is started again has been stopped in between: it runs once, in its new place. */
static void start_again_is_restart(void)
{
    open_loop();
    rl_soon *a = soon_open("a"), *b = soon_open("b");
    rl_timer *c = timer_open("c"), *d = timer_open("d");
    CHECK(rl_soon_start(a) == 0 && rl_soon_start(b) == 0 && rl_soon_start(a) == 0);
    CHECK(rl_timer_start(c, 5) == 0 && rl_timer_start(d, 5) == 0 && rl_timer_start(c, 5) == 0);
    fake.now_ns = 5;
    CHECK(rl_loop_turn(loop, true) == 4);
    CHECK(traced("badc"));
    CHECK(!rl_loop_is_alive(loop));
    close_loop();
}

/* The deadline counts from the loop's time: the time now outside a turn. It saturates, and one in the past is due. */
static void deadlines_count_from_now(void)
{
    open_loop();
    rl_timer *a = timer_open("a"), *b = timer_open("b");
    fake.now_ns = 100;
    CHECK(rl_timer_start(a, 10) == 0);
    CHECK(rl_loop_turn(loop, true) == 0 && fake.timeout_ns == 10);
    CHECK(rl_timer_start(a, UINT64_MAX) == 0);
    CHECK(rl_loop_turn(loop, true) == 0 && fake.timeout_ns == INT64_MAX);
    CHECK(rl_timer_start_at(b, 99) == 0);
    CHECK(rl_loop_turn(loop, true) == 1 && traced("b"));
    CHECK(rl_loop_now_ns(loop) == 100);
    fake.now_ns = 120;
    CHECK(rl_loop_now_ns(loop) == 120);
    close_loop();
}

/* [TIMER-1] The time after the sleep decides which timers are due. */
static void time_is_read_after_the_sleep(void)
{
    open_loop();
    CHECK(rl_timer_start(timer_open("b"), 10) == 0 && rl_timer_start(timer_open("a"), 5) == 0);
    fake.sleep_ns = 5;
    CHECK(rl_loop_turn(loop, true) == 1 && traced("a"));
    CHECK(rl_loop_now_ns(loop) == 5 && fake.timeout_ns == 5);
    fake.sleep_ns = 4;
    CHECK(rl_loop_turn(loop, true) == 0);
    fake.sleep_ns = 1;
    CHECK(rl_loop_turn(loop, true) == 1 && traced("ab"));
    close_loop();
}

/* [IDLE] Only a turn that may wait sleeps, and only if something alive could end the sleep. */
static void idle_loop_sleeps(void)
{
    open_loop();
    CHECK(rl_loop_turn(loop, true) == 0 && fake.timeout_ns == 0);
    rl_waker *waker = waker_open("a");
    CHECK(rl_loop_is_alive(loop));
    CHECK(rl_loop_turn(loop, true) == 0 && fake.timeout_ns == -1);
    CHECK(rl_loop_turn(loop, false) == 0 && fake.timeout_ns == 0);
    rl_waker_close(waker);
    CHECK(!rl_loop_is_alive(loop));
    CHECK(rl_watch_start(watch_open("b"), 3, RL_IN) == 0);
    CHECK(rl_loop_turn(loop, true) == 0 && fake.timeout_ns == -1);
    close_loop();
}

/* The backend is told the union of what all watches of an fd want, and to forget the fd when none is left. */
static void interests_are_merged(void)
{
    open_loop();
    rl_watch *in = watch_open("i"), *out = watch_open("o"), *also_in = watch_open("j");
    CHECK(rl_watch_start(in, 3, RL_IN) == 0 && fake.interest == RL_IN);
    CHECK(rl_watch_start(out, 3, RL_OUT) == 0 && fake.interest == (RL_IN | RL_OUT));
    CHECK(rl_watch_start(also_in, 3, RL_IN) == 0);
    rl_watch_stop(in);
    CHECK(fake.applies_count == 3); /* nothing has changed for the backend */
    rl_watch_close(also_in);
    CHECK(fake.fd == 3 && fake.interest == RL_OUT);
    CHECK(rl_watch_start(out, 4, RL_OUT) == 0 && fake.applies_count == 6);
    rl_watch_stop(out);
    CHECK(fake.fd == 4 && fake.interest == 0);
    close_loop();
    CHECK(fake.applies_count == 7);
}

/* A start that fails leaves a stopped watch, without callbacks; a bad argument does not reach the backend. */
static void failed_start_has_no_callback(void)
{
    open_loop();
    rl_watch *watch = watch_open("a");
    CHECK(rl_watch_start(watch, 3, RL_IN) == 0);
    CHECK(rl_watch_start(watch, 3, 0) == -EINVAL && rl_watch_start(watch, 3, RL_HUP) == -EINVAL);
    CHECK(rl_watch_start(watch, -1, RL_IN) == -EBADF);
    CHECK(fake.applies_count == 2 && fake.interest == 0);
    fake.apply_answer = -EPERM;
    CHECK(rl_watch_start(watch, 3, RL_IN) == -EPERM);
    CHECK(!rl_loop_is_alive(loop));
    fake.answers[0] = 1;
    fake.event = (struct rl_event){3, RL_IN};
    CHECK(rl_loop_turn(loop, true) == 0);
    close_loop();
}

/* A wait that fails fails the turn, and nothing is lost; one that was interrupted is a turn without events. */
static void failed_wait_loses_nothing(void)
{
    open_loop();
    CHECK(rl_soon_start(soon_open("a")) == 0);
    fake.answers[0] = -EIO;
    CHECK(rl_loop_turn(loop, true) == -EIO && traced(""));
    fake.answers[1] = -EIO;
    CHECK(rl_loop_run(loop) == -EIO && traced(""));
    fake.answers[2] = -EINTR;
    CHECK(rl_loop_turn(loop, true) == 1 && traced("a"));
    close_loop();
}

/* [STOP] A run that failed has used up its stop, so that the next one is a run like any other. */
static void failed_run_uses_up_its_stop(void)
{
    open_loop();
    CHECK(rl_soon_start(soon_open("a")) == 0);
    fake.answers[0] = -EIO;
    rl_loop_stop(loop);
    CHECK(rl_loop_run(loop) == -EIO && traced(""));
    CHECK(rl_timer_start(timer_open("t"), 15) == 0);
    fake.sleep_ns = 10;
    CHECK(rl_loop_run(loop) == 0 && traced("at"));
    close_loop();
}

/* A backend that forgot its fds is told all of them and asked again, twice at most; closed fds are passed over. */
static void forgotten_fds_are_applied_again(void)
{
    open_loop();
    CHECK(rl_watch_start(watch_open("a"), 3, RL_IN) == 0 && rl_watch_start(watch_open("b"), 70, RL_OUT) == 0);
    fake.answers[0] = -ESTALE;
    fake.apply_answer = -EBADF;
    CHECK(rl_loop_turn(loop, true) == 0 && fake.waits_count == 2 && fake.applies_count == 4);
    CHECK(fake.fd == 70 && fake.interest == RL_OUT);
    fake.answers[2] = fake.answers[3] = fake.answers[4] = -ESTALE;
    CHECK(rl_loop_turn(loop, true) == 0 && fake.waits_count == 4);
    fake.apply_answer = -ENOMEM;
    CHECK(rl_loop_turn(loop, true) == -ENOMEM && fake.waits_count == 4);
    fake.apply_answer = 0;
    fake.answers[4] = 0;
    fake.applies_count = 0;
    CHECK(rl_loop_turn(loop, true) == 0 && fake.waits_count == 5 && fake.applies_count == 2);
    close_loop();
}

/* [WAKE-1] [WAKE-2] Posts are coalesced and run in post order; the backend is woken once for all of them. */
static void posts_run_in_order(void)
{
    open_loop();
    rl_waker *a = waker_open("a"), *b = waker_open("b");
    CHECK(rl_waker_post(b) == 0 && rl_waker_post(a) == 0 && rl_waker_post(b) == 0);
    CHECK(fake.wakes_count == 1);
    CHECK(rl_loop_turn(loop, true) == 2 && traced("ba"));
    CHECK(rl_loop_turn(loop, true) == 0);
    fake.wake_answer = -EIO;
    CHECK(rl_waker_post(a) == -EIO);
    CHECK(rl_loop_turn(loop, true) == 1 && traced("baa"));
    close_loop();
}

/* [AFTER] Stopping a waker drops its posts and nobody else's; the closed one refuses. */
static void stopped_waker_drops_its_posts(void)
{
    open_loop();
    rl_waker *a = waker_open("a"), *b = waker_open("b"), *c = waker_open("c");
    CHECK(rl_waker_post(a) == 0 && rl_waker_post(b) == 0 && rl_waker_post(c) == 0);
    rl_waker_stop(a);
    rl_waker_close(b);
    CHECK(rl_waker_post(b) == -ECANCELED);
    CHECK(rl_loop_turn(loop, true) == 1 && traced("c"));
    CHECK(rl_waker_post(a) == 0 && rl_waker_post(b) == -ECANCELED);
    CHECK(rl_loop_turn(loop, true) == 1 && traced("ca"));
    close_loop();
}

static void break_on_soon(rl_soon *soon, void *arg)
{
    (void)soon;
    note(arg);
    rl_loop_break(loop);
}

/* A second post, while the waker waits in a batch that was broken off, is coalesced with the first. */
static void post_to_a_waiting_waker_is_coalesced(void)
{
    rl_soon *soon;
    open_loop();
    rl_waker *waker = waker_open("w");
    CHECK(rl_soon_open(loop, break_on_soon, "s", &soon) == 0);
    CHECK(rl_soon_start(soon) == 0 && rl_waker_post(waker) == 0);
    CHECK(rl_loop_turn(loop, true) == 1);
    CHECK(rl_waker_post(waker) == 0);
    CHECK(rl_loop_turn(loop, true) == 1 && traced("sw"));
    CHECK(rl_loop_turn(loop, false) == 0);
    close_loop();
}

/* [STOP] [FD-1] A break keeps the rest of the batch in order, and a watch in it only if its fd is found ready again. */
static void break_keeps_the_rest(void)
{
    rl_soon *breaker;
    for (int found_again = 0; found_again < 2; found_again++) {
        open_loop();
        CHECK(rl_soon_open(loop, break_on_soon, "x", &breaker) == 0);
        CHECK(rl_soon_start(breaker) == 0 && rl_soon_start(soon_open("a")) == 0);
        CHECK(rl_watch_start(watch_open("w"), 3, RL_IN) == 0 && rl_timer_start(timer_open("t"), 0) == 0);
        fake.event = (struct rl_event){3, RL_IN};
        fake.answers[0] = 1;
        fake.answers[1] = found_again;
        CHECK(rl_loop_turn(loop, true) == 1 && traced("x"));
        CHECK(rl_loop_turn(loop, true) == 2 + found_again);
        CHECK(traced(found_again ? "xawt" : "xat") && fake.timeout_ns == 0);
        close_loop();
    }
}

/* [STOP] A stop before a run makes it one turn that does not wait, and is used up by it; so does a break. */
static void stop_before_run_gives_one_turn(void)
{
    open_loop();
    rl_waker *waker = waker_open("w");
    rl_loop_stop(loop);
    CHECK(rl_loop_run(loop) == 0 && fake.waits_count == 1 && fake.timeout_ns == 0);
    rl_loop_break(loop);
    CHECK(rl_loop_run(loop) == 0 && fake.waits_count == 2 && fake.timeout_ns == 0);
    rl_waker_close(waker);
    CHECK(rl_loop_run(loop) == 0 && fake.waits_count == 2);
    rl_loop_stop(loop);
    CHECK(rl_loop_run(loop) == 0 && fake.waits_count == 3);
    close_loop();
}

static void stop_and_run(rl_soon *soon, void *arg)
{
    int *result = arg;
    (void)soon;
    rl_loop_stop(loop);
    *result = rl_loop_run(loop);
}

/* A run inside a run is refused, and does not use up the stop that the outer one was asked for. */
static void run_in_a_run_is_refused(void)
{
    int result = 0;
    rl_soon *soon;
    open_loop();
    CHECK(rl_soon_open(loop, stop_and_run, &result, &soon) == 0 && rl_soon_start(soon) == 0);
    (void)waker_open("a"); /* would keep the loop running */
    fake.answers[1] = -EIO;
    CHECK(rl_loop_run(loop) == 0 && result == -EBUSY && fake.waits_count == 1);
    close_loop();
}

static void look_at_the_clock(rl_soon *soon, void *arg)
{
    uint64_t *times_ns = arg;
    (void)soon;
    times_ns[0] = rl_loop_now_ns(loop);
    fake.now_ns += 5;
    times_ns[1] = rl_loop_now_ns(loop);
}

/* In a turn the loop's time stands still, behind it it moves. */
static void time_stands_still_in_a_turn(void)
{
    uint64_t times_ns[2];
    rl_soon *soon;
    open_loop();
    fake.now_ns = 100;
    CHECK(rl_soon_open(loop, look_at_the_clock, times_ns, &soon) == 0 && rl_soon_start(soon) == 0);
    CHECK(rl_loop_turn(loop, false) == 1 && times_ns[0] == 100 && times_ns[1] == 100);
    CHECK(rl_loop_now_ns(loop) == 105);
    close_loop();
}

/* A loop that goes away with everything still started runs no callback and forgets the watched fds. */
static void close_runs_nothing(void)
{
    open_loop();
    CHECK(rl_soon_start(soon_open("a")) == 0 && rl_timer_start(timer_open("b"), 0) == 0);
    CHECK(rl_watch_start(watch_open("c"), 3, RL_IN) == 0 && rl_waker_post(waker_open("d")) == 0);
    close_loop();
    CHECK(traced("") && fake.interest == 0 && fake.applies_count == 2);
}

static const struct test tests[] = {TEST(order_is_kept),
                                    TEST(start_again_is_restart),
                                    TEST(deadlines_count_from_now),
                                    TEST(time_is_read_after_the_sleep),
                                    TEST(idle_loop_sleeps),
                                    TEST(interests_are_merged),
                                    TEST(failed_start_has_no_callback),
                                    TEST(failed_wait_loses_nothing),
                                    TEST(failed_run_uses_up_its_stop),
                                    TEST(forgotten_fds_are_applied_again),
                                    TEST(posts_run_in_order),
                                    TEST(stopped_waker_drops_its_posts),
                                    TEST(post_to_a_waiting_waker_is_coalesced),
                                    TEST(break_keeps_the_rest),
                                    TEST(stop_before_run_gives_one_turn),
                                    TEST(close_runs_nothing),
                                    TEST(time_stands_still_in_a_turn),
                                    TEST(run_in_a_run_is_refused)};

TEST_MAIN(tests)
