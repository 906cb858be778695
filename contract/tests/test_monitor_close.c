/* FLOW-1, FLOW-2, CLOSE-1, CLOSE-2, EOF-1 and EOF-2 are reported for the smallest trace that breaks them, not for the
 * nearest that does not. */
#include <string.h>

#include "story.h"
#include "testing/test.h"

enum { IN = LC_IN, OUT = LC_OUT, NOTHING = 0, CAPABILITIES = LC_CAP_STREAM | LC_CAP_FLUSH | LC_CAP_FLOW };
enum { PIPE = -32, RESET = -104, REFUSED = -1 };

/* S1 owns F1, and F2 is the runner's. */
static void s1_begins(void)
{
    opens(CAPABILITIES, 0);
    pair(F1, F2);
    stream(S1, F1);
    step();
}

/* S2 owns F2. */
static void s1_and_s2_begin(void)
{
    s1_begins();
    stream(S2, F2);
}

/* F1 takes nothing, of 100 bytes that it was filled with; may it find room by itself? */
static void s1_is_full(bool may_grow, bool is_exact)
{
    opens(CAPABILITIES, 0);
    terms(1, is_exact);
    if (may_grow)
        tcp(F1, F2);
    else
        pair(F1, F2);
    fills(F1, 100);
    fd_is(F1, NOTHING);
    stream(S1, F1);
    step();
}

/* ---- FLOW ------------------------------------------------------------------------------------------ */

/* [FLOW-1] PAUSE_WRITING comes when more waits than the limit allows: what has arrived does not wait. */
static void flow_1_too_early(void)
{
    for (uint64_t taken = 0; taken <= 1; taken++) {
        s1_begins();
        limits(S1, 4);
        writes(S1, 5);
        takes(F2, taken);
        sees(S1, LC_EVENT_PAUSE_WRITING);
        CHECK(breaks(taken == 1 ? "FLOW-1" : ""));
    }
    for (uint64_t taken = 4; taken <= 5; taken++) { /* of a limit that nobody set only this is known */
        s1_begins();
        writes(S1, 5);
        takes(F2, taken);
        sees(S1, LC_EVENT_PAUSE_WRITING);
        CHECK(breaks(taken == 5 ? "FLOW-1" : ""));
    }
    s1_begins();
    limits(S1, 4);
    asks(LC_OP_LIMITS, S1, 4, 0, REFUSED);
    writes(S1, 1);
    sees(S1, LC_EVENT_PAUSE_WRITING);
    CHECK(breaks(""));
}

/* [FLOW-1] It comes by the end of the step when more than the limit waits in the loop, since the kernel is full. */
static void flow_1_never(void)
{
    for (uint64_t bytes = 4; bytes <= 5; bytes++) {
        s1_is_full(false, false);
        limits(S1, 4);
        writes(S1, bytes);
        takes(F2, 0);
        stepped(0);
        CHECK(breaks(bytes == 5 ? "FLOW-1" : ""));
    }
    CHECK(strstr(verdict.violations[0].text, "s1 was not told to pause writing when 5 bytes waited, 1 above") != NULL);
    s1_is_full(false, false);
    limits(S1, 4);
    writes(S1, 4);
    writes(S1, 1);
    sees(S1, LC_EVENT_PAUSE_WRITING);
    stepped(0);
    CHECK(breaks(""));
}

/* [FLOW-1] Not so when the kernel had room since, or may have found it; when the stream was closed or its connection
 * broken; when the write or the limit was refused; for what was written before the limit was set. */
static void flow_1_not_owed(void)
{
    for (int i = 0; i < 9; i++) {
        s1_is_full(i == 6 || i == 7, i == 7);
        if (i == 5)
            writes(S1, 5);
        limits(S1, 4);
        if (i != 5)
            writes(S1, 5);
        if (i == 0)
            fd_is(F1, OUT);
        if (i == 1)
            takes(F2, 1);
        if (i == 2)
            closes(S1);
        if (i == 8)
            resets(F2);
        if (i == 3)
            asks(LC_OP_WRITE, S1, 5, 0, REFUSED);
        if (i == 4)
            asks(LC_OP_LIMITS, S1, 4, 0, REFUSED);
        stepped(0);
        CHECK(breaks(i == 7 ? "FLOW-1" : ""));
    }
}

/* [FLOW-2] RESUME_WRITING comes within three steps after everything that waited was sent. */
static void flow_2_never(void)
{
    for (int i = 0; i < 5; i++) {
        s1_begins();
        writes(S1, 5);
        sees(S1, LC_EVENT_PAUSE_WRITING);
        takes(F2, i == 1 ? 4 : 5);
        if (i == 2)
            sees(S1, LC_EVENT_RESUME_WRITING);
        if (i == 3)
            lost(S1, RESET);
        stepped(0);
        steps_pass(i == 4 ? 2 : 3);
        CHECK(breaks(i == 0 ? "FLOW-2" : i == 3 ? "CLOSE-2" : ""));
    }
}

