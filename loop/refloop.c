/* The glue: the core, the mailbox and one backend make a loop. The only place that allocates. */

#include "refloop.h"

#include "backend/backend.h"
#include "backend/epoll.h"
#include "core/turn.h"
#include "thread/wake.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* How often one turn waits: once, and once more if the backend had to forget its fds. */
#define RL_WAITS_MAX 2

enum rl_kind { RL_KIND_SOON, RL_KIND_TIMER, RL_KIND_WATCH, RL_KIND_WAKER };

/* What all handles have in common. */
struct rl_handle {
    struct rl_ready_entry ready; /* waits while the handle's callback is due */
    struct rl_node in_loop;      /* in loop->handles; in loop->retired for a closed waker */
    rl_loop *loop;               /* the loop that opened it */
    void *arg;                   /* handed to the callback */
    enum rl_kind kind;           /* which of the four structs contains this handle */
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
    struct rl_wake_node node; /* closed if and only if the handle is in loop->retired */
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

/* Handles of any kind. */

static void *handle_open(rl_loop *loop, size_t size, enum rl_kind kind, void *arg)
{
    struct rl_handle *handle = calloc(1, size);
    if (handle == NULL)
        return NULL;
    rl_ready_entry_init(&handle->ready);
    rl_list_node_init(&handle->in_loop);
    handle->loop = loop;
    handle->arg = arg;
    handle->kind = kind;
    rl_list_push_back(&loop->handles, &handle->in_loop);
    return handle;
}

static void handle_free(struct rl_handle *handle)
{
    assert(!rl_ready_is_queued(&handle->ready));
    rl_list_remove(&handle->in_loop);
    free(handle);
}

static void handle_close(struct rl_handle *handle)
{
    switch (handle->kind) {
    case RL_KIND_SOON:
        rl_soon_close(RL_CONTAINER_OF(handle, rl_soon, handle));
        break;
    case RL_KIND_TIMER:
        rl_timer_close(RL_CONTAINER_OF(handle, rl_timer, handle));
        break;
    case RL_KIND_WATCH:
        rl_watch_close(RL_CONTAINER_OF(handle, rl_watch, handle));
        break;
    case RL_KIND_WAKER:
        rl_waker_close(RL_CONTAINER_OF(handle, rl_waker, handle));
        break;
    }
}

/* Calls the callback of a handle whose turn has come, and does not touch the handle afterwards: the callback may have
 * closed it. Returns the number of callbacks run, 0 or 1. */
static int handle_run(struct rl_handle *handle)
{
    switch (handle->kind) {
    case RL_KIND_SOON: {
        rl_soon *soon = RL_CONTAINER_OF(handle, rl_soon, handle);
        soon->fn(soon, handle->arg);
        return 1;
    }
    case RL_KIND_TIMER: {
        rl_timer *timer = RL_CONTAINER_OF(handle, rl_timer, handle);
        timer->fn(timer, handle->arg);
        return 1;
    }
    case RL_KIND_WATCH: {
        rl_watch *watch = RL_CONTAINER_OF(handle, rl_watch, handle);
        uint32_t events = rl_watches_take(&handle->loop->turn.watches, &watch->watcher);
        if (events == 0)
            return 0;
        watch->fn(watch, handle->arg, events);
        return 1;
    }
    case RL_KIND_WAKER: {
        rl_waker *waker = RL_CONTAINER_OF(handle, rl_waker, handle);
        waker->fn(waker, handle->arg);
        return 1;
    }
    }
    return 0;
}

/* The loop. */

static rl_loop *loop_new(void)
{
    rl_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return NULL;
    rl_turn_init(&loop->turn);
    rl_wake_init(&loop->wake);
    rl_list_init(&loop->handles);
    rl_list_init(&loop->retired);
    return loop;
}

int rl_loop_open_on(rl_loop **out, const struct rl_backend *backend)
{
    rl_loop *loop = loop_new();
    if (loop == NULL)
        return -ENOMEM;
    loop->backend = *backend;
    *out = loop;
    return 0;
}

int rl_loop_open(rl_loop **out)
{
    rl_loop *loop = loop_new();
    if (loop == NULL)
        return -ENOMEM;
    int error = rl_epoll_open(&loop->epoll, &loop->backend);
    if (error < 0) {
        free(loop);
        return error;
    }
    *out = loop;
    return 0;
}

static struct rl_handle *first_handle(const struct rl_list *list)
{
    struct rl_node *node = rl_list_first(list);
    return node == NULL ? NULL : RL_CONTAINER_OF(node, struct rl_handle, in_loop);
}

static bool is_in_turn(const rl_loop *loop)
{
    return loop->turn.phase != RL_TURN_RESTING;
}

int rl_loop_close(rl_loop *loop)
{
    if (is_in_turn(loop))
        return -EBUSY;
    struct rl_handle *handle;
    while ((handle = first_handle(&loop->handles)) != NULL)
        handle_close(handle);
    while ((handle = first_handle(&loop->retired)) != NULL)
        handle_free(handle);
    assert(!rl_loop_is_alive(loop));
    loop->backend.close(loop->backend.self);
    free(loop->turn.watches.slots);
    free(loop);
    return 0;
}

uint64_t rl_loop_now_ns(rl_loop *loop)
{
    if (!is_in_turn(loop))
        rl_turn_set_now(&loop->turn, loop->backend.now_ns(loop->backend.self));
    return loop->turn.now_ns;
}

bool rl_loop_is_alive(const rl_loop *loop)
{
    return loop->wakers_count > 0 || rl_turn_is_alive(&loop->turn);
}

/* Tells a backend that forgot every fd what to watch. */
static int reapply(rl_loop *loop)
{
    for (size_t fd = 0; fd < loop->turn.watches.slots_count; fd++) {
        uint32_t interest = rl_watches_interest(&loop->turn.watches, (int)fd);
        if (interest == 0)
            continue;
        int error = loop->backend.apply(loop->backend.self, (int)fd, interest);
        /* An fd that was closed under its watch stays silent, as it would have with the old set. */
        if (error < 0 && error != -EBADF && error != -EPERM)
            return error;
    }
    loop->must_reapply = false;
    return 0;
}

static int wait_for_events(rl_loop *loop, int64_t timeout_ns)
{
    int count = -ESTALE;
    for (int waits = 0; count == -ESTALE && waits < RL_WAITS_MAX; waits++) {
        int error = loop->must_reapply ? reapply(loop) : 0;
        if (error < 0)
            return error;
        count = loop->backend.wait(loop->backend.self, timeout_ns, loop->events, RL_EVENTS_MAX);
        loop->must_reapply = count == -ESTALE;
    }
    assert(count <= RL_EVENTS_MAX);
    return count == -EINTR || count == -ESTALE ? 0 : count;
}

/* Moves the posted wakers to the ready queue. One that waits there already runs once for both posts. */
static void collect_posts(rl_loop *loop)
{
    struct rl_wake_batch batch = rl_wake_take(&loop->wake);
    struct rl_wake_node *node;
    while ((node = rl_wake_next(&batch)) != NULL) {
        rl_waker *waker = RL_CONTAINER_OF(node, struct rl_waker, node);
        if (!rl_wake_is_closed(node) && !rl_ready_is_queued(&waker->handle.ready))
            rl_ready_push(&loop->turn.ready, &waker->handle.ready);
    }
}

/* Phases 3 to 5. */
static int run_batch(rl_loop *loop, size_t events_count)
{
    rl_turn_collect(&loop->turn, loop->backend.now_ns(loop->backend.self), loop->events, events_count);
    collect_posts(loop);
    rl_turn_expire(&loop->turn);
    int callbacks_count = 0;
    struct rl_ready_entry *entry;
    while ((entry = rl_turn_next(&loop->turn)) != NULL)
        callbacks_count += handle_run(RL_CONTAINER_OF(entry, struct rl_handle, ready));
    return callbacks_count;
}

int rl_loop_turn(rl_loop *loop, bool may_wait)
{
    if (is_in_turn(loop))
        return -EBUSY;
    uint64_t now_ns = loop->backend.now_ns(loop->backend.self);
    int64_t timeout_ns = rl_turn_prepare(&loop->turn, now_ns, may_wait, loop->wakers_count > 0);
    int result = wait_for_events(loop, timeout_ns);
    if (result >= 0)
        result = run_batch(loop, (size_t)result);
    rl_turn_end(&loop->turn);
    return result;
}

int rl_loop_run(rl_loop *loop)
{
    if (is_in_turn(loop))
        return -EBUSY;
    int result = 0;
    while (loop->is_stop_wanted || rl_loop_is_alive(loop)) {
        result = rl_loop_turn(loop, !loop->is_stop_wanted);
        if (result < 0 || loop->is_stop_wanted)
            break;
    }
    loop->is_stop_wanted = false;
    return result < 0 ? result : 0;
}

void rl_loop_stop(rl_loop *loop)
{
    loop->is_stop_wanted = true;
}

void rl_loop_break(rl_loop *loop)
{
    rl_loop_stop(loop);
    if (is_in_turn(loop))
        rl_turn_break(&loop->turn);
}

int rl_loop_check(const rl_loop *loop)
{
    int broken = rl_turn_check(&loop->turn);
    if (broken != 0)
        return broken;
    if (rl_wake_check(&loop->wake) != 0)
        return -51;
    if (rl_list_check(&loop->handles) != 0 || rl_list_check(&loop->retired) != 0)
        return -52;
    return 0;
}

/* Soon. */

int rl_soon_open(rl_loop *loop, void (*fn)(rl_soon *soon, void *arg), void *arg, rl_soon **out)
{
    assert(fn != NULL);
    rl_soon *soon = handle_open(loop, sizeof *soon, RL_KIND_SOON, arg);
    if (soon == NULL)
        return -ENOMEM;
    soon->fn = fn;
    *out = soon;
    return 0;
}

int rl_soon_start(rl_soon *soon)
{
    rl_soon_stop(soon);
    rl_ready_push(&soon->handle.loop->turn.ready, &soon->handle.ready);
    return 0;
}

void rl_soon_stop(rl_soon *soon)
{
    rl_ready_remove(&soon->handle.ready);
}

void rl_soon_close(rl_soon *soon)
{
    rl_soon_stop(soon);
    handle_free(&soon->handle);
}

/* Timer. */

int rl_timer_open(rl_loop *loop, void (*fn)(rl_timer *timer, void *arg), void *arg, rl_timer **out)
{
    assert(fn != NULL);
    rl_timer *timer = handle_open(loop, sizeof *timer, RL_KIND_TIMER, arg);
    if (timer == NULL)
        return -ENOMEM;
    rl_timers_entry_init(&timer->entry, &timer->handle.ready);
    timer->fn = fn;
    *out = timer;
    return 0;
}

int rl_timer_start_at(rl_timer *timer, uint64_t deadline_ns)
{
    rl_timer_stop(timer);
    rl_timers_arm(&timer->handle.loop->turn.timers, &timer->entry, deadline_ns);
    return 0;
}

int rl_timer_start(rl_timer *timer, uint64_t delay_ns)
{
    return rl_timer_start_at(timer, rl_timers_deadline_ns(rl_loop_now_ns(timer->handle.loop), delay_ns));
}

void rl_timer_stop(rl_timer *timer)
{
    rl_timers_disarm(&timer->handle.loop->turn.timers, &timer->entry);
}

void rl_timer_close(rl_timer *timer)
{
    rl_timer_stop(timer);
    handle_free(&timer->handle);
}

/* Watch. */

int rl_watch_open(rl_loop *loop, void (*fn)(rl_watch *watch, void *arg, unsigned events), void *arg, rl_watch **out)
{
    assert(fn != NULL);
    rl_watch *watch = handle_open(loop, sizeof *watch, RL_KIND_WATCH, arg);
    if (watch == NULL)
        return -ENOMEM;
    rl_watcher_init(&watch->watcher, &watch->handle.ready);
    watch->fn = fn;
    *out = watch;
    return 0;
}

static int make_slot(struct rl_watches *watches, int fd)
{
    size_t slots_count = rl_watches_slots_needed(watches, fd);
    if (slots_count == 0)
        return 0;
    struct rl_watcher **slots = calloc(slots_count, sizeof *slots);
    if (slots == NULL)
        return -ENOMEM;
    free(rl_watches_give_slots(watches, slots, slots_count));
    return 0;
}

int rl_watch_start(rl_watch *watch, int fd, unsigned interest)
{
    rl_loop *loop = watch->handle.loop;
    struct rl_watches *watches = &loop->turn.watches;
    rl_watch_stop(watch);
    if (interest == 0 || (interest & ~(unsigned)(RL_IN | RL_OUT)) != 0)
        return -EINVAL;
    if (fd < 0)
        return -EBADF;
    /* The backend first: it knows whether there is such an fd, before the table grows up to it. It is told also if the
     * union does not change, and so finds out an fd that was closed and reopened under another watch. */
    int error = loop->backend.apply(loop->backend.self, fd, rl_watches_interest(watches, fd) | interest);
    if (error < 0)
        return error;
    error = make_slot(watches, fd);
    if (error < 0) {
        (void)loop->backend.apply(loop->backend.self, fd, 0); /* no slot, so nobody else watches it */
        return error;
    }
    rl_watches_add(watches, &watch->watcher, fd, interest);
    return 0;
}

void rl_watch_stop(rl_watch *watch)
{
    if (!rl_watches_is_added(&watch->watcher))
        return;
    rl_loop *loop = watch->handle.loop;
    int fd = watch->watcher.fd;
    uint32_t before = rl_watches_interest(&loop->turn.watches, fd);
    rl_watches_remove(&loop->turn.watches, &watch->watcher);
    uint32_t after = rl_watches_interest(&loop->turn.watches, fd);
    if (after != before)
        (void)loop->backend.apply(loop->backend.self, fd, after); /* taking away succeeds; see backend.h */
}

void rl_watch_close(rl_watch *watch)
{
    rl_watch_stop(watch);
    handle_free(&watch->handle);
}

/* Waker. */

int rl_waker_open(rl_loop *loop, void (*fn)(rl_waker *waker, void *arg), void *arg, rl_waker **out)
{
    assert(fn != NULL);
    rl_waker *waker = handle_open(loop, sizeof *waker, RL_KIND_WAKER, arg);
    if (waker == NULL)
        return -ENOMEM;
    rl_wake_node_init(&waker->node);
    waker->fn = fn;
    loop->wakers_count++;
    *out = waker;
    return 0;
}

int rl_waker_post(rl_waker *waker)
{
    rl_loop *loop = waker->handle.loop;
    switch (rl_wake_post(&loop->wake, &waker->node)) {
    case RL_WAKE_REFUSED:
        return -ECANCELED;
    case RL_WAKE_NEEDED:
        return loop->backend.wake(loop->backend.self);
    case RL_WAKE_DONE:
        break;
    }
    return 0;
}

void rl_waker_stop(rl_waker *waker)
{
    /* A post cannot be taken out of the middle of the mailbox, but out of the ready queue it can. */
    collect_posts(waker->handle.loop);
    rl_ready_remove(&waker->handle.ready);
}

void rl_waker_close(rl_waker *waker)
{
    rl_loop *loop = waker->handle.loop;
    rl_wake_close(&waker->node);
    rl_waker_stop(waker);
    rl_list_remove(&waker->handle.in_loop);
    rl_list_push_back(&loop->retired, &waker->handle.in_loop);
    loop->wakers_count--;
}
