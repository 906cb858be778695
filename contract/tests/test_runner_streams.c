/* The runner asks of streams only what they have to answer, leaves them the fds it gave them, counts every byte, and
 * never sleeps without a promise. */
#include <string.h>

#include "rig.h"
#include "testing/test.h"

/* What most programs here begin with: s1 is made and owns f1, whose other end is f2. */
#define S1_LIVES "pair f1 f2\nstream s1 f1\nstep\n"

enum { S1_LIVES_OPS = 3, FD_1 = LC_KIND_FD << 12 | 1 };

static struct lc_program program;

static void setup(uint32_t capabilities)
{
    rig_init(FAKE_CORRECT, capabilities);
}

/* How often this op, or anything (0), was recorded on a handle (0: any), refused or not. */
static size_t recorded(uint8_t what, uint8_t code, uint16_t handle)
{
    size_t count = 0;
    for (size_t i = 0; i < rig.trace_count; i++) {
        const struct lc_obs *obs = &rig.trace[i];
        count += obs->what == what && (code == 0 || obs->code == code) && (handle == 0 || obs->handle == handle);
    }
    return count;
}

/* Bytes that the runner took from the ends that it kept, or that streams were given. */
static uint64_t arrived(void)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < rig.trace_count; i++) {
        const struct lc_obs *obs = &rig.trace[i];
        if ((obs->what == LC_WHAT_OP && obs->code == LC_OP_TAKE) ||
            (obs->what == LC_WHAT_BEGIN && obs->code == LC_EVENT_DATA))
            bytes += obs->arg;
    }
    return bytes;
}

/* ---- guards ----------------------------------------------------------------------------------- */

struct guarded {
    const char *text; /* behind S1_LIVES, whose ops are not counted */
    uint32_t executed, ignored;
};

static void check_guarded(const struct guarded *programs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[512] = S1_LIVES;
        setup(RIG_CAPABILITIES | RIG_STREAMS);
        strncat(text, programs[i].text, sizeof text - sizeof S1_LIVES);
        CHECK(rig_counts(text, S1_LIVES_OPS + programs[i].executed, programs[i].ignored, 0));
    }
}

/* Before MADE nothing is asked of a stream but its end; without LC_CAP_MADE it lives at once. */
static void ops_wait_until_it_is_made(void)
{
    static const char text[] = "pair f1 f2\nstream s1 f1\nwrite s1\npause s1\nresume s1\nlimits s1\nwrite_eof s1\n"
                               "close s1\nabort s1\ndestroy s1\n";
    setup(RIG_CAPABILITIES | RIG_STREAMS);
    CHECK(rig_counts(text, 3, 7, 0));
    setup((RIG_CAPABILITIES | RIG_STREAMS) & ~(unsigned)LC_CAP_MADE);
    CHECK(rig_counts(text, 10, 0, 0));
}

/* What was asked for once is not asked for again, and an end is the end: after it only stronger ones may come. */
static void ops_need_a_stream_that_lives(void)
{
    static const struct guarded programs[] = {
        {"write s1 5\npause s1\nresume s1\nlimits s1 5\nwrite_eof s1\nclose s1\nabort s1\n", 7, 0},
        {"pause s1\npause s1\nresume s1\nresume s1\n", 2, 2},
        {"write_eof s1\nwrite_eof s1\nwrite s1\npause s1\nresume s1\nlimits s1\n", 4, 2},
        {"close s1\nwrite s1\npause s1\nlimits s1\nwrite_eof s1\nclose s1\nabort s1\nabort s1\nclose s1\n", 2, 7},
        {"pause s1\nclose s1\nresume s1\n", 2, 1},
        {"close s1\nstep\nwrite s1\npause s1\nlimits s1\nwrite_eof s1\nabort s1\ndestroy s1\ndestroy s1\n", 3, 6},
        {"destroy s1\nwrite s1\npause s1\nclose s1\nabort s1\nstep\nstream s1 f2\nwrite s1\n", 2, 6},
        {"cancel s1\nrearm s1\npost p1\n", 0, 3},
        {"write s2\npause s2\nclose s2\ndestroy s2\n", 0, 4},
    };
    check_guarded(programs, sizeof programs / sizeof *programs);
}

/* What a loop cannot do with streams is not asked of it. */
static void capabilities_bound_what_is_asked(void)
{
    static const char text[] = S1_LIVES "limits s1 5\nwrite_eof s1\nclose s1\nabort s1\n";
    static const uint32_t missing[] = {LC_CAP_FLOW, LC_CAP_WRITE_EOF, LC_CAP_FLUSH, LC_CAP_STREAM};
    static const uint32_t ignored[] = {1, 1, 2, 5};
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        setup((RIG_CAPABILITIES | RIG_STREAMS) & ~missing[i]);
        CHECK(rig_counts(text, 7 - ignored[i], ignored[i], 0));
    }
}

