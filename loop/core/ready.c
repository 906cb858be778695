#include "core/ready.h"

#include <assert.h>

void rl_ready_init(struct rl_ready *ready)
{
    rl_list_init(&ready->queue);
    rl_list_init(&ready->batch);
    ready->is_running = false;
}

void rl_ready_entry_init(struct rl_ready_entry *entry)
{
    rl_list_node_init(&entry->node);
}

void rl_ready_push(struct rl_ready *ready, struct rl_ready_entry *entry)
{
    assert(!rl_ready_is_queued(entry));
    rl_list_push_back(&ready->queue, &entry->node);
}

void rl_ready_remove(struct rl_ready_entry *entry)
{
    rl_list_remove(&entry->node);
}

void rl_ready_begin(struct rl_ready *ready)
{
    assert(!ready->is_running);
    assert(rl_list_is_empty(&ready->batch));
    rl_list_splice(&ready->batch, &ready->queue);
    ready->is_running = true;
}

struct rl_ready_entry *rl_ready_next(struct rl_ready *ready)
{
    assert(ready->is_running);
    struct rl_node *node = rl_list_first(&ready->batch);
    if (node == NULL)
        return NULL;
    rl_list_remove(node);
    return RL_CONTAINER_OF(node, struct rl_ready_entry, node);
}

void rl_ready_end(struct rl_ready *ready)
{
    assert(ready->is_running);
    rl_list_splice(&ready->batch, &ready->queue);
    rl_list_splice(&ready->queue, &ready->batch);
    ready->is_running = false;
}

bool rl_ready_is_empty(const struct rl_ready *ready)
{
    return rl_list_is_empty(&ready->queue) && rl_list_is_empty(&ready->batch);
}

bool rl_ready_is_queued(const struct rl_ready_entry *entry)
{
    return rl_list_is_linked(&entry->node);
}

int rl_ready_check(const struct rl_ready *ready)
{
    if (rl_list_check(&ready->queue) != 0 || rl_list_check(&ready->batch) != 0)
        return -1;
    if (!ready->is_running && !rl_list_is_empty(&ready->batch))
        return -2;
    return 0;
}
