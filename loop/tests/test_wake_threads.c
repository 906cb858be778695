/* Real threads, bounded work; run it under TSan too. Eight producers and one consumer lose no post, add none, and keep
 * each producer's order; a closed node refuses. */
#include "testing/test.h"
#include "thread/wake.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>

enum { PRODUCERS = 8, OWN_NODES = 4, POSTS = 20000, ROUNDS = 2000 };

/* What a producer posts: written by it alone before the post, read by the consumer after it. */
struct letter {
    struct rl_wake_node node;
    uint32_t text;           /* not atomic: TSan sees whether the post really hands it over */
    uint32_t received;       /* of the consumer alone */
    _Atomic uint32_t latest; /* what the producer wrote last; relaxed, so that it orders nothing */
};

static struct rl_wake wake;
static struct letter letters[PRODUCERS][OWN_NODES];
static struct letter shared;
static _Atomic uint32_t shared_text, wakes, posts_returned;
static atomic_uint producers_left, rounds_begun;

static void count_wake(enum rl_wake_post_result result)
{
    if (result == RL_WAKE_NEEDED)
        atomic_fetch_add(&wakes, 1);
}

static void start(pthread_t *threads, void *(*run)(void *))
{
    static uintptr_t indexes[PRODUCERS];
    rl_wake_init(&wake);
    atomic_store(&wakes, 0);
    atomic_store(&producers_left, PRODUCERS);
    for (uintptr_t i = 0; i < PRODUCERS; i++) {
        indexes[i] = i;
        CHECK(pthread_create(&threads[i], NULL, run, &indexes[i]) == 0);
    }
}

static void init_letters(void)
{
    for (int i = 0; i < PRODUCERS * OWN_NODES; i++) {
        letters[i / OWN_NODES][i % OWN_NODES].received = 0;
        rl_wake_node_init(&letters[i / OWN_NODES][i % OWN_NODES].node);
    }
}

static void join(pthread_t *threads)
{
    for (int i = 0; i < PRODUCERS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
}

static void *post_to_shared(void *arg)
{
    (void)arg;
    for (int i = 0; i < POSTS; i++) {
        atomic_fetch_add_explicit(&shared_text, 1, memory_order_relaxed);
        count_wake(rl_wake_post(&wake, &shared.node));
        atomic_fetch_add(&posts_returned, 1);
    }
    atomic_fetch_sub(&producers_left, 1);
    return NULL;
}

/* [WAKE-1] [WAKE-3] All post to one node: the consumer sees the last text, no more nodes than posts, a wake a take. */
static void posts_to_one_node_are_coalesced_and_not_lost(void)
{
    pthread_t threads[PRODUCERS];
    uint32_t seen = 0, received_count = 0, takes_with_post = 0;
    rl_wake_node_init(&shared.node);
    start(threads, post_to_shared);
    for (bool is_last = false; !is_last;) {
        is_last = atomic_load(&producers_left) == 0;
        struct rl_wake_batch batch = rl_wake_take(&wake);
        takes_with_post += batch.oldest != NULL;
        while (rl_wake_next(&batch) != NULL) {
            received_count++;
            seen = atomic_load_explicit(&shared_text, memory_order_relaxed);
        }
        sched_yield();
    }
    join(threads);
    CHECK(seen == PRODUCERS * POSTS);
    CHECK(received_count > 0 && received_count <= PRODUCERS * POSTS);
    CHECK(atomic_load(&wakes) == takes_with_post);
}

static void *post_without_pause(void *arg)
{
    uintptr_t me = *(uintptr_t *)arg;
    for (uint32_t i = 1; i <= POSTS; i++) {
        atomic_store_explicit(&letters[me][i % OWN_NODES].latest, i, memory_order_relaxed);
        count_wake(rl_wake_post(&wake, &letters[me][i % OWN_NODES].node));
    }
    atomic_fetch_sub(&producers_left, 1);
    return NULL;
}

/* [WAKE-1] [WAKE-3] All post to nodes of their own without pause: each node's last post is seen, a wake a take. */
static void posts_to_many_nodes_are_not_lost(void)
{
    pthread_t threads[PRODUCERS];
    uint32_t takes_with_post = 0;
    init_letters();
    start(threads, post_without_pause);
    for (bool is_last = false; !is_last;) {
        is_last = atomic_load(&producers_left) == 0;
        struct rl_wake_batch batch = rl_wake_take(&wake);
        takes_with_post += batch.oldest != NULL;
        for (struct rl_wake_node *node; (node = rl_wake_next(&batch)) != NULL;) {
            struct letter *letter = (struct letter *)(void *)node; /* node is the first member */
            letter->received = atomic_load_explicit(&letter->latest, memory_order_relaxed);
        }
    }
    join(threads);
    for (int i = 0; i < PRODUCERS * OWN_NODES; i++)
        CHECK(letters[i / OWN_NODES][i % OWN_NODES].received > POSTS - OWN_NODES);
    CHECK(atomic_load(&wakes) == takes_with_post);
}

static void *post_letters_in_order(void *arg)
{
    uintptr_t me = *(uintptr_t *)arg;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        while (atomic_load(&rounds_begun) < round)
            sched_yield();
        for (uint32_t i = 0; i < OWN_NODES; i++) {
            letters[me][i].text = round;
            count_wake(rl_wake_post(&wake, &letters[me][i].node));
        }
    }
    return NULL;
}

