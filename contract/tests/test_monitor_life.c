/* WAKE-1 and -2, THREAD-1, LIFE-1, -2, -3, -8 and -9 and KIT-1 are reported for the smallest trace that breaks them,
 * not for the nearest that does not. */
#include <string.h>

#include "story.h"
#include "testing/test.h"

enum { TURN = LC_PROMISE_TURN, STOP = LC_CAP_STOP, RAISE = LC_CAP_RAISE, COALESCE = LC_CAP_COALESCE };

/* ---- WAKE, THREAD ---------------------------------------------------------------------------- */

static void p1_is_posted_to(uint32_t capabilities, int posts)
{
    opens(capabilities, 0);
    waker(P1);
    for (int i = 0; i < posts; i++)
        post(P1);
}

/* [WAKE-1] A post that three steps begin with is seen in one of them; a waker without posts owes nothing. */
static void wake_1_lost(void)
{
    p1_is_posted_to(0, 1);
    steps_pass(3);
    CHECK(breaks("WAKE-1"));
    p1_is_posted_to(0, 1);
    steps_pass(2);
    step();
    called(P1);
    stepped(0);
    CHECK(breaks(""));
    steps_pass(10);
    CHECK(breaks(""));
}

/* [WAKE-1] Each post is owed a callback; where posts may be merged, one callback that begins after it is enough. */
/* [WAKE-1] Where a step is one sleep, the one that a post ended calls the waker. */
static void wake_1_late(void)
{
    for (int is_exact = 0; is_exact < 2; is_exact++) {
        opens(0, 0);
        terms(1, is_exact);
        waker(P1);
        step();
        post(P1);
        stepped(0);
        step();
        called(P1);
        stepped(0);
        CHECK(breaks(is_exact ? "WAKE-1" : ""));
    }
}

static void wake_1_coalesce(void)
{
    for (uint32_t capabilities = 0; capabilities <= COALESCE; capabilities += COALESCE) {
        p1_is_posted_to(capabilities, 2);
        step();
        called(P1);
        stepped(0);
        steps_pass(3);
        CHECK(breaks(capabilities == COALESCE ? "" : "WAKE-1"));
        p1_is_posted_to(capabilities, 1);
        step();
        begins(P1);
        post(P1); /* after the callback began: owed again */
        ends(P1);
        stepped(0);
        steps_pass(3);
        CHECK(breaks("WAKE-1"));
    }
}

/* [WAKE-1] A post that a rescue had to end the sleep for was lost; so it is when it came while the loop slept. */
static void wake_1_rescue(void)
{
    p1_is_posted_to(0, 0);
    step();
    on_thread(1);
    post(P1);
    on_thread(0);
    rescue();
    called(P1);
    stepped(0);
    CHECK(breaks("WAKE-1"));
    p1_is_posted_to(0, 0);
    step();
    rescue(); /* asleep with nothing owed: the runner's fault, not the loop's */
    stepped(0);
    CHECK(breaks(""));
}

/* [WAKE-2] Never more callbacks than posts begun, whether posts may be merged or not. */
static void wake_2_more_callbacks_than_posts(void)
{
    for (uint32_t capabilities = 0; capabilities <= COALESCE; capabilities += COALESCE) {
        p1_is_posted_to(capabilities, 1);
        step();
        called(P1);
        CHECK(breaks(""));
        called(P1);
        CHECK(breaks("WAKE-2"));
        p1_is_posted_to(capabilities, 2);
        step();
        called(P1);
        called(P1);
        CHECK(breaks(""));
    }
}

/* [THREAD-1] Callbacks come on the thread of the present step or run. */
static void thread_1_foreign(void)
{
    opens(0, 0);
    soon(C1);
    step();
    on_thread(1);
    called(C1);
    CHECK(breaks("THREAD-1"));
    opens(0, 0);
    soon(C1);
    on_thread(1);
    step();
    called(C1);
    stepped(0);
    CHECK(breaks(""));
}

/* [THREAD-1] Callbacks come while the loop runs, but for CLOSED, which may come out of destroy. */
static void thread_1_at_rest(void)
{
    opens(0, 0);
    soon(C1);
    called(C1);
    CHECK(breaks("THREAD-1"));
    opens(0, 0);
    soon(C1);
    step();
    stepped(0);
    called(C1);
    CHECK(breaks("THREAD-1"));
    opens(0, 0);
    soon(C1);
    destroy(C1);
    closed(C1);
    CHECK(breaks(""));
}

/* ---- LIFE: running and stopping ---------------------------------------------------------------- */

/* [LIFE-1] A step or a run does not fail, the first time or after a stop. */
static void life_1_refuses(void)
{
    opens(STOP, 0);
    step();
    stepped(-16);
    CHECK(breaks("LIFE-1") && strstr(verdict.violations[0].text, "refused to run with error 16") != NULL);
    opens(STOP, 0);
    run();
    stop();
    ran(0);
    run();
    ran(-16);
    CHECK(breaks("LIFE-1") && strstr(verdict.violations[0].text, "refused to run again") != NULL);
    opens(STOP, 0);
    run();
    stop();
    ran(0);
    step();
    stepped(0);
    CHECK(breaks(""));
}

