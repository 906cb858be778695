/* The runner asks of a loop only what it has to answer, runs each attachment once, counts every op, and ends. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "rig.h"
#include "testing/test.h"

enum { NS_A_MS = 1000000 };

static struct lc_program program;

static void setup(uint32_t capabilities)
{
    rig_init(FAKE_CORRECT, capabilities);
}

/* Were these ops asked of the loop, in this order? Each as "soon c1", a comma between two; the closing part is left
 * out. */
static bool asked(const char *expected)
{
    char found[512] = "";
    for (size_t i = 0; i < rig.trace_count; i++) {
        const struct lc_obs *obs = &rig.trace[i];
        char handle[8];
        bool is_of_the_kernel = LC_WIDE_KIND(obs->handle) == LC_KIND_FD && obs->code != LC_OP_RECYCLE;
        if (obs->what != LC_WHAT_OP || obs->code == LC_OP_DESTROY || is_of_the_kernel)
            continue;
        lc_handle_format((uint8_t)(LC_WIDE_KIND(obs->handle) << 4 | LC_WIDE_INDEX(obs->handle)), handle);
        size_t length = strlen(found);
        snprintf(found + length, sizeof found - length, "%s%s %s", length > 0 ? ", " : "", lc_op_forms[obs->code].name,
                 handle);
    }
    if (strcmp(found, expected) == 0)
        return true;
    printf("asked \"%s\", not \"%s\"\n", found, expected);
    return false;
}

/* ---- attachments ------------------------------------------------------------------------------ */

/* Ops attached to one handle run first in, first out, each once, in the next callback of their event. */
static void attachments_fire_once_in_order(void)
{
    setup(RIG_CAPABILITIES);
    CHECK(rig_counts("on c1: timer t1 1ms\non c1: soon c2\non c1.soon: soon c3\non c1: rearm c1\nsoon c1\nstep\nstep\n",
                     7, 0, 0));
    CHECK(asked("soon c1, timer t1, soon c2, soon c3, rearm c1"));
    CHECK(rig_counts("soon c1\nstep\non c1: soon c2\nrearm c1\nstep\nrearm c1\nstep\n", 7, 0, 0));
    CHECK(asked("soon c1, rearm c1, soon c2, rearm c1"));
}

/* An attachment waits for its event, also through other callbacks of the handle; one that never fires is counted. */
static void attachments_wait_for_their_event(void)
{
    setup(RIG_CAPABILITIES);
    CHECK(rig_counts("on c1.closed: soon c2\nsoon c1\nstep\ndestroy c1\nstep\n", 5, 0, 0));
    CHECK(rig_counts("on c1.closed: soon c2\nsoon c1\nstep\n", 2, 0,
                     1)); /* the runner's own destroy is not the program's */
    CHECK(rig_counts("on c1.timer: soon c2\non t1: soon c3\nsoon c1\nstep\n", 2, 0, 2));
    CHECK(rig_counts("on c1: cancel c2\nsoon c1\nstep\n", 2, 1, 0));
}

/* ---- guards ----------------------------------------------------------------------------------- */

/* A step or a run inside a callback is refused. */
static void turns_do_not_nest(void)
{
    setup(RIG_CAPABILITIES);
    CHECK(rig_counts("soon c1\non c1: step\non c1: step poll\non c1: run\nstep\n", 2, 3, 0));
    CHECK(rig_counts("soon c1\non c1: step\non c1: run\nrun\n", 2, 2, 0));
    for (uint64_t seed = 0; seed < RIG_PROGRAMS; seed++) {
        rig_generate(&program, seed);
        for (size_t i = 0; i < program.count; i++)
            if (program.ops[i].op == LC_OP_STEP && i % 2)
                program.ops[i].on = 0x11;
        rig_run(&program);
    }
    CHECK(rig.loop.depth_max == 1);
}

static bool may_sleep(const char *text)
{
    setup(RIG_CAPABILITIES);
    rig_run_text(text);
    CHECK(rig.loop.rescues == 0 && rig.judgement.count == 0);
    return rig.loop.sleeps > 0;
}

