/* Endpoints of datagrams: the life and the marks of a stream, a queue of core/packets.h, and the backend's datagrams.
 */

#include "handle.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static const struct rl_handle_type datagram_type;

/* What follows from an event. */

static void drop_waiting(rl_datagram *endpoint)
{
    while (!rl_packets_is_empty(&endpoint->packets))
        free(rl_packets_take(&endpoint->packets));
}

/* What the endpoint has to wait for. Who was paused is told to go on when the kernel takes more. */
static uint32_t interest_of(const rl_datagram *endpoint)
{
    if (rl_stream_life_is_losing(&endpoint->life))
        return 0;
    const bool is_sending = !rl_packets_is_empty(&endpoint->packets) || endpoint->flow.is_paused;
    return (rl_stream_life_is_reading(&endpoint->life) ? RL_IN : 0u) | (is_sending ? RL_OUT : 0u);
}

/* Hands the event to the life and does what it says; true: the life refuses it. */
static bool take(rl_datagram *endpoint, enum rl_stream_event event)
{
    rl_loop *loop = endpoint->handle.loop;
    const unsigned effects = rl_stream_life_take(&endpoint->life, event);
    if (effects & RL_STREAM_DROP)
        drop_waiting(endpoint);
    if (effects & RL_STREAM_END) {
        (void)rl_loop_watch(loop, &endpoint->watcher, endpoint->fd, 0); /* taking away succeeds; see backend.h */
        rl_ready_push(&loop->turn.ready, &endpoint->handle.ready);
    }
    return (effects & RL_STREAM_REFUSE) != 0;
}

/* After anything changed: what follows if no datagram waits, then what to wait for. */
static void settle(rl_datagram *endpoint)
{
    if (rl_packets_is_empty(&endpoint->packets))
        (void)take(endpoint, RL_STREAM_DRAINED);
    const int error = rl_loop_watch(endpoint->handle.loop, &endpoint->watcher, endpoint->fd, interest_of(endpoint));
    if (error < 0) {
        endpoint->error = error;
        (void)take(endpoint, RL_STREAM_FAIL);
    }
}

/* The turn of an endpoint. In each step everything is settled before the callback is called. */

static int tell_refused(rl_datagram *endpoint, int error)
{
    assert(error < 0);
    if (endpoint->callbacks.refused == NULL)
        return 0;
    endpoint->callbacks.refused(endpoint, endpoint->handle.arg, error);
    return 1;
}

static int tell_datagram(rl_datagram *endpoint, size_t size)
{
    if (endpoint->callbacks.datagram == NULL)
        return 0;
    endpoint->callbacks.datagram(endpoint, endpoint->handle.arg, endpoint->handle.loop->bytes, size);
    return 1;
}

static bool may_receive(const rl_datagram *endpoint)
{
    return rl_stream_life_is_reading(&endpoint->life) && !rl_turn_is_broken_off(&endpoint->handle.loop->turn);
}

/* An error is the last of a turn: it may be there again at once, and for long. */
static int receive_all(rl_datagram *endpoint)
{
    rl_loop *loop = endpoint->handle.loop;
    int callbacks_count = 0;
    for (int receives = 0; receives < RL_DATAGRAM_RECEIVES_MAX && may_receive(endpoint); receives++) {
        const int64_t size =
            loop->backend.receive(loop->backend.self, endpoint->fd, loop->bytes, RL_DATAGRAM_BYTES_MAX);
        if (size == -EAGAIN || size == -EINTR)
            break;
        if (size < 0)
            return callbacks_count + tell_refused(endpoint, (int)size);
        callbacks_count +=
            size > RL_DATAGRAM_BYTES_MAX ? tell_refused(endpoint, -EMSGSIZE) : tell_datagram(endpoint, (size_t)size);
    }
    return callbacks_count;
}

/* Returns 0: the kernel took the datagram; -EAGAIN: not now; else the -errno by which it never will. */
static int send_one(const rl_datagram *endpoint, const void *bytes, size_t size)
{
    const struct rl_backend *backend = &endpoint->handle.loop->backend;
    const int error = backend->send(backend->self, endpoint->fd, bytes, size);
    return error == -EINTR || error == -ENOBUFS ? -EAGAIN : error;
}

/* One callback at most: after one that is refused the others wait for the next turn. */
static int send_waiting(rl_datagram *endpoint)
{
    const struct rl_packet *packet;
    int error = 0;
    for (int sends = 0; sends < RL_DATAGRAM_SENDS_MAX && error == 0; sends++) {
        if ((packet = rl_packets_first(&endpoint->packets)) == NULL)
            break;
        error = send_one(endpoint, packet->bytes, packet->size);
        if (error != -EAGAIN)
            free(rl_packets_take(&endpoint->packets));
    }
    const bool is_refused = error < 0 && error != -EAGAIN;
    const bool must_resume = !is_refused && rl_flow_must_resume(&endpoint->flow, endpoint->packets.size);
    settle(endpoint);
    if (is_refused)
        return tell_refused(endpoint, error);
    if (!must_resume || endpoint->callbacks.resume_writing == NULL || rl_stream_life_is_losing(&endpoint->life))
        return 0;
    endpoint->callbacks.resume_writing(endpoint, endpoint->handle.arg);
    return 1;
}

