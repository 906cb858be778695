#include "core/timers.h"

#include <assert.h>

void rl_timers_init(struct rl_timers *timers)
{
    rl_heap_init(&timers->heap);
    timers->sequence_next = 0;
}

void rl_timers_entry_init(struct rl_timers_entry *entry, struct rl_ready_entry *ready)
{
    assert(ready != NULL);
    entry->ready = ready;
    rl_heap_node_init(&entry->node);
}

uint64_t rl_timers_deadline_ns(uint64_t now_ns, uint64_t delay_ns)
{
    return delay_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + delay_ns;
}

void rl_timers_arm(struct rl_timers *timers, struct rl_timers_entry *entry, uint64_t deadline_ns)
{
    assert(!rl_timers_is_armed(entry));
    entry->node.deadline_ns = deadline_ns;
    entry->node.sequence = timers->sequence_next++;
    rl_heap_push(&timers->heap, &entry->node);
}

void rl_timers_disarm(struct rl_timers *timers, struct rl_timers_entry *entry)
{
    if (rl_heap_is_linked(&entry->node))
        rl_heap_remove(&timers->heap, &entry->node);
    rl_ready_remove(entry->ready);
    assert(!rl_timers_is_armed(entry));
}

void rl_timers_expire(struct rl_timers *timers, uint64_t now_ns, struct rl_ready *ready)
{
    struct rl_heap_node *node = rl_heap_min(&timers->heap);
    while (node != NULL && node->deadline_ns <= now_ns) {
        rl_heap_remove(&timers->heap, node);
        rl_ready_push(ready, RL_CONTAINER_OF(node, struct rl_timers_entry, node)->ready);
        node = rl_heap_min(&timers->heap);
    }
}

int64_t rl_timers_sleep_ns(const struct rl_timers *timers, uint64_t now_ns)
{
    const struct rl_heap_node *node = rl_heap_min(&timers->heap);
    if (node == NULL)
        return RL_SLEEP_FOREVER_NS;
    if (node->deadline_ns <= now_ns)
        return 0;
    uint64_t sleep_ns = node->deadline_ns - now_ns;
    return sleep_ns > INT64_MAX ? INT64_MAX : (int64_t)sleep_ns;
}

bool rl_timers_is_empty(const struct rl_timers *timers)
{
    return rl_heap_min(&timers->heap) == NULL;
}

bool rl_timers_is_armed(const struct rl_timers_entry *entry)
{
    return rl_heap_is_linked(&entry->node) || rl_ready_is_queued(entry->ready);
}

int rl_timers_check(const struct rl_timers *timers)
{
    return rl_heap_check(&timers->heap);
}
