/* A turn sleeps no longer than it may, and runs what was ready when its batch began, and nothing else. */
#include "core/turn.h"
#include "testing/test.h"

enum { ENTRIES = 4 };

static struct rl_turn turn;
static struct rl_ready_entry entries[ENTRIES];
static struct rl_timers_entry timers[ENTRIES];
static struct rl_watcher watcher;
static struct rl_watcher *slots[8];

static void reset(void)
{
    rl_turn_init(&turn);
    for (int i = 0; i < ENTRIES; i++) {
        rl_ready_entry_init(&entries[i]);
        rl_timers_entry_init(&timers[i], &entries[i]);
    }
    rl_watcher_init(&watcher, &entries[0]);
    (void)rl_watches_give_slots(&turn.watches, slots, 8);
}

/* The phases up to the batch. */
static void begin(uint64_t now_ns, const struct rl_event *events, size_t events_count)
{
    (void)rl_turn_prepare(&turn, now_ns, false, false);
    CHECK(rl_turn_check(&turn) == 0);
    rl_turn_collect(&turn, now_ns, events, events_count);
    CHECK(rl_turn_check(&turn) == 0);
    rl_turn_expire(&turn);
    CHECK(rl_turn_check(&turn) == 0);
}

static int64_t sleep_at(uint64_t now_ns, bool may_wait, bool is_alive_outside)
{
    int64_t sleep_ns = rl_turn_prepare(&turn, now_ns, may_wait, is_alive_outside);
    rl_turn_end(&turn);
    return sleep_ns;
}

/* [IDLE] The turn sleeps until the next deadline, or for ever, but never if nothing could end the sleep. */
static void sleep_depends_on_what_is_alive(void)
{
    reset();
    CHECK(sleep_at(10, true, false) == 0);
    CHECK(sleep_at(10, true, true) == RL_SLEEP_FOREVER_NS);
    CHECK(sleep_at(10, false, true) == 0);
    rl_watches_add(&turn.watches, &watcher, 3, RL_IN);
    CHECK(sleep_at(10, true, false) == RL_SLEEP_FOREVER_NS);
    rl_timers_arm(&turn.timers, &timers[1], 30);
    CHECK(sleep_at(10, true, false) == 20);
    CHECK(sleep_at(30, true, false) == 0);
    CHECK(sleep_at(10, false, false) == 0);
    rl_ready_push(&turn.ready, &entries[2]);
    CHECK(sleep_at(10, true, true) == 0);
}

/* Each kind of work alone keeps the turn alive. */
static void each_kind_of_work_is_alive(void)
{
    reset();
    CHECK(!rl_turn_is_alive(&turn));
    rl_ready_push(&turn.ready, &entries[0]);
    CHECK(rl_turn_is_alive(&turn));
    rl_ready_remove(&entries[0]);
    rl_timers_arm(&turn.timers, &timers[0], 30);
    CHECK(rl_turn_is_alive(&turn));
    rl_timers_disarm(&turn.timers, &timers[0]);
    rl_watches_add(&turn.watches, &watcher, 3, RL_IN);
    CHECK(rl_turn_is_alive(&turn));
    rl_watches_remove(&turn.watches, &watcher);
    CHECK(!rl_turn_is_alive(&turn));
}

/* [TURN] What a callback makes ready, or arms with a deadline already past, runs in the next turn. */
static void batch_is_closed_when_it_begins(void)
{
    reset();
    rl_ready_push(&turn.ready, &entries[0]);
    begin(10, NULL, 0);
    CHECK(rl_turn_next(&turn) == &entries[0]);
    rl_ready_push(&turn.ready, &entries[1]);
    rl_timers_arm(&turn.timers, &timers[2], 0);
    CHECK(rl_turn_next(&turn) == NULL);
    rl_turn_end(&turn);
    begin(10, NULL, 0);
    CHECK(rl_turn_next(&turn) == &entries[1]);
    CHECK(rl_turn_next(&turn) == &entries[2]);
    CHECK(rl_turn_next(&turn) == NULL);
    rl_turn_end(&turn);
    CHECK(rl_turn_check(&turn) == 0);
}

/* In a batch come first what waited, then the fds, then the timers by deadline. */
static void batch_is_in_phase_order(void)
{
    const struct rl_event event = {3, RL_IN};
    reset();
    rl_timers_arm(&turn.timers, &timers[3], 5);
    rl_timers_arm(&turn.timers, &timers[2], 4);
    rl_watches_add(&turn.watches, &watcher, 3, RL_IN);
    rl_ready_push(&turn.ready, &entries[1]);
    begin(10, &event, 1);
    CHECK(rl_turn_next(&turn) == &entries[1]);
    CHECK(rl_turn_next(&turn) == &entries[0]);
    CHECK(rl_turn_next(&turn) == &entries[2]);
    CHECK(rl_turn_next(&turn) == &entries[3]);
    CHECK(rl_turn_next(&turn) == NULL);
    rl_turn_end(&turn);
}