static int tell_lost(rl_datagram *endpoint)
{
    const bool is_allocated = endpoint->handle.is_allocated;
    (void)take(endpoint, RL_STREAM_REPORT);
    rl_handle_drop(&endpoint->handle);
    endpoint->callbacks.lost(endpoint, endpoint->handle.arg, endpoint->error);
    if (is_allocated)
        free(endpoint);
    return 1;
}

static int run_datagram(struct rl_handle *handle)
{
    rl_datagram *endpoint = RL_CONTAINER_OF(handle, rl_datagram, handle);
    if (rl_stream_life_is_losing(&endpoint->life))
        return tell_lost(endpoint);
    const uint32_t events = rl_watches_take(&handle->loop->turn.watches, &endpoint->watcher);
    int callbacks_count = 0;
    if (events & ~(uint32_t)RL_OUT)
        callbacks_count += receive_all(endpoint);
    const bool may_go_on = !rl_stream_life_is_losing(&endpoint->life) && !rl_turn_is_broken_off(&handle->loop->turn);
    if ((events & ~(uint32_t)RL_IN) && may_go_on)
        callbacks_count += send_waiting(endpoint);
    return callbacks_count;
}

static void drop_datagram(struct rl_handle *handle)
{
    rl_datagram *endpoint = RL_CONTAINER_OF(handle, rl_datagram, handle);
    drop_waiting(endpoint);
    rl_handle_close_fd(handle, &endpoint->watcher, &endpoint->fd);
}

static int check_datagram(const struct rl_handle *handle)
{
    const rl_datagram *endpoint = RL_CONTAINER_OF(handle, const rl_datagram, handle);
    if (rl_packets_check(&endpoint->packets) != 0 || rl_flow_check(&endpoint->flow) != 0)
        return -71;
    if (rl_stream_life_check(&endpoint->life) != 0 || endpoint->fd < 0 || endpoint->error > 0)
        return -72;
    if (endpoint->watcher.interest != interest_of(endpoint))
        return -73;
    if (!rl_stream_life_is_losing(&endpoint->life))
        return 0;
    return rl_packets_is_empty(&endpoint->packets) && rl_ready_is_queued(&handle->ready) ? 0 : -74;
}

static const struct rl_handle_type datagram_type = {
    .run = run_datagram, .drop = drop_datagram, .check = check_datagram};

/* The user's verbs. */

int rl_datagram_open(rl_loop *loop, int fd, const struct rl_datagram_callbacks *callbacks, void *arg, rl_datagram **out)
{
    if (callbacks->lost == NULL)
        return -EINVAL;
    if (fd < 0)
        return -EBADF;
    if (loop->backend.receive == NULL)
        return -ENOTSUP;
    rl_datagram *endpoint = rl_handle_allocate(sizeof *endpoint);
    if (endpoint == NULL)
        return -ENOMEM;
    rl_handle_init(loop, &endpoint->handle, &datagram_type, arg);
    rl_watcher_init(&endpoint->watcher, &endpoint->handle.ready);
    rl_stream_life_init(&endpoint->life);
    rl_packets_init(&endpoint->packets);
    rl_flow_init(&endpoint->flow, RL_DATAGRAM_HIGH_BYTES, RL_DATAGRAM_LOW_BYTES);
    endpoint->callbacks = *callbacks;
    endpoint->fd = fd;
    endpoint->error = 0;
    const int error = rl_handle_take_fd(&endpoint->handle, &endpoint->watcher, fd, RL_IN);
    if (error == 0)
        *out = endpoint;
    return error;
}

/* Keeps a copy until the kernel takes it. */
static int wait_to_send(rl_datagram *endpoint, const void *bytes, size_t size)
{
    const size_t room = RL_DATAGRAM_WAITING_BYTES_MAX - endpoint->packets.size;
    if (room < RL_PACKET_HEADER_BYTES || size > room - RL_PACKET_HEADER_BYTES)
        return -ENOBUFS;
    struct rl_packet *packet = malloc(sizeof *packet + size);
    if (packet == NULL)
        return -ENOMEM;
    rl_packets_add(&endpoint->packets, packet, bytes, size);
    const bool must_pause = rl_flow_must_pause(&endpoint->flow, endpoint->packets.size);
    settle(endpoint);
    if (must_pause && endpoint->callbacks.pause_writing != NULL && !rl_stream_life_is_losing(&endpoint->life))
        endpoint->callbacks.pause_writing(endpoint, endpoint->handle.arg);
    return 0;
}

int rl_datagram_send(rl_datagram *endpoint, const void *bytes, size_t size)
{
    if (take(endpoint, RL_STREAM_WRITE))
        return -EPIPE;
    const int error = rl_packets_is_empty(&endpoint->packets) ? send_one(endpoint, bytes, size) : -EAGAIN;
    return error == -EAGAIN ? wait_to_send(endpoint, bytes, size) : error;
}

int rl_datagram_set_limits(rl_datagram *endpoint, size_t high, size_t low)
{
    if (high < low)
        return -EINVAL;
    rl_flow_set_limits(&endpoint->flow, high, low);
    return 0;
}

size_t rl_datagram_buffered(const rl_datagram *endpoint)
{
    return endpoint->packets.size;
}

void rl_datagram_close(rl_datagram *endpoint)
{
    (void)take(endpoint, RL_STREAM_CLOSE);
    settle(endpoint);
}

void rl_datagram_abort(rl_datagram *endpoint)
{
    (void)take(endpoint, RL_STREAM_ABORT);
    settle(endpoint);
}
