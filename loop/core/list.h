/* An intrusive doubly linked circular list. The node lives inside what it links; the list owns no memory. */
#ifndef RL_LIST_H
#define RL_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The object that contains the member at pointer. */
#define RL_CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

struct rl_node {
    struct rl_node *prev; /* prev->next is this node; this node itself while it is in no list */
    struct rl_node *next; /* next->prev is this node; this node itself while it is in no list */
};

struct rl_list {
    struct rl_node head; /* no element: head.next is the first, head.prev the last, head itself if there is none */
};

void rl_list_init(struct rl_list *list);
void rl_list_node_init(struct rl_node *node);

/* The node is in no list. */
void rl_list_push_back(struct rl_list *list, struct rl_node *node);
/* Takes the node out of whichever list it is in; does nothing if it is in none. */
void rl_list_remove(struct rl_node *node);
/* Moves all elements of from, in order, to the end of list. From is empty afterwards. */
void rl_list_splice(struct rl_list *list, struct rl_list *from);

bool rl_list_is_empty(const struct rl_list *list);
bool rl_list_is_linked(const struct rl_node *node);
/* The first element, or NULL. */
struct rl_node *rl_list_first(const struct rl_list *list);

/* 0 when sound; -1 if a link is not answered by its neighbour. */
int rl_list_check(const struct rl_list *list);

#endif
