/* STREAM-8 is reported for the smallest trace that breaks it, not for the nearest that does not. */
#include <string.h>

#include "story.h"
#include "testing/test.h"

enum { IN = LC_IN, OUT = LC_OUT };

/* S1 owns F1, and F2 is the runner's; the clock is simulated. */
static void s1_begins(uint32_t capabilities)
{
    opens(LC_CAP_STREAM | capabilities, 0);
    terms(1, true);
    pair(F1, F2);
    stream(S1, F1);
    step();
}

static void s1_has_something_to_read(int steps)
{
    s1_begins(0);
    sends(F2, 5);
    fd_is(F1, IN);
    stepped(0);
    steps_pass(steps);
}

/* [STREAM-8] What has arrived is delivered within three steps, and again for as long. */
static void stream_8_never(void)
{
    s1_has_something_to_read(2);
    CHECK(breaks(""));
    s1_has_something_to_read(3);
    CHECK(breaks("STREAM-8") && strstr(verdict.violations[0].text, "something to read") != NULL);
    s1_has_something_to_read(2);
    step();
    sees_data(S1, 4);
    stepped(0);
    steps_pass(2);
    CHECK(breaks(""));
    steps_pass(1);
    CHECK(breaks("STREAM-8"));
    s1_has_something_to_read(0);
    step();
    rescue();
    CHECK(breaks("STREAM-8"));
}

/* [STREAM-8] Once all that was sent is read, a rescue of the same step finds nothing that is owed. */
static void stream_8_is_read(void)
{
    for (uint64_t bytes = 4; bytes <= 5; bytes++) {
        s1_has_something_to_read(0);
        step();
        sees_data(S1, bytes);
        rescue();
        CHECK(breaks(bytes == 4 ? "STREAM-8" : ""));
    }
}

/* [STREAM-8] Nothing is owed while paused, after the end of file, after close or LOST, without readiness. */
static void stream_8_not_owed(void)
{
    for (int i = 0; i < 6; i++) {
        s1_has_something_to_read(0);
        step();
        if (i == 0)
            pauses(S1);
        if (i == 1)
            sees_data(S1, 5);
        if (i == 1 || i == 5)
            shuts(F2);
        if (i == 1)
            sees(S1, LC_EVENT_EOF);
        if (i == 2)
            closes(S1);
        if (i == 3)
            fd_is(F1, OUT);
        if (i == 4)
            resets(F2);
        if (i == 4)
            lost(S1, -104);
        stepped(0);
        steps_pass(20);
        CHECK(breaks(i == 5 ? "STREAM-8" : i == 2 ? "CLOSE-1" : ""));
    }
}

/* [STREAM-8] Each read that a fault may have spoiled costs a step; a loop of one callback a step gets its time. */
static void stream_8_patience(void)
{
    for (int steps = 4; steps <= 5; steps++) {
        s1_begins(0);
        faults(2);
        fd_is(F1, IN);
        stepped(0);
        steps_pass(steps);
        CHECK(breaks(steps == 5 ? "STREAM-8" : ""));
        s1_begins(LC_CAP_ONE_PER_STEP);
        fd_is(F1, IN);
        stepped(0);
        steps_pass(steps);
        CHECK(breaks(steps == 5 ? "STREAM-8" : ""));
    }
}

static void s1_has_something_to_read_on_a_real_clock(void)
{
    s1_begins(0);
    terms(1, false);
    sends(F2, 5);
    fd_is(F1, IN);
    stepped(0);
    at(1);
    steps_pass(9);
}

/* [STREAM-8] On a real clock no step counts that begins before a thread has had its time. */
static void stream_8_takes_time(void)
{
    for (int i = 0; i < 5; i++) {
        s1_has_something_to_read_on_a_real_clock();
        at(LC_ARRIVAL_NS + (i != 0));
        if (i == 2) {
            step();
            sees_data(S1, 4); /* what is left has a time of its own */
            stepped(0);
        }
        if (i == 3)
            pauses(S1); /* and so has what is asked for anew */
        if (i == 3)
            resumes(S1);
        steps_pass(i == 1 ? 2 : 3);
        CHECK(breaks(i < 4 ? "" : "STREAM-8"));
    }
}

/* [STREAM-8] A loop that slept through it has had its time. */
static void stream_8_is_slept_through(void)
{
    s1_has_something_to_read_on_a_real_clock();
    CHECK(breaks(""));
    step();
    rescue();
    CHECK(breaks("STREAM-8"));
}

static const struct test tests[] = {
    TEST(stream_8_never),    TEST(stream_8_is_read),    TEST(stream_8_not_owed),
    TEST(stream_8_patience), TEST(stream_8_takes_time), TEST(stream_8_is_slept_through),
};

TEST_MAIN(tests)
