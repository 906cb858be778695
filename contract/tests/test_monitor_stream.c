/* STREAM-1 to STREAM-6 are reported for the smallest trace that breaks them, not for the nearest that does not. */
#include <string.h>

#include "story.h"
#include "testing/test.h"

enum { IN = LC_IN, OUT = LC_OUT, NOTHING = 0, MADE = LC_CAP_MADE };

/* S1 owns F1, and F2 is the runner's. */
static void s1_begins(uint32_t capabilities)
{
    opens(LC_CAP_STREAM | capabilities, 0);
    pair(F1, F2);
    stream(S1, F1);
    step();
}

/* S2 owns F2. */
static void s1_and_s2_begin(void)
{
    s1_begins(0);
    stream(S2, F2);
}

/* F1 takes nothing, of 100 bytes that it was filled with. */
static void s1_is_full(void)
{
    opens(LC_CAP_STREAM, 0);
    pair(F1, F2);
    fills(F1, 100);
    fd_is(F1, NOTHING);
    stream(S1, F1);
    step();
}

/* ---- STREAM-1: the order of a stream's life ------------------------------------------------------ */

/* [STREAM-1] Before MADE nothing comes, if the loop has it, and it comes once. */
static void stream_1_made(void)
{
    s1_begins(MADE);
    sees(S1, LC_EVENT_MADE);
    CHECK(breaks(""));
    sees(S1, LC_EVENT_MADE);
    CHECK(breaks("STREAM-1"));
    for (unsigned capabilities = 0; capabilities <= MADE; capabilities += MADE) {
        s1_begins(capabilities);
        sends(F2, 1);
        sees_data(S1, 1);
        CHECK(breaks(capabilities ? "STREAM-1" : ""));
    }
    opens(LC_CAP_STREAM | MADE, 0); /* it may come out of the call */
    pair(F1, F2);
    step();
    sees(S1, LC_EVENT_MADE);
    stream(S1, F1);
    sends(F2, 1);
    sees_data(S1, 1);
    CHECK(breaks(""));
}

/* [STREAM-1] MADE comes within eight steps; without it nothing is owed, and nothing once it came. */
static void stream_1_made_never(void)
{
    for (int steps = 7; steps <= 8; steps++) {
        s1_begins(MADE);
        stepped(0);
        steps_pass(steps - 1);
        CHECK(breaks(steps == 8 ? "STREAM-1" : ""));
    }
    CHECK(strstr(verdict.violations[0].text, "s1 was never told that its connection is made") != NULL);
    s1_begins(0);
    stepped(0);
    steps_pass(20);
    CHECK(breaks(""));
    s1_begins(MADE);
    rescue();
    CHECK(breaks("STREAM-1"));
}

/* [STREAM-1] The end of file comes once, and no data behind it, not even none; LOST may come behind it. */
static void stream_1_eof(void)
{
    for (int i = 0; i < 3; i++) {
        s1_begins(LC_CAP_FLUSH);
        sends(F2, 1);
        shuts(F2);
        sees_data(S1, 1);
        sees(S1, LC_EVENT_EOF);
        CHECK(breaks(""));
        if (i == 0)
            sees(S1, LC_EVENT_EOF);
        if (i == 1)
            sees_data(S1, 1);
        if (i == 2) {
            closes(S1);
            lost(S1, 0);
        }
        CHECK(breaks(i < 2 ? "STREAM-1" : ""));
    }
    s1_begins(0);
    sees_data(S1, 0);
    CHECK(breaks("STREAM-1"));
}

/* [STREAM-1] LOST comes once, and behind it only CLOSED. */
static void stream_1_lost(void)
{
    static const enum lc_event events[] = {LC_EVENT_MADE, LC_EVENT_DATA,          LC_EVENT_EOF,
                                           LC_EVENT_LOST, LC_EVENT_PAUSE_WRITING, LC_EVENT_RESUME_WRITING};
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        s1_begins(LC_CAP_FLUSH);
        closes(S1);
        lost(S1, 0);
        CHECK(breaks(""));
        sees(S1, events[i]);
        CHECK(breaks("STREAM-1"));
    }
    s1_begins(LC_CAP_FLUSH);
    closes(S1);
    lost(S1, 0);
    destroy(S1);
    closed(S1);
    CHECK(breaks(""));
}

/* ---- STREAM-2: bytes ------------------------------------------------------------------------------- */

/* [STREAM-2] No more bytes come than are on their way, however they are cut, and they are the right ones. */
static void stream_2_data(void)
{
    for (uint64_t last = 3; last <= 4; last++) {
        s1_begins(0);
        sends(F2, 5);
        sends(F2, 5);
        sees_data(S1, 7);
        sees_data(S1, last);
        CHECK(breaks(last == 4 ? "STREAM-2" : ""));
    }
    CHECK(strstr(verdict.violations[0].text, "s1 was given 4 bytes when 3 were on their way") != NULL);
    s1_begins(0);
    sends(F2, 5);
    tell((struct lc_obs){
        .what = LC_WHAT_BEGIN, .code = LC_EVENT_DATA, .handle = S1, .arg = 5, .bits = LC_BYTES_WRONG, .result = 2});
    CHECK(breaks("STREAM-2") && strstr(verdict.violations[0].text, "from byte 2 on") != NULL);
}

