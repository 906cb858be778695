/* Real clock, real threads. However many threads post at once, no post is lost, none is answered twice, and those of
 * one thread arrive in order: through the bare mailbox, and through rl_waker_post on a loop that sleeps on epoll.
 *
 *   stress_wake mailbox|loop THREADS [STALL_S]
 *
 * Exit status 0: it was so; 1: it was not, or for STALL_S seconds nothing arrived though posts were owed, which is what
 * a lost wake-up looks like; 2: bad arguments. */
#include "refloop.h"
#include "thread/wake.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS_MAX = 16, LETTERS = 3, BURST = 8, ROUNDS = 60000 /* of all threads together */, STALL_S = 10 };

#define NS_PER_S UINT64_C(1000000000)

/* What is posted. Its node or waker is in the mailbox; the rest is how poster and receiver count. */
struct slot {
    struct rl_wake_node node; /* first; used in the bare mailbox */
    rl_waker *waker;          /* used in the loop */
    struct slot *before;      /* of letters: the one that is posted before this one in each round, or NULL */
    uint32_t text;            /* of letters: the round, plain, so that TSan sees whether the post hands it over */
    uint32_t callbacks;       /* of the receiver alone */
    _Atomic uint32_t latest;  /* of the others: how many posts were begun; relaxed, so that it orders nothing */
    _Atomic uint32_t seen;    /* what the receiver saw last of text or latest */
};

struct poster {
    struct slot letters[LETTERS]; /* posted once a round, and again only when all were answered */
    struct slot burst;            /* posted BURST times a round without waiting */
    struct slot bye;              /* posted once, last */
    pthread_t thread;
    uint32_t errors; /* posts that failed; for the main thread once this one has ended */
};

static struct poster posters[THREADS_MAX];
static struct slot shared; /* posted once a round by every thread */
static unsigned threads_count, rounds_count, byes_count;
static uint64_t stall_ns;
static _Atomic uint32_t wakes_count; /* posts that were told to wake the backend; bare mailbox only */

static struct rl_wake mailbox;
static rl_loop *loop; /* NULL: the bare mailbox */
static rl_timer *rescue;
static bool is_stalled;

static _Noreturn void fail(const char *what, const struct slot *slot)
{
    printf("%s: slot posted %u, text %u, %u callbacks, %u seen\n", what, slot->latest, slot->text, slot->callbacks,
           slot->seen);
    (void)fflush(stdout);
    _Exit(1); /* the posters may wait for ever */
}

/* The posters' side. */

static void post(struct poster *poster, struct slot *slot)
{
    if (loop != NULL) {
        poster->errors += rl_waker_post(slot->waker) != 0;
        return;
    }
    enum rl_wake_post_result result = rl_wake_post(&mailbox, &slot->node);
    poster->errors += result == RL_WAKE_REFUSED;
    if (result == RL_WAKE_NEEDED)
        atomic_fetch_add_explicit(&wakes_count, 1, memory_order_relaxed);
}

static uint32_t count_and_post(struct poster *poster, struct slot *slot)
{
    uint32_t number = atomic_fetch_add_explicit(&slot->latest, 1, memory_order_relaxed) + 1;
    post(poster, slot);
    return number;
}

static void await(struct slot *slot, uint32_t number, memory_order order)
{
    while (atomic_load_explicit(&slot->seen, order) < number)
        (void)sched_yield();
}

static void *run_poster(void *arg)
{
    struct poster *me = arg;
    for (uint32_t round = 1; round <= rounds_count; round++) {
        for (unsigned i = 0; i < LETTERS; i++) {
            me->letters[i].text = round;
            post(me, &me->letters[i]);
        }
        uint32_t burst = 0;
        for (unsigned i = 0; i < BURST; i++)
            burst = count_and_post(me, &me->burst);
        uint32_t number = count_and_post(me, &shared);
        await(&me->burst, burst, memory_order_relaxed);
        await(&shared, number, memory_order_relaxed);
        for (unsigned i = 0; i < LETTERS; i++)
            await(&me->letters[i], round, memory_order_acquire); /* the text is read, and may be written again */
    }
    post(me, &me->bye);
    return NULL;
}

/* The receiver's side. */

/* Is this one of the letters, and is it the one that is due? */
static void receive_letter(struct slot *slot)
{
    if (slot->text != slot->callbacks)
        fail("WRONG: a letter came twice, or another round's", slot);
    if (slot->before != NULL && slot->before->callbacks != slot->callbacks)
        fail("WRONG: a letter overtook the one before it", slot);
    atomic_store_explicit(&slot->seen, slot->text, memory_order_release);
}

