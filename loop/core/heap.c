#include "core/heap.h"

#include <assert.h>

static bool is_before(const struct rl_heap_node *a, const struct rl_heap_node *b)
{
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns;
    return a->sequence < b->sequence;
}

/* Joins two trees, of which either may be NULL: the later root becomes the first child of the earlier one. */
static struct rl_heap_node *meld(struct rl_heap_node *a, struct rl_heap_node *b)
{
    if (a == NULL || b == NULL)
        return a == NULL ? b : a;
    struct rl_heap_node *parent = is_before(b, a) ? b : a;
    struct rl_heap_node *child = parent == a ? b : a;
    child->prev = parent;
    child->next = parent->child;
    if (child->next != NULL)
        child->next->prev = child;
    parent->child = child;
    return parent;
}

/* Joins a row of siblings into one tree: in pairs from left to right, then the pairs from right to left. The pairing is
 * what makes removal cheap: joining one after the other would leave the row as long as it was. */
static struct rl_heap_node *meld_siblings(struct rl_heap_node *first)
{
    struct rl_heap_node *pairs = NULL; /* linked through next, the last pair first */
    while (first != NULL) {
        struct rl_heap_node *a = first;
        struct rl_heap_node *b = a->next;
        first = b == NULL ? NULL : b->next;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    struct rl_heap_node *tree = NULL;
    while (pairs != NULL) {
        struct rl_heap_node *pair = pairs;
        pairs = pair->next;
        pair->next = NULL;
        tree = meld(tree, pair);
    }
    if (tree != NULL)
        tree->prev = NULL;
    return tree;
}

static bool is_first_child(const struct rl_heap_node *node)
{
    return node->prev->child == node;
}

void rl_heap_init(struct rl_heap *heap)
{
    heap->root = NULL;
    heap->count = 0;
}

void rl_heap_node_init(struct rl_heap_node *node)
{
    node->child = NULL;
    node->next = NULL;
    node->prev = node;
}

void rl_heap_push(struct rl_heap *heap, struct rl_heap_node *node)
{
    assert(!rl_heap_is_linked(node));
    assert(node->child == NULL && node->next == NULL);
    node->prev = NULL;
    heap->root = meld(heap->root, node);
    heap->count++;
}

void rl_heap_remove(struct rl_heap *heap, struct rl_heap_node *node)
{
    assert(rl_heap_is_linked(node));
    assert(heap->count > 0);
    if (node == heap->root) {
        heap->root = meld_siblings(node->child);
    } else {
        if (is_first_child(node))
            node->prev->child = node->next;
        else
            node->prev->next = node->next;
        if (node->next != NULL)
            node->next->prev = node->prev;
        heap->root = meld(heap->root, meld_siblings(node->child));
    }
    heap->count--;
    rl_heap_node_init(node);
}

struct rl_heap_node *rl_heap_min(const struct rl_heap *heap)
{
    return heap->root;
}

bool rl_heap_is_linked(const struct rl_heap_node *node)
{
    return node->prev != node;
}

/* The node after this one in a walk that visits a parent before its children; NULL after the last. */
static const struct rl_heap_node *walk_next(const struct rl_heap_node *node)
{
    if (node->child != NULL)
        return node->child;
    while (node != NULL && node->next == NULL) {
        while (node->prev != NULL && !is_first_child(node))
            node = node->prev;
        node = node->prev;
    }
    return node == NULL ? NULL : node->next;
}

static int check_children(const struct rl_heap_node *parent)
{
    const struct rl_heap_node *prev = parent;
    for (const struct rl_heap_node *child = parent->child; child != NULL; child = child->next) {
        if (child->prev != prev)
            return -1;
        if (is_before(child, parent))
            return -2;
        prev = child;
    }
    return 0;
}

int rl_heap_check(const struct rl_heap *heap)
{
    if (heap->root != NULL && (heap->root->prev != NULL || heap->root->next != NULL))
        return -1;
    size_t seen = 0;
    for (const struct rl_heap_node *node = heap->root; node != NULL; node = walk_next(node)) {
        int broken = check_children(node);
        if (broken != 0)
            return broken;
        if (++seen > heap->count)
            return -3;
    }
    return seen == heap->count ? 0 : -3;
}
