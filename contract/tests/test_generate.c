/* Generated, mutated and crossed programs are programs of their profile, and the same seed makes the same one. */
#include <stdio.h>
#include <string.h>

#include "names.h"
#include "program.h"
#include "testing/test.h"

enum { SEEDS = 5000, NS_A_MS = 1000000 };

static const struct lc_profile everything = {
    .capabilities = UINT32_MAX, .delay_ns_max = UINT64_C(1) << 40, .tick_ns = 1};
static const struct lc_profile real_clock = {
    .capabilities = LC_CAP_STOP | LC_CAP_RAISE, .delay_ns_max = 4 * NS_A_MS, .tick_ns = NS_A_MS};

static struct lc_program program, again, other;

static bool is_equal(const struct lc_program *a, const struct lc_program *b)
{
    return a->count == b->count && memcmp(a->ops, b->ops, a->count * sizeof *a->ops) == 0;
}

static bool is_canonical(const struct lc_program *original)
{
    again = *original;
    lc_program_canonical(&again);
    return is_equal(original, &again);
}

/* ---- random numbers and generated programs -------------------------------------------------- */

/* The random numbers are splitmix64's, so that a seed means the same everywhere. */
static void random_is_splitmix64(void)
{
    uint64_t seed = 1234567;
    CHECK(lc_random(&seed) == UINT64_C(6457827717110365317));
    CHECK(lc_random(&seed) == UINT64_C(3203168211198807973));
    CHECK(lc_random(&seed) == UINT64_C(9817491932198370423));
}

/* A seed gives the same program always, and different seeds hardly ever the same one. */
static void seed_makes_the_program(void)
{
    size_t same = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        memset(&again, 0xff, sizeof again);
        lc_program_generate(&program, seed, &everything);
        lc_program_generate(&again, seed, &everything);
        CHECK(is_equal(&program, &again));
        lc_program_generate(&again, seed + 1, &everything);
        same += is_equal(&program, &again);
    }
    CHECK(same == 0);
}

/* Generated programs are canonical, not empty, and far from full. */
static void generated_is_canonical(void)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        lc_program_generate(&program, seed, &everything);
        CHECK(program.count >= 4 && program.count <= LC_PROGRAM_OPS_MAX / 2);
        CHECK(is_canonical(&program));
    }
}

/* Every op, but those of the families (test_generate_families.c), is drawn, both at top level and, but for steps,
 * inside callbacks. */
static void every_op_is_drawn(void)
{
    size_t drawn[LC_OP_PROGRAM_END][2] = {{0}};
    struct lc_profile loop = everything;
    loop.family = LC_FAMILY_LOOP;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        lc_program_generate(&program, seed, &loop);
        for (size_t i = 0; i < program.count; i++)
            drawn[program.ops[i].op][program.ops[i].on != 0]++;
    }
    for (unsigned code = LC_OP_NOP + 1; code < LC_OP_LISTEN; code++) {
        bool is_turn = code == LC_OP_STEP || code == LC_OP_RUN;
        bool is_for_callbacks = code == LC_OP_RAISE || code == LC_OP_STOP;
        if ((drawn[code][0] >= 50) == is_for_callbacks || (drawn[code][1] >= 50) == is_turn)
            printf("%s: drawn %zu times at top level, %zu times attached\n", lc_op_forms[code].name, drawn[code][0],
                   drawn[code][1]);
        CHECK((drawn[code][0] >= 50) == !is_for_callbacks);
        CHECK((drawn[code][1] >= 50) == !is_turn);
    }
    CHECK(drawn[LC_OP_CANARY][0] >= 50 && drawn[LC_OP_CANARY][1] >= 50 && drawn[LC_OP_EDGE][0] >= 50);
}

/* Could this op find its object? Its handles were named by ops before it. */
static bool finds_its_object(const bool exists[256], const struct lc_op *op)
{
    const struct lc_op_form *form = &lc_op_forms[op->op];
    bool is_made_here =
        op->op == LC_OP_PAIR || (form->kind_a != 0 && form->kind_a != LC_KIND_FD && op->op != LC_OP_POST);
    if (op->on != 0 && !exists[op->on])
        return false;
    if (op->op == LC_OP_WATCH)
        return exists[op->b];
    return is_made_here || !(form->fields & LC_FIELD_A) || exists[op->a];
}

