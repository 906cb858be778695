/* The cross-thread mailbox: many threads post nodes, the loop's thread takes all of them at once, in order. Lock-free,
 * and safe in signal handlers. The only concurrent code of the loop.
 *
 * - [WAKE-1] A post that returned is seen by the first take after it, or by an earlier take that has not yet handed out
 *   this node; one that joined a post of another thread which has not returned yet arrives with that. A node is handed
 *   out at most once per post. What the poster wrote before the post is visible to who receives the node.
 * - [WAKE-2] Nodes are handed out in the order in which they were posted. A post to a node that waits already takes the
 *   place of the earlier post; if that one has not returned yet, the place where it will arrive.
 * - [WAKE-3] Of the posts between two takes exactly one is told to wake the backend: the one that found the mailbox
 *   empty. No wake is lost: a take that came too early for a post leaves the mailbox empty for it.
 *
 * A node's memory must outlive every post on it, also those that close refused or dropped. */
#ifndef RL_WAKE_H
#define RL_WAKE_H

#include <stdatomic.h>
#include <stdbool.h>

struct rl_wake_node {
    /* Towards older posts in the mailbox, towards newer ones in a batch. Written by the poster that set is_posted,
     * until its push; from then on by the loop's thread, until that clears is_posted. */
    struct rl_wake_node *next;
    atomic_bool is_posted; /* from a post until the node is handed out; only the post that set it pushes */
    atomic_bool is_closed; /* from close on for ever: posts are refused */
};

struct rl_wake {
    /* A stack of the posted nodes; NULL if none was pushed since the last take. */
    _Atomic(struct rl_wake_node *) newest;
};

/* What one take found; of the loop's thread alone. */
struct rl_wake_batch {
    struct rl_wake_node *oldest; /* the next to hand out, or NULL; all in the row are posted and in no mailbox */
};

enum rl_wake_post_result {
    RL_WAKE_REFUSED = -1, /* the node is closed */
    RL_WAKE_DONE = 0,     /* somebody else has woken the backend, or is about to */
    RL_WAKE_NEEDED = 1    /* the caller must wake the backend */
};

void rl_wake_init(struct rl_wake *wake);
void rl_wake_node_init(struct rl_wake_node *node);

/* Any thread. */
enum rl_wake_post_result rl_wake_post(struct rl_wake *wake, struct rl_wake_node *node);

/* The loop's thread: empties the mailbox. */
struct rl_wake_batch rl_wake_take(struct rl_wake *wake);
/* The loop's thread: hands out the next node, oldest first, or NULL. From here on a post pushes the node anew. A node
 * that was closed meanwhile is handed out too: the caller asks rl_wake_is_closed. */
struct rl_wake_node *rl_wake_next(struct rl_wake_batch *batch);

/* The loop's thread: from now on posts are refused; one that overlaps this call may still arrive. */
void rl_wake_close(struct rl_wake_node *node);
bool rl_wake_is_closed(const struct rl_wake_node *node);

/* The loop's thread. 0 when sound; -1: a node in the mailbox is not posted. */
int rl_wake_check(const struct rl_wake *wake);

#endif