/* ---- CLOSE ------------------------------------------------------------------------------------------- */

/* [CLOSE-1] After close or abort nothing is read; what was asked for of the other kinds may come. */
static void close_1_reads(void)
{
    for (int i = 0; i < 6; i++) {
        s1_begins();
        sends(F2, 5);
        shuts(F2);
        writes(S1, 1);
        if (i % 3 == 0)
            closes(S1);
        if (i % 3 == 1)
            aborts(S1);
        if (i < 3)
            sees_data(S1, 5);
        else if (i == 5)
            sees(S1, LC_EVENT_PAUSE_WRITING);
        else
            sees(S1, LC_EVENT_EOF);
        CHECK(breaks(i % 3 < 2 ? "CLOSE-1" : ""));
    }
}

/* [CLOSE-1] A refused close closes nothing, and leaves what was asked for before. */
static void close_1_refused(void)
{
    for (int i = 0; i < 4; i++) {
        s1_begins();
        sends(F2, 5);
        if (i == 1)
            write_eof(S1);
        if (i >= 2)
            closes(S1);
        asks(i == 3 ? LC_OP_ABORT : LC_OP_FLUSH, S1, 0, 0, 0);
        asks(i == 3 ? LC_OP_ABORT : LC_OP_FLUSH, S1, 0, 0, REFUSED);
        if (i < 2)
            sees_data(S1, 5);
        takes_end(F2, 0);
        if (i == 3)
            lost(S1, 0);
        CHECK(breaks(i == 0 || i == 2 ? "CLOSE-2" : ""));
    }
}

/* [CLOSE-2] An end that was shut before it was a stream's stays shut, also when a close is refused. */
static void close_2_shut_before(void)
{
    for (int is_shut = 0; is_shut < 2; is_shut++) {
        opens(CAPABILITIES, 0);
        pair(F1, F2);
        if (is_shut)
            shuts(F1);
        stream(S1, F1);
        step();
        closes(S1);
        asks(LC_OP_FLUSH, S1, 0, 0, REFUSED);
        takes_end(F2, 0);
        CHECK(breaks(is_shut ? "" : "CLOSE-2"));
    }
}

/* [CLOSE-1] LOST comes within three steps: of an abort in any case, of a close once nothing is left to send. */
static void close_1_lost_never(void)
{
    for (int i = 0; i < 6; i++) {
        s1_begins();
        writes(S1, 5);
        if (i < 2)
            aborts(S1);
        else
            closes(S1);
        takes(F2, i < 4 ? 5 : 4);
        if (i == 5)
            hangs_up(F2);
        stepped(0);
        steps_pass(i % 2 ? 3 : 2);
        if (i == 4)
            steps_pass(20);
        CHECK(breaks(i % 2 ? "CLOSE-1" : ""));
    }
    CHECK(strstr(verdict.violations[0].text, "s1 was closed and never told") != NULL);
}

/* [CLOSE-1] A rescue while LOST is owed is a verdict at once; of a stream whose ends are not known it is of an abort.
 */
static void close_1_rescue(void)
{
    for (int i = 0; i < 4; i++) {
        s1_begins();
        stream(S2, 0);
        writes(S1, 5);
        writes(S2, 5);
        closes(i < 2 ? S1 : S2);
        if (i == 1)
            takes(F2, 5);
        if (i == 3)
            aborts(S2);
        rescue();
        CHECK(breaks(i % 2 ? "CLOSE-1" : ""));
    }
}

/* [CLOSE-2] LOST tells an error when the connection is broken or the other side gone, and only then. */
static void close_2_error(void)
{
    for (int i = 0; i < 5; i++) {
        s1_begins();
        writes(S1, 5);
        if (i == 1)
            resets(F2);
        if (i == 2)
            hangs_up(F2);
        if (i == 3)
            shuts(F2);
        if (i == 4)
            closes(S1);
        lost(S1, i == 1 ? RESET : PIPE);
        CHECK(breaks(i == 1 || i == 2 ? "" : "CLOSE-2"));
    }
    CHECK(strstr(verdict.violations[0].text, "lost with error 32, but its connection is well") != NULL);
}

/* [CLOSE-2] A peer that is a stream is gone when it is lost or destroyed, and may be once it was closed. */
static void close_2_peer_is_a_stream(void)
{
    for (int i = 0; i < 5; i++) {
        s1_and_s2_begin();
        writes(S1, 5);
        if (i == 1)
            write_eof(S2);
        if (i == 2)
            closes(S2);
        if (i == 3)
            aborts(S2);
        if (i == 4)
            destroy(S2);
        lost(S1, PIPE);
        CHECK(breaks(i < 2 ? "CLOSE-2" : ""));
    }
}