/* [STREAM-2] So it is with what arrives at the runner's end, which is the stream's doing. */
static void stream_2_take(void)
{
    for (uint64_t bytes = 5; bytes <= 6; bytes++) {
        s1_begins(0);
        writes(S1, 5);
        takes(F2, bytes);
        CHECK(breaks(bytes == 6 ? "STREAM-2" : ""));
    }
    CHECK(strcmp(verdict.violations[0].text, "s1 sent other bytes than were written") == 0);
    s1_begins(0);
    writes(S1, 5);
    asks(LC_OP_TAKE, F2, 5, LC_BYTES_WRONG, 0);
    CHECK(breaks("STREAM-2"));
    opens(LC_CAP_STREAM, 0); /* between two ends of the runner's nothing is judged */
    pair(F1, F2);
    asks(LC_OP_TAKE, F2, 5, LC_BYTES_WRONG | LC_BYTES_END, 0);
    CHECK(breaks(""));
}

/* [STREAM-2] What was written has arrived when the runner has taken all that came. */
static void stream_2_never_sent(void)
{
    for (uint64_t bytes = 4; bytes <= 5; bytes++) {
        s1_begins(0);
        writes(S1, 5);
        takes(F2, bytes);
        CHECK(breaks(""));
        drained();
        CHECK(breaks(bytes == 4 ? "STREAM-2" : ""));
    }
    s1_and_s2_begin();
    writes(S1, 5);
    sees_data(S2, 4);
    drained();
    CHECK(breaks("STREAM-2") && strstr(verdict.violations[0].text, "s1 never sent 1 bytes") != NULL);
}

/* [STREAM-2] Not so when the other side takes nothing, when bytes may rightly be lost, or a write was refused. */
static void stream_2_never_sent_rightly(void)
{
    for (int i = 0; i < 7; i++) {
        s1_and_s2_begin();
        writes(S1, 5);
        if (i == 0)
            pauses(S2);
        if (i == 1)
            closes(S2);
        if (i == 2)
            lost(S1, -32);
        if (i == 3)
            destroy(S1);
        if (i == 4)
            aborts(S1);
        if (i == 5)
            destroy(S2);
        if (i == 6)
            asks(LC_OP_WRITE, S1, 5, 0, -32);
        drained();
        CHECK(breaks(i == 2 ? "CLOSE-2" : ""));
    }
}

/* [STREAM-2] What the runner sent was given to a stream that reads, unless it saw the end or the connection broke. */
static void stream_2_never_given(void)
{
    for (int i = 0; i < 6; i++) {
        s1_begins(0);
        sends(F2, 5);
        sees_data(S1, i == 0 ? 5 : 4);
        if (i == 1)
            pauses(S1);
        if (i == 2)
            closes(S1);
        if (i == 3)
            resets(F2);
        if (i == 4)
            destroy(S1);
        drained();
        CHECK(breaks(i == 5 ? "STREAM-2" : i == 2 ? "EOF-2" : ""));
    }
    CHECK(strcmp(verdict.violations[0].text, "s1 was never given 1 bytes that were sent to it") == 0);
}

/* ---- STREAM-3 and STREAM-4: close sends, abort drops ------------------------------------------------- */

/* [STREAM-3] The end of file stands behind all that was written. */
static void stream_3_end_before_bytes(void)
{
    for (uint64_t bytes = 4; bytes <= 5; bytes++)
        for (int i = 0; i < 2; i++) {
            s1_begins(LC_CAP_FLUSH);
            writes(S1, 5);
            if (i == 0)
                closes(S1);
            else
                write_eof(S1);
            takes_end(F2, bytes);
            CHECK(breaks(bytes == 4 ? "STREAM-3" : ""));
        }
}

/* [STREAM-3] Bytes that never came are missed when the stream was closed; an abort may lose them, a reset too. */
static void stream_3_never_sent(void)
{
    for (int i = 0; i < 4; i++) {
        s1_begins(LC_CAP_FLUSH);
        writes(S1, 5);
        closes(S1);
        if (i == 1)
            aborts(S1);
        if (i == 2)
            resets(F2);
        if (i == 3) {
            hangs_up(F2);
            lost(S1, -32);
        }
        drained();
        CHECK(breaks(i == 0 ? "STREAM-3" : ""));
    }
}