/* Receives the letters of one round; each producer's must come in the order of its array. Returns 0 if they do. */
static int receive_round(unsigned round, uint32_t *takes_with_post)
{
    int wrong = 0, missing = PRODUCERS * OWN_NODES;
    while (missing > 0 && wrong == 0) {
        struct rl_wake_batch batch = rl_wake_take(&wake);
        *takes_with_post += batch.oldest != NULL;
        for (struct rl_wake_node *node; (node = rl_wake_next(&batch)) != NULL; missing--) {
            struct letter *letter = (struct letter *)(void *)node; /* node is the first member */
            size_t place = (size_t)(letter - &letters[0][0]) % OWN_NODES;
            wrong += letter->text != round || letter->received != round - 1;
            wrong += place > 0 && (letter - 1)->received != round;
            letter->received = round;
        }
        sched_yield();
    }
    return wrong;
}

/* [WAKE-1] [WAKE-2] Each producer's letters arrive once a round, with their text, in the order of its posts. */
static void letters_of_a_producer_arrive_in_order(void)
{
    pthread_t threads[PRODUCERS];
    uint32_t takes_with_post = 0;
    int wrong = 0;
    atomic_store(&rounds_begun, 0);
    init_letters();
    start(threads, post_letters_in_order);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        atomic_store(&rounds_begun, round);
        wrong += receive_round(round, &takes_with_post);
    }
    join(threads);
    CHECK(wrong == 0);
    CHECK(atomic_load(&wakes) == takes_with_post);
}

static void *write_and_post_to_shared(void *arg)
{
    uintptr_t me = *(uintptr_t *)arg;
    for (unsigned round = 1; round <= ROUNDS; round++) {
        while (atomic_load(&rounds_begun) < round)
            sched_yield();
        letters[me][0].text = round;
        count_wake(rl_wake_post(&wake, &shared.node));
        atomic_fetch_add_explicit(&posts_returned, 1, memory_order_relaxed);
    }
    return NULL;
}

/* [WAKE-1] What a poster wrote before a post that was coalesced is visible too; nothing but the node orders the two. */
static void coalesced_posts_hand_over_too(void)
{
    pthread_t threads[PRODUCERS];
    int wrong = 0;
    rl_wake_node_init(&shared.node);
    atomic_store(&posts_returned, 0);
    atomic_store(&rounds_begun, 0);
    start(threads, write_and_post_to_shared);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        atomic_store(&rounds_begun, round);
        while (atomic_load_explicit(&posts_returned, memory_order_relaxed) < round * PRODUCERS)
            sched_yield();
        struct rl_wake_batch batch = rl_wake_take(&wake);
        wrong += rl_wake_next(&batch) != &shared.node || rl_wake_next(&batch) != NULL;
        for (int i = 0; i < PRODUCERS; i++)
            wrong += letters[i][0].text != round;
    }
    join(threads);
    CHECK(wrong == 0);
}

static void *post_until_refused(void *arg)
{
    (void)arg;
    while (rl_wake_post(&wake, &shared.node) != RL_WAKE_REFUSED)
        atomic_fetch_add(&posts_returned, 1);
    return NULL;
}

/* A node that is closed while all post to it refuses in the end, and what overlapped leaves a sound mailbox. */
static void close_stops_concurrent_posts(void)
{
    pthread_t threads[PRODUCERS];
    atomic_store(&posts_returned, 0);
    rl_wake_node_init(&shared.node);
    start(threads, post_until_refused);
    while (atomic_load(&posts_returned) < POSTS) {
        struct rl_wake_batch batch = rl_wake_take(&wake);
        while (rl_wake_next(&batch) != NULL)
            ;
        sched_yield();
    }
    rl_wake_close(&shared.node);
    join(threads);
    struct rl_wake_batch batch = rl_wake_take(&wake);
    const struct rl_wake_node *late = rl_wake_next(&batch);
    CHECK(late == NULL || (late == &shared.node && rl_wake_is_closed(late)));
    CHECK(rl_wake_next(&batch) == NULL);
    CHECK(rl_wake_post(&wake, &shared.node) == RL_WAKE_REFUSED);
}

static const struct test tests[] = {TEST(posts_to_one_node_are_coalesced_and_not_lost),
                                    TEST(posts_to_many_nodes_are_not_lost), TEST(letters_of_a_producer_arrive_in_order),
                                    TEST(coalesced_posts_hand_over_too), TEST(close_stops_concurrent_posts)};

TEST_MAIN(tests)
