/* TIMER-1 to TIMER-6 and TIMER-9 are reported for the smallest trace that breaks them, not for the nearest that does
 * not. */
#include <errno.h>

#include "kernel.h"
#include "story.h"
#include "testing/test.h"

enum { ORDER = LC_PROMISE_ORDER, TIES = LC_PROMISE_TIES, TICK_NS = 10, NS_A_MS = 1000000 };

/* ---- too early ------------------------------------------------------------------------------- */

static void t1_fires_at(uint64_t tick_ns, uint64_t deadline_ns, uint64_t time_ns)
{
    opens(0, ORDER);
    terms(tick_ns, true);
    timer(T1, deadline_ns);
    step();
    at(time_ns);
    called(T1);
    stepped(0);
}

/* [TIMER-1] A timer may fire less than a tick before its deadline, not a whole one. */
static void timer_1_early(void)
{
    t1_fires_at(1, 100, 99);
    CHECK(breaks("TIMER-1"));
    t1_fires_at(1, 100, 100);
    CHECK(breaks(""));
    t1_fires_at(TICK_NS, 100, 90);
    CHECK(breaks("TIMER-1"));
    t1_fires_at(TICK_NS, 100, 91);
    CHECK(breaks(""));
    t1_fires_at(TICK_NS, UINT64_MAX, LC_TIME_NS_MAX);
    CHECK(breaks("TIMER-1"));
    t1_fires_at(0, 100, 99); /* no tick is a tick of 1 */
    CHECK(breaks("TIMER-1"));
}

/* [TIMER-1] A timer does not fire out of the call that arms it. */
static void timer_1_inside_the_call(void)
{
    opens(0, ORDER);
    called(T1);
    timer(T1, 0);
    CHECK(breaks("TIMER-1"));
    step();
    called(T1);
    stepped(0);
    CHECK(breaks("TIMER-1 TIMER-4")); /* it had its callback */
}

/* [TIMER-1] The deadline is that of the last arming. */
static void timer_1_rearmed(void)
{
    for (uint64_t time_ns = 150; time_ns <= 200; time_ns += 50) {
        opens(0, ORDER);
        timer(T1, 100);
        cancel(T1);
        rearm(T1, 200);
        step();
        at(time_ns);
        called(T1);
        stepped(0);
        CHECK(breaks(time_ns < 200 ? "TIMER-1" : ""));
    }
}

/* ---- order ----------------------------------------------------------------------------------- */

static void two_timers(uint32_t promises, uint64_t first_ns, uint64_t second_ns)
{
    opens(0, promises);
    terms(TICK_NS, true);
    timer(T1, first_ns);
    timer(T2, second_ns);
    step();
    at(1000);
}

static void t2_fires_first(uint32_t promises, uint64_t first_ns, uint64_t second_ns)
{
    two_timers(promises, first_ns, second_ns);
    called(T2);
    called(T1);
    stepped(0);
}

/* [TIMER-2] Due timers fire by deadline, if the loop vows it and the deadlines differ by more than their rounding. */
static void timer_2_order(void)
{
    const uint64_t rounding_ns = 2 * (TICK_NS - 1);
    t2_fires_first(ORDER, 100, 100 + rounding_ns + 1);
    CHECK(breaks("TIMER-2"));
    t2_fires_first(ORDER, 100, 100 + rounding_ns);
    CHECK(breaks(""));
    t2_fires_first(ORDER, 100, 50);
    CHECK(breaks(""));
    t2_fires_first(TIES, 100, 500);
    CHECK(breaks(""));
}

/* [TIMER-2] A timer that is armed or cancelled in the turn is no longer one of those that were due. */
static void timer_2_armed_in_the_turn(void)
{
    for (int is_rearmed = 0; is_rearmed < 2; is_rearmed++) {
        opens(0, ORDER);
        terms(1, true);
        soon(C1);
        timer(T1, 100);
        timer(T2, 500);
        at(1000);
        step();
        begins(C1);
        cancel(T1);
        if (is_rearmed)
            rearm(T1, 100);
        ends(C1);
        called(T2);
        stepped(0);
        CHECK(breaks(""));
    }
}

/* [TIMER-2] What an exit left in the middle of its batch keeps its place: what was armed in it, or later, comes behind.
 */