static void receive(struct slot *slot)
{
    slot->callbacks++;
    for (unsigned i = 0; i < threads_count; i++) {
        byes_count += slot == &posters[i].bye;
        if (slot >= posters[i].letters && slot < posters[i].letters + LETTERS) {
            receive_letter(slot);
            return;
        }
    }
    uint32_t latest = atomic_load_explicit(&slot->latest, memory_order_relaxed);
    atomic_store_explicit(&slot->seen, latest, memory_order_relaxed);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Never sleeps: nothing but the mailbox itself orders the posters and this thread. */
static uint32_t receive_from_mailbox(void)
{
    uint32_t takes_with_post = 0;
    for (uint64_t end_ns = now_ns() + stall_ns; byes_count < threads_count;) {
        struct rl_wake_batch batch = rl_wake_take(&mailbox);
        if (batch.oldest != NULL) {
            takes_with_post++;
            for (struct rl_wake_node *node; (node = rl_wake_next(&batch)) != NULL;)
                receive((struct slot *)(void *)node); /* node is the first member */
            end_ns = now_ns() + stall_ns;
        } else if (now_ns() > end_ns) {
            fail("STALLED: a post was lost", &shared);
        }
        (void)sched_yield();
    }
    return takes_with_post;
}

static void on_posted(rl_waker *waker, void *arg)
{
    (void)waker;
    receive(arg);
}

static void on_rescue(rl_timer *timer, void *arg)
{
    (void)timer, (void)arg;
    is_stalled = true;
}

static void receive_from_loop(void)
{
    while (byes_count < threads_count) {
        if (rl_timer_start(rescue, stall_ns) != 0 || rl_loop_turn(loop, true) < 0)
            fail("WRONG: a turn failed", &shared);
        if (is_stalled)
            fail("STALLED: a post or its wake-up was lost", &shared);
    }
}

/* Set-up and the sums at the end. */

static int open_slot(struct slot *slot, struct slot *before)
{
    slot->before = before;
    rl_wake_node_init(&slot->node);
    return loop == NULL ? 0 : rl_waker_open(loop, on_posted, slot, &slot->waker);
}

static int open_all(bool is_loop)
{
    rl_wake_init(&mailbox);
    int error = is_loop ? rl_loop_open(&loop) : 0;
    error = error == 0 && is_loop ? rl_timer_open(loop, on_rescue, NULL, &rescue) : error;
    error = error == 0 ? open_slot(&shared, NULL) : error;
    for (unsigned i = 0; i < threads_count && error == 0; i++) {
        for (unsigned k = 0; k < LETTERS && error == 0; k++)
            error = open_slot(&posters[i].letters[k], k == 0 ? NULL : &posters[i].letters[k - 1]);
        error = error == 0 ? open_slot(&posters[i].burst, NULL) : error;
        error = error == 0 ? open_slot(&posters[i].bye, NULL) : error;
    }
    for (unsigned i = 0; i < threads_count && error == 0; i++)
        error = pthread_create(&posters[i].thread, NULL, run_poster, &posters[i]);
    return error;
}

/* Letters were compared one by one; of the others there may be fewer callbacks than posts, never more. */
static uint32_t check_sums(void)
{
    uint32_t callbacks = shared.callbacks;
    if (shared.seen != threads_count * rounds_count || shared.callbacks > shared.latest)
        fail("WRONG: the posts of all threads", &shared);
    for (unsigned i = 0; i < threads_count; i++) {
        struct poster *poster = &posters[i];
        if (poster->errors != 0)
            fail("WRONG: a post failed", &poster->burst);
        if (poster->burst.seen != BURST * rounds_count || poster->burst.callbacks > poster->burst.latest)
            fail("WRONG: the posts of a burst", &poster->burst);
        for (unsigned k = 0; k < LETTERS; k++)
            if (poster->letters[k].callbacks != rounds_count)
                fail("WRONG: a letter is missing", &poster->letters[k]);
        callbacks += poster->burst.callbacks + LETTERS * rounds_count;
    }
    return callbacks;
}

int main(int argc, char **argv)
{
    bool is_loop = argc > 1 && strcmp(argv[1], "loop") == 0;
    long threads = argc > 2 ? strtol(argv[2], NULL, 10) : 0, stall_s = argc > 3 ? strtol(argv[3], NULL, 10) : STALL_S;
    if ((!is_loop && (argc < 2 || strcmp(argv[1], "mailbox") != 0)) || threads < 1 || threads > THREADS_MAX ||
        stall_s < 1) {
        (void)fprintf(stderr, "usage: stress_wake mailbox|loop THREADS [STALL_S], 1 to %d threads\n", THREADS_MAX);
        return 2;
    }
    threads_count = (unsigned)threads;
    rounds_count = ROUNDS / threads_count;
    stall_ns = (uint64_t)stall_s * NS_PER_S;
    if (open_all(is_loop) != 0)
        fail("WRONG: a loop, a handle or a thread could not be made", &shared);
    uint32_t takes_with_post = 0;
    if (is_loop)
        receive_from_loop();
    else
        takes_with_post = receive_from_mailbox();
    for (unsigned i = 0; i < threads_count; i++)
        (void)pthread_join(posters[i].thread, NULL);
    if (takes_with_post != wakes_count)
        fail("WRONG: as many wakes as takes that found a post", &shared);
    uint32_t callbacks = check_sums();
    if (is_loop && (rl_loop_check(loop) != 0 || rl_loop_close(loop) != 0))
        fail("WRONG: the loop is not sound at the end", &shared);
    printf("%s, %u threads: %u posts, %u callbacks, all seen and in order\n", argv[1], threads_count,
           threads_count * rounds_count * (LETTERS + BURST + 1), callbacks);
    return 0;
}
