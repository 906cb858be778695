/* The loop and its handles, for the files that make them up: refloop.c, handles.c and the Python extension.
 *
 * Two pairs of verbs: open allocates and close frees, for users of refloop.h; init and drop work in the caller's own
 * memory, for who has an object to put the handle in. Both kinds mix freely in one loop. */
#ifndef RL_HANDLE_H
#define RL_HANDLE_H

#include "backend/backend.h"
#include "backend/epoll.h"
#include "core/turn.h"
#include "refloop.h"
#include "thread/wake.h"

struct rl_handle;

struct rl_handle_type {
    /* Calls the callback of a handle whose turn has come, and does not touch the handle afterwards: the callback may
     * have closed it. Returns the number of callbacks run, 0 or 1. */
    int (*run)(struct rl_handle *handle);
    /* Stops the handle and takes it out of the loop. Runs no callback, frees no memory. */
    void (*drop)(struct rl_handle *handle);
};

/* What all handles have in common. */
struct rl_handle {
    struct rl_ready_entry ready;       /* waits while the handle's callback is due */
    struct rl_node in_loop;            /* in loop->handles; in loop->retired for a closed waker; in no list: dropped */
    rl_loop *loop;                     /* the loop that opened it */
    void *arg;                         /* handed to the callback */
    const struct rl_handle_type *type; /* which struct contains this handle */
    bool is_allocated;                 /* by open; then close frees it */
};

struct rl_soon {
    struct rl_handle handle;
    void (*fn)(rl_soon *soon, void *arg);
};

struct rl_timer {
    struct rl_handle handle;
    struct rl_timers_entry entry; /* its ready is handle.ready */
    void (*fn)(rl_timer *timer, void *arg);
};

struct rl_watch {
    struct rl_handle handle;
    struct rl_watcher watcher; /* its ready is handle.ready */
    void (*fn)(rl_watch *watch, void *arg, unsigned events);
};

struct rl_waker {
    struct rl_handle handle;
    struct rl_wake_node node; /* closed if and only if the handle is in loop->retired, or dropped */
    void (*fn)(rl_waker *waker, void *arg);
};

struct rl_loop {
    struct rl_turn turn;
    struct rl_wake wake;
    struct rl_backend backend; /* the loop's until it closes it */
    struct rl_epoll epoll;     /* used if and only if backend.self points at it */
    struct rl_list handles;    /* the open handles */
    struct rl_list retired;    /* the closed wakers; freed with the loop, since a late post may still touch them */
    size_t wakers_count;       /* number of open wakers; each keeps the loop alive */
    bool must_reapply;         /* the backend forgot every fd, and some were not yet applied again */
    bool is_stop_wanted;       /* from rl_loop_stop until a run has ended by it */
    struct rl_event events[RL_EVENTS_MAX]; /* scratch memory of one wait */
};

/* In the caller's memory, which stays until drop; dropping twice does nothing. A handle that its loop dropped, because
 * it was closed, needs no drop. */
void rl_soon_init(rl_loop *loop, rl_soon *soon, void (*fn)(rl_soon *soon, void *arg), void *arg);
void rl_timer_init(rl_loop *loop, rl_timer *timer, void (*fn)(rl_timer *timer, void *arg), void *arg);
void rl_watch_init(rl_loop *loop, rl_watch *watch, void (*fn)(rl_watch *watch, void *arg, unsigned events), void *arg);
/* Its memory must outlive every post, also those that are refused. */
void rl_waker_init(rl_loop *loop, rl_waker *waker, void (*fn)(rl_waker *waker, void *arg), void *arg);
void rl_handle_drop(struct rl_handle *handle);

/* For each kind of handle. */
void rl_handle_init(rl_loop *loop, struct rl_handle *handle, const struct rl_handle_type *type, void *arg);
/* Memory for a handle that close will free; NULL when there is none. */
void *rl_handle_allocate(size_t size);
/* Drops it, and frees it if open allocated it. */
void rl_handle_close(struct rl_handle *handle);

/* Is the loop inside a turn? */
bool rl_loop_is_in_turn(const rl_loop *loop);
/* Moves the posted wakers to the ready queue. One that waits there already runs once for both posts. */
void rl_loop_collect_posts(rl_loop *loop);

#endif