/* [STREAM-3] An end that is closed with bytes unread breaks its connection: what was on its way may be lost. */
static void stream_3_reset_by_unread_bytes(void)
{
    for (int is_read = 0; is_read < 2; is_read++) {
        s1_begins(LC_CAP_FLUSH);
        writes(S1, 5);
        sends(F2, 1);
        if (is_read)
            sees_data(S1, 1);
        closes(S1);
        lost(S1, 0);
        takes_end(F2, 3);
        CHECK(breaks(is_read ? "STREAM-3" : ""));
    }
}

/* [STREAM-3] What is sent to an end that is closed breaks the connection as well; nothing that is sent does not. */
static void stream_3_reset_by_late_bytes(void)
{
    for (uint64_t late = 0; late <= 1; late++) {
        s1_begins(LC_CAP_FLUSH);
        writes(S1, 5);
        closes(S1);
        lost(S1, 0);
        sends(F2, late);
        takes_end(F2, 3);
        CHECK(breaks(late == 0 ? "STREAM-3" : ""));
    }
}

/* [STREAM-4] Of an end that takes nothing, what was written stays in the loop, and an abort drops it. */
static void stream_4_abort(void)
{
    for (uint64_t bytes = 100; bytes <= 101; bytes++) {
        s1_is_full();
        writes(S1, 5);
        aborts(S1);
        lost(S1, 0);
        takes(F2, bytes);
        CHECK(breaks(bytes == 101 ? "STREAM-4" : ""));
    }
    CHECK(strstr(verdict.violations[0].text, "s1 sent bytes that it held") != NULL);
    s1_is_full();
    stream(S2, F2);
    writes(S1, 5);
    aborts(S1);
    sees_data(S2, 102);
    CHECK(breaks("STREAM-4") && strstr(verdict.violations[0].text, "s1 sent bytes") != NULL);
}

/* [STREAM-4] Not so when there was room since, when close had been asked for only, or abort was refused. */
static void stream_4_sent_rightly(void)
{
    for (int i = 0; i < 4; i++) {
        s1_is_full();
        writes(S1, 5);
        if (i == 0)
            fd_is(F1, OUT);
        if (i == 1)
            takes(F2, 1);
        if (i == 2)
            closes(S1);
        else
            aborts(S1);
        if (i == 3)
            asks(LC_OP_ABORT, S1, 0, 0, -32);
        takes(F2, i == 1 ? 104 : 105);
        CHECK(breaks(""));
    }
}

/* ---- STREAM-5, STREAM-6 -------------------------------------------------------------------------------- */

/* [STREAM-5] PAUSE_WRITING and RESUME_WRITING alternate, beginning with the former, also of a case's stream. */
static void stream_5_alternate(void)
{
    for (int is_of_a_case = 0; is_of_a_case < 2; is_of_a_case++)
        for (int i = 0; i < 3; i++) {
            s1_begins(LC_CAP_FLOW);
            const uint16_t s = is_of_a_case ? S2 : S1;
            if (is_of_a_case)
                stream(S2, 0);
            writes(s, 5);
            if (i < 2)
                sees(s, LC_EVENT_PAUSE_WRITING);
            if (i == 1)
                sees(s, LC_EVENT_PAUSE_WRITING);
            if (i != 1)
                sees(s, LC_EVENT_RESUME_WRITING);
            CHECK(breaks(i > 0 ? "STREAM-5" : ""));
        }
}

/* [STREAM-6] Between PAUSE and RESUME nothing is read; a refused PAUSE pauses nothing, a refused RESUME goes on. */
static void stream_6_paused(void)
{
    for (int i = 0; i < 6; i++) {
        s1_begins(0);
        sends(F2, 5);
        shuts(F2);
        if (i != 3)
            pauses(S1);
        if (i == 2)
            resumes(S1);
        if (i == 3)
            asks(LC_OP_PAUSE, S1, 0, 0, -1);
        if (i == 4)
            asks(LC_OP_RESUME, S1, 0, 0, -1);
        if (i == 1)
            sees(S1, LC_EVENT_EOF);
        else if (i != 5)
            sees_data(S1, 5);
        else
            lost(S1, -104); /* that it is broken may be told at any time */
        CHECK(breaks(i == 2 || i == 3 ? "" : i == 5 ? "CLOSE-2" : "STREAM-6"));
    }
}

static const struct test tests[] = {
    TEST(stream_1_made),
    TEST(stream_1_made_never),
    TEST(stream_1_eof),
    TEST(stream_1_lost),
    TEST(stream_2_data),
    TEST(stream_2_take),
    TEST(stream_2_never_sent),
    TEST(stream_2_never_sent_rightly),
    TEST(stream_2_never_given),
    TEST(stream_3_end_before_bytes),
    TEST(stream_3_never_sent),
    TEST(stream_3_reset_by_unread_bytes),
    TEST(stream_3_reset_by_late_bytes),
    TEST(stream_4_abort),
    TEST(stream_4_sent_rightly),
    TEST(stream_5_alternate),
    TEST(stream_6_paused),
};
TEST_MAIN(tests)
