/* Any trace gets a verdict: one that ends inside a step, one of several runs, one of noise. */
#include <stdlib.h>
#include <string.h>

#include "program.h"
#include "story.h"
#include "testing/test.h"

enum { MS = 1000 * 1000, SECOND = 1000 * MS };

/* ---- a trace that ends inside a step ----------------------------------------------------------- */

static bool owes(const char *rule, const char *sentence)
{
    if (!breaks(""))
        return false;
    if (strcmp(verdict.owed_rule, rule) == 0 && strstr(verdict.owed, sentence) != NULL)
        return true;
    printf("owes \"%s\" %s\n", verdict.owed, verdict.owed_rule);
    return false;
}

static bool owes_nothing(void)
{
    return owes("", "") && verdict.owed[0] == '\0';
}

/* What the loop owed when it hung, or the process died, is named with its rule: each kind has its own. */
static void owed_by_kind(void)
{
    opens(0, 0);
    soon(C2);
    step();
    CHECK(owes("SOON-5", "c2 was asked for and never ran"));
    opens(0, 0);
    timer(T3, 0);
    run();
    at(1);
    stop();
    CHECK(owes("TIMER-5", "t3 was due and did not fire"));
    opens(0, 0);
    fd_is(F1, LC_IN);
    watch(W2, F1, LC_IN);
    step();
    CHECK(owes("FD-2", "w2 was not called"));
    opens(0, 0);
    waker(P1);
    step();
    post(P1);
    CHECK(owes("WAKE-1", "p1 was posted to"));
}

/* A step that must not sleep owes its end, if nobody a callback; one that may owes nothing then. */
static void owed_by_a_poll(void)
{
    for (uint8_t bits = 0; bits <= LC_WAIT; bits++) {
        opens(0, 0);
        tell((struct lc_obs){.what = LC_WHAT_STEP, .bits = bits});
        CHECK(bits == LC_WAIT ? owes_nothing() : owes("KIT-1", "which must not sleep"));
        opens(0, 0);
        soon(C2);
        tell((struct lc_obs){.what = LC_WHAT_STEP, .bits = bits});
        CHECK(owes("SOON-5", "c2 was asked for and never ran"));
    }
}

static void s1_waits(uint32_t capabilities)
{
    opens(LC_CAP_STREAM | capabilities, 0);
    pair(F1, F2);
    stream(S1, F1);
    step();
}

/* A stream can owe several things. */
static void owed_by_streams(void)
{
    s1_waits(LC_CAP_MADE);
    CHECK(owes("STREAM-1", "s1 was never told that its connection is made"));
    s1_waits(0);
    CHECK(owes_nothing());
    fd_is(F1, LC_IN);
    CHECK(owes("STREAM-8", "s1 was not called though its connection had something to read"));
    writes(S1, 5);
    sees(S1, LC_EVENT_PAUSE_WRITING);
    takes(F2, 5);
    CHECK(owes("FLOW-2", "s1 was told to pause writing"));
    closes(S1);
    CHECK(owes("CLOSE-1", "s1 was closed and never told"));
    destroy(S1);
    CHECK(owes("LIFE-9", "s1 was destroyed"));
}

/* A timer that would have fired within a second of the last record is owed, a later one is not. */
static void owed_timers(void)
{
    opens(0, 0);
    timer(T1, SECOND - 1);
    step();
    CHECK(owes("TIMER-5", "t1"));
    opens(0, 0);
    timer(T1, SECOND);
    step();
    CHECK(owes_nothing());
    at(1);
    soon(C1);
    called(C1);
    CHECK(owes("TIMER-5", "t1"));
}

/* [LIFE-9] To a destroyed handle CLOSED is owed, not the callback that it would have had. */
static void owed_to_the_destroyed(void)
{
    static const uint16_t handles[] = {C1, T1, W1, P1, S1};
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++) {
        opens(0, 0);
        asks(LC_OP_REARM, handles[i], UINT64_MAX, 0, 0);
        destroy(handles[i]);
        step();
        CHECK(owes("LIFE-9", "destroyed"));
        closed(handles[i]);
        CHECK(owes_nothing());
    }
}

/* Nothing is owed by a trace that ends outside a step, nor for what was cancelled or came. */
static void owed_nothing(void)
{
    opens(0, 0);
    soon(C1);
    CHECK(owes_nothing());
    step();
    stepped(0);
    CHECK(owes_nothing());
    step();
    CHECK(owes("SOON-5", "c1"));
    called(C1);
    CHECK(owes_nothing());
    rearm(C1, 0);
    cancel(C1);
    CHECK(owes_nothing());
    lc_monitor_judge(NULL, 0, &verdict);
    CHECK(verdict.count == 0 && verdict.runs == 0 && verdict.owed[0] == '\0');
}

/* ---- counting ------------------------------------------------------------------------------------ */

