/* FD-10, SOCK-2, STREAM-2, EOF-1, TASK-1 and TASK-2 are reported of calls for the smallest trace that breaks them, not
 * for the nearest that does not. */
#include <errno.h>

#include "story.h"
#include "testing/test.h"

enum { Q1 = LC_KIND_REQUEST << 12 | 1, Q2 };

/* Q1 reads from F1, at most 5 bytes. */
static void q1_reads(void)
{
    opens(LC_CAP_REQUEST | LC_CAP_CANCEL, 0);
    pair(F1, F2);
    asks(LC_OP_RECV, Q1, 0x51 | 5 << 8, 0, 0);
}

static void done(uint16_t q, uint64_t bytes, int error, unsigned bits)
{
    tell((struct lc_obs){.what = LC_WHAT_BEGIN,
                         .code = LC_EVENT_DONE,
                         .handle = q,
                         .arg = bytes,
                         .result = error,
                         .bits = (uint8_t)bits});
    tell((struct lc_obs){.what = LC_WHAT_END, .code = LC_EVENT_DONE, .handle = q});
}

/* [FD-10] It ends once, and within sixteen steps of being readable or cancelled; before that it may wait for ever. */
static void fd_10_ends_once(void)
{
    for (int i = 0; i < 3; i++) {
        q1_reads();
        fd_is(F1, i == 1 ? LC_IN : 0);
        if (i == 2)
            cancel(Q1);
        steps_pass(16);
        CHECK(breaks(i == 0 ? "" : "FD-10"));
    }
    q1_reads();
    sends(F2, 5);
    step();
    done(Q1, 5, 0, 0);
    CHECK(breaks(""));
    done(Q1, 0, -ECANCELED, 0);
    CHECK(breaks("FD-10"));
}

/* [FD-10] Only the one that was cancelled ends so, and a connection that is well gives no error. */
static void fd_10_cancels_one(void)
{
    for (uint16_t q = Q1; q <= Q2; q++) {
        q1_reads();
        cancel(Q1);
        asks(LC_OP_RECV, Q2, 0x51 | 5 << 8, 0, 0);
        step();
        done(q, 0, -ECANCELED, 0);
        CHECK(breaks(q == Q1 ? "" : "FD-10"));
    }
    for (int is_reset = 0; is_reset <= 1; is_reset++) {
        q1_reads();
        if (is_reset)
            resets(F2);
        step();
        done(Q1, 0, -ECONNRESET, 0);
        CHECK(breaks(is_reset ? "" : "FD-10"));
    }
}

/* [SOCK-2, STREAM-2, EOF-1] It gives what was sent, no more than was asked for, and nothing only at the end of file. */
static void gives_what_was_sent(void)
{
    static const struct {
        uint64_t sent, given;
        unsigned bits;
        bool is_shut;
        const char *rules;
    } stories[] = {{9, 5, 0, false, ""},         {9, 6, 0, false, "SOCK-2"}, {4, 5, 0, false, "STREAM-2"},
                   {5, 5, 1, false, "STREAM-2"}, {0, 0, 0, true, ""},        {0, 0, 0, false, "EOF-1"}};
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        q1_reads();
        sends(F2, stories[i].sent);
        if (stories[i].is_shut)
            shuts(F2);
        step();
        done(Q1, stories[i].given, 0, stories[i].bits);
        CHECK(breaks(stories[i].rules));
    }
}

/* [STREAM-2] What was sent to its end arrives, unless a read that was destroyed may have taken it, or it ended badly.
 */
static void stream_2_sendall_arrives(void)
{
    for (int i = 0; i < 4; i++) {
        opens(LC_CAP_REQUEST | LC_CAP_CANCEL, 0);
        pair(F1, F2);
        asks(LC_OP_SENDALL, Q1, 0x51 | 5 << 8, 0, 0);
        asks(LC_OP_RECV, Q2, 0x52 | 5 << 8, 0, 0);
        if (i == 1)
            destroy(Q2);
        if (i == 2)
            cancel(Q1);
        step();
        done(Q1, 0, i == 2 ? -ECANCELED : 0, 0);
        takes(F2, i == 3 ? 5 : 4);
        drained();
        CHECK(breaks(i == 0 ? "STREAM-2" : ""));
    }
}

/* [TASK-1, TASK-2] A task is run to its end, once; it is cancelled when it was asked to be before it began, and only
 * then. */
static void tasks_end_as_asked(void)
{
    static const struct {
        bool is_cancelled, is_late;
        int steps, error;
        const char *rules;
    } stories[] = {{false, false, 1, 0, ""},
                   {true, false, 1, -ECANCELED, ""},
                   {true, false, 1, 0, "TASK-2"},
                   {true, true, 1, 0, ""},
                   {true, true, 1, -ECANCELED, ""},
                   {false, false, 17, 1, "TASK-1"},
                   {false, false, 1, -ECANCELED, "TASK-2"}};
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        opens(LC_CAP_TASK | LC_CAP_CANCEL, 0);
        asks(LC_OP_TASK, Q1, 3 << 8, 0, 0);
        if (stories[i].is_late)
            steps_pass(1);
        if (stories[i].is_cancelled)
            cancel(Q1);
        steps_pass(stories[i].steps - 1);
        step();
        if (stories[i].error <= 0)
            done(Q1, 0, stories[i].error, 0);
        CHECK(breaks(stories[i].rules));
    }
}

static const struct test tests[] = {
    TEST(stream_2_sendall_arrives), TEST(tasks_end_as_asked),  TEST(fd_10_ends_once),
    TEST(fd_10_cancels_one),        TEST(gives_what_was_sent),
};
TEST_MAIN(tests)
