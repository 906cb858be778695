/* FD-1 to FD-6 are reported for the smallest trace that breaks them, not for the nearest that does not. */
#include "story.h"
#include "testing/test.h"

enum { IN = LC_IN, OUT = LC_OUT, HUP = LC_HUP, ERR = LC_ERR, NOTHING = 0 };

/* W1 is armed for `asked` on F1, which the kernel shows as `shown`. */
static void w1_watches(uint8_t asked, uint8_t shown)
{
    opens(0, 0);
    fd_is(F1, shown);
    watch(W1, F1, asked);
    step();
}

static bool callback_breaks(uint8_t asked, uint8_t shown, uint8_t reported, uint8_t actual, const char *rules)
{
    w1_watches(asked, shown);
    ready(W1, reported, actual);
    stepped(0);
    return breaks(rules);
}

/* [FD-1] A callback comes for readiness that was there; hang-up and error count for both directions. */
static void fd_1_not_ready(void)
{
    CHECK(callback_breaks(IN, NOTHING, IN, NOTHING, "FD-1"));
    CHECK(callback_breaks(IN, OUT, IN, OUT, "FD-1"));
    CHECK(callback_breaks(IN | OUT, OUT, IN | OUT, OUT, "FD-1"));
    CHECK(callback_breaks(IN, NOTHING, NOTHING, NOTHING, "FD-1"));
    CHECK(callback_breaks(IN, IN, IN, IN, ""));
    CHECK(callback_breaks(IN | OUT, OUT, OUT, OUT, ""));
    CHECK(callback_breaks(IN, HUP, IN, HUP, ""));
    CHECK(callback_breaks(OUT, ERR, OUT, ERR, ""));
    CHECK(callback_breaks(IN, HUP, NOTHING, HUP, ""));
}

/* [FD-1] The kernel may show the readiness at the callback only, or before it and no longer. */
static void fd_1_ready_at_some_time(void)
{
    CHECK(callback_breaks(IN, NOTHING, IN, IN, ""));
    w1_watches(IN, IN);
    fd_is(F1, NOTHING);
    ready(W1, IN, NOTHING);
    CHECK(breaks(""));
    ready(W1, IN, NOTHING); /* the readiness of then was reported already */
    CHECK(breaks("FD-1"));
}

/* [FD-1] What an exit left in the middle of its turn may come beside what the next one finds, in that one alone. */
static void fd_1_left_by_an_exit(void)
{
    for (int way = 0; way < 4; way++) {
        opens(LC_CAP_EXIT, 0);
        fd_is(F1, IN);
        watch(W1, F1, IN);
        soon(C1);
        step();
        begins(C1);
        if (way & 1)
            raises_in(C1, LC_EVENT_SOON, LC_RAISE_EXIT);
        ends(C1);
        stepped(way & 1 ? LC_LEFT : 0);
        step();
        ready(W1, IN, IN);
        fd_is(F1, NOTHING);
        ready(W1, IN, NOTHING); /* of the readiness before it was taken */
        if (way & 2) {
            stepped(0);
            step();
        }
        ready(W1, IN, NOTHING);
        stepped(0);
        CHECK(breaks(way == 1 ? "" : "FD-1"));
    }
}

/* [FD-1] The readiness at the end of a callback is that of the next one; what was ready before the arming is not. */
static void fd_1_since_when(void)
{
    w1_watches(IN, IN);
    ready(W1, IN, IN);
    fd_is(F1, NOTHING);
    ready(W1, IN, NOTHING);
    CHECK(breaks(""));
    opens(0, 0);
    fd_is(F1, IN);
    fd_is(F1, NOTHING);
    watch(W1, F1, IN);
    step();
    ready(W1, IN, NOTHING);
    CHECK(breaks("FD-1"));
}

/* [FD-1] A callback that comes out of the call that makes its watcher needs readiness too. */
static void fd_1_inside_the_call(void)
{
    for (uint8_t actual = NOTHING; actual <= IN; actual++) {
        opens(0, 0);
        ready(W1, IN, actual);
        watch(W1, F1, IN);
        CHECK(breaks(actual == IN ? "" : "FD-1"));
    }
}

/* [FD-1] A watcher that ends itself by an error says so without any readiness, and is idle then. */
static void fd_1_error(void)
{
    w1_watches(IN, NOTHING);
    tell((struct lc_obs){.what = LC_WHAT_BEGIN, .code = LC_EVENT_READY, .handle = W1, .result = -9});
    ends(W1);
    stepped(0);
    CHECK(breaks(""));
    step();
    ready(W1, IN, NOTHING);
    CHECK(breaks("FD-3"));
}

static void w1_waits(uint32_t capabilities, uint8_t asked, uint8_t shown, int steps)
{
    opens(capabilities, 0);
    fd_is(F1, shown);
    watch(W1, F1, asked);
    steps_pass(steps);
}

/* [FD-2] A watcher whose fd is ready when three steps begin is called in one of them, and again for as long. */
static void fd_2_never(void)
{
    w1_waits(0, IN, IN, 3);
    CHECK(breaks("FD-2"));
    w1_waits(0, IN, IN, 2);
    CHECK(breaks(""));
    step();
    ready(W1, IN, IN);
    stepped(0);
    CHECK(breaks(""));
    steps_pass(3);
    CHECK(breaks("FD-2"));
}