static void timer_2_left_by_an_exit(void)
{
    for (int way = 0; way < 4; way++) {
        const bool is_left = way & 1, is_armed_inside = way & 2;
        opens(LC_CAP_EXIT, ORDER);
        terms(1, true);
        timer(T1, 100);
        soon(C1);
        at(200);
        step();
        begins(C1);
        if (is_armed_inside)
            timer(T2, 50);
        if (is_left)
            raises_in(C1, LC_EVENT_SOON, LC_RAISE_EXIT);
        ends(C1);
        stepped(is_left ? LC_LEFT : 0);
        if (!is_armed_inside)
            timer(T2, 50);
        step();
        called(T1);
        called(T2);
        stepped(0);
        CHECK(breaks(is_left ? "" : "TIMER-2"));
    }
}

static void t1_is_past_when_armed(bool is_exact)
{
    opens(0, ORDER);
    terms(1, is_exact);
    at(200);
    timer(T2, 150);
    timer(T1, 100);
    step();
    called(T2);
    called(T1);
    stepped(0);
}

/* [TIMER-2] On a real clock what is past when it is armed may be queued at once; on an exact one it has its place. */
static void timer_2_past(void)
{
    t1_is_past_when_armed(true);
    CHECK(breaks("TIMER-2"));
    t1_is_past_when_armed(false);
    CHECK(breaks(""));
}

/* [TIMER-6] Timers of one deadline fire as they were armed, if the loop vows it. */
static void timer_6_ties(void)
{
    t2_fires_first(TIES, 100, 100);
    CHECK(breaks("TIMER-6"));
    t2_fires_first(ORDER, 100, 100);
    CHECK(breaks(""));
    t2_fires_first(TIES, 100, 101);
    CHECK(breaks(""));
    two_timers(ORDER | TIES, 100, 100);
    called(T1);
    called(T2);
    stepped(0);
    CHECK(breaks(""));
    opens(0, TIES);
    timer(T1, 100);
    timer(T2, 100);
    cancel(T1);
    rearm(T1, 100); /* armed later than T2 now */
    step();
    at(100);
    called(T2);
    called(T1);
    stepped(0);
    CHECK(breaks(""));
}

/* ---- cancelled, twice, never ------------------------------------------------------------------ */

/* [TIMER-3] A cancelled timer does not fire, also when it was due already; a rearmed one does. */
static void timer_3_cancelled(void)
{
    for (int is_rearmed = 0; is_rearmed < 2; is_rearmed++) {
        two_timers(ORDER, 100, 500);
        begins(T1);
        cancel(T2);
        if (is_rearmed)
            rearm(T2, 1000);
        ends(T1);
        called(T2);
        stepped(0);
        CHECK(breaks(is_rearmed ? "" : "TIMER-3"));
    }
}

/* [TIMER-4] One arming, one callback. */
static void timer_4_twice(void)
{
    for (int is_rearmed = 0; is_rearmed < 2; is_rearmed++) {
        t1_fires_at(1, 100, 100);
        if (is_rearmed)
            rearm(T1, 100);
        step();
        called(T1);
        stepped(0);
        CHECK(breaks(is_rearmed ? "" : "TIMER-4"));
    }
}

static void t1_waits(uint32_t capabilities, uint64_t time_ns, int steps)
{
    opens(capabilities, 0);
    terms(TICK_NS, true);
    timer(T1, 100);
    at(time_ns);
    steps_pass(steps);
}

/* [TIMER-5] A timer whose deadline is a tick past when three steps begin fires in one of them. */
static void timer_5_never(void)
{
    t1_waits(0, 110, 3);
    CHECK(breaks("TIMER-5"));
    t1_waits(0, 109, 30);
    CHECK(breaks(""));
    t1_waits(0, 110, 2);
    CHECK(breaks(""));
    step();
    called(T1);
    stepped(0);
    CHECK(breaks(""));
    t1_waits(LC_CAP_ONE_PER_STEP, 110, 4);
    CHECK(breaks(""));
    t1_waits(LC_CAP_ONE_PER_STEP, 110, 5);
    CHECK(breaks("TIMER-5"));
}

/* [TIMER-5] What becomes due during a step is owed by the next ones only. */
static void timer_5_due_during_the_step(void)
{
    t1_waits(0, 0, 1);
    step();
    at(110);
    stepped(0);
    steps_pass(2);
    CHECK(breaks(""));
    steps_pass(1);
    CHECK(breaks("TIMER-5"));
}

/* [TIMER-5] A rescue while a timer is due is a verdict at once; before the deadline it is none. */
static void timer_5_rescue(void)
{
    for (uint64_t time_ns = 109; time_ns <= 110; time_ns++) {
        t1_waits(0, 0, 0);
        step();
        at(time_ns);
        rescue();
        stepped(0);
        CHECK(breaks(time_ns == 109 ? "" : "TIMER-5"));
    }
}