static void a_soon_runs_twice(void)
{
    opens_again(0, 0);
    soon(C1);
    step();
    called(C1);
    called(C1);
    called(C1);
    stepped(0);
}

/* Each run of a trace begins anew, and has each rule's first violation under its number. */
static void runs_are_judged_apart(void)
{
    opens(0, 0);
    a_soon_runs_twice();
    opens_again(LC_CAP_STOP, 0);
    run();
    ran(0);
    a_soon_runs_twice();
    CHECK(breaks("SOON-3 LIFE-8 SOON-3"));
    CHECK(verdict.runs == 4 && verdict.callbacks == 6 && verdict.ops == 2);
    CHECK(verdict.violations[0].run == 2 && verdict.violations[1].run == 3 && verdict.violations[2].run == 4);
}

/* What a run knew of handles, fds, promises and the clock is forgotten in the next. */
static void runs_share_nothing(void)
{
    opens(LC_CAP_RAISE | LC_CAP_STOP, LC_PROMISE_FIFO | LC_PROMISE_ORDER);
    terms(100, true);
    fds(3);
    soon(C1);
    cancel(C1);
    timer(T1, 5);
    fd_is(F1, LC_IN);
    waker(P1);
    post(P1);
    raises();
    loop_closes(0);
    opens_again(0, 0);
    soon(C1);
    timer(T1, 100);
    step();
    at(100);
    called(T1);
    called(C1);
    stepped(0);
    loop_closes(0);
    fds(4);
    CHECK(breaks(""));
}

/* What is known of streams and of the ends of their connections is forgotten as well. */
static void runs_share_no_streams(void)
{
    s1_waits(LC_CAP_MADE | LC_CAP_FLUSH);
    sees(S1, LC_EVENT_MADE);
    sends(F2, 5);
    pauses(S1);
    faults(100);
    closes(S1);
    lost(S1, 0);
    hangs_up(F2);
    opens_again(LC_CAP_STREAM | LC_CAP_MADE, 0);
    pair(F1, F2);
    stream(S1, F1);
    step();
    sees(S1, LC_EVENT_MADE);
    sends(F2, 1);
    sees_data(S1, 1);
    CHECK(breaks(""));
    sees(S1, LC_EVENT_EOF);
    CHECK(breaks("EOF-1"));
}

/* A stream of a case, of whose connection nothing is known: two of them share nothing, and only their own order is
 * judged. */
static void unknown_ends_are_not_guessed(void)
{
    for (int is_half_known = 0; is_half_known < 2; is_half_known++) {
        opens(LC_CAP_STREAM | LC_CAP_FLUSH | LC_CAP_FLOW, 0);
        stream(S1, is_half_known ? F1 : 0);
        stream(S2, 0);
        fd_is(F1, LC_IN);
        step();
        sees_data(S1, 5);
        writes(S1, 5);
        limits(S2, 5);
        writes(S2, 5);
        sees(S2, LC_EVENT_PAUSE_WRITING);
        takes_end(F2, 9);
        closes(S2);
        sees(S1, LC_EVENT_EOF);
        lost(S1, -104);
        stepped(0);
        steps_pass(20);
        drained();
        CHECK(breaks(""));
        step();
        sees_data(S2, 5);
        CHECK(breaks("CLOSE-1"));
    }
}

/* Before any run there is nothing to judge by but the records: it belongs to run 0. */
static void before_any_run(void)
{
    const struct lc_obs alone = {.what = LC_WHAT_COUNT, .seq = 9};
    lc_monitor_judge(&alone, 1, &verdict);
    CHECK(verdict.count == 1 && verdict.violations[0].run == 0 && verdict.violations[0].seq == 9);
    CHECK(verdict.runs == 0 && strcmp(verdict.violations[0].rule, "KIT-1") == 0);
}

/* Refused ops are not counted as executed, and leave their handle as it was. */
static void refused_ops_do_nothing(void)
{
    opens(0, 0);
    asks(LC_OP_SOON, C1, 0, 0, -12);
    asks(LC_OP_TIMER, T1, 0, 0, -12);
    asks(LC_OP_WATCH, W1, 0x51, LC_IN, -12);
    steps_pass(5);
    CHECK(breaks("") && verdict.ops == 0);
    step();
    CHECK(owes_nothing());
}

/* No more violations are stored than there is room for, and each text is a sentence with its handle. */
static void violations_are_bounded(void)
{
    opens(0, 0);
    for (int i = 0; i < 3 * LC_VIOLATIONS_MAX; i++)
        a_soon_runs_twice();
    lc_monitor_judge((const struct lc_obs[]){{.what = LC_WHAT_NONE}}, 1, &verdict);
    CHECK(verdict.count == 1 && strncmp(verdict.violations[0].text, "the loop wrote", 14) == 0);
    judge();
    CHECK(verdict.count == LC_VIOLATIONS_MAX && verdict.runs == 3 * LC_VIOLATIONS_MAX + 1);
    CHECK(strcmp(verdict.violations[15].text, "c1 ran a second time") == 0 && verdict.violations[15].run == 17);
}

