/* An intrusive pairing heap of deadlines: the earliest first, and of equal ones the first added (the lowest sequence).
 * Push is O(1), removal O(log n) amortised; the heap owns no memory. */
#ifndef RL_HEAP_H
#define RL_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rl_heap_node {
    uint64_t deadline_ns;       /* the key; unchanged while in the heap; not before that of the parent */
    uint64_t sequence;          /* decides between equal deadlines; unique in the heap */
    struct rl_heap_node *child; /* first of the children, or NULL */
    struct rl_heap_node *next;  /* next child of the same parent, or NULL */
    struct rl_heap_node *prev;  /* previous child; of a first child the parent; of the root NULL; itself in no heap */
};

struct rl_heap {
    struct rl_heap_node *root; /* the minimum; NULL if and only if count is 0 */
    size_t count;              /* number of nodes that can be reached from root */
};

void rl_heap_init(struct rl_heap *heap);
void rl_heap_node_init(struct rl_heap_node *node);

/* The node is in no heap; its keys are set. */
void rl_heap_push(struct rl_heap *heap, struct rl_heap_node *node);
/* The node is in this heap, at any place. */
void rl_heap_remove(struct rl_heap *heap, struct rl_heap_node *node);

/* The node with the least (deadline, sequence), or NULL. */
struct rl_heap_node *rl_heap_min(const struct rl_heap *heap);
bool rl_heap_is_linked(const struct rl_heap_node *node);

/* 0 when sound; -1: a link is not answered; -2: a child comes before its parent; -3: count is wrong. */
int rl_heap_check(const struct rl_heap *heap);

#endif
