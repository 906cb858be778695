/* The table of fd watchers. Several watchers may watch one fd; what the backend has to watch is the union of their
 * interests. The table only notes; the caller tells the backend, and does so at once: a removal that waited would find
 * the fd closed, and perhaps its number given to another file. */
#ifndef RL_WATCH_H
#define RL_WATCH_H

#include "core/ready.h"
#include "rl_events.h"

#include <stdint.h>

struct rl_event {
    int fd;          /* as it was given to the backend */
    uint32_t events; /* RL_IN | RL_OUT | RL_HUP | RL_ERR, what was found */
};

struct rl_watcher {
    struct rl_watcher *next;      /* next watcher of the same fd, added later; NULL for the last and out of the table */
    struct rl_ready_entry *ready; /* what becomes ready with the fd; of the same owner; never NULL */
    uint64_t found_round;         /* the round in which found was noted; not after the table's round */
    int fd;                       /* >= 0 in the table, -1 out of it */
    uint32_t interest;            /* RL_IN, RL_OUT or both in the table, 0 out of it */
    uint32_t found; /* what the callback will be told; within interest | RL_HUP | RL_ERR; 0 unless ready waits */
};

struct rl_watches {
    struct rl_watcher **slots; /* by fd: the first watcher added, or NULL; the caller's memory */
    size_t slots_count;        /* every fd in the table is below it */
    size_t watchers_count;     /* number of watchers in the table */
    uint64_t round;            /* counts the collections of events */
};

void rl_watches_init(struct rl_watches *watches);
void rl_watcher_init(struct rl_watcher *watcher, struct rl_ready_entry *ready);

/* The number of slots that adding fd asks for: 0 if there are enough, else a power of two. */
size_t rl_watches_slots_needed(const struct rl_watches *watches, int fd);
/* Gives the table room for slots_count fds, more than it has. Returns the old slots, which the caller may free. */
struct rl_watcher **rl_watches_give_slots(struct rl_watches *watches, struct rl_watcher **slots, size_t slots_count);

/* The union of interests in fd; 0 if nobody watches it. Any number is legal. */
uint32_t rl_watches_interest(const struct rl_watches *watches, int fd);
/* The watcher is in no table; there is a slot for fd; interest is RL_IN, RL_OUT or both. */
void rl_watches_add(struct rl_watches *watches, struct rl_watcher *watcher, int fd, uint32_t interest);
/* [FD-3] [FD-4] Forgets also what was found ready and did not yet run. The watcher is in the table. */
void rl_watches_remove(struct rl_watches *watches, struct rl_watcher *watcher);

/* The watcher is in the table; interest is RL_IN, RL_OUT or both. It keeps its place among the watchers of its fd; of
 * what was found ready it keeps what it still wants, and its place in the queue with that. */
void rl_watches_change(struct rl_watches *watches, struct rl_watcher *watcher, uint32_t interest);

/* [FD-1] Begins a collection: what was found earlier and did not run counts only if it is found again, since a callback
 * may have used it up meanwhile. Its place in the queue is kept. */
void rl_watches_begin_round(struct rl_watches *watches);
/* Makes the watchers ready that want the event, in the order in which they were added. RL_HUP and RL_ERR are wanted by
 * all. An event of an fd that nobody watches is dropped. */
void rl_watches_dispatch(struct rl_watches *watches, struct rl_event event, struct rl_ready *ready);
/* What to tell the callback of a watcher whose turn has come; 0 = do not call it: its event is of an earlier round. */
uint32_t rl_watches_take(const struct rl_watches *watches, struct rl_watcher *watcher);

bool rl_watches_is_added(const struct rl_watcher *watcher);

/* 0 when sound; -1: a watcher in the wrong slot; -2: an interest or a finding out of range; -3: watchers_count. */
int rl_watches_check(const struct rl_watches *watches);

#endif
