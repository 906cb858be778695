/* Property: whatever is armed, disarmed and found due, timers run by (deadline, arming order), each once for each
 * arming, none early, and the loop may sleep exactly until the first of them: as a sorted array says.
 *
 * Targets: rl_timers_arm, rl_timers_disarm, rl_timers_expire, rl_timers_sleep_ns, rl_timers_deadline_ns,
 * rl_timers_is_armed, rl_timers_is_empty, rl_timers_check, rl_heap_push, rl_heap_remove, rl_heap_check.
 */
#include <string.h>

#include "core/timers.h"
#include "input.h"

enum { ENTRIES = 24 };

static struct rl_ready ready;
static struct rl_timers timers;
static struct rl_ready_entry due[ENTRIES];
static struct rl_timers_entry entries[ENTRIES];
static uint64_t now_ns;
static struct row armed_row, due_row; /* the model */

static uint64_t later(uint64_t delay_ns)
{
    return delay_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + delay_ns;
}

static void disarm(unsigned entry)
{
    rl_timers_disarm(&timers, &entries[entry]);
    row_remove(&armed_row, (int)entry);
    row_remove(&due_row, (int)entry);
}

static void arm(unsigned entry, uint64_t delay_ns)
{
    disarm(entry);
    input_check(rl_timers_deadline_ns(now_ns, delay_ns) == later(delay_ns), "a deadline is not now + delay");
    rl_timers_arm(&timers, &entries[entry], later(delay_ns));
    row_add(&armed_row, (int)entry, later(delay_ns));
}

static void expire(uint64_t passed_ns)
{
    now_ns = later(passed_ns);
    rl_timers_expire(&timers, now_ns, &ready);
    while (armed_row.count > 0 && armed_row.keys[0] <= now_ns) {
        row_add(&due_row, row_first(&armed_row), 0);
        row_remove(&armed_row, row_first(&armed_row));
    }
}

static void run(unsigned count)
{
    rl_ready_begin(&ready);
    for (; count > 0; count--) {
        int first = row_first(&due_row);
        const struct rl_ready_entry *next = rl_ready_next(&ready);
        input_check(next == (first == ROW_NONE ? NULL : &due[first]), "another timer runs than is due");
        row_remove(&due_row, first);
    }
    rl_ready_end(&ready);
}

static void compare(void)
{
    int64_t sleep_ns = RL_SLEEP_FOREVER_NS;
    uint64_t left_ns = armed_row.keys[0] > now_ns ? armed_row.keys[0] - now_ns : 0;
    if (armed_row.count > 0)
        sleep_ns = left_ns > INT64_MAX ? INT64_MAX : (int64_t)left_ns;
    input_check(rl_timers_sleep_ns(&timers, now_ns) == sleep_ns, "the loop would not sleep until the first deadline");
    input_check(rl_timers_is_empty(&timers) == (armed_row.count == 0), "the timers are empty, or they are not");
    input_check(rl_timers_check(&timers) == 0 && rl_ready_check(&ready) == 0, "an invariant is broken");
    for (int i = 0; i < ENTRIES; i++)
        input_check(rl_timers_is_armed(&entries[i]) == (row_has(&armed_row, i) || row_has(&due_row, i)),
                    "a timer is armed though it should not be, or is not");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_begin(data, size, 8);
    armed_row.count = due_row.count = now_ns = 0;
    rl_ready_init(&ready);
    memset(&timers, 0xff, sizeof timers); /* memory that was used before */
    rl_timers_init(&timers);
    const unsigned digits = input_byte(&input) % 62;
    if (digits > 0) /* as if so many had been armed */
        timers.sequence_next = (UINT64_C(4) << digits) - 4;
    for (unsigned i = 0; i < ENTRIES; i++) {
        rl_ready_entry_init(&due[i]);
        rl_timers_entry_init(&entries[i], &due[i]);
    }
    for (; input.left > 0; compare()) {
        unsigned op = input_op(&input), number = op / 8; /* below 32 */
        if (op % 8 < 3)
            arm(number % ENTRIES, input_byte(&input) % 16);
        else if (op % 8 == 3)
            arm(number % ENTRIES, UINT64_MAX >> number); /* deadlines that no clock reaches, too */
        else if (op % 8 == 4 && number >= ENTRIES)
            timers.sequence_next += UINT64_C(1) << input_byte(&input) % 48; /* as if so many more had been armed */
        else if (op % 8 == 4)
            disarm(number % ENTRIES);
        else if (op % 8 == 5)
            run(number % 8);
        else
            expire(op % 8 == 6 || input_byte(&input) != 0 ? number % 8 : UINT64_MAX >> number);
    }
    return 0;
}
