/* SOON-1 to SOON-5, ERR-1 and ERR-2 are reported for the smallest trace that breaks them, not for the nearest that does
 * not. */
#include "story.h"
#include "testing/test.h"

enum { FIFO = LC_PROMISE_FIFO, TURN = LC_PROMISE_TURN, TURNS = LC_CAP_TURNS, RAISE = LC_CAP_RAISE };

/* ---- SOON ------------------------------------------------------------------------------------ */

static void two_soons_run(uint32_t promises, uint16_t first, uint16_t second)
{
    opens(0, promises);
    soon(C1);
    soon(C2);
    step();
    called(first);
    called(second);
    stepped(0);
}

/* [SOON-1] A loop that vows FIFO runs what was asked for first first; one that does not vow it is free. */
static void soon_1_order(void)
{
    two_soons_run(FIFO, C2, C1);
    CHECK(breaks("SOON-1") && verdict.violations[0].seq == 5 && verdict.violations[0].run == 1);
    two_soons_run(FIFO, C1, C2);
    CHECK(breaks(""));
    two_soons_run(TURN, C2, C1);
    CHECK(breaks(""));
}

/* [SOON-1] The order is that of the last arming; what is cancelled or only armed later has no place in it. */
static void soon_1_rearmed_and_cancelled(void)
{
    opens(0, FIFO);
    soon(C1);
    soon(C2);
    cancel(C1);
    rearm(C1, 0);
    step();
    called(C2);
    called(C1);
    soon(C3);
    cancel(C3);
    rearm(C1, 0);
    stepped(0);
    step();
    called(C1);
    stepped(0);
    CHECK(breaks(""));
    called(C3); /* it was cancelled, and the loop does not run */
    CHECK(breaks("SOON-4 THREAD-1"));
}

static void soon_asked_in_a_turn_runs_in_it(uint32_t capabilities, uint32_t promises)
{
    opens(capabilities, promises);
    soon(C1);
    step();
    begins(C1);
    soon(C2);
    ends(C1);
    called(C2);
    stepped(0);
}

/* [SOON-2] What is asked for in a turn does not run in it, if the loop vows that and a step is a turn. */
static void soon_2_same_turn(void)
{
    soon_asked_in_a_turn_runs_in_it(TURNS, TURN);
    CHECK(breaks("SOON-2"));
    soon_asked_in_a_turn_runs_in_it(TURNS, FIFO);
    CHECK(breaks(""));
    soon_asked_in_a_turn_runs_in_it(0, TURN);
    CHECK(breaks(""));
    opens(TURNS, TURN);
    soon(C1);
    step();
    begins(C1);
    soon(C2);
    ends(C1);
    stepped(0);
    step();
    called(C2);
    stepped(0);
    CHECK(breaks(""));
}

/* [SOON-2] A callback does not come out of the very call that asks for it, whatever the loop vows. */
static void soon_2_inside_the_call(void)
{
    opens(0, 0);
    called(C1);
    soon(C1);
    CHECK(breaks("SOON-2"));
    opens(0, 0);
    soon(C1);
    step();
    called(C1);
    stepped(0);
    CHECK(breaks(""));
}

/* [SOON-3] One call, one callback; it may be asked for again. */
static void soon_3_twice(void)
{
    opens(0, FIFO);
    soon(C1);
    step();
    called(C1);
    called(C1);
    stepped(0);
    CHECK(breaks("SOON-3"));
    opens(0, FIFO);
    soon(C1);
    step();
    begins(C1);
    rearm(C1, 0);
    ends(C1);
    called(C1);
    stepped(0);
    CHECK(breaks(""));
}

/* [SOON-3] A callback that came out of the call itself was the one that the call asked for. */
static void soon_3_after_an_early_one(void)
{
    opens(0, 0);
    called(C1);
    soon(C1);
    step();
    called(C1);
    stepped(0);
    CHECK(breaks("SOON-2 SOON-3"));
}

/* [SOON-4] A cancelled callback does not run, also when a callback of its own turn cancels it; a rearmed one does. */
static void soon_4_cancelled(void)
{
    for (int is_rearmed = 0; is_rearmed < 2; is_rearmed++) {
        opens(0, FIFO);
        soon(C1);
        soon(C2);
        step();
        begins(C1);
        cancel(C2);
        if (is_rearmed)
            rearm(C2, 0);
        ends(C1);
        called(C2);
        stepped(0);
        CHECK(breaks(is_rearmed ? "" : "SOON-4"));
    }
}

static void soon_waits(uint32_t capabilities, int steps)
{
    opens(capabilities, 0);
    soon(C1);
    steps_pass(steps);
}

/* [SOON-5] A callback that is due when three steps begin comes in one of them. */
static void soon_5_never(void)
{
    soon_waits(0, 3);
    CHECK(breaks("SOON-5"));
    soon_waits(0, 2);
    CHECK(breaks(""));
    step();
    called(C1);
    stepped(0);
    CHECK(breaks(""));
}

/* [SOON-5] The count begins anew with a callback and with a cancel. */
static void soon_5_counts_anew(void)
{
    for (int is_called = 0; is_called < 2; is_called++) {
        soon_waits(0, 2);
        step();
        if (is_called)
            called(C1);
        else
            cancel(C1);
        rearm(C1, 0);
        stepped(0);
        steps_pass(2);
        CHECK(breaks(""));
        steps_pass(1);
        CHECK(breaks("SOON-5"));
    }
}

