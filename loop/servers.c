/* Servers: a watch on a listening fd, and a timer for the time in which it rests. */

#include "handle.h"

#include <assert.h>
#include <errno.h>

static void rest(rl_server *server)
{
    struct rl_turn *turn = &server->handle.loop->turn;
    (void)rl_loop_watch(server->handle.loop, &server->watcher, server->fd, 0); /* taking away succeeds; see backend.h */
    rl_timers_arm(&turn->timers, &server->timer, rl_timers_deadline_ns(turn->now_ns, RL_SERVER_REST_NS));
}

/* The last thing that is done with the server in its turn: the callback may close it. */
static int rest_and_tell(rl_server *server, int error)
{
    rest(server);
    if (server->callbacks.resting == NULL)
        return 0;
    server->callbacks.resting(server, server->handle.arg, error);
    return 1;
}

/* Who connected was gone before he was accepted, or a signal came: the next one may be there. The errors of the network
 * are those that accept(2) says to treat so. */
static bool is_of_one_client(int error)
{
    return error == -EINTR || error == -ECONNABORTED || error == -EPROTO || error == -ENETDOWN ||
           error == -ENETUNREACH || error == -EHOSTDOWN || error == -EHOSTUNREACH || error == -ENOPROTOOPT ||
           error == -EOPNOTSUPP || error == -ENONET;
}

/* True: the server is still there. */
static bool hand_over(rl_server *server, int fd)
{
    const struct rl_backend backend = server->handle.loop->backend;
    bool is_gone = false;
    server->is_gone = &is_gone;
    const bool is_taken = server->callbacks.accepted(server, server->handle.arg, fd);
    if (!is_taken)
        backend.close_fd(backend.self, fd);
    if (!is_gone)
        server->is_gone = NULL;
    return !is_gone;
}

static int accept_all(rl_server *server)
{
    rl_loop *loop = server->handle.loop;
    int callbacks_count = 0;
    for (int accepts = 0; accepts < RL_SERVER_ACCEPTS_MAX && !rl_turn_is_broken_off(&loop->turn); accepts++) {
        const int fd = loop->backend.accept(loop->backend.self, server->fd);
        if (fd == -EAGAIN)
            break;
        if (is_of_one_client(fd))
            continue;
        if (fd < 0)
            return callbacks_count + rest_and_tell(server, fd);
        callbacks_count++;
        if (!hand_over(server, fd))
            break;
    }
    return callbacks_count;
}

static int run_server(struct rl_handle *handle)
{
    rl_server *server = RL_CONTAINER_OF(handle, rl_server, handle);
    if (rl_watches_is_added(&server->watcher))
        return rl_watches_take(&handle->loop->turn.watches, &server->watcher) == 0 ? 0 : accept_all(server);
    const int error = rl_loop_watch(handle->loop, &server->watcher, server->fd, RL_IN); /* it has rested */
    return error < 0 ? rest_and_tell(server, error) : 0;
}

static void drop_server(struct rl_handle *handle)
{
    rl_server *server = RL_CONTAINER_OF(handle, rl_server, handle);
    rl_timers_disarm(&handle->loop->turn.timers, &server->timer);
    rl_handle_close_fd(handle, &server->watcher, &server->fd);
    if (server->is_gone != NULL)
        *server->is_gone = true;
}

static int check_server(const struct rl_handle *handle)
{
    const rl_server *server = RL_CONTAINER_OF(handle, const rl_server, handle);
    if (server->fd < 0 || server->is_gone != NULL)
        return -81;
    if (rl_watches_is_added(&server->watcher))
        return rl_heap_is_linked(&server->timer.node) ? -82 : 0;
    return rl_timers_is_armed(&server->timer) ? 0 : -83; /* nobody would end its rest */
}

static const struct rl_handle_type server_type = {.run = run_server, .drop = drop_server, .check = check_server};

int rl_server_open(rl_loop *loop, int fd, const struct rl_server_callbacks *callbacks, void *arg, rl_server **out)
{
    if (callbacks->accepted == NULL)
        return -EINVAL;
    if (fd < 0)
        return -EBADF;
    if (loop->backend.accept == NULL)
        return -ENOTSUP;
    rl_server *server = rl_handle_allocate(sizeof *server);
    if (server == NULL)
        return -ENOMEM;
    rl_handle_init(loop, &server->handle, &server_type, arg);
    rl_watcher_init(&server->watcher, &server->handle.ready);
    rl_timers_entry_init(&server->timer, &server->handle.ready);
    server->callbacks = *callbacks;
    server->fd = fd;
    server->is_gone = NULL;
    const int error = rl_handle_take_fd(&server->handle, &server->watcher, fd, RL_IN);
    if (error == 0)
        *out = server;
    return error;
}

void rl_server_close(rl_server *server)
{
    rl_handle_close(&server->handle);
}
