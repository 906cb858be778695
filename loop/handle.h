/* The loop and its handles, for the files that make them up: refloop.c, handles.c, streams.c, datagrams.c,
 * servers.c and the Python extension.
 *
 * Two pairs of verbs: open allocates and close frees, for users of refloop.h; init and drop work in the caller's own
 * memory, for who has an object to put the handle in. Both kinds mix freely in one loop. */
#ifndef RL_HANDLE_H
#define RL_HANDLE_H

#include "backend/backend.h"
#include "backend/epoll.h"
#include "core/chunks.h"
#include "core/flow.h"
#include "core/packets.h"
#include "core/stream.h"
#include "core/turn.h"
#include "refloop.h"
#include "thread/wake.h"

enum { RL_FEW_SLOTS = 8 };

struct rl_handle;

struct rl_handle_type {
    /* Calls the callbacks of a handle whose turn has come, and does not touch the handle after one that may close it.
     * Returns their number. */
    int (*run)(struct rl_handle *handle);
    /* Stops the handle and takes it out of the loop. Runs no callback, and frees no memory that users see. */
    void (*drop)(struct rl_handle *handle);
    /* 0 when sound, else a negative number. NULL: there is nothing to examine. */
    int (*check)(const struct rl_handle *handle);
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

struct rl_stream {
    struct rl_handle handle;
    struct rl_watcher watcher;  /* its ready is handle.ready; in the table for what the stream waits for, if anything */
    struct rl_stream_life life; /* losing if and only if handle.ready waits for lost and not for the watcher */
    struct rl_chunks chunks;    /* what rl_stream_write took and the kernel did not yet; empty once losing */
    struct rl_flow flow;        /* of chunks.size */
    struct rl_stream_callbacks callbacks;
    int fd;    /* the stream's own; -1 once closed */
    int error; /* what lost will tell: 0, or the -errno that ended the stream */
};

struct rl_datagram {
    struct rl_handle handle;
    struct rl_watcher watcher;  /* as that of a stream */
    struct rl_stream_life life; /* of a stream that neither side ends; losing as that of a stream */
    struct rl_packets packets;  /* what rl_datagram_send took and the kernel did not yet; empty once losing */
    struct rl_flow flow;        /* of packets.size */
    struct rl_datagram_callbacks callbacks;
    int fd;    /* the endpoint's own; -1 once closed */
    int error; /* what lost will tell: 0, or the -errno that ended the endpoint */
};

struct rl_server {
    struct rl_handle handle;
    struct rl_watcher watcher;    /* in the table unless the server rests; its ready is handle.ready */
    struct rl_timers_entry timer; /* armed, or due, if and only if it rests; its ready is handle.ready */
    struct rl_server_callbacks callbacks;
    int fd;        /* the listener, the server's own; -1 once closed */
    bool *is_gone; /* in the accepted callback: where drop tells that the server is no more; else NULL */
};

struct rl_loop {
    struct rl_turn turn;
    struct rl_wake wake;
    struct rl_backend backend; /* the loop's until it closes it */
    struct rl_list handles;    /* the open handles */
    struct rl_list retired;    /* the closed wakers; freed with the loop, since a late post may still touch them */
    size_t wakers_count;       /* number of open wakers; each keeps the loop alive */
    bool must_reapply;         /* the backend forgot every fd, and some were not yet applied again */
    bool is_stop_wanted;       /* from rl_loop_stop until a run has ended */
    /* What is written before it is read. Last, since it need not be cleared when a loop is opened. */
    struct rl_epoll epoll;                         /* used if and only if backend.self points at it */
    struct rl_watcher *few_slots[RL_FEW_SLOTS];    /* of turn.watches, until an fd needs more */
    struct rl_event events[RL_EVENTS_MAX];         /* scratch memory of one wait */
    unsigned char bytes[RL_STREAM_READ_BYTES_MAX]; /* scratch memory of one read and its data callback */
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
/* Memory for a handle that close will free, with nothing in it yet; NULL when there is none. */
void *rl_handle_allocate(size_t size);
/* Drops it, and frees it if open allocated it. */
void rl_handle_close(struct rl_handle *handle);

/* For each kind of handle that owns an fd.
 *
 * The end of open: makes the loop wait for interest in fd. Returns 0; or -errno: the handle is freed, and fd is still
 * the user's. */
int rl_handle_take_fd(struct rl_handle *handle, struct rl_watcher *watcher, int fd, uint32_t interest);
/* The end of drop: takes the handle out of the loop, and closes *fd, which becomes -1. */
void rl_handle_close_fd(struct rl_handle *handle, struct rl_watcher *watcher, int *fd);

/* Frees slots that turn.watches needs no more. */
void rl_loop_free_slots(rl_loop *loop, struct rl_watcher **slots);
/* Is the loop inside a turn? */
bool rl_loop_is_in_turn(const rl_loop *loop);
/* Makes the loop wait for interest in fd on behalf of the watcher: RL_IN, RL_OUT, both, or 0 = for nothing. The watcher
 * is in no table or in that of fd. Returns 0 or -errno as backend->apply; then the watcher waits for nothing. */
int rl_loop_watch(rl_loop *loop, struct rl_watcher *watcher, int fd, uint32_t interest);
/* Moves the posted wakers to the ready queue. One that waits there already runs once for both posts. */
void rl_loop_collect_posts(rl_loop *loop);

#endif
