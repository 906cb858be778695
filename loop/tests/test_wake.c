/* On one thread the mailbox does what two arrays would do: it hands out what was posted, once, in post order. */
#include "testing/test.h"
#include "thread/wake.h"

enum { NODES = 3, OP_CLOSE = NODES, OP_TAKE = 2 * NODES, OP_NEXT, OPS, LENGTH = 6 };

static struct rl_wake wake;
static struct rl_wake_batch batch;
static struct rl_wake_node nodes[NODES];

/* The model: what lies in the mailbox, what a take has still to hand out, and who is closed. */
static unsigned mailbox[NODES], taken[NODES];
static unsigned mailbox_count, taken_count;
static bool is_waiting[NODES], is_closed[NODES];

static void reset(void)
{
    rl_wake_init(&wake);
    batch.oldest = NULL;
    mailbox_count = taken_count = 0;
    for (int i = 0; i < NODES; i++) {
        rl_wake_node_init(&nodes[i]);
        is_waiting[i] = is_closed[i] = false;
    }
}

static void post(unsigned id)
{
    enum rl_wake_post_result expected = mailbox_count == 0 ? RL_WAKE_NEEDED : RL_WAKE_DONE;
    if (is_closed[id])
        expected = RL_WAKE_REFUSED;
    else if (is_waiting[id])
        expected = RL_WAKE_DONE;
    else
        mailbox[mailbox_count++] = id;
    is_waiting[id] = is_waiting[id] || !is_closed[id];
    CHECK(rl_wake_post(&wake, &nodes[id]) == expected);
}

static void take(void)
{
    batch = rl_wake_take(&wake);
    for (unsigned i = 0; i < mailbox_count; i++)
        taken[i] = mailbox[i];
    taken_count = mailbox_count;
    mailbox_count = 0;
}

static void next(void)
{
    const struct rl_wake_node *node = rl_wake_next(&batch);
    CHECK(node == (taken_count == 0 ? NULL : &nodes[taken[0]]));
    if (taken_count == 0)
        return;
    is_waiting[taken[0]] = false;
    taken_count--;
    for (unsigned i = 0; i < taken_count; i++)
        taken[i] = taken[i + 1];
}

/* An op that is not legal in the present state does nothing. */
static void apply(unsigned op)
{
    if (op < OP_CLOSE) {
        post(op);
    } else if (op < OP_TAKE) {
        if (!is_closed[op - OP_CLOSE])
            rl_wake_close(&nodes[op - OP_CLOSE]);
        is_closed[op - OP_CLOSE] = true;
    } else if (op == OP_NEXT) {
        next();
    } else if (taken_count == 0) {
        take();
    }
}

/* [WAKE-1] [WAKE-2] [WAKE-3] Every sequence of posting, closing, taking and handing out does what the model says. */
static void mailbox_does_what_arrays_do(void)
{
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
        reset();
        for (unsigned i = 0; i < LENGTH; i++) {
            apply(test_op(code, OPS, i));
            CHECK(rl_wake_check(&wake) == 0);
        }
        while (taken_count > 0)
            next();
        take();
        for (int i = 0; i <= NODES; i++)
            next();
    }
}

/* [WAKE-1] While a batch is handed out, a post to a node that was handed out lands in the mailbox, also from within. */
static void node_can_be_posted_again_once_handed_out(void)
{
    reset();
    post(0);
    post(1);
    take();
    next();
    post(0);
    post(1);
    next();
    CHECK(rl_wake_next(&batch) == NULL);
    take();
    next();
    CHECK(rl_wake_next(&batch) == NULL);
}

/* The validator notices a node that lies in the mailbox unposted. */
static void check_sees_damage(void)
{
    reset();
    post(0);
    CHECK(rl_wake_check(&wake) == 0);
    atomic_store(&nodes[0].is_posted, false);
    CHECK(rl_wake_check(&wake) == -1);
}

static const struct test tests[] = {TEST(mailbox_does_what_arrays_do), TEST(node_can_be_posted_again_once_handed_out),
                                    TEST(check_sees_damage)};

TEST_MAIN(tests)
