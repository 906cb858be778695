/* Timers become ready when due, not before, by (deadline, arming order), and never after they were disarmed. */
#include "core/timers.h"
#include "testing/test.h"

enum { TIMERS = 3, DEADLINES = 2, OP_DISARM = TIMERS * DEADLINES, OP_EXPIRE = OP_DISARM + TIMERS, OPS = OP_EXPIRE + 3 };
enum { LENGTH = 6 };

static struct rl_timers timers;
static struct rl_ready ready;
static struct rl_timers_entry entries[TIMERS];
static struct rl_ready_entry ready_entries[TIMERS];

/* The model: the armed timers in arming order, and those found due in the order in which they must run. */
static struct {
    unsigned id;
    uint64_t deadline_ns;
} armed[TIMERS];
static unsigned due[TIMERS];
static unsigned armed_count, due_count;

static void reset(void)
{
    rl_timers_init(&timers);
    rl_ready_init(&ready);
    for (int i = 0; i < TIMERS; i++) {
        rl_ready_entry_init(&ready_entries[i]);
        rl_timers_entry_init(&entries[i], &ready_entries[i]);
    }
    armed_count = due_count = 0;
}

static void model_take(unsigned index)
{
    armed_count--;
    for (unsigned i = index; i < armed_count; i++)
        armed[i] = armed[i + 1];
}

static void model_disarm(unsigned id)
{
    for (unsigned i = armed_count; i-- > 0;)
        if (armed[i].id == id)
            model_take(i);
    unsigned kept_count = 0;
    for (unsigned i = 0; i < due_count; i++)
        if (due[i] != id)
            due[kept_count++] = due[i];
    due_count = kept_count;
}

static void model_expire(uint64_t now_ns)
{
    for (uint64_t deadline_ns = 0; deadline_ns <= now_ns; deadline_ns++) {
        for (unsigned i = 0; i < armed_count;) {
            if (armed[i].deadline_ns == deadline_ns) {
                due[due_count++] = armed[i].id;
                model_take(i);
            } else {
                i++;
            }
        }
    }
}

static void apply(unsigned op)
{
    if (op < OP_DISARM) {
        unsigned id = op / DEADLINES;
        uint64_t deadline_ns = 1 + op % DEADLINES;
        if (rl_timers_is_armed(&entries[id]))
            return;
        rl_timers_arm(&timers, &entries[id], deadline_ns);
        armed[armed_count].id = id;
        armed[armed_count++].deadline_ns = deadline_ns;
    } else if (op < OP_EXPIRE) {
        rl_timers_disarm(&timers, &entries[op - OP_DISARM]);
        model_disarm(op - OP_DISARM);
    } else {
        rl_timers_expire(&timers, op - OP_EXPIRE, &ready);
        model_expire(op - OP_EXPIRE);
    }
}

static void check_same(void)
{
    unsigned both_count = 0;
    CHECK(rl_timers_check(&timers) == 0);
    CHECK(rl_timers_is_empty(&timers) == (armed_count == 0));
    const struct rl_node *node = ready.queue.head.next;
    for (unsigned i = 0; i < due_count; i++, node = node->next)
        CHECK(node == &ready_entries[due[i]].node);
    CHECK(node == &ready.queue.head);
    for (int i = 0; i < TIMERS; i++)
        both_count += rl_timers_is_armed(&entries[i]);
    CHECK(both_count == armed_count + due_count);
}

/* [TIMER-1] [ORDER] [TIES] [AFTER] Every sequence of arming, disarming and expiring does what the model says. */
static void timers_do_what_arrays_do(void)
{
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
        reset();
        for (unsigned i = 0; i < LENGTH; i++) {
            apply(test_op(code, OPS, i));
            check_same();
        }
    }
}

/* A deadline that does not fit is the latest there is, instead of one long past. */
static void deadlines_saturate(void)
{
    CHECK(rl_timers_deadline_ns(0, 0) == 0);
    CHECK(rl_timers_deadline_ns(5, 7) == 12);
    CHECK(rl_timers_deadline_ns(1, UINT64_MAX - 1) == UINT64_MAX);
    CHECK(rl_timers_deadline_ns(1, UINT64_MAX) == UINT64_MAX);
    CHECK(rl_timers_deadline_ns(UINT64_MAX, UINT64_MAX) == UINT64_MAX);
    CHECK(rl_timers_deadline_ns(UINT64_MAX, 0) == UINT64_MAX);
}

/* The sleep ends exactly at the earliest deadline, is 0 from then on, for ever without timers, and fits its type. */
static void sleep_ends_at_the_earliest_deadline(void)
{
    reset();
    CHECK(rl_timers_sleep_ns(&timers, 0) == RL_SLEEP_FOREVER_NS);
    rl_timers_arm(&timers, &entries[0], UINT64_MAX);
    CHECK(rl_timers_sleep_ns(&timers, 0) == INT64_MAX);
    CHECK(rl_timers_sleep_ns(&timers, UINT64_MAX - 1) == 1);
    CHECK(rl_timers_sleep_ns(&timers, UINT64_MAX) == 0);
    rl_timers_arm(&timers, &entries[1], 100);
    CHECK(rl_timers_sleep_ns(&timers, 0) == 100);
    CHECK(rl_timers_sleep_ns(&timers, 99) == 1);
    CHECK(rl_timers_sleep_ns(&timers, 100) == 0);
    CHECK(rl_timers_sleep_ns(&timers, 101) == 0);
}

static const struct test tests[] = {TEST(timers_do_what_arrays_do), TEST(deadlines_saturate),
                                    TEST(sleep_ends_at_the_earliest_deadline)};

TEST_MAIN(tests)