/* ---- edges ------------------------------------------------------------------------------------- */

static void edge_t1(enum lc_edge edge, int result)
{
    const bool has_end = edge != LC_EDGE_NAN && edge != LC_EDGE_INF && edge != LC_EDGE_HUGE;
    opens(LC_CAP_EDGE, ORDER);
    terms(TICK_NS, true);
    asks(LC_OP_EDGE, T1, has_end ? 0 : UINT64_MAX, (uint8_t)edge, result);
    at(100);
    step();
}

/* [TIMER-9] A timer without an end never fires; one whose delay is below zero, tiny or no number may. */
static void timer_9_fires(void)
{
    for (enum lc_edge edge = LC_EDGE_NONE + 1; edge < LC_EDGE_COUNT; edge++) {
        edge_t1(edge, 0);
        called(T1);
        stepped(0);
        CHECK(breaks(edge == LC_EDGE_INF || edge == LC_EDGE_HUGE ? "TIMER-9" : ""));
    }
}

/* [TIMER-9] A loop may refuse a delay, if by an error that says so; [TIMER-5] one that is below zero and taken is due.
 */
static void timer_9_refused(void)
{
    static const struct {
        int error;
        const char *rule;
    } errors[] = {{-EINVAL, ""}, {-ERANGE, ""},     {-EOVERFLOW, ""},
                  {-ENOMEM, ""}, {-EIO, "TIMER-9"}, {-EBADF, "TIMER-9"}};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        edge_t1(LC_EDGE_MINUS, errors[i].error);
        stepped(0);
        steps_pass(5);
        CHECK(breaks(errors[i].rule));
    }
    edge_t1(LC_EDGE_MINUS, 0);
    stepped(0);
    steps_pass(5);
    CHECK(breaks("TIMER-5"));
}

/* [TIMER-2, TIMER-5] Once a loop has taken NaN, nobody knows when its timers fire; but never early, and once. */
static void timer_9_nan(void)
{
    for (int is_taken = 0; is_taken <= 1; is_taken++) {
        two_timers(ORDER, 100, 500);
        asks(LC_OP_EDGE, T3, UINT64_MAX, LC_EDGE_NAN, is_taken ? 0 : -EINVAL);
        called(T2);
        stepped(0);
        steps_pass(5);
        CHECK(breaks(is_taken ? "" : "TIMER-2 TIMER-5"));
    }
    two_timers(ORDER, 100, 5000);
    asks(LC_OP_EDGE, T3, UINT64_MAX, LC_EDGE_NAN, 0);
    called(T2);
    stepped(0);
    CHECK(breaks("TIMER-1"));
}

/* [TIMER-5] Where time passes in sleeps alone, none of them outlasts a deadline; a jump of time is not the loop's. */
static void timer_5_slept_past(void)
{
    for (uint64_t woke_ns = 100; woke_ns <= 101; woke_ns++)
        for (int jumps = 0; jumps < 2; jumps++) {
            opens(0, 0);
            terms(1, true);
            timer(T1, 100);
            step();
            at(woke_ns);
            if (jumps)
                asks(LC_OP_FAULT, 0, 0, LC_FAULT_JUMP, 0);
            called(T1);
            stepped(0);
            CHECK(breaks(woke_ns > 100 && !jumps ? "TIMER-5" : ""));
        }
}

/* One sleep on virtual time: t1 is due at 5 ms, p1 is posted to at 7 ms, and the loop wakes at this time for c1. Times
 * count from the opening. */
static void wakes_at(uint64_t time_ns, uint8_t terms_bits, bool has_timer, bool has_callback)
{
    const uint64_t began_ns = LC_CLOCK_OFF_NS_MAX;
    opens(0, 0);
    at(began_ns);
    tell((struct lc_obs){.what = LC_WHAT_OPEN});
    tell((struct lc_obs){.what = LC_WHAT_TERMS, .arg = 1000, .bits = terms_bits});
    soon(C1);
    waker(P1);
    if (has_timer)
        timer(T1, began_ns + 5 * NS_A_MS);
    step();
    at(began_ns + 7 * NS_A_MS);
    post(P1);
    at(began_ns + time_ns);
    if (has_callback)
        called(C1);
    stepped(0);
}

/* [TIMER-5] [WAKE-1] Where time passes in sleeps alone, who wakes by more than a rounded sleep too late has overslept.
 */
