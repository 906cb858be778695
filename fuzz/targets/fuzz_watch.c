/* Property: each watcher is told what the wait found of what it asked for and nothing else, in the order of adding;
 * nothing of an earlier wait, and nothing once it was taken out.
 *
 * Targets: rl_watches_add, rl_watches_remove, rl_watches_change, rl_watches_begin_round, rl_watches_dispatch,
 * rl_watches_take, rl_watches_interest, rl_watches_give_slots, rl_watches_slots_needed, rl_watches_check.
 */
#include <string.h>

#include "core/watch.h"
#include "input.h"

enum { WATCHERS = 12, FDS = 300, GROWN_MAX = 8, UNASKED = RL_HUP | RL_ERR };

static struct rl_ready ready;
static struct rl_watches watches;
static struct rl_ready_entry entries[WATCHERS];
static struct rl_watcher watchers[WATCHERS], *slots[GROWN_MAX][FDS * 2];
static struct row added, due; /* the model: in the order of adding, and of finding */
static struct watch {
    int fd;
    unsigned interest, found, round; /* in which it was found */
} model[WATCHERS + 1];
static unsigned grown, round_now;

static void add(int i, int fd, unsigned interest)
{
    size_t needed = rl_watches_slots_needed(&watches, fd);
    if (needed > 0) {
        const bool is_power = (needed & (needed - 1)) == 0;
        input_check(is_power && needed > (size_t)fd && needed < FDS * 2, "a wrong number of slots");
        slots[grown][needed] = &watchers[i]; /* what stands behind the table */
        (void)rl_watches_give_slots(&watches, slots[grown], needed);
        input_check(slots[grown++][needed] == &watchers[i], "written behind the table");
    }
    rl_watches_add(&watches, &watchers[i], fd, interest);
    row_add(&added, i, 0);
    model[i] = (struct watch){.fd = fd, .interest = interest};
}

static void change_or_drop(int i, unsigned interest)
{
    if (interest != 0)
        rl_watches_change(&watches, &watchers[i], interest);
    else
        rl_watches_remove(&watches, &watchers[i]), row_remove(&added, i);
    model[i].interest = interest;
    model[i].found &= interest != 0 ? interest | UNASKED : 0;
    if (model[i].found == 0)
        row_remove(&due, i);
}

static void dispatch(int fd, unsigned events)
{
    unsigned interest = 0;
    for (size_t at = 0; at < added.count; at++) {
        int i = added.items[at];
        unsigned found = events & (model[i].interest | UNASKED);
        interest |= model[i].fd == fd ? model[i].interest : 0;
        if (model[i].fd != fd || found == 0)
            continue;
        model[i].found = found | (model[i].round == round_now ? model[i].found : 0);
        model[i].round = round_now;
        if (!row_has(&due, i))
            row_add(&due, i, 0);
    }
    input_check(rl_watches_interest(&watches, fd) == interest, "a wrong union of interests");
    input_check(rl_watches_interest(&watches, -1 - fd) == 0, "an interest in what is no fd");
    rl_watches_dispatch(&watches, (struct rl_event){.fd = fd, .events = events}, &ready);
}

static void run(void)
{
    int i = row_first(&due);
    rl_ready_begin(&ready);
    input_check(rl_ready_next(&ready) == (i < 0 ? NULL : &entries[i]), "another watcher is called than is due");
    rl_ready_end(&ready);
    unsigned found = i >= 0 && model[i].round == round_now ? model[i].found : 0;
    input_check(i < 0 || rl_watches_take(&watches, &watchers[i]) == found, "told something else than was found");
    model[i < 0 ? WATCHERS : i].found = 0;
    row_remove(&due, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_begin(data, size, 8);
    added.count = due.count = grown = 0;
    rl_ready_init(&ready);
    memset(&watches, 0xff, sizeof watches); /* memory that was used before */
    rl_watches_init(&watches);
    for (unsigned i = 0; i < WATCHERS; i++)
        rl_ready_entry_init(&entries[i]), rl_watcher_init(&watchers[i], &entries[i]);
    while (input.left > 0) {
        unsigned op = input_op(&input), bits = input_byte(&input);
        int i = (int)(op / 8 % WATCHERS), fd = (int)(bits & 128 ? input_short(&input) % FDS : bits / 16 % 4);
        if (op % 8 < 3 && !row_has(&added, i))
            add(i, fd, 1 + bits % 3);
        else if (op % 8 < 3)
            change_or_drop(i, bits % 4);
        else if (op % 8 < 5)
            dispatch(fd, bits % 16);
        else if (op % 8 < 7)
            run();
        else /* as if so many rounds had passed in which nothing was found */
            rl_watches_begin_round(&watches), watches.round += (UINT64_C(1) << bits / 4 % 48) - 1, round_now++;
        input_check(rl_watches_check(&watches) == 0, "an invariant is broken");
    }
    return 0;
}