/* Most ops of a generated program find the handles that they name. */
static void most_ops_find_their_object(void)
{
    size_t found = 0, total = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        bool exists[256] = {false};
        lc_program_generate(&program, seed, &everything);
        for (size_t i = 0; i < program.count; i++)
            exists[program.ops[i].a] = exists[program.ops[i].b] = true;
        total += program.count;
        for (size_t i = 0; i < program.count; i++)
            found += finds_its_object(exists, &program.ops[i]);
    }
    CHECK(found * 100 > total * 75);
}

static void check_capabilities(uint32_t capabilities)
{
    struct lc_profile profile = everything;
    profile.capabilities = capabilities;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        lc_program_generate(&program, seed, &profile);
        for (int i = 0; i < 4; i++)
            lc_program_mutate(&program, &(uint64_t){seed + (unsigned)i}, &profile);
        for (size_t i = 0; i < program.count; i++) {
            CHECK(program.ops[i].op != LC_OP_RAISE || (capabilities & LC_CAP_RAISE));
            CHECK((program.ops[i].op != LC_OP_RUN && program.ops[i].op != LC_OP_STOP) || (capabilities & LC_CAP_STOP));
        }
    }
}

/* raise, run and stop are generated, and mutated into programs, only for loops that can do them. */
static void capabilities_bound_the_ops(void)
{
    check_capabilities(0);
    check_capabilities(LC_CAP_STOP);
    check_capabilities(LC_CAP_RAISE);
}

static void check_delays(const struct lc_profile *profile)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        lc_program_generate(&program, seed, profile);
        for (size_t i = 0; i < program.count; i++)
            CHECK(program.ops[i].arg <= profile->delay_ns_max && program.ops[i].arg % profile->tick_ns == 0);
    }
}

/* On a real clock no delay exceeds the profile's, and each is a multiple of the tick, however the two relate. */
static void delays_keep_to_a_small_profile(void)
{
    check_delays(&real_clock);
    check_delays(&(struct lc_profile){.delay_ns_max = 20 * NS_A_MS, .tick_ns = 1});
    check_delays(&(struct lc_profile){.delay_ns_max = 2 * NS_A_MS, .tick_ns = NS_A_MS});
    check_delays(&(struct lc_profile){.delay_ns_max = 0, .tick_ns = NS_A_MS});
    check_delays(&(struct lc_profile){.delay_ns_max = 2500000, .tick_ns = NS_A_MS});
}

/* On a simulated clock there are delays of 0, of a few ticks, of any length and beyond all time, whatever its end. */
static void delays_of_a_large_profile_go_far(void)
{
    const struct lc_profile whole = {.delay_ns_max = UINT64_MAX, .tick_ns = 1};
    size_t zero = 0, few = 0, far = 0, endless = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        lc_program_generate(&program, seed, &whole);
        for (size_t i = 0; i < program.count; i++) {
            const struct lc_op *op = &program.ops[i];
            bool has_delay = op->op == LC_OP_TIMER || op->op == LC_OP_AT || op->op == LC_OP_ADVANCE;
            zero += has_delay && op->arg == 0;
            few += has_delay && op->arg >= 1 && op->arg <= 3;
            far += has_delay && op->arg > UINT32_MAX && op->arg < UINT64_MAX;
            endless += has_delay && op->arg == UINT64_MAX;
        }
    }
    CHECK(zero > 100 && few > 100 && far > 100 && endless > 100);
}

/* ---- mutation and crossing ------------------------------------------------------------------- */

/* Ops that lost their sense by a change, which a canonical program has none of. */
static size_t unknown_ops(const struct lc_program *mutated)
{
    size_t unknown = 0;
    for (size_t i = 0; i < mutated->count; i++)
        unknown += !lc_op_is_known(&mutated->ops[i]);
    return unknown;
}