/* [TIMER-1] The time after the sleep decides which timers are due, not the time before it. */
static void timers_are_due_by_the_time_after_the_sleep(void)
{
    reset();
    rl_timers_arm(&turn.timers, &timers[0], 30);
    CHECK(rl_turn_prepare(&turn, 10, true, false) == 20);
    rl_turn_collect(&turn, 29, NULL, 0);
    rl_turn_expire(&turn);
    CHECK(rl_turn_next(&turn) == NULL);
    rl_turn_end(&turn);
    CHECK(rl_turn_prepare(&turn, 29, true, false) == 1);
    rl_turn_collect(&turn, 30, NULL, 0);
    rl_turn_expire(&turn);
    CHECK(rl_turn_next(&turn) == &entries[0]);
    rl_turn_end(&turn);
}

/* [STOP] A batch that is broken off leaves the rest queued, in order, before what came meanwhile. */
static void rest_of_a_broken_batch_stays_in_order(void)
{
    reset();
    for (int i = 0; i < 3; i++)
        rl_ready_push(&turn.ready, &entries[i]);
    begin(10, NULL, 0);
    CHECK(rl_turn_next(&turn) == &entries[0]);
    rl_ready_push(&turn.ready, &entries[3]);
    CHECK(!rl_turn_is_broken_off(&turn));
    rl_turn_break(&turn);
    CHECK(rl_turn_is_broken_off(&turn) && rl_turn_next(&turn) == NULL);
    rl_turn_end(&turn);
    begin(10, NULL, 0);
    for (int i = 1; i < ENTRIES; i++)
        CHECK(rl_turn_next(&turn) == &entries[i]);
    CHECK(rl_turn_next(&turn) == NULL);
    rl_turn_end(&turn);
}

/* [FD-1] A watcher whose batch was broken off is told what the next turn finds, not what the last one found. */
static void old_findings_are_not_told(void)
{
    const struct rl_event event = {3, RL_IN};
    for (size_t found_again = 0; found_again < 2; found_again++) {
        reset();
        rl_watches_add(&turn.watches, &watcher, 3, RL_IN | RL_OUT);
        begin(10, &event, 1);
        rl_turn_break(&turn);
        rl_turn_end(&turn);
        begin(10, &(struct rl_event){3, RL_OUT}, found_again);
        CHECK(rl_turn_next(&turn) == &entries[0]);
        CHECK(rl_watches_take(&turn.watches, &watcher) == (found_again ? RL_OUT : 0));
        CHECK(rl_turn_next(&turn) == NULL);
        rl_turn_end(&turn);
        rl_watches_remove(&turn.watches, &watcher);
    }
}

/* A clock that goes back does not take the loop's time back. */
static void time_never_goes_back(void)
{
    reset();
    rl_turn_set_now(&turn, 10);
    rl_turn_set_now(&turn, 9);
    CHECK(turn.now_ns == 10);
    rl_timers_arm(&turn.timers, &timers[0], 12);
    CHECK(sleep_at(5, true, false) == 2);
    begin(11, NULL, 0);
    CHECK(turn.now_ns == 11);
    rl_turn_end(&turn);
}

/* The validator passes on what its parts find, and notices phases that disagree. */
static void check_sees_damage(void)
{
    reset();
    turn.watches.watchers_count = 1;
    CHECK(rl_turn_check(&turn) == -33);
    turn.watches.watchers_count = 0;
    turn.timers.heap.count = 1;
    CHECK(rl_turn_check(&turn) == -23);
    turn.timers.heap.count = 0;
    turn.phase = RL_TURN_RUNNING;
    CHECK(rl_turn_check(&turn) == -41);
    turn.phase = RL_TURN_RESTING;
    turn.is_broken_off = true;
    CHECK(rl_turn_check(&turn) == -42);
    turn.is_broken_off = false;
    turn.ready.queue.head.next = &entries[0].node;
    CHECK(rl_turn_check(&turn) == -11);
}

static const struct test tests[] = {TEST(sleep_depends_on_what_is_alive),
                                    TEST(each_kind_of_work_is_alive),
                                    TEST(batch_is_closed_when_it_begins),
                                    TEST(batch_is_in_phase_order),
                                    TEST(timers_are_due_by_the_time_after_the_sleep),
                                    TEST(rest_of_a_broken_batch_stays_in_order),
                                    TEST(old_findings_are_not_told),
                                    TEST(time_never_goes_back),
                                    TEST(check_sees_damage)};

TEST_MAIN(tests)