/* [SOON-5] Runs are not counted, since a stop may end them at once. */
static void soon_5_counts_steps(void)
{
    opens(0, 0);
    soon(C1);
    for (int i = 0; i < 5; i++) {
        run();
        stop();
        ran(0);
    }
    CHECK(breaks(""));
}

/* [SOON-5] With one callback a step, everything that lives may come before: three steps more than there are handles. */
static void soon_5_one_per_step(void)
{
    enum { ALLOWED = 1 + 3 }; /* one handle is armed */
    soon_waits(LC_CAP_ONE_PER_STEP, ALLOWED);
    CHECK(breaks(""));
    soon_waits(LC_CAP_ONE_PER_STEP, ALLOWED + 1);
    CHECK(breaks("SOON-5"));
    opens(LC_CAP_ONE_PER_STEP, 0);
    soon(C1);
    timer(T1, 1000000);
    timer(T2, 1000000);
    steps_pass(ALLOWED + 2);
    CHECK(breaks(""));
    steps_pass(1);
    CHECK(breaks("SOON-5"));
}

/* [SOON-5] With one callback a step the last of many waits for all before it, though they are gone by then. */
static void soon_5_one_per_step_many(void)
{
    enum { MANY = 12 };
    opens(LC_CAP_ONE_PER_STEP, FIFO);
    for (uint16_t i = 0; i < MANY; i++)
        soon(C1 + i);
    for (uint16_t i = 0; i < MANY; i++) {
        step();
        called(C1 + i);
        stepped(0);
    }
    CHECK(breaks(""));
    rearm(C1, 0);
    for (int i = 0; i < 5; i++) {
        CHECK(breaks(""));
        step();
        stepped(0);
    }
    CHECK(breaks("SOON-5")); /* what lived before it waited does not count */
}

/* [SOON-5] A rescue is a verdict at once: the loop slept though a callback was due. */
static void soon_5_rescue(void)
{
    opens(0, 0);
    soon(C1);
    step();
    rescue();
    stepped(0);
    CHECK(breaks("SOON-5"));
    opens(0, 0);
    soon(C1);
    step();
    called(C1);
    rescue();
    stepped(0);
    CHECK(breaks(""));
}

/* ---- ERR ------------------------------------------------------------------------------------- */

static void c1_raises(uint32_t capabilities, bool is_c2_asked_for)
{
    opens(capabilities, FIFO);
    soon(C1);
    if (is_c2_asked_for)
        soon(C2);
    step();
    begins(C1);
    raises();
    ends(C1);
}

/* [ERR-1] After an exception the rest of the batch runs in the same turn; what was asked for in the turn need not. */
static void err_1_batch(void)
{
    c1_raises(RAISE, true);
    handler_is_called();
    stepped(0);
    CHECK(breaks("ERR-1"));
    c1_raises(RAISE, true);
    handler_is_called();
    called(C2);
    soon(C3);
    stepped(0);
    CHECK(breaks(""));
    c1_raises(RAISE | LC_CAP_ONE_PER_STEP, true);
    handler_is_called();
    stepped(0);
    CHECK(breaks(""));
}

/* [ERR-1] Without an exception a callback may wait for the next turn, and in the next turn the exception is history. */
static void err_1_needs_an_exception(void)
{
    opens(RAISE, FIFO);
    soon(C1);
    step();
    stepped(0);
    CHECK(breaks(""));
    c1_raises(RAISE, false);
    handler_is_called();
    stepped(0);
    soon(C2);
    step();
    stepped(0);
    CHECK(breaks(""));
}

/* [ERR-1] An exception in a callback does not end the turn with an error: not of a step, not of a run. */
static void err_1_turn_ends(void)
{
    c1_raises(RAISE, false);
    handler_is_called();
    stepped(-5);
    CHECK(breaks("ERR-1"));
    opens(RAISE, 0);
    soon(C1);
    run();
    begins(C1);
    raises();
    ends(C1);
    handler_is_called();
    ran(-5);
    CHECK(breaks("ERR-1"));
}

/* [ERR-2] One call of the handler for each exception: not none, not two, and none without an exception. */
static void err_2_handler(void)
{
    for (int calls = 0; calls < 3; calls++) {
        c1_raises(RAISE, false);
        for (int i = 0; i < calls; i++)
            handler_is_called();
        stepped(0);
        CHECK(breaks(calls == 1 ? "" : "ERR-2"));
    }
    opens(RAISE, 0);
    step();
    handler_is_called();
    stepped(0);
    CHECK(breaks("ERR-2"));
}

/* [ERR-1] [ERR-2] A loop without exceptions is not judged by them. */
static void err_needs_the_capability(void)
{
    c1_raises(0, true);
    stepped(0);
    CHECK(breaks(""));
    opens(0, 0);
    step();
    handler_is_called();
    stepped(0);
    CHECK(breaks(""));
}

static const struct test tests[] = {
    TEST(soon_1_order),
    TEST(soon_1_rearmed_and_cancelled),
    TEST(soon_2_same_turn),
    TEST(soon_2_inside_the_call),
    TEST(soon_3_twice),
    TEST(soon_3_after_an_early_one),
    TEST(soon_4_cancelled),
    TEST(soon_5_never),
    TEST(soon_5_counts_anew),
    TEST(soon_5_counts_steps),
    TEST(soon_5_one_per_step),
    TEST(soon_5_one_per_step_many),
    TEST(soon_5_rescue),
    TEST(err_1_batch),
    TEST(err_1_needs_an_exception),
    TEST(err_1_turn_ends),
    TEST(err_2_handler),
    TEST(err_needs_the_capability),
};
TEST_MAIN(tests)