static void timer_5_and_wake_1_overslept(void)
{
    for (int has_callback = 0; has_callback < 2; has_callback++) {
        wakes_at(8 * NS_A_MS, LC_TERMS_TIMED, true, has_callback);
        CHECK(breaks(""));
        wakes_at(9 * NS_A_MS, LC_TERMS_TIMED, true, has_callback);
        CHECK(breaks("TIMER-5"));
        wakes_at(10 * NS_A_MS, LC_TERMS_TIMED, false, has_callback);
        CHECK(breaks(""));
        wakes_at(11 * NS_A_MS, LC_TERMS_TIMED, false, has_callback);
        CHECK(breaks("WAKE-1"));
        wakes_at(1000 * NS_A_MS, 0, true, has_callback); /* a busy machine */
        CHECK(breaks(""));
    }
    for (uint64_t wakes_ns = 24 * NS_A_MS; wakes_ns <= 25 * NS_A_MS; wakes_ns += NS_A_MS) {
        opens(0, 0);
        tell((struct lc_obs){.what = LC_WHAT_TERMS, .arg = 1000, .bits = LC_TERMS_TIMED});
        at(10 * NS_A_MS); /* the loop's cached time may be that before these */
        timer(T1, 11 * NS_A_MS);
        step();
        at(wakes_ns);
        called(T1);
        CHECK(breaks(wakes_ns > 24 * NS_A_MS ? "TIMER-5" : ""));
    }
}

/* [KIT-1] Where time passes in sleeps alone, a step that must not sleep takes none but that of its callbacks. */
static void kit_1_slept_in_a_poll(void)
{
    for (unsigned way = 0; way < 8; way++) {
        const bool may_sleep = way & 1, has_slept = way & 2, is_timed = way & 4;
        opens(0, 0);
        tell((struct lc_obs){.what = LC_WHAT_TERMS, .arg = 1000, .bits = is_timed ? LC_TERMS_TIMED : 0});
        soon(C1);
        tell((struct lc_obs){.what = LC_WHAT_STEP, .bits = may_sleep ? LC_WAIT : 0});
        begins(C1);
        at(10 * NS_A_MS); /* the callback takes time */
        ends(C1);
        at(has_slept ? 11 * NS_A_MS : 10 * NS_A_MS);
        stepped(0);
        CHECK(breaks(is_timed && has_slept && !may_sleep ? "KIT-1" : ""));
    }
}

/* ---- the clock --------------------------------------------------------------------------------- */

/* The driver's now() is recorded at 10 s, after `turns` steps. */
static void clock_shows(uint64_t now_ns, int turns)
{
    opens(0, 0);
    terms(TICK_NS, false);
    steps_pass(turns);
    at(10 * LC_CLOCK_OFF_NS_MAX);
    asks(LC_OP_NOW, 0, now_ns, 0, 0);
}

/* [KIT-1] A driver's now() is the kernel's but for a second, never ahead of it by more, and never goes back. */
static void kit_1_clock(void)
{
    const uint64_t real_ns = 10 * LC_CLOCK_OFF_NS_MAX, off_ns = LC_CLOCK_OFF_NS_MAX;
    clock_shows(real_ns + off_ns, 0);
    CHECK(breaks(""));
    clock_shows(real_ns + off_ns + 1, 5);
    CHECK(breaks("KIT-1"));
    clock_shows(real_ns - off_ns, 0);
    CHECK(breaks(""));
    clock_shows(real_ns - off_ns - 1, 0);
    CHECK(breaks("KIT-1"));
    clock_shows(0, 1); /* it may cache it for as long as it is not run */
    CHECK(breaks(""));
    clock_shows(real_ns, 0);
    asks(LC_OP_NOW, 0, real_ns - TICK_NS, 0, 0);
    CHECK(breaks(""));
    asks(LC_OP_NOW, 0, real_ns - 2 * TICK_NS - 1, 0, 0);
    CHECK(breaks("KIT-1"));
}

static const struct test tests[] = {
    TEST(timer_1_early),
    TEST(timer_1_inside_the_call),
    TEST(timer_1_rearmed),
    TEST(timer_2_order),
    TEST(timer_2_past),
    TEST(timer_2_armed_in_the_turn),
    TEST(timer_2_left_by_an_exit),
    TEST(timer_6_ties),
    TEST(timer_3_cancelled),
    TEST(timer_4_twice),
    TEST(timer_5_due_during_the_step),
    TEST(timer_5_never),
    TEST(timer_5_rescue),
    TEST(timer_5_slept_past),
    TEST(timer_9_fires),
    TEST(timer_9_refused),
    TEST(timer_9_nan),
    TEST(timer_5_and_wake_1_overslept),
    TEST(kit_1_slept_in_a_poll),
    TEST(kit_1_clock),
};
TEST_MAIN(tests)
