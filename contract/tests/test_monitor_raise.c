/* ERR-2 to ERR-4 are reported for the smallest trace of exceptions in callbacks that breaks them, not for the nearest
 * that does not. */
#include <string.h>

#include "story.h"
#include "testing/test.h"

enum { RAISES = LC_CAP_RAISE | LC_CAP_EXIT | LC_CAP_STREAM | LC_CAP_FLUSH };

/* S1 owns F1, and has something to read. */
static void s1_has_data(void)
{
    opens(RAISES, 0);
    pair(F1, F2);
    stream(S1, F1);
    step();
    sends(F2, 5);
}

/* S1's callback, which ends by raising. */
static void raises_inside(uint16_t s, enum lc_event event, enum lc_raise raise)
{
    tell((struct lc_obs){
        .what = LC_WHAT_BEGIN, .code = (uint8_t)event, .handle = s, .arg = event == LC_EVENT_DATA ? 5 : 0});
    raises_in(s, event, raise);
    tell((struct lc_obs){.what = LC_WHAT_END, .code = (uint8_t)event, .handle = s});
}

static void c1_exits(void)
{
    begins(C1);
    raises_in(C1, LC_EVENT_SOON, LC_RAISE_EXIT);
    ends(C1);
}

/* [ERR-2] The handler is told of what PAUSE_WRITING raises outside a step before the next one begins. */
static void err_2_at_rest(void)
{
    for (int is_told = 0; is_told <= 1; is_told++) {
        s1_has_data();
        stepped(0);
        limits(S1, 0);
        writes(S1, 1);
        raises_inside(S1, LC_EVENT_PAUSE_WRITING, LC_RAISE_EXCEPTION);
        if (is_told)
            handler_is_called();
        step();
        CHECK(breaks(is_told ? "" : "ERR-2"));
    }
}

/* [ERR-3] An exit leaves its step or run at once, and is no business of the handler. */
static void err_3_leaves(void)
{
    for (int is_run = 0; is_run <= 1; is_run++)
        for (int result = 0; result <= LC_LEFT; result++) {
            opens(RAISES | LC_CAP_STOP, 0);
            soon(C1);
            is_run ? run() : step();
            c1_exits();
            is_run ? ran(result) : stepped(result);
            CHECK(breaks(result == LC_LEFT ? "" : is_run ? "ERR-3 LIFE-8" : "ERR-3"));
        }
}

/* [ERR-3] Nothing of the batch runs before it is left; in the next one it does. */
static void err_3_rest_of_the_batch(void)
{
    for (int is_late = 0; is_late <= 1; is_late++) {
        opens(RAISES | LC_CAP_TURNS, 0);
        soon(C1);
        soon(C2);
        step();
        c1_exits();
        if (is_late) {
            stepped(LC_LEFT);
            step();
        }
        called(C2);
        stepped(is_late ? 0 : LC_LEFT);
        CHECK(breaks(is_late ? "" : "ERR-3"));
    }
}

/* [ERR-3] A step that nobody left must not say so, and a CancelledError leaves none. */
static void err_3_unasked(void)
{
    opens(RAISES, 0);
    soon(C1);
    step();
    begins(C1);
    raises_in(C1, LC_EVENT_SOON, LC_RAISE_CANCELLED);
    ends(C1);
    stepped(LC_LEFT);
    CHECK(breaks("ERR-2 ERR-3"));
    opens(RAISES, 0);
    step();
    stepped(LC_LEFT);
    CHECK(breaks("ERR-3"));
}

/* [ERR-3] A step that was left is not counted as one in which something that was due did not come. */
static void err_3_costs_no_step(void)
{
    for (int is_left = 0; is_left <= 1; is_left++) {
        opens(RAISES, 0);
        soon(C2);
        for (int i = 0; i < 4; i++) {
            soon(C1);
            step();
            if (is_left)
                c1_exits();
            else
                called(C1);
            stepped(is_left ? LC_LEFT : 0);
        }
        CHECK(breaks(is_left ? "" : "SOON-5"));
    }
}

/* [ERR-4] What DATA or EOF raises, an Exception or a CancelledError, is told to LOST, once, and nothing else comes. */
static void err_4_is_told(void)
{
    for (int raise = LC_RAISE_EXCEPTION; raise <= LC_RAISE_CANCELLED; raise++)
        for (int error = -1; error <= 0; error++) {
            s1_has_data();
            raises_inside(S1, LC_EVENT_DATA, (enum lc_raise)raise);
            handler_is_called();
            lost(S1, error);
            CHECK(breaks(error ? "" : "ERR-4"));
        }
    s1_has_data();
    raises_inside(S1, LC_EVENT_DATA, LC_RAISE_EXCEPTION);
    sends(F2, 5);
    sees_data(S1, 5);
    CHECK(breaks("ERR-4"));
}

/* [ERR-4] LOST comes within three steps; after an exit, or an exception elsewhere, it is not owed. */
static void err_4_is_owed(void)
{
    static const struct {
        enum lc_event event;
        enum lc_raise raise;
        const char *rules;
    } stories[] = {{LC_EVENT_DATA, LC_RAISE_EXCEPTION, "ERR-4"},
                   {LC_EVENT_EOF, LC_RAISE_EXCEPTION, "ERR-4"},
                   {LC_EVENT_DATA, LC_RAISE_EXIT, ""},
                   {LC_EVENT_MADE, LC_RAISE_EXCEPTION, ""},
                   {LC_EVENT_PAUSE_WRITING, LC_RAISE_EXCEPTION, ""}};
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        s1_has_data();
        limits(S1, 0);
        writes(S1, 1);
        if (stories[i].event == LC_EVENT_EOF) {
            shuts(F2);
            sees_data(S1, 5);
        }
        raises_inside(S1, stories[i].event, stories[i].raise);
        if (stories[i].raise < LC_RAISE_EXIT)
            handler_is_called();
        stepped(stories[i].raise == LC_RAISE_EXIT ? LC_LEFT : 0);
        steps_pass(4);
        CHECK(breaks(stories[i].rules));
    }
}

/* [ERR-4] Of a stream that was closed before, also by the callback that raises, LOST may come without an error. */
static void err_4_after_close(void)
{
    s1_has_data();
    tell((struct lc_obs){.what = LC_WHAT_BEGIN, .code = LC_EVENT_DATA, .handle = S1, .arg = 5});
    raises_in(S1, LC_EVENT_DATA, LC_RAISE_EXCEPTION);
    closes(S1);
    tell((struct lc_obs){.what = LC_WHAT_END, .code = LC_EVENT_DATA, .handle = S1});
    handler_is_called();
    lost(S1, 0);
    takes_end(F2, 0);
    CHECK(breaks(""));
}

static const struct test tests[] = {
    TEST(err_2_at_rest),       TEST(err_3_leaves),  TEST(err_3_rest_of_the_batch), TEST(err_3_unasked),
    TEST(err_3_costs_no_step), TEST(err_4_is_told), TEST(err_4_is_owed),           TEST(err_4_after_close),
};
TEST_MAIN(tests)