static void run_with_a_soon_after_stop(uint32_t promises, bool is_before_stop)
{
    opens(STOP, promises);
    soon(C1);
    run();
    begins(C1);
    if (is_before_stop)
        soon(C2);
    stop();
    if (!is_before_stop)
        soon(C2);
    ends(C1);
    called(C2);
    ran(0);
}

/* [LIFE-2] What is asked for after stop does not run before run returned, if the loop vows turns. */
static void life_2_after_stop(void)
{
    run_with_a_soon_after_stop(TURN, false);
    CHECK(breaks("LIFE-2"));
    run_with_a_soon_after_stop(0, false);
    CHECK(breaks(""));
    run_with_a_soon_after_stop(TURN, true);
    CHECK(breaks(""));
}

/* [LIFE-2] Of several stops the first counts. */
static void life_2_first_stop(void)
{
    opens(STOP, TURN);
    soon(C1);
    run();
    begins(C1);
    stop();
    soon(C2);
    stop();
    ends(C1);
    called(C2);
    ran(0);
    CHECK(breaks("LIFE-2"));
}

/* [LIFE-2] What was asked for after a stop runs in the next run. */
static void life_2_next_run(void)
{
    opens(STOP, TURN);
    soon(C1);
    run();
    begins(C1);
    stop();
    soon(C2);
    ends(C1);
    ran(0);
    run();
    begins(C2);
    stop();
    ends(C2);
    ran(0);
    CHECK(breaks(""));
}

/* [LIFE-8] Run returns because of a stop in this run; a loop that has no stop, and a step, return by themselves. */
static void life_8_returns_early(void)
{
    opens(STOP, 0);
    run();
    ran(0);
    CHECK(breaks("LIFE-8"));
    opens(STOP, 0);
    run();
    stop();
    ran(0);
    CHECK(breaks(""));
    run();
    ran(0);
    CHECK(breaks("LIFE-8"));
    opens(0, 0);
    run();
    ran(0);
    steps_pass(1);
    CHECK(breaks(""));
}

/* ---- LIFE: the end ------------------------------------------------------------------------------ */

/* [LIFE-3] After the close no more fds are open than before; fewer, or an unknown number, say nothing. */
static void life_3_fds(void)
{
    for (uint64_t left = 9; left <= 11; left++) {
        opens(0, 0);
        fds(10);
        loop_closes(0);
        fds(left);
        CHECK(breaks(left > 10 ? "LIFE-3" : ""));
    }
    opens(0, 0);
    loop_closes(0);
    fds(11);
    CHECK(breaks(""));
}

/* [LIFE-3] A loop whose handles are closed can be closed. */
static void life_3_close_fails(void)
{
    opens(0, 0);
    loop_closes(-16);
    CHECK(breaks("LIFE-3") && strstr(verdict.violations[0].text, "error 16") != NULL);
    opens(0, 0);
    loop_closes(0);
    CHECK(breaks(""));
}

/* [LIFE-9] Nothing but CLOSED comes after a destroy. */
static void life_9_called_after_destroy(void)
{
    opens(0, 0);
    soon(C1);
    destroy(C1);
    step();
    called(C1);
    CHECK(breaks("LIFE-9"));
    opens(0, 0);
    soon(C1);
    step();
    destroy(C1);
    closed(C1);
    stepped(0);
    CHECK(breaks(""));
    step();
    called(C1);
    CHECK(breaks("LIFE-9"));
}

/* [LIFE-9] CLOSED comes once, and only to what was destroyed. */
static void life_9_closed_once(void)
{
    opens(0, 0);
    soon(C1);
    step();
    closed(C1);
    CHECK(breaks("LIFE-9") && strstr(verdict.violations[0].text, "nobody destroyed") != NULL);
    opens(0, 0);
    soon(C1);
    destroy(C1);
    step();
    closed(C1);
    CHECK(breaks(""));
    closed(C1);
    CHECK(breaks("LIFE-9") && strstr(verdict.violations[0].text, "second time") != NULL);
}

static void c1_is_destroyed(uint32_t capabilities, int steps)
{
    opens(capabilities, 0);
    soon(C1);
    destroy(C1);
    steps_pass(steps);
}

/* [LIFE-9] CLOSED comes within three steps, and in any case before the loop is closed. */
static void life_9_never_closed(void)
{
    c1_is_destroyed(0, LC_CLOSE_STEPS_MAX);
    CHECK(breaks("LIFE-9") && strstr(verdict.violations[0].text, "3 steps") != NULL);
    c1_is_destroyed(0, LC_CLOSE_STEPS_MAX - 1);
    CHECK(breaks(""));
    loop_closes(0);
    CHECK(breaks("LIFE-9") && strstr(verdict.violations[0].text, "c1 was destroyed but never") != NULL);
    c1_is_destroyed(0, 0);
    step();
    closed(C1);
    stepped(0);
    loop_closes(0);
    CHECK(breaks(""));
}