/* [CLOSE-2] Without an error a connection is lost only when it was closed. */
static void close_2_no_error(void)
{
    for (int i = 0; i < 6; i++) {
        s1_begins();
        if (i == 1)
            resets(F2);
        if (i == 2)
            shuts(F2);
        if (i == 2)
            sees(S1, LC_EVENT_EOF);
        if (i == 3)
            write_eof(S1);
        if (i == 4)
            closes(S1);
        if (i == 5)
            aborts(S1);
        lost(S1, 0);
        CHECK(breaks(i < 4 ? "CLOSE-2" : ""));
    }
}

/* [CLOSE-2] The other side sees no end that nobody asked for; of a broken connection anything may be seen. */
static void close_2_ended_unasked(void)
{
    for (int i = 0; i < 6; i++) {
        s1_begins();
        if (i == 1)
            write_eof(S1);
        if (i == 2)
            closes(S1);
        if (i == 3)
            aborts(S1);
        if (i == 4)
            destroy(S1);
        if (i == 5)
            resets(F2);
        takes_end(F2, 0);
        CHECK(breaks(i == 0 ? "CLOSE-2" : ""));
    }
}

/* ---- EOF --------------------------------------------------------------------------------------------- */

/* [EOF-1] An end of file is seen when the other side has sent it, or the connection is broken. */
static void eof_1_nobody_sent_it(void)
{
    for (int i = 0; i < 7; i++) {
        s1_and_s2_begin();
        if (i == 1)
            write_eof(S2);
        if (i == 2)
            closes(S2);
        if (i == 3)
            destroy(S2);
        if (i == 4)
            resets(F2);
        if (i == 5)
            hangs_up(F2);
        if (i == 6) {
            write_eof(S2);
            asks(LC_OP_WRITE_EOF, S2, 0, 0, REFUSED);
        }
        sees(S1, LC_EVENT_EOF);
        CHECK(breaks(i == 0 || i == 6 ? "EOF-1" : ""));
    }
}

/* [EOF-1] It comes after all bytes that were sent before it, but for those that an abort or a reset may lose. */
static void eof_1_before_bytes(void)
{
    for (int i = 0; i < 5; i++) {
        s1_and_s2_begin();
        writes(S2, 5);
        sees_data(S1, i == 1 ? 5 : 4);
        if (i < 2)
            closes(S2);
        if (i == 2)
            aborts(S2);
        if (i == 3)
            destroy(S2);
        if (i == 4)
            resets(F2);
        sees(S1, LC_EVENT_EOF);
        CHECK(breaks(i == 0 ? "EOF-1" : ""));
    }
    s1_begins();
    sends(F2, 5);
    hangs_up(F2);
    sees(S1, LC_EVENT_EOF);
    CHECK(breaks("EOF-1") && strstr(verdict.violations[0].text, "before 5 bytes") != NULL);
}

/* [EOF-1] A recycled fd is a new connection: what was sent on the old one, and its end, are forgotten. */
static void eof_1_recycled(void)
{
    for (int is_shut = 0; is_shut < 2; is_shut++) {
        opens(CAPABILITIES, 0);
        pair(F1, F2);
        sends(F2, 5);
        shuts(F2);
        resets(F2);
        recycle(F1);
        recycle(F2);
        stream(S1, F1);
        step();
        if (is_shut)
            shuts(F2);
        sees(S1, LC_EVENT_EOF);
        CHECK(breaks(is_shut ? "" : "EOF-1"));
    }
}

/* [EOF-2] What was ended lets the other side see it, once all has come; what was shut before was a stream counts. */
static void eof_2_never(void)
{
    for (int i = 0; i < 8; i++) {
        opens(CAPABILITIES, 0);
        pair(F1, F2);
        if (i == 5)
            shuts(F1);
        stream(S1, F1);
        step();
        if (i == 0 || i >= 6)
            write_eof(S1);
        if (i == 1)
            closes(S1);
        if (i == 2)
            aborts(S1);
        if (i == 3)
            destroy(S1);
        if (i == 6)
            takes_end(F2, 0);
        if (i == 7)
            hangs_up(F2);
        drained();
        CHECK(breaks(i < 2 || i == 5 ? "EOF-2" : ""));
    }
}

static const struct test tests[] = {
    TEST(flow_1_too_early),      TEST(flow_1_never),         TEST(flow_1_not_owed),     TEST(flow_2_never),
    TEST(close_1_reads),         TEST(close_1_refused),      TEST(close_2_shut_before), TEST(close_1_lost_never),
    TEST(close_1_rescue),        TEST(close_2_error),        TEST(close_2_no_error),    TEST(close_2_peer_is_a_stream),
    TEST(close_2_ended_unasked), TEST(eof_1_nobody_sent_it), TEST(eof_1_before_bytes),  TEST(eof_1_recycled),
    TEST(eof_2_never),
};
TEST_MAIN(tests)