/* Sleeping is not asked for when nothing is promised that ends it; nor is a run, which sleeps. */
static void waits_not_for_nothing(void)
{
    static const char *const texts[] = {
        "step\n",
        "waker p1\nstep\n",
        "pair f1 f2\nwatch w1 f1 in\nstep\n",
        "pair f1 f2\nput f2 1\nwatch w1 f1 in\ncancel w1\nstep\n",
        "soon c1\ncancel c1\nstep\n",
        "timer t1 1ms\ncancel t1\nstep\n",
        "timer t1 18446744073709551615ns\nstep\n",
        "timer t1 4611686018427387904ns\nstep\n",
        "run\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        CHECK(!may_sleep(texts[i]));
}

/* Sleeping is asked for when a callback, a timer, a post, a ready fd or a CLOSED will end it. */
static void waits_for_what_is_promised(void)
{
    static const char *const texts[] = {
        "soon c1\nstep\n",
        "timer t1 1000000000ms\nstep\n",
        "waker p1\npost p1\nstep\n",
        "waker p1\npost p1 200us\nstep\n",
        "pair f1 f2\nwatch w1 f1 out\nstep\n",
        "soon c1\ndestroy c1\nstep\n",
        "soon c1\nrun\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        CHECK(may_sleep(texts[i]));
}

/* On a real clock the runner sleeps for timers of up to 50 ms, and lets at most 20 ms pass at once. */
static void real_time_is_spent_sparingly(void)
{
    static const char *const texts[] = {"timer t1 50ms\nstep\n", "timer t1 51ms\nstep\n"};
    for (unsigned i = 0; i < 2; i++) {
        setup(RIG_CAPABILITIES);
        rig.loop.base.is_exact = false;
        rig_run_text(texts[i]);
        CHECK(rig.loop.sleeps == (i == 0) && rig.stats.callbacks == 1 + (i == 0));
    }
    for (int is_exact = 0; is_exact < 2; is_exact++) {
        setup(RIG_CAPABILITIES);
        rig.loop.base.is_exact = is_exact;
        rig_run_text("advance 1000ms\n");
        CHECK(rig.loop.kernel.now_ns == rig.trace[0].time_ns + (is_exact ? 1000u : 20u) * NS_A_MS);
    }
}

/* A run is stopped once: by the program, or by the runner after the callbacks that were asked for. */
static void run_is_stopped_once(void)
{
    setup(RIG_CAPABILITIES);
    CHECK(rig_counts("soon c1\non c1: stop\non c1: stop\nrun 5\n", 3, 1, 0));
    CHECK(asked("soon c1, stop -"));
    CHECK(rig_counts("soon c1\non c1: stop\nstep\n", 2, 1, 0)); /* not in a run */
    CHECK(rig_counts("pair f1 f2\nwatch w1 f1 out\nrun 3\n", 3, 0, 0));
    CHECK(asked("watch w1, stop -") && rig.stats.callbacks == 3 + 4 + 1); /* then four steps, and CLOSED */
    for (uint64_t seed = 0; seed < RIG_PROGRAMS; seed++) {
        rig_generate(&program, seed);
        rig_run(&program);
    }
    CHECK(rig.loop.stops_max == 1);
}

/* What a loop cannot do is not asked of it. */
static void capabilities_bound_what_is_asked(void)
{
    setup(LC_CAP_TURNS);
    CHECK(rig_counts("soon c1\nrun\n", 1, 1, 0));
    CHECK(rig_counts("soon c1\non c1: raise\non c1: stop\nstep\n", 2, 2, 0));
    setup(RIG_CAPABILITIES);
    CHECK(rig_counts("pair f1 f2\nwatch w1 f1 in\nwatch w2 f1 out\n", 2, 1, 0));
    CHECK(rig_counts("pair f1 f2\nwatch w1 f1 in\ncancel w1\nwatch w2 f1 out\nrearm w1\n", 4, 1, 0));
    setup(RIG_CAPABILITIES | LC_CAP_MULTI);
    CHECK(rig_counts("pair f1 f2\nwatch w1 f1 in\nwatch w2 f1 out\n", 3, 0, 0));
}

/* A callback ends by one exception at most; CLOSED and top level by none. */
static void raise_is_for_callbacks(void)
{
    setup(RIG_CAPABILITIES);
    CHECK(rig_counts("soon c1\non c1: raise\non c1: raise\nstep\n", 3, 1, 0));
    CHECK(asked("soon c1, raise c1"));
    CHECK(rig_counts("raise\n", 0, 1, 0));
    CHECK(rig_counts("soon c1\non c1.closed: raise\ndestroy c1\nstep\n", 3, 1, 0));
    rig.loop.is_closing_at_once = true; /* CLOSED of c2 inside c1's callback must not take c1's exception */
    CHECK(rig_counts("soon c1\nsoon c2\non c1: raise\non c1: destroy c2\nstep\n", 5, 0, 0));
    CHECK(rig_counts("soon c1\nsoon c2\non c1: destroy c2\non c2.closed: raise\non c1: raise\nstep\n", 5, 1, 0));
}

/* An exit leaves the step or run it comes in, and what was due comes in the next; elsewhere nobody is asked for one. */
static void exit_is_for_turns(void)
{
    static const char *const kinds[] = {"raise 3", "raise 4"};
    for (size_t i = 0; i < 2; i++) {
        char text[128] = "soon c1\nsoon c2\non c2.soon: soon c3\non c1: ";
        strcat(strcat(text, kinds[i]), "\nstep\nstep\nstep\n");
        setup(RIG_CAPABILITIES);
        CHECK(rig_counts(text, 7, 0, 0) && asked("soon c1, soon c2, raise c1, soon c3"));
        setup(RIG_CAPABILITIES & ~(unsigned)LC_CAP_EXIT);
        CHECK(rig_counts(text, 6, 1, 0));
    }
    setup(RIG_CAPABILITIES | RIG_STREAMS);
    CHECK(rig_counts("pair f1 f2\nstream s1 f1\nstep\non s1.eof: raise 3\non s1.pause_writing: raise 3\nshut f2\n"
                     "step\nlimits s1\nfill f2\nwrite s1 5000\non s1.lost: raise 3\nabort s1\nstep\n",
                     10, 3, 0));
}

struct refused {
    const char *text;
    uint32_t executed, ignored;
};

static void check_refused(const struct refused *programs, size_t count)
{
    setup(RIG_CAPABILITIES);
    for (size_t i = 0; i < count; i++)
        CHECK(rig_counts(programs[i].text, programs[i].executed, programs[i].ignored, 0));
}

/* An op on a handle that is not there, or not in the state for it, does nothing. */
static void ops_need_their_handles(void)
{
    static const struct refused programs[] = {
        {"nop\n", 0, 1},
        {"soon c1\nsoon c1\n", 1, 1},
        {"timer t1 1ms\nat t1 1ms\n", 1, 1},
        {"cancel c1\ncancel t1\ncancel w1\n", 0, 3},
        {"soon c1\nrearm c1\n", 1, 1},
        {"soon c1\ncancel c1\nrearm c1\n", 3, 0},
        {"rearm t1\ndestroy t1\n", 0, 2},
        {"soon c1\ndestroy c1\ndestroy c1\ncancel c1\nrearm c1\nsoon c1\n", 2, 4},
        {"post p1\n", 0, 1},
        {"waker p1\ncancel p1\nrearm p1\nwaker p1\n", 1, 3},
        {"waker p1\npost p1 200us\ndestroy p1\nstep\n", 3, 1},
        {"waker p1\npost p1 200us\nstep\ndestroy p1\n", 4, 0},
        {"waker p1\ndestroy p1\npost p1\n", 2, 1},
    };
    check_refused(programs, sizeof programs / sizeof *programs);
}

/* So does one on an fd that is not there; a watcher whose fd was recycled may only be destroyed. */
static void ops_need_their_fds(void)
{
    static const struct refused programs[] = {
        {"watch w1 f1 in\nput f1\ntake f1\nfill f1\nshut f1\nrecycle f1\n", 0, 6},
        {"pair f1 f2\npair f2 f3\npair f3 f1\npair f3 f4\n", 2, 2},
        {"pair f1 f2\nput f1 4\ntake f2\nfill f1\nshut f1\n", 5, 0},
        {"pair f1 f2\nshut f1\nput f1\n", 2, 1},
        {"pair f1 f2\nwatch w1 f1 in\nrecycle f1\nrearm w1\ndestroy w1\n", 4, 1},
        {"pair f1 f2\nwatch w1 f2 in\nrecycle f1\nrearm w1\n", 3, 1},
        {"pair f1 f2\nwatch w1 f1 in\nrecycle f1\nwatch w2 f1 in\n", 4, 0},
    };
    check_refused(programs, sizeof programs / sizeof *programs);
}

/* ---- whole runs --------------------------------------------------------------------------------- */

/* Every op of a program is executed, ignored or unfired, whatever the loop does; callbacks are counted as they are
 * traced, but for those on another thread. */
static void counts_add_up(void)
{
    for (int defect = FAKE_OPEN_FAILS + 1; defect < FAKE_DEFECTS; defect++) {
        const bool is_elsewhere = defect == FAKE_STREAM_ON_THREAD || defect == FAKE_POST_CALLS_BACK;
        rig_init(defect, RIG_CAPABILITIES | RIG_STREAMS | (defect % 2 ? LC_CAP_MULTI : 0));
        for (uint64_t seed = 0; seed < RIG_PROGRAMS / 10; seed++) {
            const struct lc_stats *s = &rig.stats;
            rig_generate(&program, seed);
            rig_run(&program);
            CHECK(s->ops == program.count && s->executed + s->ignored + s->unfired == s->ops);
            CHECK(s->callbacks == rig.judgement.callbacks || is_elsewhere);
            CHECK(rig.judgement.runs == 1);
        }
    }
}

/* The same program gives the same trace, record by record, and leaves no fd behind. */
static void same_program_same_trace(void)
{
    setup(RIG_CAPABILITIES | RIG_STREAMS);
    for (uint64_t seed = 0; seed < RIG_PROGRAMS / 4; seed++) {
        rig_generate(&program, seed);
        rig_run(&program);
        CHECK(rig.loop.kernel.base.open_fds(&rig.loop.kernel) == 0);
        const size_t count = rig.trace_count;
        struct lc_obs *first = rig.trace;
        rig.trace = NULL;
        rig_run(&program);
        CHECK(rig.trace_count == count && memcmp(rig.trace, first, count * sizeof *first) == 0);
        free(first);
    }
}

/* A trace begins with what the loop is and ends with what it left; handles end in CLOSED before the loop is closed. */
static void trace_has_its_frame(void)
{
    setup(RIG_CAPABILITIES);
    rig_run_text("soon c1\nstep\ntimer t1 1ms\npair f1 f2\nwatch w1 f1 in\nwaker p1\n");
    const struct lc_obs *trace = rig.trace, *last = &trace[rig.trace_count - 1];
    CHECK(trace[0].what == LC_WHAT_OPEN && trace[0].handle == 7 && (uint32_t)trace[0].arg == RIG_CAPABILITIES);
    CHECK(trace[1].what == LC_WHAT_TERMS && trace[1].arg == 1 && trace[1].bits == 1);
    CHECK(trace[2].what == LC_WHAT_FDS && last[0].what == LC_WHAT_FDS && trace[2].arg == last[0].arg);
    CHECK(last[-1].what == LC_WHAT_CLOSED && last[-1].result == 0);
    size_t closed = 0;
    for (size_t i = 0; i < rig.trace_count; i++)
        closed += trace[i].what == LC_WHAT_BEGIN && trace[i].code == LC_EVENT_CLOSED;
    CHECK(closed == 4);
}

/* Delays and deadlines are rounded up to the loop's tick, without overflow; deadlines count from the opening. */
static void delays_are_rounded_up(void)
{
    static const struct {
        const char *text;
        uint64_t deadline_ns; /* after the loop was opened */
    } timers[] = {{"timer t1 0ns\n", 0}, {"timer t1 11ns\n", 20},           {"advance 7ns\ntimer t1 20ns\n", 27},
                  {"at t1 1ns\n", 10},   {"advance 7ns\nat t1 20ns\n", 20}, {"advance 30ns\nat t1 20ns\n", 20}};
    for (size_t i = 0; i <= sizeof timers / sizeof *timers; i++) {
        bool is_endless = i == sizeof timers / sizeof *timers;
        setup(RIG_CAPABILITIES);
        rig.loop.base.tick_ns = 10;
        rig_run_text(is_endless ? "timer t1 18446744073709551615ns\n" : timers[i].text);
        const struct lc_obs *armed = rig.trace;
        while (armed->what != LC_WHAT_OP)
            armed++;
        CHECK(armed->arg == (is_endless ? UINT64_MAX : rig.trace[0].time_ns + timers[i].deadline_ns));
    }
}

/* A recycled fd has its old number again, and its bytes and its end of file are gone. */
static void check_recycled(const char *text, uint16_t recycled)
{
    uint64_t first = 0, last = 0;
    uint8_t before = 0, after = 0;
    setup(RIG_CAPABILITIES);
    rig_run_text(text);
    for (size_t i = 0; i < rig.trace_count; i++) {
        const struct lc_obs *obs = &rig.trace[i];
        if (obs->what != LC_WHAT_FD || obs->handle != recycled)
            continue;
        first = first ? first : obs->arg;
        last = obs->arg;
        before = after;
        after = obs->bits;
    }
    CHECK(first == last && before == (LC_IN | LC_OUT) && after == LC_OUT);
}

/* Recycling gives the same number to a new fd, whichever end of the pair is asked for, and cancels both ends' watchers.
 */
static void recycle_brings_the_number_back(void)
{
    check_recycled("pair f1 f2\nput f2 1\nshut f2\nrecycle f1\n", LC_KIND_FD << 12 | 1);
    check_recycled("pair f1 f2\nput f1 1\nshut f1\nrecycle f2\n", LC_KIND_FD << 12 | 2);
    CHECK(rig_counts("pair f1 f2\nwatch w1 f1 in\nwatch w2 f2 in\nrecycle f1\n", 4, 0, 0));
    CHECK(asked("watch w1, watch w2, cancel w1, cancel w2, recycle f1, recycle f2"));
}

/* A loop that always has something to call back for is stopped by the budget, with nothing wrong. */
static void callbacks_are_bounded(void)
{
    setup(RIG_CAPABILITIES);
    rig_run_text("pair f1 f2\nwatch w1 f1 out\nrun 65535\nrun 65535\nwatch w2 f2 out\non w1: soon c1\nrun\n");
    CHECK(rig.stats.callbacks >= LC_CALLBACKS_MAX && rig.stats.callbacks < LC_CALLBACKS_MAX + 32);
    CHECK(rig.judgement.count == 0 && rig.stats.unfired == 1);
}

/* The longest program of any op ends, and is judged. */
static void full_programs_end(void)
{
    for (uint8_t code = LC_OP_SOON; code < LC_OP_PROGRAM_END; code++) {
        setup(RIG_CAPABILITIES | RIG_STREAMS | LC_CAP_MULTI);
        program.count = LC_PROGRAM_OPS_MAX;
        for (unsigned i = 0; i < LC_PROGRAM_OPS_MAX; i++) {
            const uint8_t a = (uint8_t)(lc_op_forms[code].kind_a * 16u + 1 + i % 15), b = (uint8_t)(0x51 + i % 14);
            program.ops[i] = (struct lc_op){.op = code, .a = a, .b = b, .flags = 1, .on = i % 2 ? 0x11 : 0};
        }
        program.ops[0] = (struct lc_op){.op = LC_OP_SOON, .a = 0x11};
        program.ops[1] = (struct lc_op){.op = LC_OP_STEP};
        rig_run(&program);
        CHECK(rig.judgement.count == 0 && rig.stats.ops == LC_PROGRAM_OPS_MAX);
        CHECK(rig.stats.executed + rig.stats.ignored + rig.stats.unfired == LC_PROGRAM_OPS_MAX);
    }
}

/* A loop that cannot be opened is the driver's error, not a verdict on the loop. */
static void open_failure_is_returned(void)
{
    rig_init(FAKE_OPEN_FAILS, RIG_CAPABILITIES);
    rig_run_text("soon c1\nstep\n");
    CHECK(rig.result == -EMFILE && rig.judgement.count == 0 && rig.judgement.callbacks == 0);
    rig_dispose();
}

/* A driver that says its loop can do what it does not implement is told by the op's number. */
static void unimplemented_op_is_told(void)
{
    rig_init(FAKE_LIES, RIG_CAPABILITIES | LC_CAP_STREAM | LC_CAP_SWITCH);
    rig_run_text("pair f1 f2\nstream s1 f1\nstep\n");
    CHECK(rig.stats.unimplemented == 0);
    rig_run_text("pair f1 f2\nstream s1 f1\nstep\nset_protocol s1\n");
    CHECK(rig.stats.unimplemented == LC_OP_SWITCH);
    rig_dispose();
}

/* A step that may sleep is counted: one that was woken by what it calls, and one that came back for nothing. */
static void sleeps_are_counted(void)
{
    setup(RIG_CAPABILITIES);
    rig_run_text("timer t1 5ms\nstep\n");
    CHECK(rig.stats.sleeps == 1 && rig.stats.vain_waits == 0);
    rig_run_text("soon c1\nstep\n");
    CHECK(rig.stats.sleeps == 0 && rig.stats.vain_waits == 0);
    rig_init(FAKE_SOON_LOST, RIG_CAPABILITIES);
    rig_run_text("soon c1\nsoon c2\nstep\nstep\n");
    CHECK(rig.stats.sleeps == 0 && rig.stats.vain_waits >= 1);
    rig_init(FAKE_SOON_LOST, RIG_CAPABILITIES | LC_CAP_STREAM);
    rig_run_text("pair f1 f2\nstream s1 f1\nsoon c1\nsoon c2\nstep\nstep\n"); /* the turn may have been the stream's */
    CHECK(rig.stats.sleeps == 0 && rig.stats.vain_waits == 0);
    rig_dispose();
}

/* Once a driver has lied, its loop is not asked to sleep any more: nobody knows what would end that. */
static void liars_do_not_sleep(void)
{
    rig_init(FAKE_LIES, RIG_CAPABILITIES | LC_CAP_STREAM | LC_CAP_SWITCH);
    CHECK(rig_counts("pair f1 f2\nstream s1 f1\nset_protocol s1\nput f2 1\nsoon c1\nstep\nrun\n", 5, 2, 0));
    CHECK(rig.loop.sleeps == 0);
    rig_dispose();
}

static int64_t clock_ahead_ns;

static int64_t apply_with_a_clock_of_its_own(struct lc_driver *driver, const struct lc_op *op)
{
    static int64_t (*apply)(struct lc_driver *, const struct lc_op *);
    if (apply == NULL || driver->apply != apply_with_a_clock_of_its_own)
        apply = driver->apply;
    driver->apply = apply_with_a_clock_of_its_own;
    return apply(driver, op) + (op->op == LC_OP_NOW ? clock_ahead_ns : 0);
}

/* A real loop's clock that is not the kernel's breaks KIT-1; a simulated one's is whatever it says. */
static void clocks_are_compared(void)
{
    for (int i = 0; i < 4; i++) {
        setup(RIG_CAPABILITIES);
        clock_ahead_ns = i % 2 == 0 ? 0 : (int64_t)LC_CLOCK_OFF_NS_MAX + NS_A_MS;
        rig.loop.base.is_exact = i < 2;
        apply_with_a_clock_of_its_own(&rig.loop.base, &(struct lc_op){.op = LC_OP_NOP});
        rig_run_text("soon c1\nstep\n");
        CHECK(rig_is_broken("KIT-1") == (i == 3) && rig.judgement.count == (i == 3));
    }
}

static const struct test tests[] = {
    TEST(attachments_fire_once_in_order),
    TEST(attachments_wait_for_their_event),
    TEST(turns_do_not_nest),
    TEST(waits_not_for_nothing),
    TEST(waits_for_what_is_promised),
    TEST(real_time_is_spent_sparingly),
    TEST(run_is_stopped_once),
    TEST(capabilities_bound_what_is_asked),
    TEST(raise_is_for_callbacks),
    TEST(exit_is_for_turns),
    TEST(ops_need_their_handles),
    TEST(ops_need_their_fds),
    TEST(counts_add_up),
    TEST(same_program_same_trace),
    TEST(trace_has_its_frame),
    TEST(delays_are_rounded_up),
    TEST(recycle_brings_the_number_back),
    TEST(callbacks_are_bounded),
    TEST(full_programs_end),
    TEST(open_failure_is_returned),
    TEST(unimplemented_op_is_told),
    TEST(sleeps_are_counted),
    TEST(liars_do_not_sleep),
    TEST(clocks_are_compared),
};
TEST_MAIN(tests)
