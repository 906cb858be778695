/* Deadlines of Python loops: never before the time that was asked for, at most 2 ns after it, and in its order. */
#include "python/refloop/_time.h"
#include "testing/test.h"

#include <math.h>

static double random_s(uint64_t *state, double below)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ldexp((double)(*state >> 11), -53) * below;
}

static void is_reached_and_not_late(void)
{
    const uint64_t zero_ns = rlpy_loop_ns(0);
    uint64_t state = 1;
    for (double below = 1e-6; below < 4e9; below *= 10)
        for (int i = 0; i < 100000; i++) {
            double when_s = random_s(&state, below);
            uint64_t monotonic_ns = rlpy_deadline_ns(when_s) - zero_ns;
            CHECK(rlpy_seconds(monotonic_ns) >= when_s);
            CHECK(monotonic_ns < 2 || rlpy_seconds(monotonic_ns - 2) <= when_s);
        }
}

static void keeps_the_order(void)
{
    uint64_t state = 2;
    for (double below = 1; below < 4e9; below *= 10)
        for (int i = 0; i < 100000; i++) {
            double a_s = random_s(&state, 2 * below) - below;
            double b_s = random_s(&state, 2 * below) - below;
            CHECK((a_s <= b_s) <= (rlpy_deadline_ns(a_s) <= rlpy_deadline_ns(b_s)));
            CHECK(rlpy_deadline_ns(a_s) < rlpy_deadline_ns(a_s + 1e-6));
        }
}

static void has_ends(void)
{
    CHECK(rlpy_deadline_ns(INFINITY) == UINT64_MAX);
    CHECK(rlpy_deadline_ns(1e300) == UINT64_MAX);
    CHECK(rlpy_deadline_ns(-INFINITY) == 0);
    CHECK(rlpy_deadline_ns(-1e300) == 0);
    CHECK(rlpy_deadline_ns(0) == rlpy_loop_ns(0));
    CHECK(rlpy_deadline_ns(-0.5) == rlpy_loop_ns(0) - 500000000);
    CHECK(rlpy_deadline_ns(4.6e9) < UINT64_MAX);
}

static const struct test tests[] = {
    TEST(is_reached_and_not_late),
    TEST(keeps_the_order),
    TEST(has_ends),
};

TEST_MAIN(tests)