/* A mutation changes at most one op's worth of length, changes something in most cases, and makes no nonsense. */
static void mutate_changes_one_thing(void)
{
    uint64_t random = 6;
    size_t changed = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        lc_program_generate(&program, seed, &everything);
        other = program;
        lc_program_mutate(&program, &random, &everything);
        CHECK(program.count + 1 >= other.count && program.count <= other.count + 1);
        CHECK(unknown_ops(&program) == 0);
        changed += !is_equal(&program, &other);
    }
    CHECK(changed * 100 > SEEDS * 75);
}

/* An op of the rarest sort keeps its sense too when one of its fields is altered. */
static void mutate_keeps_rare_ops_known(void)
{
    const struct lc_program rare = {.count = 1, .ops = {{.op = LC_OP_FILL, .a = 0x51}}};
    uint64_t random = 7;
    for (int i = 0; i < SEEDS; i++) {
        program = rare;
        lc_program_mutate(&program, &random, &everything);
        CHECK(unknown_ops(&program) == 0);
    }
}

/* However long a program is mutated, it stays within bounds; an empty or a full one can be mutated too. */
static void mutate_keeps_to_the_bounds(void)
{
    uint64_t random = 8;
    program.count = 0;
    lc_program_mutate(&program, &random, &everything);
    CHECK(program.count > 0);
    program.count = LC_PROGRAM_OPS_MAX;
    for (size_t i = 0; i < LC_PROGRAM_OPS_MAX; i++)
        program.ops[i] = (struct lc_op){.op = LC_OP_SOON, .a = 0x11};
    for (int i = 0; i < 10 * SEEDS; i++) {
        lc_program_mutate(&program, &random, &everything);
        CHECK(program.count <= LC_PROGRAM_OPS_MAX);
    }
}

/* How many ops two programs share at their begin, or at their end. */
static size_t common(const struct lc_program *a, const struct lc_program *b, bool is_at_end)
{
    size_t same = 0;
    while (same < a->count && same < b->count &&
           memcmp(&a->ops[is_at_end ? a->count - 1 - same : same], &b->ops[is_at_end ? b->count - 1 - same : same],
                  sizeof *a->ops) == 0)
        same++;
    return same;
}

/* A cross is a prefix of the one and a suffix of the other. */
static void cross_joins_a_prefix_and_a_suffix(void)
{
    uint64_t random = 9;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        lc_program_generate(&program, seed, &everything);
        lc_program_generate(&again, seed + 1, &everything);
        lc_program_cross(&other, &program, &again, &random);
        CHECK(common(&other, &program, false) + common(&other, &again, true) >= other.count);
        CHECK(is_canonical(&other));
    }
}

/* A cross of full programs is not longer than a program may be, and empty ones can be crossed. */
static void cross_keeps_to_the_bounds(void)
{
    uint64_t random = 10;
    size_t longest = 0;
    program = again = (struct lc_program){.count = LC_PROGRAM_OPS_MAX};
    for (int i = 0; i < SEEDS; i++) {
        lc_program_cross(&other, &program, &again, &random);
        CHECK(other.count <= LC_PROGRAM_OPS_MAX);
        longest = other.count > longest ? other.count : longest;
    }
    CHECK(longest == LC_PROGRAM_OPS_MAX);
    again.count = 0;
    lc_program_cross(&other, &again, &again, &random);
    CHECK(other.count == 0);
    lc_program_cross(&other, &program, &again, &random);
    CHECK(other.count <= LC_PROGRAM_OPS_MAX);
}

static const struct test tests[] = {
    TEST(random_is_splitmix64),           TEST(seed_makes_the_program),
    TEST(generated_is_canonical),         TEST(every_op_is_drawn),
    TEST(most_ops_find_their_object),     TEST(capabilities_bound_the_ops),
    TEST(delays_keep_to_a_small_profile), TEST(delays_of_a_large_profile_go_far),
    TEST(mutate_changes_one_thing),       TEST(mutate_keeps_rare_ops_known),
    TEST(mutate_keeps_to_the_bounds),     TEST(cross_joins_a_prefix_and_a_suffix),
    TEST(cross_keeps_to_the_bounds),
};
TEST_MAIN(tests)
