/* Property: whatever is asked for, armed and taken back in whichever phase of a turn, and wherever the turn is broken
 * off or ended, it sleeps exactly as long as it may, runs what was ready when its batch began, in order, and leaves the
 * rest to the next; what an earlier wait found is told only if it is found again; a clock that goes back changes
 * nothing: as four arrays say.
 *
 * Targets: rl_turn_prepare, rl_turn_collect, rl_turn_expire, rl_turn_next, rl_turn_break, rl_turn_is_broken_off,
 * rl_turn_end, rl_turn_is_alive, rl_turn_set_now, rl_turn_check.
 */
#include <string.h>

#include "core/turn.h"
#include "input.h"

/* The last entries are the timers', those before them the watchers', of which each watches the fd of its own number. */
enum { TIMERS = 8, WATCHERS = 2, WATCHER = 16, TIMER = WATCHER + WATCHERS, ENTRIES = TIMER + TIMERS, KINDS = 8 };

static struct rl_turn turn;
static struct rl_ready_entry entries[ENTRIES];
static struct rl_timers_entry timers[TIMERS];
static struct rl_watcher watchers[WATCHERS], *slots[WATCHERS];
static struct row batch, queue, armed, watched; /* the model */
static unsigned found[WATCHERS];                /* in the last wait */
static uint64_t clock_ns, now_ns;               /* what the clock shows, and the latest that it has shown to the turn */

static void show_clock(void)
{
    now_ns = clock_ns > now_ns ? clock_ns : now_ns;
}

static void move_all(struct row *to, struct row *from)
{
    for (; from->count > 0; row_remove(from, row_first(from)))
        row_add(to, row_first(from), 0);
}

static void toggle(unsigned entry, uint64_t delay_ns)
{
    const unsigned timer = entry - TIMER, watcher = entry - WATCHER; /* below TIMERS, or WATCHERS, if it is one */
    struct row *const rows[] = {&batch, &queue, &armed, &watched};
    bool waits = false;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        waits |= row_has(rows[i], (int)entry);
        row_remove(rows[i], (int)entry);
    }
    if (waits && timer < TIMERS)
        rl_timers_disarm(&turn.timers, &timers[timer]);
    else if (waits && watcher < WATCHERS)
        rl_watches_remove(&turn.watches, &watchers[watcher]);
    else if (waits)
        rl_ready_remove(&entries[entry]);
    else if (timer < TIMERS)
        rl_timers_arm(&turn.timers, &timers[timer], clock_ns + delay_ns),
            row_add(&armed, (int)entry, clock_ns + delay_ns);
    else if (watcher < WATCHERS)
        rl_watches_add(&turn.watches, &watchers[watcher], (int)watcher, RL_IN), row_add(&watched, (int)entry, 0);
    else
        rl_ready_push(&turn.ready, &entries[entry]), row_add(&queue, (int)entry, 0);
}

static int64_t sleep_allowed(bool may_wait, bool is_alive_outside)
{
    if (!may_wait || queue.count > 0 || (!is_alive_outside && armed.count + watched.count == 0))
        return 0;
    if (armed.count == 0)
        return RL_SLEEP_FOREVER_NS;
    return armed.keys[0] > now_ns ? (int64_t)(armed.keys[0] - now_ns) : 0;
}

static void prepare(unsigned number)
{
    const bool may_wait = number & 1, is_alive_outside = number & 2;
    show_clock();
    input_check(rl_turn_prepare(&turn, clock_ns, may_wait, is_alive_outside) ==
                    sleep_allowed(may_wait, is_alive_outside),
                "the turn would sleep longer or shorter than it may");
}

/* Events of fds that nobody watches change nothing but that the sleep has ended early. */
static void collect(unsigned number)
{
    static const struct rl_event events[] = {{.fd = 0, .events = RL_IN}, {.fd = 1, .events = RL_HUP}, {.fd = 4}};
    show_clock();
    rl_turn_collect(&turn, clock_ns, events, number % 4);
    for (unsigned i = 0; i < WATCHERS; i++) {
        const bool is_found = i < number % 4 && row_has(&watched, (int)(WATCHER + i));
        found[i] = is_found ? events[i].events : 0;
        if (is_found && !row_has(&queue, (int)(WATCHER + i)))
            row_add(&queue, (int)(WATCHER + i), 0);
    }
    input_check(turn.now_ns == now_ns, "the turn's time is not that of the end of its sleep");
}

static void expire(void)
{
    rl_turn_expire(&turn);
    while (armed.count > 0 && armed.keys[0] <= now_ns) {
        row_add(&queue, row_first(&armed), 0);
        row_remove(&armed, row_first(&armed));
    }
    move_all(&batch, &queue);
}

static void run(bool is_breaking)
{
    const int first = rl_turn_is_broken_off(&turn) ? ROW_NONE : row_first(&batch);
    input_check(rl_turn_next(&turn) == (first == ROW_NONE ? NULL : &entries[first]),
                "another callback runs than is due");
    row_remove(&batch, first);
    if (first >= WATCHER && first < TIMER) {
        const int i = first - WATCHER;
        input_check(rl_watches_take(&turn.watches, &watchers[i]) == found[i], "told something else than was found");
    }
    if (!is_breaking)
        return;
    rl_turn_break(&turn);
    input_check(rl_turn_is_broken_off(&turn) && rl_turn_next(&turn) == NULL, "a turn goes on that was broken off");
}

/* After any phase: a wait may fail, and a batch be left in the middle. */
static void end(void)
{
    rl_turn_end(&turn);
    move_all(&batch, &queue);
    move_all(&queue, &batch);
    input_check(!rl_turn_is_broken_off(&turn), "what broke a turn off lasts after it");
}

static void go_on(unsigned number)
{
    switch (turn.phase) {
    case RL_TURN_RESTING:
        prepare(number);
        break;
    case RL_TURN_WAITING:
        collect(number);
        break;
    case RL_TURN_COLLECTED:
        expire();
        break;
    case RL_TURN_RUNNING:
        run(number == 0);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_begin(data, size, KINDS);
    batch.count = queue.count = armed.count = watched.count = 0;
    clock_ns = now_ns = 0;
    memset(&turn, 0xff, sizeof turn); /* memory that was used before */
    rl_turn_init(&turn);
    input_check(turn.phase == RL_TURN_RESTING && rl_turn_check(&turn) == 0, "it does not begin at rest");
    (void)rl_watches_give_slots(&turn.watches, slots, WATCHERS);
    for (unsigned i = 0; i < ENTRIES; i++)
        rl_ready_entry_init(&entries[i]);
    for (unsigned i = 0; i < TIMERS; i++)
        rl_timers_entry_init(&timers[i], &entries[TIMER + i]);
    for (unsigned i = 0; i < WATCHERS; i++)
        rl_watcher_init(&watchers[i], &entries[WATCHER + i]);
    while (input.left > 0) {
        const unsigned op = input_op(&input), number = op / KINDS; /* below 32 */
        if (op % KINDS < 2)
            toggle(number % ENTRIES, input_byte(&input) % 16);
        else if (op % KINDS == 2)
            clock_ns += number;
        else if (op % KINDS == 3)
            clock_ns -= number < clock_ns ? number : clock_ns;
        else if (op % KINDS == 4 && turn.phase != RL_TURN_RESTING)
            end();
        else
            go_on(number);
        input_check(rl_turn_is_alive(&turn) == (batch.count + queue.count + armed.count + watched.count > 0),
                    "it is alive, or it is not");
        input_check(rl_turn_check(&turn) == 0, "an invariant is broken");
    }
    return 0;
}