/* An fd that a stream has taken over is no longer the runner's: not its bytes, its end, its watchers, its number. */
static void stream_owns_its_fd(void)
{
    static const struct guarded programs[] = {
        {"put f1\ntake f1\nfill f1\nshut f1\nhangup f1\nrst f1\nrecycle f1\nwatch w1 f1 in\nstream s2 f1\n", 0, 9},
        {"recycle f2\nput f2\ntake f2\nwatch w1 f2 in\n", 3, 1},
        {"close s1\nstep\nput f1\nrecycle f1\nrecycle f2\nstream s2 f1\npair f1 f3\n", 2, 5},
        {"destroy s1\nstep\nrst f1\nrecycle f2\nwatch w1 f1 in\n", 2, 3},
        {"stream s2 f2\nput f2\nrecycle f2\n", 1, 2},
        {"pair f3 f4\nwatch w1 f3 in\nstream s2 f3\nrearm w1\ncancel w1\ndestroy w1\n", 4, 2},
    };
    check_guarded(programs, sizeof programs / sizeof *programs);
    setup(RIG_CAPABILITIES | RIG_STREAMS); /* one that was shut before sends nothing more */
    CHECK(rig_counts("pair f1 f2\nshut f1\nstream s1 f1\nstep\nwrite s1\nwrite_eof s1\npause s1\nclose s1\n", 6, 2, 0));
}

/* When a stream has closed its fd, the next file may have its number: it is neither looked at nor closed with it. */
static void number_of_a_closed_fd_is_another_files(void)
{
    setup(RIG_CAPABILITIES | RIG_STREAMS);
    CHECK(rig_counts(S1_LIVES "close s1\nstep\npair f3 f4\nput f4 5\nput f2 5\ntake f3\nput f4 1\nstep\n", 10, 1, 0));
    bool is_lost = false;
    for (size_t i = 0; i < rig.trace_count; i++) {
        const struct lc_obs *obs = &rig.trace[i];
        is_lost |= obs->what == LC_WHAT_BEGIN && obs->code == LC_EVENT_LOST;
        CHECK(!is_lost || obs->what != LC_WHAT_FD || obs->handle != FD_1 || obs->bits == 0);
    }
    CHECK(is_lost && arrived() == 5 && rig.loop.kernel.base.open_fds(&rig.loop.kernel) == 0);
}

/* An end that is hung up or reset is closed once, and its watchers are cancelled and stale; the other end lives. */
static void hangup_cancels_watchers(void)
{
    static const char *const verbs[] = {"hangup", "rst"};
    for (size_t i = 0; i < 2; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "pair f1 f2\nwatch w1 f1 in\nwatch w2 f2 in\n%s f1\nrearm w1\ncancel w1\nput f1\n%s f1\nwatch w3 f1 "
                 "in\nstep\nrecycle f2\n",
                 verbs[i], verbs[i]);
        setup(RIG_CAPABILITIES | RIG_STREAMS);
        CHECK(rig_counts(text, 5, 6, 0));
        CHECK(recorded(LC_WHAT_OP, LC_OP_CANCEL, 0) == 1 && recorded(LC_WHAT_BEGIN, LC_EVENT_READY, 0) >= 1);
        CHECK(rig.loop.kernel.base.open_fds(&rig.loop.kernel) == 0);
    }
}

/* Faults are for kernels that have them, one at least and eight at most. */
static void faults_are_few(void)
{
    static const struct {
        const char *text;
        uint64_t calls;
    } faults[] = {{"fault eagain\n", 1}, {"fault short_read 8\n", 8}, {"fault eintr 9\n", 8}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        setup(RIG_CAPABILITIES | RIG_STREAMS);
        CHECK(rig_counts(faults[i].text, 1, 0, 0));
        size_t at = 0;
        while (rig.trace[at].what != LC_WHAT_OP)
            at++;
        CHECK(rig.trace[at].code == LC_OP_FAULT && rig.trace[at].arg == faults[i].calls);
    }
}

/* ---- promises --------------------------------------------------------------------------------- */

