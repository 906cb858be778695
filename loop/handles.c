/* The four kinds of handles: soon, timer, watch, waker. */

#include "handle.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* Handles of any kind. */

void rl_handle_init(rl_loop *loop, struct rl_handle *handle, const struct rl_handle_type *type, void *arg)
{
    rl_ready_entry_init(&handle->ready);
    rl_list_node_init(&handle->in_loop);
    handle->loop = loop;
    handle->arg = arg;
    handle->type = type;
    rl_list_push_back(&loop->handles, &handle->in_loop);
}

void *rl_handle_allocate(size_t size)
{
    struct rl_handle *handle = malloc(size); /* each kind begins with its handle */
    if (handle != NULL)
        handle->is_allocated = true;
    return handle;
}

void rl_handle_drop(struct rl_handle *handle)
{
    if (rl_list_is_linked(&handle->in_loop))
        handle->type->drop(handle);
}

void rl_handle_close(struct rl_handle *handle)
{
    rl_handle_drop(handle);
    if (!handle->is_allocated || rl_list_is_linked(&handle->in_loop)) /* a waker is kept until the loop is closed */
        return;
    assert(!rl_ready_is_queued(&handle->ready));
    free(handle);
}

int rl_handle_take_fd(struct rl_handle *handle, struct rl_watcher *watcher, int fd, uint32_t interest)
{
    const int error = rl_loop_watch(handle->loop, watcher, fd, interest);
    if (error < 0) {
        rl_list_remove(&handle->in_loop);
        free(handle);
    }
    return error;
}

void rl_handle_close_fd(struct rl_handle *handle, struct rl_watcher *watcher, int *fd)
{
    const struct rl_backend *backend = &handle->loop->backend;
    (void)rl_loop_watch(handle->loop, watcher, *fd, 0); /* taking away succeeds; see backend.h */
    rl_ready_remove(&handle->ready);
    rl_list_remove(&handle->in_loop);
    backend->close_fd(backend->self, *fd);
    *fd = -1;
}

/* Soon. */

static int run_soon(struct rl_handle *handle)
{
    rl_soon *soon = RL_CONTAINER_OF(handle, rl_soon, handle);
    soon->fn(soon, handle->arg);
    return 1;
}

static void drop_soon(struct rl_handle *handle)
{
    rl_ready_remove(&handle->ready);
    rl_list_remove(&handle->in_loop);
}

static const struct rl_handle_type soon_type = {.run = run_soon, .drop = drop_soon};

void rl_soon_init(rl_loop *loop, rl_soon *soon, void (*fn)(rl_soon *soon, void *arg), void *arg)
{
    assert(fn != NULL);
    rl_handle_init(loop, &soon->handle, &soon_type, arg);
    soon->fn = fn;
}

int rl_soon_open(rl_loop *loop, void (*fn)(rl_soon *soon, void *arg), void *arg, rl_soon **out)
{
    rl_soon *soon = rl_handle_allocate(sizeof *soon);
    if (soon == NULL)
        return -ENOMEM;
    rl_soon_init(loop, soon, fn, arg);
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
    rl_handle_close(&soon->handle);
}

/* Timer. */

static int run_timer(struct rl_handle *handle)
{
    rl_timer *timer = RL_CONTAINER_OF(handle, rl_timer, handle);
    timer->fn(timer, handle->arg);
    return 1;
}

static void drop_timer(struct rl_handle *handle)
{
    rl_timer_stop(RL_CONTAINER_OF(handle, rl_timer, handle));
    rl_list_remove(&handle->in_loop);
}

static const struct rl_handle_type timer_type = {.run = run_timer, .drop = drop_timer};

void rl_timer_init(rl_loop *loop, rl_timer *timer, void (*fn)(rl_timer *timer, void *arg), void *arg)
{
    assert(fn != NULL);
    rl_handle_init(loop, &timer->handle, &timer_type, arg);
    rl_timers_entry_init(&timer->entry, &timer->handle.ready);
    timer->fn = fn;
}

int rl_timer_open(rl_loop *loop, void (*fn)(rl_timer *timer, void *arg), void *arg, rl_timer **out)
{
    rl_timer *timer = rl_handle_allocate(sizeof *timer);
    if (timer == NULL)
        return -ENOMEM;
    rl_timer_init(loop, timer, fn, arg);
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
    rl_handle_close(&timer->handle);
}

/* Watch. */

static int run_watch(struct rl_handle *handle)
{
    rl_watch *watch = RL_CONTAINER_OF(handle, rl_watch, handle);
    uint32_t events = rl_watches_take(&handle->loop->turn.watches, &watch->watcher);
    if (events == 0)
        return 0;
    watch->fn(watch, handle->arg, events);
    return 1;
}

static void drop_watch(struct rl_handle *handle)
{
    rl_watch_stop(RL_CONTAINER_OF(handle, rl_watch, handle));
    rl_list_remove(&handle->in_loop);
}

static const struct rl_handle_type watch_type = {.run = run_watch, .drop = drop_watch};

void rl_watch_init(rl_loop *loop, rl_watch *watch, void (*fn)(rl_watch *watch, void *arg, unsigned events), void *arg)
{
    assert(fn != NULL);
    rl_handle_init(loop, &watch->handle, &watch_type, arg);
    rl_watcher_init(&watch->watcher, &watch->handle.ready);
    watch->fn = fn;
}

