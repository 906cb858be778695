/* An event reaches exactly the watchers that want it, and nothing found for a removed watcher is ever delivered. */
#include "core/watch.h"
#include "testing/test.h"

#include <string.h>

enum { WATCHERS = 2, ADDS = 3, OP_REMOVE = WATCHERS * ADDS, OP_DISPATCH = OP_REMOVE + WATCHERS };
enum {
    DISPATCHES = 4,
    OP_CHANGE = OP_DISPATCH + DISPATCHES,
    OP_ROUND = OP_CHANGE + 2 * WATCHERS,
    OP_RUN,
    OPS,
    LENGTH = 5,
    SLOTS = 2
};

static const struct rl_event adds[ADDS] = {{0, RL_IN}, {0, RL_OUT}, {1, RL_IN | RL_OUT}};
static const struct rl_event dispatches[DISPATCHES] = {{0, RL_IN}, {0, RL_HUP}, {1, RL_OUT | RL_ERR}, {2, RL_IN}};

static struct rl_watches watches;
static struct rl_watcher *slots[SLOTS];
static struct rl_watcher watchers[WATCHERS];
static struct rl_ready_entry ready_entries[WATCHERS];
static struct rl_ready ready;

/* The model. A watcher that waits to run keeps its place over rounds, but not what it was found ready for. */
static struct {
    int fd;
    uint32_t interest, found;
    uint32_t noted; /* as found, but of the last round that found anything */
    unsigned place; /* in the queue; 0 = does not wait */
} model[WATCHERS];
static unsigned place_next;

static void reset(void)
{
    memset(slots, 0, sizeof slots);
    rl_watches_init(&watches);
    (void)rl_watches_give_slots(&watches, slots, SLOTS);
    rl_ready_init(&ready);
    memset(model, 0, sizeof model);
    for (int i = 0; i < WATCHERS; i++) {
        rl_ready_entry_init(&ready_entries[i]);
        rl_watcher_init(&watchers[i], &ready_entries[i]);
        model[i].fd = -1;
    }
    place_next = 1;
}

static void add(unsigned id, struct rl_event want)
{
    if (model[id].fd >= 0)
        return;
    rl_watches_add(&watches, &watchers[id], want.fd, want.events);
    model[id].fd = want.fd;
    model[id].interest = want.events;
}

static void remove_watcher(unsigned id)
{
    if (model[id].fd < 0)
        return;
    rl_watches_remove(&watches, &watchers[id]);
    memset(&model[id], 0, sizeof model[id]);
    model[id].fd = -1;
}

static void change(unsigned id, uint32_t interest)
{
    if (model[id].fd < 0)
        return;
    rl_watches_change(&watches, &watchers[id], interest);
    model[id].interest = interest;
    model[id].found &= interest | RL_HUP | RL_ERR;
    model[id].noted &= interest | RL_HUP | RL_ERR;
    if (model[id].noted == 0)
        model[id].place = 0;
}

/* The rows of one fd are in adding order; with two watchers it is enough to know which of them was added first. */
static void dispatch(struct rl_event event)
{
    rl_watches_dispatch(&watches, event, &ready);
    unsigned first = event.fd < SLOTS && slots[event.fd] == &watchers[1] ? 1 : 0;
    for (unsigned i = 0; i < WATCHERS; i++) {
        unsigned id = (first + i) % WATCHERS;
        uint32_t found = event.events & (model[id].interest | RL_HUP | RL_ERR);
        if (model[id].fd != event.fd || found == 0)
            continue;
        model[id].found |= found;
        model[id].noted = model[id].found;
        if (model[id].place == 0)
            model[id].place = place_next++;
    }
}

static void run_one(void)
{
    unsigned id = WATCHERS;
    for (unsigned i = 0; i < WATCHERS; i++)
        if (model[i].place > 0 && (id == WATCHERS || model[i].place < model[id].place))
            id = i;
    rl_ready_begin(&ready);
    const struct rl_ready_entry *entry = rl_ready_next(&ready);
    rl_ready_end(&ready);
    CHECK(entry == (id == WATCHERS ? NULL : &ready_entries[id]));
    if (id == WATCHERS)
        return;
    CHECK(rl_watches_take(&watches, &watchers[id]) == model[id].found);
    model[id].found = model[id].noted = model[id].place = 0;
}

static void apply(unsigned op)
{
    if (op < OP_REMOVE) {
        add(op / ADDS, adds[op % ADDS]);
    } else if (op < OP_DISPATCH) {
        remove_watcher(op - OP_REMOVE);
    } else if (op >= OP_CHANGE && op < OP_ROUND) {
        change((op - OP_CHANGE) / 2, (op - OP_CHANGE) % 2 ? RL_IN : RL_OUT);
    } else if (op < OP_CHANGE) {
        dispatch(dispatches[op - OP_DISPATCH]);
    } else if (op == OP_ROUND) {
        rl_watches_begin_round(&watches);
        for (int i = 0; i < WATCHERS; i++)
            model[i].found = 0;
    } else {
        run_one();
    }
}

