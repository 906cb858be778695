/* Property: of what threads post while the loop's thread drains the mailbox, nothing is lost, nothing comes more often
 * than it was posted, what one thread posts comes in its order, with what it wrote before; and for each take that finds
 * something exactly one post was told to wake the loop; a closed node takes no post. As counters say; the interleaving
 * is the machine's.
 *
 * Targets: rl_wake_post, rl_wake_take, rl_wake_next, rl_wake_close, rl_wake_is_closed, rl_wake_check.
 */
#include <pthread.h>
#include <sched.h>

#include "input.h"
#include "thread/wake.h"

enum { POSTERS = 2, OWN = 6, SHARED = POSTERS * OWN, NODES = SHARED + 2, POSTS_MAX = 48, ROUNDS_MAX = 32 };

struct poster {
    int number;
    unsigned count, rounds; /* posts, and how often they are made: again only of the shared nodes */
    uint8_t script[POSTS_MAX];
    unsigned needed; /* how often it was told to wake the loop */
};

static struct rl_wake wake;
static struct node {
    struct rl_wake_node node;
    unsigned written; /* of an own node: how many its thread had posted before; no lock, no atomic */
    atomic_uint posts;
    unsigned received;
    unsigned seen; /* posts begun when it came last: in the end, all */
} nodes[NODES];
static atomic_uint running, waiting;

/* Each own node is posted once at most, in the order of the script; the shared ones by anybody, any number of times. */
static void *post_all(void *arg)
{
    struct poster *poster = arg;
    bool was_posted[OWN] = {false};
    atomic_fetch_sub(&waiting, 1);
    while (atomic_load(&waiting) > 0) /* they begin together: one that was over when the next begins meets nobody */
        sched_yield();
    for (unsigned i = 0; i < poster->count * poster->rounds; i++) {
        const unsigned what = poster->script[i % poster->count], own = what % OWN;
        const bool is_shared = what & 128 || was_posted[own];
        struct node *node = &nodes[is_shared ? SHARED + what % 2 : (unsigned)poster->number * OWN + own];
        if (!is_shared)
            was_posted[own] = true, node->written = i + 1;
        atomic_fetch_add(&node->posts, 1);
        poster->needed += rl_wake_post(&wake, &node->node) == RL_WAKE_NEEDED;
        if (what & 64 && i < poster->count)
            sched_yield();
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* One take and all that it found. True: it found something. */
static bool drain(unsigned last[POSTERS])
{
    struct rl_wake_batch batch = rl_wake_take(&wake);
    struct rl_wake_node *found;
    bool has_found = false;
    for (; (found = rl_wake_next(&batch)) != NULL; has_found = true) {
        struct node *node = (struct node *)found; /* its first member */
        const unsigned poster = (unsigned)(node - nodes) / OWN;
        node->received++;
        node->seen = atomic_load(&node->posts);
        input_check(node->received <= node->seen, "a node comes more often than it was posted");
        if (node - nodes >= SHARED)
            continue;
        input_check(node->written > last[poster], "what one thread posted comes in another order");
        last[poster] = node->written;
    }
    return has_found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.bytes = data, .left = size};
    struct poster posters[POSTERS] = {{.number = 0}, {.number = 1}};
    unsigned found = 0, last[POSTERS] = {0}, close_after = input_byte(&input);
    const unsigned together = 1 + input_byte(&input) % ROUNDS_MAX;
    pthread_t threads[POSTERS];
    rl_wake_init(&wake);
    for (unsigned i = 0; i < NODES; i++)
        nodes[i] = (struct node){.received = 0}, rl_wake_node_init(&nodes[i].node);
    for (unsigned i = 0; input.left > 0 && i < POSTERS * POSTS_MAX; i++)
        posters[i % POSTERS].script[posters[i % POSTERS].count++] = (uint8_t)input_byte(&input);
    atomic_store(&running, POSTERS);
    atomic_store(&waiting, POSTERS);
    for (unsigned i = 0; i < POSTERS; i++)
        posters[i].rounds = together;
    for (unsigned i = 0; i < POSTERS; i++)
        input_check(pthread_create(&threads[i], NULL, post_all, &posters[i]) == 0, "no thread");
    for (unsigned rounds = 1; atomic_load(&running) > 0; rounds++) {
        if (drain(last))
            found++;
        else
            sched_yield();
        if (rounds == close_after)
            rl_wake_close(&nodes[NODES - 1].node);
    }
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    input_check(rl_wake_check(&wake) == 0, "an invariant is broken");
    found += drain(last);
    if (!rl_wake_is_closed(&nodes[NODES - 1].node))
        rl_wake_close(&nodes[NODES - 1].node);
    input_check(rl_wake_post(&wake, &nodes[NODES - 1].node) == RL_WAKE_REFUSED, "a closed node takes a post");
    input_check(!drain(last), "what was refused comes");
    for (unsigned i = 0; i < NODES - 1; i++)
        input_check(nodes[i].seen == atomic_load(&nodes[i].posts), "a post was lost");
    input_check(posters[0].needed + posters[1].needed == found, "not one wake-up for each take that finds something");
    return 0;
}
