#include "core/watch.h"

#include <assert.h>

enum { UNASKED = RL_HUP | RL_ERR, ASKABLE = RL_IN | RL_OUT };

static const size_t SLOTS_MIN = 8; /* fds; a small program never grows the table */

void rl_watches_init(struct rl_watches *watches)
{
    *watches = (struct rl_watches){.slots = NULL};
}

void rl_watcher_init(struct rl_watcher *watcher, struct rl_ready_entry *ready)
{
    assert(ready != NULL);
    *watcher = (struct rl_watcher){.ready = ready, .fd = -1};
}

static bool has_slot(const struct rl_watches *watches, int fd)
{
    return (size_t)fd < watches->slots_count; /* what is no fd is, as a size, beyond every count */
}

size_t rl_watches_slots_needed(const struct rl_watches *watches, int fd)
{
    assert(fd >= 0);
    if (has_slot(watches, fd))
        return 0;
    size_t count = SLOTS_MIN;
    while (count <= (size_t)fd)
        count *= 2;
    return count;
}

struct rl_watcher **rl_watches_give_slots(struct rl_watches *watches, struct rl_watcher **slots, size_t slots_count)
{
    assert(slots_count > watches->slots_count);
    struct rl_watcher **old = watches->slots;
    for (size_t fd = 0; fd < slots_count; fd++)
        slots[fd] = fd < watches->slots_count ? old[fd] : NULL;
    watches->slots = slots;
    watches->slots_count = slots_count;
    return old;
}

uint32_t rl_watches_interest(const struct rl_watches *watches, int fd)
{
    uint32_t interest = 0;
    if (has_slot(watches, fd))
        for (const struct rl_watcher *watcher = watches->slots[fd]; watcher != NULL; watcher = watcher->next)
            interest |= watcher->interest;
    return interest;
}

/* The link that points at the watcher, one of fd's; with NULL, the one at which the row of fd ends. */
static struct rl_watcher **find_link(const struct rl_watches *watches, int fd, const struct rl_watcher *watcher)
{
    struct rl_watcher **link = &watches->slots[fd];
    while (*link != watcher)
        link = &(*link)->next;
    return link;
}

void rl_watches_add(struct rl_watches *watches, struct rl_watcher *watcher, int fd, uint32_t interest)
{
    assert(!rl_watches_is_added(watcher) && has_slot(watches, fd));
    assert(interest != 0 && (interest & ~(uint32_t)ASKABLE) == 0);
    watcher->fd = fd;
    watcher->interest = interest;
    *find_link(watches, fd, NULL) = watcher;
    watches->watchers_count++;
}

void rl_watches_remove(struct rl_watches *watches, struct rl_watcher *watcher)
{
    assert(rl_watches_is_added(watcher));
    struct rl_watcher **link = find_link(watches, watcher->fd, watcher);
    assert(*link == watcher);
    *link = watcher->next;
    watches->watchers_count--;
    rl_ready_remove(watcher->ready);
    rl_watcher_init(watcher, watcher->ready);
}

void rl_watches_change(struct rl_watches *watches, struct rl_watcher *watcher, uint32_t interest)
{
    (void)watches;
    assert(rl_watches_is_added(watcher));
    assert(interest != 0 && (interest & ~(uint32_t)ASKABLE) == 0);
    watcher->interest = interest;
    watcher->found &= interest | UNASKED;
    if (watcher->found == 0)
        rl_ready_remove(watcher->ready);
}

void rl_watches_begin_round(struct rl_watches *watches)
{
    watches->round++;
}

void rl_watches_dispatch(struct rl_watches *watches, struct rl_event event, struct rl_ready *ready)
{
    if (!has_slot(watches, event.fd))
        return;
    for (struct rl_watcher *watcher = watches->slots[event.fd]; watcher != NULL; watcher = watcher->next) {
        uint32_t found = event.events & (watcher->interest | UNASKED);
        if (found == 0)
            continue;
        if (watcher->found_round != watches->round)
            watcher->found = 0;
        watcher->found |= found;
        watcher->found_round = watches->round;
        if (!rl_ready_is_queued(watcher->ready))
            rl_ready_push(ready, watcher->ready);
    }
}

uint32_t rl_watches_take(const struct rl_watches *watches, struct rl_watcher *watcher)
{
    assert(rl_watches_is_added(watcher));
    assert(!rl_ready_is_queued(watcher->ready));
    uint32_t found = watcher->found_round == watches->round ? watcher->found : 0;
    watcher->found = 0;
    return found;
}

bool rl_watches_is_added(const struct rl_watcher *watcher)
{
    return watcher->fd >= 0;
}

static int check_watcher(const struct rl_watches *watches, const struct rl_watcher *watcher)
{
    if (watcher->interest == 0 || (watcher->interest & ~(uint32_t)ASKABLE) != 0)
        return -2;
    if ((watcher->found & ~(watcher->interest | UNASKED)) != 0 || watcher->found_round > watches->round)
        return -2;
    return (watcher->found != 0) == rl_ready_is_queued(watcher->ready) ? 0 : -2;
}

int rl_watches_check(const struct rl_watches *watches)
{
    size_t seen = 0;
    for (size_t fd = 0; fd < watches->slots_count; fd++) {
        for (const struct rl_watcher *watcher = watches->slots[fd]; watcher != NULL; watcher = watcher->next) {
            if ((size_t)watcher->fd != fd)
                return -1;
            int broken = check_watcher(watches, watcher);
            if (broken != 0)
                return broken;
            if (++seen > watches->watchers_count)
                return -3;
        }
    }
    return seen == watches->watchers_count ? 0 : -3;
}
