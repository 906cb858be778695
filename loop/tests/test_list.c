/* Every sequence of six operations on two lists and three nodes does what an array of numbers would do. */
#include "core/list.h"
#include "testing/test.h"

#include <stdbool.h>

enum { NODES = 3, LISTS = 2, OPS = LISTS * NODES + NODES + LISTS, LENGTH = 6 };

struct row {
    int ids[NODES];
    int count;
};

static struct rl_list lists[LISTS];
static struct rl_node nodes[NODES];
static struct row rows[LISTS];

static void reset(void)
{
    for (int i = 0; i < LISTS; i++) {
        rl_list_init(&lists[i]);
        rows[i].count = 0;
    }
    for (int i = 0; i < NODES; i++)
        rl_list_node_init(&nodes[i]);
}

static bool row_remove(struct row *row, int id)
{
    for (int i = 0; i < row->count; i++) {
        if (row->ids[i] != id)
            continue;
        row->count--;
        for (; i < row->count; i++)
            row->ids[i] = row->ids[i + 1];
        return true;
    }
    return false;
}

static void row_splice(struct row *row, struct row *from)
{
    for (int i = 0; i < from->count; i++)
        row->ids[row->count++] = from->ids[i];
    from->count = 0;
}

static void check_same(void)
{
    int linked_count = 0;
    for (int i = 0; i < LISTS; i++) {
        CHECK(rl_list_check(&lists[i]) == 0);
        CHECK(rl_list_is_empty(&lists[i]) == (rows[i].count == 0));
        CHECK(rl_list_first(&lists[i]) == (rows[i].count == 0 ? NULL : &nodes[rows[i].ids[0]]));
        const struct rl_node *node = lists[i].head.next;
        for (int j = 0; j < rows[i].count; j++, node = node->next)
            CHECK(node == &nodes[rows[i].ids[j]]);
        CHECK(node == &lists[i].head);
        linked_count += rows[i].count;
    }
    for (int i = 0; i < NODES; i++)
        linked_count -= rl_list_is_linked(&nodes[i]);
    CHECK(linked_count == 0);
}

static void apply(unsigned op)
{
    if (op < LISTS * NODES) {
        unsigned list = op / NODES, id = op % NODES;
        if (rl_list_is_linked(&nodes[id]))
            return;
        rl_list_push_back(&lists[list], &nodes[id]);
        rows[list].ids[rows[list].count++] = (int)id;
    } else if (op < LISTS * NODES + NODES) {
        unsigned id = op - LISTS * NODES;
        rl_list_remove(&nodes[id]);
        if (!row_remove(&rows[0], (int)id))
            (void)row_remove(&rows[1], (int)id);
    } else {
        unsigned list = op - LISTS * NODES - NODES;
        rl_list_splice(&lists[list], &lists[1 - list]);
        row_splice(&rows[list], &rows[1 - list]);
    }
}

/* Every sequence of operations leaves both lists as the model says, after each step. */
static void lists_do_what_arrays_do(void)
{
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
        reset();
        for (unsigned i = 0; i < LENGTH; i++) {
            apply(test_op(code, OPS, i));
            check_same();
        }
    }
}

/* The validator notices each single damaged link. */
static void check_sees_damage(void)
{
    struct rl_node *ring[] = {&lists[0].head, &nodes[0], &nodes[1]};
    for (int victim = 0; victim < 3; victim++) {
        for (int side = 0; side < 2; side++) {
            reset();
            rl_list_push_back(&lists[0], &nodes[0]);
            rl_list_push_back(&lists[0], &nodes[1]);
            CHECK(rl_list_check(&lists[0]) == 0);
            *(side == 0 ? &ring[victim]->prev : &ring[victim]->next) = ring[victim];
            CHECK(rl_list_check(&lists[0]) == -1);
        }
    }
}

static const struct test tests[] = {TEST(lists_do_what_arrays_do), TEST(check_sees_damage)};

TEST_MAIN(tests)