/* Streams that work, wait for their turn or cannot go on: how many steps are let sleep, of those that a program has? */
static void waits_for_what_is_promised(void)
{
    static const struct {
        const char *text;
        unsigned sleeps; /* more than for MADE */
    } programs[] = {
        {"", 0},
        {"step\n", 0},
        {"put f2\nstep\nstep\n", 1},
        {"pause s1\nput f2\nstep\n", 0},
        {"shut f2\nstep\nstep\n", 1},
        {"hangup f2\nstep\n", 1},
        {"write s1 5000\nstep\n", 0},
        {"close s1\nstep\nstep\n", 1},
        {"write s1 5\nclose s1\nstep\ntake f2\n", 0}, /* it may wait for the other side to take them */
        {"write s1 5\nclose s1\ntake f2\nstep\n", 1},
        {"write s1 5\nabort s1\nstep\n", 1},
        {"write s1 5\nhangup f2\nclose s1\nstep\n", 1},
        {"destroy s1\nstep\n", 1},
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        char text[256] = S1_LIVES;
        setup(RIG_CAPABILITIES | RIG_STREAMS);
        rig_run_text(strncat(text, programs[i].text, sizeof text - sizeof S1_LIVES));
        CHECK(rig.judgement.count == 0 && rig.loop.rescues == 0 && rig.loop.sleeps == 1 + programs[i].sleeps);
    }
}

/* No program of streams is let sleep without a promise, and what is refused promises nothing. */
static void never_waits_for_nothing(void)
{
    static const uint8_t refused[] = {
        0, LC_OP_WRITE, LC_OP_WRITE_EOF, LC_OP_PAUSE, LC_OP_RESUME, LC_OP_LIMITS, LC_OP_FLUSH, LC_OP_ABORT};
    for (size_t i = 0; i < sizeof refused; i++) {
        setup(RIG_CAPABILITIES | RIG_STREAMS);
        rig.loop.refuses = refused[i];
        for (uint64_t seed = 0; seed < RIG_PROGRAMS; seed++) {
            rig_generate(&program, seed);
            rig_run(&program);
            if (rig.loop.rescues > 0 || rig.judgement.count > 0)
                rig_print("refused", &program);
            CHECK(rig.loop.rescues == 0 && rig.judgement.count == 0);
        }
    }
}

/* ---- bytes -------------------------------------------------------------------------------------- */

/* Whatever the sizes, all that was written arrives in the end, and a stream that is closed has its end seen. */
static void drain_takes_everything(void)
{
    static const char *const texts[] = {
        S1_LIVES "write s1 65535\nwrite s1 1\nclose s1\n",
        "pair f1 f2\nfill f1\nstream s1 f1\nstep\nwrite s1 61440\n",
        "pair f1 f2\nstream s1 f1\nstream s2 f2\nstep\nwrite s1 65535\nwrite s2 1\n",
        "pair f1 f2\nput f2 4096\nstream s1 f1\nstep\nwrite s1 61440\nfault eagain 8\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        setup(RIG_CAPABILITIES | RIG_STREAMS);
        rig_run_text(texts[i]);
        CHECK(rig.judgement.count == 0 && rig.loop.rescues == 0);
        CHECK(arrived() == 65536 && recorded(LC_WHAT_DRAINED, 0, 0) == 1);
    }
}

/* Without streams nothing is drained; what nobody will ever take does not keep the drain from its end; attachments do
 * not run in it. */
static void drain_ends(void)
{
    setup(RIG_CAPABILITIES | RIG_STREAMS);
    CHECK(rig_counts("pair f1 f2\nput f1 5\n", 2, 0, 0) && recorded(LC_WHAT_DRAINED, 0, 0) == 0);
    CHECK(recorded(LC_WHAT_OP, LC_OP_TAKE, 0) == 0);
    CHECK(rig_counts("pair f1 f2\nstream s1 f1\nstream s2 f2\nstep\npause s2\nwrite s1 9000\n", 6, 0, 0));
    CHECK(recorded(LC_WHAT_DRAINED, 0, 0) == 1 && arrived() == 0);
    CHECK(rig_counts(S1_LIVES "write s1 5000\non s1.resume_writing: write s1 5000\n", 4, 0, 1) && arrived() == 5000);
}

/* A write inside PAUSE_WRITING comes behind the one that it interrupts, and each byte has its position. */
static void nested_writes_have_their_positions(void)
{
    setup(RIG_CAPABILITIES | RIG_STREAMS);
    CHECK(rig_counts(S1_LIVES "limits s1 10\non s1.pause_writing: write s1 100\nwrite s1 5000\nwrite s1 7\n", 7, 0, 0));
    CHECK(arrived() == 5107 && recorded(LC_WHAT_BEGIN, LC_EVENT_PAUSE_WRITING, 0) == 1);
    CHECK(rig_counts(S1_LIVES "write s1 4500\non s1.pause_writing: close s1\nlimits s1 10\nwrite s1\n", 6, 1, 0));
    CHECK(arrived() == 4500);
}

