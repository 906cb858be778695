/* Property: callbacks run in the order in which they were asked for; one that is asked for while a batch runs waits for
 * the next; one that is taken back does not run; what a batch left comes first: as two arrays say.
 *
 * Targets: rl_ready_push, rl_ready_remove, rl_ready_begin, rl_ready_next, rl_ready_end, rl_ready_is_empty,
 * rl_ready_is_queued, rl_ready_check, rl_list_push_back, rl_list_remove, rl_list_splice, rl_list_check.
 */
#include "core/ready.h"
#include "input.h"

enum { ENTRIES = 32 };

static struct rl_ready ready;
static struct rl_ready_entry entries[ENTRIES];
static struct row batch, queue; /* the model */
static bool is_running;

static void move_all(struct row *to, struct row *from)
{
    for (; from->count > 0; row_remove(from, row_first(from)))
        row_add(to, row_first(from), 0);
}

static void toggle(unsigned entry)
{
    bool waits = row_has(&batch, (int)entry) || row_has(&queue, (int)entry);
    input_check(rl_ready_is_queued(&entries[entry]) == waits, "an entry waits, or does not");
    if (waits) {
        rl_ready_remove(&entries[entry]);
        row_remove(&batch, (int)entry);
        row_remove(&queue, (int)entry);
    } else {
        rl_ready_push(&ready, &entries[entry]);
        row_add(&queue, (int)entry, 0);
    }
}

static void begin(void)
{
    rl_ready_begin(&ready);
    move_all(&batch, &queue);
    is_running = true;
}

static void next(void)
{
    int first = row_first(&batch);
    const struct rl_ready_entry *entry = rl_ready_next(&ready);
    input_check(entry == (first == ROW_NONE ? NULL : &entries[first]), "another callback runs than is due");
    row_remove(&batch, first);
}

static void end(void)
{
    rl_ready_end(&ready);
    move_all(&batch, &queue);
    move_all(&queue, &batch);
    is_running = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_begin(data, size, 8);
    batch.count = queue.count = 0;
    is_running = false;
    rl_ready_init(&ready);
    for (unsigned i = 0; i < ENTRIES; i++)
        rl_ready_entry_init(&entries[i]);
    while (input.left > 0) {
        unsigned op = input_op(&input);
        if (op % 8 < 4)
            toggle(op / 8);
        else if (op % 8 == 4 && is_running)
            end();
        else if (is_running)
            next();
        else
            begin();
        input_check(rl_ready_is_empty(&ready) == (batch.count + queue.count == 0), "something waits, or does not");
        input_check(rl_ready_check(&ready) == 0, "an invariant is broken");
    }
    return 0;
}