int rl_watch_open(rl_loop *loop, void (*fn)(rl_watch *watch, void *arg, unsigned events), void *arg, rl_watch **out)
{
    rl_watch *watch = rl_handle_allocate(sizeof *watch);
    if (watch == NULL)
        return -ENOMEM;
    rl_watch_init(loop, watch, fn, arg);
    *out = watch;
    return 0;
}

void rl_loop_free_slots(rl_loop *loop, struct rl_watcher **slots)
{
    if (slots != loop->few_slots)
        free(slots);
}

static int make_slot(rl_loop *loop, int fd)
{
    struct rl_watches *watches = &loop->turn.watches;
    const size_t count = rl_watches_slots_needed(watches, fd);
    if (count == 0)
        return 0;
    struct rl_watcher **slots = count <= RL_FEW_SLOTS ? loop->few_slots : malloc(count * sizeof *slots);
    if (slots == NULL)
        return -ENOMEM;
    rl_loop_free_slots(loop, rl_watches_give_slots(watches, slots, count));
    return 0;
}

static int add_watcher(rl_loop *loop, struct rl_watcher *watcher, int fd, uint32_t interest)
{
    struct rl_watches *watches = &loop->turn.watches;
    /* The backend first: it knows whether there is such an fd, before the table grows up to it. It is told also if the
     * union does not change, and so finds out an fd that was closed and reopened under another watch. */
    int error = loop->backend.apply(loop->backend.self, fd, rl_watches_interest(watches, fd) | interest);
    if (error < 0)
        return error;
    error = make_slot(loop, fd);
    if (error < 0) {
        (void)loop->backend.apply(loop->backend.self, fd, 0); /* no slot, so nobody else watches it */
        return error;
    }
    rl_watches_add(watches, watcher, fd, interest);
    return 0;
}

/* Interest is 0 or not what the watcher has. */
static int change_watcher(rl_loop *loop, struct rl_watcher *watcher, uint32_t interest)
{
    struct rl_watches *watches = &loop->turn.watches;
    int fd = watcher->fd;
    uint32_t before = rl_watches_interest(watches, fd);
    if (interest == 0)
        rl_watches_remove(watches, watcher);
    else
        rl_watches_change(watches, watcher, interest);
    uint32_t after = rl_watches_interest(watches, fd);
    int error = after == before ? 0 : loop->backend.apply(loop->backend.self, fd, after);
    return interest == 0 ? 0 : error; /* taking away succeeds; see backend.h */
}

int rl_loop_watch(rl_loop *loop, struct rl_watcher *watcher, int fd, uint32_t interest)
{
    if (watcher->interest == interest)
        return 0;
    if (!rl_watches_is_added(watcher))
        return add_watcher(loop, watcher, fd, interest);
    int error = change_watcher(loop, watcher, interest);
    if (error < 0)
        (void)change_watcher(loop, watcher, 0);
    return error;
}

int rl_watch_start(rl_watch *watch, int fd, unsigned interest)
{
    rl_watch_stop(watch);
    if (interest == 0 || (interest & ~(unsigned)(RL_IN | RL_OUT)) != 0)
        return -EINVAL;
    if (fd < 0)
        return -EBADF;
    return rl_loop_watch(watch->handle.loop, &watch->watcher, fd, interest);
}

void rl_watch_stop(rl_watch *watch)
{
    if (!rl_watches_is_added(&watch->watcher))
        return;
    (void)rl_loop_watch(watch->handle.loop, &watch->watcher, watch->watcher.fd, 0);
}

void rl_watch_close(rl_watch *watch)
{
    rl_handle_close(&watch->handle);
}

/* Waker. */

static int run_waker(struct rl_handle *handle)
{
    rl_waker *waker = RL_CONTAINER_OF(handle, rl_waker, handle);
    waker->fn(waker, handle->arg);
    return 1;
}

static void drop_waker(struct rl_handle *handle)
{
    rl_loop *loop = handle->loop;
    rl_waker *waker = RL_CONTAINER_OF(handle, rl_waker, handle);
    rl_wake_close(&waker->node);
    rl_waker_stop(waker);
    rl_list_remove(&handle->in_loop);
    if (handle->is_allocated)
        rl_list_push_back(&loop->retired, &handle->in_loop);
    loop->wakers_count--;
}

static const struct rl_handle_type waker_type = {.run = run_waker, .drop = drop_waker};

void rl_waker_init(rl_loop *loop, rl_waker *waker, void (*fn)(rl_waker *waker, void *arg), void *arg)
{
    assert(fn != NULL);
    rl_handle_init(loop, &waker->handle, &waker_type, arg);
    rl_wake_node_init(&waker->node);
    waker->fn = fn;
    loop->wakers_count++;
}

int rl_waker_open(rl_loop *loop, void (*fn)(rl_waker *waker, void *arg), void *arg, rl_waker **out)
{
    rl_waker *waker = rl_handle_allocate(sizeof *waker);
    if (waker == NULL)
        return -ENOMEM;
    rl_waker_init(loop, waker, fn, arg);
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
    rl_loop_collect_posts(waker->handle.loop);
    rl_ready_remove(&waker->handle.ready);
}

void rl_waker_close(rl_waker *waker)
{
    rl_handle_close(&waker->handle);
}
