#include "thread/wake.h"

#include <assert.h>
#include <stddef.h>

void rl_wake_init(struct rl_wake *wake)
{
    atomic_init(&wake->newest, NULL);
}

void rl_wake_node_init(struct rl_wake_node *node)
{
    node->next = NULL;
    atomic_init(&node->is_posted, false);
    atomic_init(&node->is_closed, false);
}

enum rl_wake_post_result rl_wake_post(struct rl_wake *wake, struct rl_wake_node *node)
{
    if (rl_wake_is_closed(node))
        return RL_WAKE_REFUSED;
    /* An exchange also where the node waits already: it ties this post to the exchange in rl_wake_next, which is how
     * the callback comes to see what this thread wrote. A plain load would coalesce just as well and lose that. */
    if (atomic_exchange_explicit(&node->is_posted, true, memory_order_acq_rel))
        return RL_WAKE_DONE;
    struct rl_wake_node *newest = atomic_load_explicit(&wake->newest, memory_order_relaxed);
    do {
        node->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&wake->newest, &newest, node, memory_order_release,
                                                    memory_order_relaxed));
    return newest == NULL ? RL_WAKE_NEEDED : RL_WAKE_DONE;
}

struct rl_wake_batch rl_wake_take(struct rl_wake *wake)
{
    struct rl_wake_node *node = atomic_exchange_explicit(&wake->newest, NULL, memory_order_acquire);
    struct rl_wake_batch batch = {.oldest = NULL};
    while (node != NULL) {
        struct rl_wake_node *older = node->next;
        node->next = batch.oldest;
        batch.oldest = node;
        node = older;
    }
    return batch;
}

struct rl_wake_node *rl_wake_next(struct rl_wake_batch *batch)
{
    struct rl_wake_node *node = batch->oldest;
    if (node == NULL)
        return NULL;
    /* In this order: once is_posted is false, next belongs to the next poster. */
    batch->oldest = node->next;
    bool was_posted = atomic_exchange_explicit(&node->is_posted, false, memory_order_acq_rel);
    assert(was_posted);
    (void)was_posted;
    return node;
}

void rl_wake_close(struct rl_wake_node *node)
{
    assert(!rl_wake_is_closed(node));
    /* Relaxed: a post that does not see it yet is one that overlaps, and the node's memory outlives it. */
    atomic_store_explicit(&node->is_closed, true, memory_order_relaxed);
}

bool rl_wake_is_closed(const struct rl_wake_node *node)
{
    return atomic_load_explicit(&node->is_closed, memory_order_relaxed);
}

int rl_wake_check(const struct rl_wake *wake)
{
    const struct rl_wake_node *node = atomic_load_explicit(&wake->newest, memory_order_acquire);
    for (; node != NULL; node = node->next)
        if (!atomic_load_explicit(&node->is_posted, memory_order_relaxed))
            return -1;
    return 0;
}
