/* The heap gives the nodes back by (deadline, sequence), whatever was removed from its middle. */
#include "core/heap.h"
#include "testing/test.h"

enum { KEYS_MAX = 6 };

static struct rl_heap heap;
static struct rl_heap_node nodes[KEYS_MAX];

static void push(int id, uint64_t deadline_ns, uint64_t sequence)
{
    rl_heap_node_init(&nodes[id]);
    nodes[id].deadline_ns = deadline_ns;
    nodes[id].sequence = sequence;
    rl_heap_push(&heap, &nodes[id]);
    CHECK(rl_heap_is_linked(&nodes[id]));
    CHECK(rl_heap_check(&heap) == 0);
}

static void remove_node(struct rl_heap_node *node)
{
    rl_heap_remove(&heap, node);
    CHECK(!rl_heap_is_linked(node));
    CHECK(rl_heap_check(&heap) == 0);
}

/* Pops until empty, and checks the order of what comes; returns how many came. */
static int drain(void)
{
    int popped_count = 0;
    const struct rl_heap_node *last = NULL;
    for (struct rl_heap_node *node; (node = rl_heap_min(&heap)) != NULL; popped_count++) {
        remove_node(node);
        if (last != NULL && last->deadline_ns == node->deadline_ns)
            CHECK(last->sequence < node->sequence);
        else if (last != NULL)
            CHECK(last->deadline_ns < node->deadline_ns);
        last = node;
    }
    return popped_count;
}

/* Turns order into the next permutation; 0 after the last. */
static int next_permutation(int *order, int count)
{
    int i = count - 2, j = count - 1;
    while (i >= 0 && order[i] > order[i + 1])
        i--;
    if (i < 0)
        return 0;
    while (order[j] < order[i])
        j--;
    int kept = order[i];
    order[i] = order[j];
    order[j] = kept;
    for (int a = i + 1, b = count - 1; a < b; a++, b--) {
        kept = order[a];
        order[a] = order[b];
        order[b] = kept;
    }
    return 1;
}

/* Pushes the keys in this order, pops some, removes one of the rest, and drains. */
static void pop_and_remove(const int *order, int count, int pops, int victim)
{
    rl_heap_init(&heap);
    for (int i = 0; i < count; i++)
        push(i, (uint64_t)order[i], (uint64_t)i);
    for (int i = 0; i < pops; i++) {
        CHECK(rl_heap_min(&heap)->deadline_ns == (uint64_t)i);
        remove_node(rl_heap_min(&heap));
    }
    int rest_count = count - pops;
    if (rl_heap_is_linked(&nodes[victim])) {
        remove_node(&nodes[victim]);
        rest_count--;
    }
    CHECK(drain() == rest_count);
}

/* All permutations of up to six keys, after any number of pops, survive the removal of each node. */
static void any_node_can_be_removed(void)
{
    for (int count = 1; count <= KEYS_MAX; count++) {
        int order[KEYS_MAX] = {0, 1, 2, 3, 4, 5};
        do {
            for (int pops = 0; pops < count; pops++)
                for (int victim = 0; victim < count; victim++)
                    pop_and_remove(order, count, pops, victim);
        } while (next_permutation(order, count));
    }
}

/* Of six nodes with deadlines 0 or 1, in all combinations, equal ones come in the order in which they were pushed. */
static void ties_are_first_in_first_out(void)
{
    for (unsigned long code = 0; code < test_sequences(2, KEYS_MAX); code++) {
        rl_heap_init(&heap);
        for (int i = 0; i < KEYS_MAX; i++)
            push(i, test_op(code, 2, (unsigned)i), (uint64_t)i);
        CHECK(drain() == KEYS_MAX);
    }
}

/* The deadlines at the ends of the range are ordinary keys. */
static void extreme_deadlines_are_ordered(void)
{
    rl_heap_init(&heap);
    push(0, UINT64_MAX, 0);
    push(1, 0, 1);
    push(2, UINT64_MAX - 1, 2);
    push(3, UINT64_MAX, 3);
    CHECK(rl_heap_min(&heap) == &nodes[1]);
    CHECK(drain() == 4);
}

/* The validator notices a wrong key, a wrong link and a wrong count. */
static void check_sees_damage(void)
{
    rl_heap_init(&heap);
    for (int i = 0; i < 3; i++)
        push(i, 10 + (uint64_t)i, (uint64_t)i);
    nodes[2].deadline_ns = 9;
    CHECK(rl_heap_check(&heap) == -2);
    nodes[2].deadline_ns = 12;
    heap.count++;
    CHECK(rl_heap_check(&heap) == -3);
    heap.count -= 2;
    CHECK(rl_heap_check(&heap) == -3);
    heap.count++;
    CHECK(rl_heap_check(&heap) == 0);
    nodes[1].prev = NULL;
    CHECK(rl_heap_check(&heap) == -1);
}

static const struct test tests[] = {TEST(any_node_can_be_removed), TEST(ties_are_first_in_first_out),
                                    TEST(extreme_deadlines_are_ordered), TEST(check_sees_damage)};

TEST_MAIN(tests)