/* [LIFE-9] A closed loop calls nothing: no callback, and no CLOSED either. */
static void life_9_called_after_close(void)
{
    opens(0, 0);
    soon(C1);
    step();
    stepped(0);
    loop_closes(0);
    step();
    called(C1);
    CHECK(breaks("LIFE-9"));
    opens(0, 0);
    soon(C1);
    step();
    called(C1);
    stepped(0);
    loop_closes(0);
    CHECK(breaks(""));
}

/* [LIFE-9] A rescue while a destroyed handle waits for CLOSED is that handle's, whatever its kind. */
static void life_9_rescue(void)
{
    static const uint16_t handles[] = {C1, T1, W1, P1, S1};
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++) {
        opens(0, 0);
        asks(LC_OP_REARM, handles[i], UINT64_MAX, 0, 0);
        destroy(handles[i]);
        step();
        rescue();
        closed(handles[i]);
        CHECK(breaks("LIFE-9"));
    }
}

/* ---- KIT ----------------------------------------------------------------------------------------- */

/* [KIT-1] A record of a kind that nobody writes is an impossible trace; every kind that somebody writes is possible. */
static void kit_1_unknown_record(void)
{
    static const uint8_t impossible[] = {LC_WHAT_NONE, LC_WHAT_COUNT, 200, 255};
    for (size_t i = 0; i < sizeof impossible; i++) {
        opens(0, 0);
        tell((struct lc_obs){.what = impossible[i]});
        CHECK(breaks("KIT-1"));
    }
    opens(0, 0);
    tell((struct lc_obs){.what = LC_WHAT_NOTE, .code = 7});
    CHECK(breaks(""));
}

/* [KIT-1] A callback has the event of its handle's kind, or the last one of all handles. */
static void kit_1_event_of_another_kind(void)
{
    static const uint8_t events[] = {LC_EVENT_SOON, LC_EVENT_TIMER, LC_EVENT_READY, LC_EVENT_POSTED, LC_EVENT_COUNT};
    for (size_t i = 0; i < sizeof events; i++) {
        opens(0, 0);
        soon(C1);
        step();
        tell((struct lc_obs){.what = LC_WHAT_BEGIN, .code = events[i], .handle = C1});
        ends(C1);
        stepped(0);
        judge();
        CHECK((verdict.count > 0 && strcmp(verdict.violations[0].rule, "KIT-1") == 0) == (i > 0));
    }
    opens(0, 0);
    destroy(C1);
    closed(C1);
    CHECK(breaks(""));
}

/* [KIT-1] A callback that began has ended when the step has, unless it may end by an exception. */
static void kit_1_callback_without_end(void)
{
    for (uint32_t capabilities = 0; capabilities <= RAISE; capabilities += RAISE) {
        opens(capabilities, 0);
        soon(C1);
        step();
        begins(C1);
        stepped(0);
        CHECK(breaks(capabilities == 0 ? "KIT-1" : ""));
    }
}

/* [LIFE-2] A run that hangs after stop owes its end, if it owes nobody a callback. */
static void life_2_run_does_not_end(void)
{
    opens(STOP, 0);
    run();
    judge();
    CHECK(verdict.owed[0] == '\0');
    stop();
    judge();
    CHECK(strcmp(verdict.owed_rule, "LIFE-2") == 0 && verdict.count == 0);
    soon(C1);
    judge();
    CHECK(strcmp(verdict.owed_rule, "SOON-5") == 0 && verdict.count == 0);
}

/* [WAKE-2] A post that was refused asks for nothing: its callback is one too many, and none is owed. */
static void wake_2_refused(void)
{
    for (uint32_t capabilities = 0; capabilities <= COALESCE; capabilities += COALESCE) {
        p1_is_posted_to(capabilities, 0);
        tell((struct lc_obs){.what = LC_WHAT_POST, .code = LC_OP_POST, .handle = P1});
        asks(LC_OP_POST, P1, 0, 0, -11);
        steps_pass(10);
        CHECK(breaks(""));
        step();
        called(P1);
        stepped(0);
        CHECK(breaks("WAKE-2"));
    }
}

static const struct test tests[] = {
    TEST(wake_1_lost),
    TEST(wake_1_late),
    TEST(wake_1_coalesce),
    TEST(wake_1_rescue),
    TEST(wake_2_more_callbacks_than_posts),
    TEST(wake_2_refused),
    TEST(thread_1_foreign),
    TEST(thread_1_at_rest),
    TEST(life_1_refuses),
    TEST(life_2_after_stop),
    TEST(life_2_first_stop),
    TEST(life_2_next_run),
    TEST(life_2_run_does_not_end),
    TEST(life_8_returns_early),
    TEST(life_3_fds),
    TEST(life_3_close_fails),
    TEST(life_9_called_after_destroy),
    TEST(life_9_closed_once),
    TEST(life_9_never_closed),
    TEST(life_9_called_after_close),
    TEST(life_9_rescue),
    TEST(kit_1_unknown_record),
    TEST(kit_1_event_of_another_kind),
    TEST(kit_1_callback_without_end),
};
TEST_MAIN(tests)
