#include "core/list.h"

#include <assert.h>

void rl_list_node_init(struct rl_node *node)
{
    node->prev = node;
    node->next = node;
}

void rl_list_init(struct rl_list *list)
{
    rl_list_node_init(&list->head);
}

void rl_list_push_back(struct rl_list *list, struct rl_node *node)
{
    assert(!rl_list_is_linked(node));
    assert(list->head.prev->next == &list->head);
    node->prev = list->head.prev;
    node->next = &list->head;
    node->prev->next = node;
    list->head.prev = node;
}

void rl_list_remove(struct rl_node *node)
{
    assert(node->prev->next == node);
    assert(node->next->prev == node);
    node->prev->next = node->next;
    node->next->prev = node->prev;
    rl_list_node_init(node);
}

void rl_list_splice(struct rl_list *list, struct rl_list *from)
{
    assert(list != from);
    if (rl_list_is_empty(from))
        return;
    struct rl_node *first = from->head.next;
    struct rl_node *last = from->head.prev;
    first->prev = list->head.prev;
    first->prev->next = first;
    last->next = &list->head;
    list->head.prev = last;
    rl_list_init(from);
}

bool rl_list_is_empty(const struct rl_list *list)
{
    return list->head.next == &list->head;
}

bool rl_list_is_linked(const struct rl_node *node)
{
    return node->next != node;
}

struct rl_node *rl_list_first(const struct rl_list *list)
{
    return rl_list_is_empty(list) ? NULL : list->head.next;
}

int rl_list_check(const struct rl_list *list)
{
    /* Ends even on a damaged list: while every link is answered, no node can be entered from two sides, so the walk
     * cannot run into a circle that leaves out the head. */
    const struct rl_node *node = &list->head;
    do {
        if (node->next == NULL || node->next->prev != node)
            return -1;
        node = node->next;
    } while (node != &list->head);
    return 0;
}