static void check_same(void)
{
    uint32_t interest[SLOTS] = {0};
    CHECK(rl_watches_check(&watches) == 0);
    for (int i = 0; i < WATCHERS; i++) {
        CHECK(rl_watches_is_added(&watchers[i]) == (model[i].fd >= 0));
        if (model[i].fd >= 0)
            interest[model[i].fd] |= model[i].interest;
    }
    for (int fd = 0; fd < SLOTS; fd++)
        CHECK(rl_watches_interest(&watches, fd) == interest[fd]);
}

/* [FD-1] [FD-3] [FD-4] Every sequence of adding, removing, changing, events, rounds and running does what the model
 * says. */
static void table_does_what_the_model_does(void)
{
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
        reset();
        for (unsigned i = 0; i < LENGTH; i++) {
            apply(test_op(code, OPS, i));
            check_same();
        }
        for (int i = 0; i <= WATCHERS; i++)
            run_one();
    }
}

/* Watchers of one fd become ready in the order in which they were added, also after one of them was added anew. */
static void watchers_of_an_fd_keep_adding_order(void)
{
    reset();
    add(0, adds[0]);
    add(1, adds[0]);
    remove_watcher(0);
    add(0, adds[0]);
    rl_watches_dispatch(&watches, dispatches[0], &ready);
    CHECK(rl_list_first(&ready.queue) == &ready_entries[1].node);
}

/* A changed watcher keeps its place in the row of its fd, and in the queue if it still wants what was found. */
static void changed_watcher_keeps_its_places(void)
{
    reset();
    add(0, adds[0]);
    add(1, adds[0]);
    rl_watches_change(&watches, &watchers[0], RL_IN | RL_OUT);
    rl_watches_dispatch(&watches, dispatches[0], &ready);
    rl_watches_change(&watches, &watchers[0], RL_IN);
    CHECK(rl_list_first(&ready.queue) == &ready_entries[0].node);
    rl_watches_change(&watches, &watchers[0], RL_OUT);
    CHECK(rl_list_first(&ready.queue) == &ready_entries[1].node);
}

/* The table asks for slots only when it needs them, and keeps the watchers when it gets them. */
static void table_grows(void)
{
    struct rl_watcher *more[128];
    reset();
    add(0, adds[2]);
    CHECK(rl_watches_slots_needed(&watches, 1) == 0);
    CHECK(rl_watches_slots_needed(&watches, 2) == 8);
    CHECK(rl_watches_slots_needed(&watches, 7) == 8);
    CHECK(rl_watches_slots_needed(&watches, 8) == 16);
    CHECK(rl_watches_give_slots(&watches, more, 128) == slots);
    CHECK(rl_watches_check(&watches) == 0);
    CHECK(rl_watches_interest(&watches, 1) == (RL_IN | RL_OUT));
    rl_watches_add(&watches, &watchers[1], 127, RL_IN);
    CHECK(rl_watches_check(&watches) == 0);
    CHECK(rl_watches_interest(&watches, 127) == RL_IN);
}

/* Numbers for which there is no slot are nobody's. */
static void strange_fds_are_nobodys(void)
{
    const int strange[] = {-1, SLOTS, 1 << 30};
    reset();
    add(0, adds[0]);
    add(1, adds[2]);
    for (int i = 0; i < 3; i++) {
        rl_watches_dispatch(&watches, (struct rl_event){strange[i], RL_IN}, &ready);
        CHECK(rl_watches_interest(&watches, strange[i]) == 0);
        CHECK(rl_ready_is_empty(&ready));
    }
}

/* The validator notices a watcher in a wrong slot, a finding that nobody waits for, and a wrong count. */
static void check_sees_damage(void)
{
    reset();
    add(0, adds[0]);
    watchers[0].found = RL_IN;
    CHECK(rl_watches_check(&watches) == -2);
    watchers[0].found = 0;
    watches.watchers_count = 2;
    CHECK(rl_watches_check(&watches) == -3);
    watches.watchers_count = 1;
    CHECK(rl_watches_check(&watches) == 0);
    watchers[0].fd = 1;
    CHECK(rl_watches_check(&watches) == -1);
}

static const struct test tests[] = {TEST(table_does_what_the_model_does),   TEST(watchers_of_an_fd_keep_adding_order),
                                    TEST(changed_watcher_keeps_its_places), TEST(table_grows),
                                    TEST(strange_fds_are_nobodys),          TEST(check_sees_damage)};

TEST_MAIN(tests)
