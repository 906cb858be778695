/* The loop: the core, the mailbox and one backend. With the files beside it the only place that allocates. */

#include "handle.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How often one turn waits: once, and once more if the backend had to forget its fds. */
#define RL_WAITS_MAX 2

static rl_loop *loop_new(void)
{
    rl_loop *loop = malloc(sizeof *loop);
    if (loop == NULL)
        return NULL;
    memset(loop, 0, offsetof(rl_loop, epoll));
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

bool rl_loop_is_in_turn(const rl_loop *loop)
{
    return loop->turn.phase != RL_TURN_RESTING;
}

int rl_loop_close(rl_loop *loop)
{
    if (rl_loop_is_in_turn(loop))
        return -EBUSY;
    struct rl_handle *handle;
    while ((handle = first_handle(&loop->handles)) != NULL)
        rl_handle_close(handle);
    while ((handle = first_handle(&loop->retired)) != NULL) {
        rl_list_remove(&handle->in_loop);
        free(handle);
    }
    assert(!rl_loop_is_alive(loop));
    loop->backend.close(loop->backend.self);
    rl_loop_free_slots(loop, loop->turn.watches.slots);
    free(loop);
    return 0;
}

uint64_t rl_loop_now_ns(rl_loop *loop)
{
    if (!rl_loop_is_in_turn(loop))
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

void rl_loop_collect_posts(rl_loop *loop)
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
    rl_loop_collect_posts(loop);
    rl_turn_expire(&loop->turn);
    int callbacks_count = 0;
    struct rl_ready_entry *entry;
    while ((entry = rl_turn_next(&loop->turn)) != NULL) {
        struct rl_handle *handle = RL_CONTAINER_OF(entry, struct rl_handle, ready);
        callbacks_count += handle->type->run(handle);
    }
    return callbacks_count;
}

int rl_loop_turn(rl_loop *loop, bool may_wait)
{
    if (rl_loop_is_in_turn(loop))
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
    if (rl_loop_is_in_turn(loop))
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
    if (rl_loop_is_in_turn(loop))
        rl_turn_break(&loop->turn);
}

static int check_handles(const struct rl_list *handles)
{
    for (const struct rl_node *node = handles->head.next; node != &handles->head; node = node->next) {
        const struct rl_handle *handle = RL_CONTAINER_OF(node, struct rl_handle, in_loop);
        int broken = handle->type->check == NULL ? 0 : handle->type->check(handle);
        if (broken != 0)
            return broken;
    }
    return 0;
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
    return check_handles(&loop->handles);
}