/* Handles beyond a program's are judged as well: cases use many. */
static void many_handles_are_told_apart(void)
{
    enum { MANY = 1000, FIRST = LC_KIND_SOON << 12 };
    opens(0, LC_PROMISE_FIFO);
    for (uint16_t i = 1; i <= MANY; i++)
        soon((uint16_t)(FIRST + i));
    step();
    for (uint16_t i = 1; i <= MANY - 2; i++)
        called((uint16_t)(FIRST + i));
    CHECK(breaks(""));
    called(FIRST + MANY);
    CHECK(breaks("SOON-1") && strncmp(verdict.violations[0].text, "c1000 ran before c999,", 22) == 0);
}

/* ---- noise ---------------------------------------------------------------------------------------- */

/* Mostly plausible, so that the noise reaches the rules; every eighth value is anything. */
static struct lc_obs noise(uint64_t *seed)
{
    struct lc_obs obs = {.what = (uint8_t)(lc_random(seed) % (LC_WHAT_COUNT + 1)),
                         .code = (uint8_t)(lc_random(seed) % (LC_OP_PROGRAM_END + 1)),
                         .bits = (uint8_t)(lc_random(seed) % 16),
                         .handle = (uint16_t)(lc_random(seed) % 7 << 12 | lc_random(seed) % 4),
                         .thread = lc_random(seed) % 8 == 0,
                         .arg = lc_random(seed) % 8 ? 0x50 | lc_random(seed) % 4 : lc_random(seed),
                         .time_ns = lc_random(seed) % 8 ? lc_random(seed) % 256 : lc_random(seed),
                         .seq = (uint32_t)lc_random(seed)};
    const int32_t results[] = {0, 0, 0, 0, 1, -1, INT32_MIN, INT32_MAX};
    obs.result = results[lc_random(seed) % 8];
    if (lc_random(seed) % 4096 == 0)
        obs.handle = (uint16_t)lc_random(seed);
    return obs;
}

static bool is_a_verdict(const struct lc_judgement *judgement)
{
    if (judgement->count > LC_VIOLATIONS_MAX || memchr(judgement->owed, '\0', sizeof judgement->owed) == NULL)
        return false;
    for (size_t i = 0; i < judgement->count; i++) {
        const struct lc_violation *v = &judgement->violations[i];
        bool has_ends = memchr(v->rule, '\0', sizeof v->rule) && memchr(v->text, '\0', sizeof v->text);
        if (!has_ends || v->rule[0] == '\0' || strlen(v->text) < 12 || v->run > judgement->runs)
            return false;
    }
    return true;
}

/* Any array of records gets a verdict with well-formed sentences. */
static void noise_gets_a_verdict(void)
{
    uint64_t seed = 1;
    size_t judged = 0;
    for (int i = 0; i < 100000; i++) {
        size_t count = lc_random(&seed) % 48;
        struct lc_obs *records = malloc(count * sizeof *records + 1);
        for (size_t j = 0; j < count; j++)
            records[j] = noise(&seed);
        lc_monitor_judge(records, count, &verdict);
        CHECK(is_a_verdict(&verdict));
        judged += verdict.count;
        free(records);
    }
    CHECK(judged > 100000);
}

/* So do bytes that were never meant to be records. */
static void bytes_get_a_verdict(void)
{
    enum { RECORDS = 64, WORDS = sizeof(struct lc_obs) / sizeof(uint64_t) };
    static struct lc_obs records[RECORDS];
    uint64_t seed = 2;
    for (int i = 0; i < 500; i++) {
        for (size_t j = 0; j < RECORDS; j++) {
            uint64_t words[WORDS];
            for (size_t k = 0; k < WORDS; k++)
                words[k] = lc_random(&seed) & (i % 2 ? UINT64_MAX : UINT64_C(0x0f0f0f0f0f0f0f0f));
            memcpy(&records[j], words, sizeof records[j]);
        }
        lc_monitor_judge(records, RECORDS, &verdict);
        CHECK(is_a_verdict(&verdict));
    }
}

static const struct test tests[] = {
    TEST(owed_by_kind),
    TEST(owed_by_a_poll),
    TEST(owed_by_streams),
    TEST(runs_share_no_streams),
    TEST(unknown_ends_are_not_guessed),
    TEST(owed_timers),
    TEST(owed_to_the_destroyed),
    TEST(owed_nothing),
    TEST(runs_are_judged_apart),
    TEST(runs_share_nothing),
    TEST(before_any_run),
    TEST(refused_ops_do_nothing),
    TEST(violations_are_bounded),
    TEST(many_handles_are_told_apart),
    TEST(noise_gets_a_verdict),
    TEST(bytes_get_a_verdict),
};
TEST_MAIN(tests)