/* [FD-2] Nothing is owed to a watcher of the other direction, of an idle fd, of one whose readiness is unknown. */
static void fd_2_not_owed(void)
{
    w1_waits(0, IN, OUT, 10);
    CHECK(breaks(""));
    w1_waits(0, IN | OUT, NOTHING, 10);
    CHECK(breaks(""));
    opens(0, 0);
    watch(W1, F1, IN);
    steps_pass(10);
    CHECK(breaks(""));
    w1_waits(LC_CAP_ONE_PER_STEP, IN, IN, 4);
    CHECK(breaks(""));
}

/* [FD-2] A hang-up owes what poll(2) shows beside it, to a writer too. A rescue is a verdict at once. */
static void fd_2_hang_up_and_rescue(void)
{
    w1_waits(0, OUT, OUT | HUP, 3);
    CHECK(breaks("FD-2"));
    w1_waits(0, OUT, HUP, 10);
    CHECK(breaks(""));
    w1_waits(0, IN, IN | OUT | HUP, 3);
    CHECK(breaks("FD-2"));
    w1_waits(0, IN, IN, 0);
    step();
    rescue();
    stepped(0);
    CHECK(breaks("FD-2"));
}

/* W1's fd is ready when another callback of the turn cancels W1, and perhaps gives the fd to a new owner. */
static void w1_is_cancelled(bool is_recycled)
{
    opens(0, 0);
    fd_is(F1, IN);
    watch(W1, F1, IN);
    soon(C1);
    step();
    begins(C1);
    cancel(W1);
    if (is_recycled)
        recycle(F1);
    ends(C1);
}

/* [FD-3] A cancelled watcher is not called, though its readiness was seen already. */
static void fd_3_cancelled(void)
{
    w1_is_cancelled(false);
    ready(W1, IN, IN);
    CHECK(breaks("FD-3"));
    w1_is_cancelled(false);
    stepped(0);
    CHECK(breaks(""));
    opens(0, 0);
    fd_is(F1, IN);
    watch(W1, F1, IN);
    cancel(W1);
    asks(LC_OP_REARM, W1, 0x51, IN, 0);
    step();
    ready(W1, IN, IN);
    CHECK(breaks(""));
}

/* [FD-4] When the fd changed hands in this turn it is worse: the callback is for a stranger. */
static void fd_4_new_owner(void)
{
    w1_is_cancelled(true);
    ready(W1, IN, IN);
    CHECK(breaks("FD-4"));
    w1_is_cancelled(true);
    stepped(0);
    CHECK(breaks(""));
    step();
    ready(W1, IN, IN); /* a turn later it is only a cancelled watcher's */
    CHECK(breaks("FD-3"));
}

/* [FD-4] A watcher of the new owner is not called for what happened to the old one, only for its own readiness. */
static void fd_4_old_owner(void)
{
    for (uint8_t actual = NOTHING; actual <= IN; actual++) {
        opens(0, 0);
        fd_is(F1, IN);
        soon(C1);
        step();
        begins(C1);
        recycle(F1);
        fd_is(F1, NOTHING);
        watch(W2, F1, IN);
        ends(C1);
        ready(W2, IN, actual);
        CHECK(breaks(actual == IN ? "" : "FD-4"));
    }
}

/* [FD-5] What the fd held is still there when the watcher is called, unless the user took it. */
static void fd_5_emptied(void)
{
    CHECK(callback_breaks(IN, IN, IN, NOTHING, "FD-5"));
    CHECK(callback_breaks(IN, IN | OUT, IN, OUT, "FD-5"));
    CHECK(callback_breaks(OUT, OUT, OUT, NOTHING, ""));
    w1_watches(IN, IN);
    fd_is(F1, NOTHING); /* the user took it */
    ready(W1, IN, NOTHING);
    CHECK(breaks(""));
}

/* [FD-6] Only what was asked for is reported, besides hang-up and error. */
static void fd_6_not_asked_for(void)
{
    CHECK(callback_breaks(IN, IN | OUT, IN | OUT, IN | OUT, "FD-6"));
    CHECK(callback_breaks(OUT, IN | OUT, IN, IN | OUT, "FD-6"));
    CHECK(callback_breaks(IN | OUT, IN | OUT, IN | OUT, IN | OUT, ""));
    CHECK(callback_breaks(IN, IN | HUP | ERR, IN | HUP | ERR, IN | HUP | ERR, ""));
}

static const struct test tests[] = {
    TEST(fd_1_not_ready),  TEST(fd_1_ready_at_some_time), TEST(fd_1_left_by_an_exit),
    TEST(fd_1_since_when), TEST(fd_1_inside_the_call),    TEST(fd_1_error),
    TEST(fd_2_never),      TEST(fd_2_not_owed),           TEST(fd_2_hang_up_and_rescue),
    TEST(fd_3_cancelled),  TEST(fd_4_new_owner),          TEST(fd_4_old_owner),
    TEST(fd_5_emptied),    TEST(fd_6_not_asked_for),
};
TEST_MAIN(tests)
