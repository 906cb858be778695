/* Shrinking finds the smallest program that still fails, within its tries, and never one that does not fail. */
#include <string.h>

#include "program.h"
#include "testing/test.h"

enum { TRIES_MAX = 10000 };

static struct lc_program program;

/* What a program has to contain in order to fail, and how often it was asked. */
struct wanted {
    const struct lc_op *ops; /* in this order; the arg is a minimum */
    size_t count;
    size_t calls;
};

static bool matches(const struct lc_op *op, const struct lc_op *wanted)
{
    return op->op == wanted->op && op->a == wanted->a && op->arg >= wanted->arg;
}

static bool contains(void *arg, const struct lc_program *candidate)
{
    struct wanted *wanted = arg;
    size_t found = 0;
    wanted->calls++;
    for (size_t i = 0; i < candidate->count && found < wanted->count; i++)
        found += matches(&candidate->ops[i], &wanted->ops[found]);
    return found == wanted->count;
}

static bool is_text(const struct lc_program *shrunk, const char *expected)
{
    char text[512];
    lc_program_format(shrunk, text, sizeof text);
    return strcmp(text, expected) == 0;
}

static const struct lc_op arm_then_cancel[] = {{.op = LC_OP_TIMER, .a = 0x21}, {.op = LC_OP_CANCEL, .a = 0x21}};
static const struct lc_op long_timer[] = {{.op = LC_OP_TIMER, .a = 0x21, .arg = 1000}};
static const struct lc_profile profile = {.capabilities = UINT32_MAX, .delay_ns_max = UINT64_C(1) << 40, .tick_ns = 1};

/* A long program of anything, in which the wanted ops lie far apart and inside callbacks. */
static void hide(const struct wanted *wanted, uint64_t seed)
{
    static struct lc_program more;
    lc_program_generate(&program, seed, &profile);
    for (size_t i = 0; i < wanted->count; i++) {
        struct lc_op op = wanted->ops[i];
        op.on = seed % 2 ? 0x11 : 0;
        op.event = seed % 4 == 3 ? LC_EVENT_SOON : LC_EVENT_ANY;
        op.arg += seed;
        program.ops[program.count++] = op;
        lc_program_generate(&more, ~seed - i, &profile);
        memcpy(&program.ops[program.count], more.ops, more.count * sizeof *more.ops);
        program.count += more.count;
    }
}

/* Two ops that have to come in this order are all that is left, at top level and with the smallest numbers. */
static void finds_the_minimal_program(void)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct wanted wanted = {.ops = arm_then_cancel, .count = 2};
        hide(&wanted, seed);
        CHECK(lc_program_shrink(&program, contains, &wanted, TRIES_MAX) == wanted.calls);
        CHECK(wanted.calls < TRIES_MAX);
        program.ops[0].arg = program.ops[0].arg > 1 ? 2 : 0; /* 0 or 1 is as small as halving gets */
        CHECK(is_text(&program, "timer t1 0ns\ncancel t1\n"));
    }
}

/* A number that matters is made smaller only as long as the program fails: it ends below twice the least one. */
static void finds_a_small_number(void)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct wanted wanted = {.ops = long_timer, .count = 1};
        hide(&wanted, seed);
        program.ops[0].arg = UINT64_MAX;
        lc_program_shrink(&program, contains, &wanted, TRIES_MAX);
        CHECK(program.count == 1 && program.ops[0].arg >= 1000 && program.ops[0].arg < 2000);
    }
}

/* Whenever the tries end, no more were made, and the program that is left fails. */
static void tries_are_bounded(void)
{
    for (size_t tries_max = 0; tries_max < 200; tries_max++) {
        struct wanted wanted = {.ops = arm_then_cancel, .count = 2};
        hide(&wanted, tries_max);
        const size_t count = program.count;
        CHECK(lc_program_shrink(&program, contains, &wanted, tries_max) == wanted.calls);
        CHECK(wanted.calls <= tries_max && program.count <= count);
        CHECK(contains(&wanted, &program));
    }
}

static bool never(void *arg, const struct lc_program *candidate)
{
    (void)candidate;
    ++*(size_t *)arg;
    return false;
}

static bool always(void *arg, const struct lc_program *candidate)
{
    (void)candidate;
    ++*(size_t *)arg;
    return true;
}

/* What does not fail is left as it is; what always fails becomes empty; the empty program can be shrunk. */
static void ends_of_the_scale(void)
{
    struct lc_program before;
    size_t calls = 0;
    lc_program_generate(&program, 1, &profile);
    before = program;
    CHECK(lc_program_shrink(&program, never, &calls, TRIES_MAX) == calls && calls > 0);
    CHECK(program.count == before.count && memcmp(program.ops, before.ops, sizeof before.ops) == 0);
    CHECK(lc_program_shrink(&program, always, &calls, TRIES_MAX) > 0 && program.count == 0);
    CHECK(lc_program_shrink(&program, always, &calls, TRIES_MAX) == 0 && program.count == 0);
}

/* A full program shrinks as well: nothing is written beyond its end. */
static void full_program_shrinks(void)
{
    struct wanted wanted = {.ops = arm_then_cancel, .count = 2};
    program.count = LC_PROGRAM_OPS_MAX;
    for (size_t i = 0; i < LC_PROGRAM_OPS_MAX; i++)
        program.ops[i] = (struct lc_op){.op = LC_OP_SOON, .a = 0x11};
    program.ops[0] = arm_then_cancel[0];
    program.ops[LC_PROGRAM_OPS_MAX - 1] = arm_then_cancel[1];
    lc_program_shrink(&program, contains, &wanted, TRIES_MAX);
    CHECK(is_text(&program, "timer t1 0ns\ncancel t1\n"));
}

static const struct test tests[] = {
    TEST(finds_the_minimal_program), TEST(finds_a_small_number), TEST(tries_are_bounded),
    TEST(ends_of_the_scale),         TEST(full_program_shrinks),
};
TEST_MAIN(tests)
