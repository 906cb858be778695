/* Property: whatever is asked for, armed and taken back in whichever phase of a turn, and wherever the turn is broken
 * off or ended, it sleeps exactly as long as it may, runs what was ready when its batch began, in order, and leaves the
 * rest to the next; a clock that goes back changes nothing: as three arrays say.
 *
 * Targets: rl_turn_prepare, rl_turn_collect, rl_turn_expire, rl_turn_next, rl_turn_break, rl_turn_is_broken_off,
 * rl_turn_end, rl_turn_is_alive, rl_turn_set_now, rl_turn_check.
 */
#include "core/turn.h"
#include "input.h"

enum { ENTRIES = 24, TIMERS = 8, KINDS = 8 }; /* the last entries are the timers' */

static struct rl_turn turn;
static struct rl_ready_entry entries[ENTRIES];
static struct rl_timers_entry timers[TIMERS];
static struct row batch, queue, armed; /* the model */
static uint64_t clock_ns, now_ns;      /* what the clock shows, and the latest that it has shown to the turn */

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
    const unsigned timer = entry - (ENTRIES - TIMERS); /* below TIMERS if it is one */
    const bool waits = row_has(&batch, (int)entry) || row_has(&queue, (int)entry) || row_has(&armed, (int)entry);
    row_remove(&batch, (int)entry);
    row_remove(&queue, (int)entry);
    row_remove(&armed, (int)entry);
    if (waits && timer < TIMERS)
        rl_timers_disarm(&turn.timers, &timers[timer]);
    else if (waits)
        rl_ready_remove(&entries[entry]);
    else if (timer < TIMERS)
        rl_timers_arm(&turn.timers, &timers[timer], clock_ns + delay_ns),
            row_add(&armed, (int)entry, clock_ns + delay_ns);
    else
        rl_ready_push(&turn.ready, &entries[entry]), row_add(&queue, (int)entry, 0);
}

static int64_t sleep_allowed(bool may_wait, bool is_alive_outside)
{
    if (!may_wait || queue.count > 0 || (!is_alive_outside && armed.count == 0))
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
    static const struct rl_event events[] = {{.fd = 3, .events = RL_IN}, {.fd = 4, .events = RL_OUT}};
    show_clock();
    rl_turn_collect(&turn, clock_ns, events, number % 3);
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
    batch.count = queue.count = armed.count = 0;
    clock_ns = now_ns = 0;
    rl_turn_init(&turn);
    for (unsigned i = 0; i < ENTRIES; i++)
        rl_ready_entry_init(&entries[i]);
    for (unsigned i = 0; i < TIMERS; i++)
        rl_timers_entry_init(&timers[i], &entries[ENTRIES - TIMERS + i]);
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
        input_check(rl_turn_is_alive(&turn) == (batch.count + queue.count + armed.count > 0),
                    "it is alive, or it is not");
        input_check(rl_turn_check(&turn) == 0, "an invariant is broken");
    }
    return 0;
}
