/* Pause and resume alternate, beginning with pause, and come exactly when the size passes the mark that counts. */
#include "core/flow.h"
#include "testing/test.h"

enum { SIZE_COUNT = 4, MARKS = 3, OP_LIMITS = SIZE_COUNT, OPS = SIZE_COUNT + MARKS, LENGTH = 6 };

static const size_t marks[MARKS][2] = {{0, 0}, {2, 1}, {2, 2}}; /* bytes: high, low */

static struct rl_flow flow;
static size_t size, high, low;
static bool is_paused;

static void reset(void)
{
    size = 0;
    is_paused = false;
    high = marks[1][0], low = marks[1][1];
    rl_flow_init(&flow, high, low);
}

/* Bytes came in or went out, and now_size of them wait. */
static void change_size(size_t now_size)
{
    bool must_pause = now_size > size && rl_flow_must_pause(&flow, now_size);
    bool must_resume = now_size < size && rl_flow_must_resume(&flow, now_size);
    CHECK(must_pause == (now_size > size && !is_paused && now_size > high));
    CHECK(must_resume == (now_size < size && is_paused && now_size <= low));
    is_paused = must_pause || (is_paused && !must_resume);
    size = now_size;
}

/* Every sequence of six changes of size and marks tells what the two comparisons say; nothing waits: not paused. */
static void flow_does_what_comparisons_do(void)
{
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
        reset();
        for (unsigned i = 0; i < LENGTH; i++) {
            unsigned op = test_op(code, OPS, i);
            if (op < OP_LIMITS) {
                change_size(op);
            } else {
                high = marks[op - OP_LIMITS][0], low = marks[op - OP_LIMITS][1];
                rl_flow_set_limits(&flow, high, low);
            }
            CHECK(rl_flow_check(&flow) == 0 && flow.is_paused == is_paused);
            CHECK(size > 0 || !is_paused);
        }
    }
}

/* Between the marks nothing is told, however often the size changes. */
static void nothing_is_told_between_the_marks(void)
{
    rl_flow_init(&flow, 3, 1);
    CHECK(!rl_flow_must_pause(&flow, 3));
    CHECK(rl_flow_must_pause(&flow, 4));
    for (int i = 0; i < 3; i++) {
        CHECK(!rl_flow_must_resume(&flow, 2));
        CHECK(!rl_flow_must_pause(&flow, 4));
    }
    CHECK(rl_flow_must_resume(&flow, 1));
    CHECK(!rl_flow_must_resume(&flow, 0));
    CHECK(!rl_flow_must_pause(&flow, 3));
}

/* The validator notices marks in the wrong order. */
static void check_sees_damage(void)
{
    reset();
    flow.low = flow.high + 1;
    CHECK(rl_flow_check(&flow) == -1);
}

static const struct test tests[] = {TEST(flow_does_what_comparisons_do), TEST(nothing_is_told_between_the_marks),
                                    TEST(check_sees_damage)};

TEST_MAIN(tests)
