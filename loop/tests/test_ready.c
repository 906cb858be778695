/* The ready queue does what two arrays would do: a batch is what waited when it began, less what was removed. */
#include "core/ready.h"
#include "testing/test.h"

enum { ENTRIES = 3, OP_BEGIN = 2 * ENTRIES, OP_NEXT, OP_END, OPS, LENGTH = 6 };

struct row {
    int ids[ENTRIES];
    int count;
};

static struct rl_ready ready;
static struct rl_ready_entry entries[ENTRIES];
static struct row queue, batch;

static void reset(void)
{
    rl_ready_init(&ready);
    for (int i = 0; i < ENTRIES; i++)
        rl_ready_entry_init(&entries[i]);
    queue.count = batch.count = 0;
}

static void row_remove(struct row *row, int id)
{
    int kept_count = 0;
    for (int i = 0; i < row->count; i++)
        if (row->ids[i] != id)
            row->ids[kept_count++] = row->ids[i];
    row->count = kept_count;
}

static void row_append(struct row *row, const struct row *from)
{
    for (int i = 0; i < from->count; i++)
        row->ids[row->count++] = from->ids[i];
}

static void next(void)
{
    const struct rl_ready_entry *entry = rl_ready_next(&ready);
    CHECK(entry == (batch.count == 0 ? NULL : &entries[batch.ids[0]]));
    if (batch.count > 0)
        row_remove(&batch, batch.ids[0]);
}

static void begin(void)
{
    rl_ready_begin(&ready);
    batch = queue;
    queue.count = 0;
}

static void end(void)
{
    rl_ready_end(&ready);
    row_append(&batch, &queue);
    queue = batch;
    batch.count = 0;
}

/* An op that is not legal in the present state does nothing. */
static void apply(unsigned op)
{
    unsigned id = op % ENTRIES;
    if (op < ENTRIES && !rl_ready_is_queued(&entries[id])) {
        rl_ready_push(&ready, &entries[id]);
        queue.ids[queue.count++] = (int)id;
    } else if (op >= ENTRIES && op < OP_BEGIN) {
        rl_ready_remove(&entries[id]);
        row_remove(&queue, (int)id);
        row_remove(&batch, (int)id);
    } else if (op == OP_BEGIN && !ready.is_running) {
        begin();
    } else if (op == OP_NEXT && ready.is_running) {
        next();
    } else if (op == OP_END && ready.is_running) {
        end();
    }
}

static void check_same(void)
{
    int queued_count = 0;
    CHECK(rl_ready_check(&ready) == 0);
    CHECK(rl_ready_is_empty(&ready) == (queue.count + batch.count == 0));
    for (int i = 0; i < ENTRIES; i++)
        queued_count += rl_ready_is_queued(&entries[i]);
    CHECK(queued_count == queue.count + batch.count);
}

/* Every sequence of six operations, then everything that is left, comes out as the model says. */
static void queue_does_what_arrays_do(void)
{
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
        reset();
        for (unsigned i = 0; i < LENGTH; i++) {
            apply(test_op(code, OPS, i));
            check_same();
        }
        apply(OP_END);
        begin();
        for (int i = 0; i <= ENTRIES; i++)
            next();
        CHECK(rl_ready_is_empty(&ready));
    }
}

/* The validator notices a damaged list and a batch that outlives its turn. */
static void check_sees_damage(void)
{
    reset();
    rl_ready_push(&ready, &entries[0]);
    rl_ready_begin(&ready);
    CHECK(rl_ready_check(&ready) == 0);
    ready.is_running = false;
    CHECK(rl_ready_check(&ready) == -2);
    ready.is_running = true;
    entries[0].node.prev = &entries[0].node;
    CHECK(rl_ready_check(&ready) == -1);
}

static const struct test tests[] = {TEST(queue_does_what_arrays_do), TEST(check_sees_damage)};

TEST_MAIN(tests)
