/* Generated programs of streams are productive: on a correct loop most of them move bytes, and each sort of thing that
 * can happen to a stream happens in a fair share of them. */
#include <string.h>

#include "rig.h"
#include "testing/test.h"

enum { PROGRAMS = 4000 };

/* What happened in a program, and in how many of a hundred it has to. */
enum happening {
    MOVES_BYTES, /* both ways count, also what a stream sends to the runner's end */
    SEES_DATA,
    SENDS_BYTES,
    SEES_EOF,
    IS_LOST,
    IS_LOST_BY_ERROR,
    PAUSES_WRITING,
    RESUMES_WRITING,
    FLUSHES_HELD, /* bytes still waited when it was closed */
    ABORTS_HELD,
    DESTROYS_HELD,
    READS_AFTER_PAUSE,
    ACTS_INSIDE, /* an op on a stream ran inside a stream's callback */
    JOINS_STREAMS,
    MEETS_FAULT,
    DRAINS,
    RAISES, /* in a callback of a stream */
    HAPPENINGS
};

static const struct {
    const char *name;
    unsigned least;
} happenings[HAPPENINGS] = {
    [MOVES_BYTES] = {"moves bytes", 70},
    [SEES_DATA] = {"sees data", 50},
    [SENDS_BYTES] = {"sends bytes", 38},
    [SEES_EOF] = {"sees the end of file", 25},
    [IS_LOST] = {"is lost", 42},
    [IS_LOST_BY_ERROR] = {"is lost by an error", 20},
    [PAUSES_WRITING] = {"pauses writing", 30},
    [RESUMES_WRITING] = {"resumes writing", 15},
    [FLUSHES_HELD] = {"closes with bytes held", 6},
    [ABORTS_HELD] = {"aborts with bytes held", 6},
    [DESTROYS_HELD] = {"destroys with bytes held", 4},
    [READS_AFTER_PAUSE] = {"reads after a pause", 5},
    [ACTS_INSIDE] = {"acts inside a callback", 17},
    [JOINS_STREAMS] = {"has a stream at both ends", 33},
    [MEETS_FAULT] = {"meets a fault", 24},
    [DRAINS] = {"is drained", 88},
    [RAISES] = {"raises in a callback", 8},
};

static struct lc_program program;
static unsigned counts[HAPPENINGS];
static unsigned stream_programs, ops, executed;

struct history {
    bool has[HAPPENINGS];
    bool was_paused[256]; /* by number of the handle */
    bool is_owned[256];
    unsigned peer[256];
    unsigned depth; /* callbacks of streams */
};

static unsigned number_of(uint16_t handle)
{
    return (unsigned)LC_WIDE_KIND(handle) << 4 | (LC_WIDE_INDEX(handle) & 15u);
}

static bool is_of_a_stream(const struct lc_obs *obs)
{
    return LC_WIDE_KIND(obs->handle) == LC_KIND_STREAM;
}

static void see_op(struct history *h, const struct lc_obs *obs)
{
    const unsigned number = number_of(obs->handle);
    if (obs->result < 0)
        return;
    if (obs->code == LC_OP_PAIR || obs->code == LC_OP_TCP) {
        h->peer[number] = (unsigned)obs->arg;
        h->peer[obs->arg & 255] = number;
    }
    if (obs->code == LC_OP_STREAM) {
        h->is_owned[obs->arg & 255] = true;
        h->has[JOINS_STREAMS] |= h->is_owned[h->peer[obs->arg & 255]];
    }
    if (obs->code == LC_OP_TAKE && obs->arg > 0 && h->is_owned[h->peer[number]])
        h->has[MOVES_BYTES] = h->has[SENDS_BYTES] = true;
    if (obs->code == LC_OP_PAUSE)
        h->was_paused[number] = true;
    h->has[ACTS_INSIDE] |= h->depth > 0 && is_of_a_stream(obs);
    h->has[RAISES] |= obs->code == LC_OP_RAISE && is_of_a_stream(obs);
    h->has[MEETS_FAULT] |= obs->code == LC_OP_FAULT;
}

static void see_begin(struct history *h, const struct lc_obs *obs)
{
    if (!is_of_a_stream(obs))
        return;
    h->depth++;
    if (obs->code == LC_EVENT_DATA)
        h->has[MOVES_BYTES] = h->has[SEES_DATA] = true;
    h->has[READS_AFTER_PAUSE] |= obs->code == LC_EVENT_DATA && h->was_paused[number_of(obs->handle)];
    h->has[SEES_EOF] |= obs->code == LC_EVENT_EOF;
    h->has[IS_LOST] |= obs->code == LC_EVENT_LOST;
    h->has[IS_LOST_BY_ERROR] |= obs->code == LC_EVENT_LOST && obs->result < 0;
    h->has[PAUSES_WRITING] |= obs->code == LC_EVENT_PAUSE_WRITING;
    h->has[RESUMES_WRITING] |= obs->code == LC_EVENT_RESUME_WRITING;
}

static void count_happenings(void)
{
    struct history history = {.depth = 0};
    for (size_t i = 0; i < rig.trace_count; i++) {
        const struct lc_obs *obs = &rig.trace[i];
        if (obs->what == LC_WHAT_OP)
            see_op(&history, obs);
        else if (obs->what == LC_WHAT_BEGIN)
            see_begin(&history, obs);
        else if (obs->what == LC_WHAT_END && is_of_a_stream(obs))
            history.depth--;
        history.has[DRAINS] |= obs->what == LC_WHAT_DRAINED;
    }
    history.has[FLUSHES_HELD] = rig.loop.has_held[LC_OP_FLUSH];
    history.has[ABORTS_HELD] = rig.loop.has_held[LC_OP_ABORT];
    history.has[DESTROYS_HELD] = rig.loop.has_held[LC_OP_DESTROY];
    for (unsigned i = 0; i < HAPPENINGS; i++)
        counts[i] += history.has[i];
}

static bool has_streams(void)
{
    for (size_t i = 0; i < program.count; i++)
        if (program.ops[i].op == LC_OP_STREAM)
            return true;
    return false;
}

static void measure(void)
{
    rig_init(FAKE_CORRECT, RIG_CAPABILITIES | RIG_STREAMS);
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        rig_generate(&program, seed);
        if (!has_streams())
            continue;
        rig_run(&program);
        stream_programs++;
        ops += rig.stats.ops;
        executed += rig.stats.executed;
        count_happenings();
    }
    rig_dispose();
}

/* Where a loop has streams, half of the programs are about them, and most of their ops execute. */
static void half_of_the_programs_have_streams(void)
{
    measure();
    CHECK(stream_programs * 100 > PROGRAMS * 40 && stream_programs * 100 < PROGRAMS * 60);
    CHECK(executed * 100 > ops * 65);
}

/* Everything that can happen to a stream happens often enough. */
static void everything_happens(void)
{
    bool is_enough = true;
    for (unsigned i = 0; i < HAPPENINGS; i++) {
        const unsigned share = counts[i] * 100 / stream_programs;
        const bool is_rare = share < happenings[i].least;
        if (is_rare)
            printf("%s: %u of 100 programs, not %u\n", happenings[i].name, share, happenings[i].least);
        is_enough &= !is_rare;
    }
    CHECK(is_enough);
}

static const struct test tests[] = {
    TEST(half_of_the_programs_have_streams),
    TEST(everything_happens),
};
TEST_MAIN(tests)