/* Bytes of a refused write were never sent: the next write begins where it did. */
static void refused_writes_count_no_bytes(void)
{
    setup(RIG_CAPABILITIES | RIG_STREAMS);
    rig.loop.refuses = LC_OP_WRITE;
    CHECK(rig_counts(S1_LIVES "write s1 5\nwrite s1 7\nwrite s1 11\nwrite s1 13\ntake f2\nclose s1\n", 7, 2, 0));
    CHECK(arrived() == 20 && recorded(LC_WHAT_OP, LC_OP_WRITE, 0) == 6);
}

/* What was refused may be asked for again, and changed nothing. */
static void refused_ops_change_nothing(void)
{
    static const struct {
        uint8_t refuses;
        const char *text;
        uint32_t executed, ignored;
    } programs[] = {
        {LC_OP_WRITE_EOF, "write_eof s1\nwrite s1 5\nwrite_eof s1\nwrite s1\n", 2, 2},
        {LC_OP_FLUSH, "close s1\nwrite s1 5\nput f2 5\nstep\nclose s1\nclose s1\nstep\n", 5, 2},
        {LC_OP_ABORT, "abort s1\npause s1\nabort s1\nstep\n", 3, 1},
        {LC_OP_ABORT, "close s1\nabort s1\nwrite s1\nstep\n", 2, 2},
        {LC_OP_PAUSE, "pause s1\nresume s1\nput f2 5\nstep\npause s1\nresume s1\n", 4, 2},
        {LC_OP_RESUME, "pause s1\nresume s1\npause s1\nresume s1\nput f2 5\nstep\n", 4, 2},
        {LC_OP_LIMITS, "limits s1 5\nlimits s1 5\nwrite s1 5\n", 2, 1},
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        char text[256] = S1_LIVES;
        setup(RIG_CAPABILITIES | RIG_STREAMS);
        rig.loop.refuses = programs[i].refuses;
        strncat(text, programs[i].text, sizeof text - sizeof S1_LIVES);
        CHECK(rig_counts(text, S1_LIVES_OPS + programs[i].executed, programs[i].ignored, 0));
    }
}

/* An fd that was offered in vain is still the runner's, may be offered again, and is closed in the end. */
static void refused_stream_gives_its_fd_back(void)
{
    setup(RIG_CAPABILITIES | RIG_STREAMS);
    rig.loop.refuses = LC_OP_STREAM;
    CHECK(rig_counts(S1_LIVES "write s1\nput f2 5\ntake f1\nwatch w1 f1 out\ndestroy s1\nstep\n", 7, 2, 0));
    CHECK(rig.loop.kernel.base.open_fds(&rig.loop.kernel) == 0);
    CHECK(rig_counts(S1_LIVES "put f2 5\nstream s2 f1\nput f1\nstep\nstep\n", 6, 2, 0) && arrived() == 5);
}

/* On a real clock a loop that reads by time and not by turns is given the time, and one that does not read is found. */
static void gives_time_on_a_real_clock(void)
{
    static const char text[] = S1_LIVES "put f2 5\nstep poll\nstep poll\nstep poll\nput f2 5\n"
                                        "step poll\nstep poll\nstep poll\nstep poll\nstep poll\nstep poll\ndestroy s1";
    static const struct {
        int defect;
        bool is_exact;
        const char *rule;
    } loops[] = {{FAKE_CORRECT, false, NULL},
                 {FAKE_STREAM_READS_LATE, false, NULL},
                 {FAKE_STREAM_READS_LATE, true, "STREAM-8"},
                 {FAKE_STREAM_READS_ONCE, false, "STREAM-8"},
                 {FAKE_STREAM_READS_ONCE, true, "STREAM-8"}};
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        rig_init(loops[i].defect, RIG_CAPABILITIES | RIG_STREAMS);
        rig.loop.base.is_exact = loops[i].is_exact;
        rig_run_text(text);
        CHECK(loops[i].rule != NULL ? rig_is_broken(loops[i].rule) : rig.judgement.count == 0 && arrived() == 10);
    }
}

static const struct test tests[] = {
    TEST(ops_wait_until_it_is_made),
    TEST(ops_need_a_stream_that_lives),
    TEST(capabilities_bound_what_is_asked),
    TEST(stream_owns_its_fd),
    TEST(number_of_a_closed_fd_is_another_files),
    TEST(hangup_cancels_watchers),
    TEST(faults_are_few),
    TEST(waits_for_what_is_promised),
    TEST(never_waits_for_nothing),
    TEST(drain_takes_everything),
    TEST(drain_ends),
    TEST(nested_writes_have_their_positions),
    TEST(refused_writes_count_no_bytes),
    TEST(refused_ops_change_nothing),
    TEST(refused_stream_gives_its_fd_back),
    TEST(gives_time_on_a_real_clock),
};
TEST_MAIN(tests)
