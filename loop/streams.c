/* Byte streams: the life, the queue and the marks of core/, the loop's watch on the fd, and the backend's bytes. */

#include "handle.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* The least memory of a chunk, so that many small writes share one. */
static const size_t CHUNK_BYTES_MIN = 4096;

static const struct rl_handle_type stream_type;

/* What follows from an event. */

static void drop_buffered(rl_stream *stream)
{
    size_t size;
    while (rl_chunks_front(&stream->chunks, &size) != NULL)
        free(rl_chunks_take(&stream->chunks, size));
}

/* What the stream has to wait for. */
static uint32_t interest_of(const rl_stream *stream)
{
    if (rl_stream_life_is_connecting(&stream->life))
        return RL_OUT;
    uint32_t in = rl_stream_life_is_reading(&stream->life) ? RL_IN : 0;
    return rl_chunks_is_empty(&stream->chunks) ? in : in | RL_OUT;
}

static void fail(rl_stream *stream, int error);

/* Hands the event to the life and does what it says, except what only the caller can do; returns the effects. */
static unsigned take(rl_stream *stream, enum rl_stream_event event)
{
    rl_loop *loop = stream->handle.loop;
    unsigned effects = rl_stream_life_take(&stream->life, event);
    if (effects & RL_STREAM_DROP)
        drop_buffered(stream);
    if (effects & RL_STREAM_SHUT) {
        int error = loop->backend.shut(loop->backend.self, stream->fd);
        if (error < 0)
            fail(stream, error);
    }
    if (effects & RL_STREAM_END) {
        (void)rl_loop_watch(loop, &stream->watcher, stream->fd, 0); /* taking away succeeds; see backend.h */
        rl_ready_push(&loop->turn.ready, &stream->handle.ready);
    }
    return effects;
}

static void fail(rl_stream *stream, int error)
{
    assert(error < 0);
    stream->error = error;
    (void)take(stream, RL_STREAM_FAIL);
}

/* After anything changed: what follows if no bytes wait, then what to wait for. */
static void settle(rl_stream *stream)
{
    if (rl_chunks_is_empty(&stream->chunks))
        (void)take(stream, RL_STREAM_DRAINED);
    int error = rl_loop_watch(stream->handle.loop, &stream->watcher, stream->fd, interest_of(stream));
    if (error < 0)
        fail(stream, error);
}

/* A connect that a signal interrupted goes on too. */
static bool is_under_way(int error)
{
    return error == -EINPROGRESS || error == -EALREADY || error == -EINTR;
}

/* The turn of a stream. In each step everything is settled before the callback is called. */

static int64_t harmless_is_none(int64_t result)
{
    return result == -EAGAIN || result == -EINTR ? 0 : result;
}

/* Returns how many bytes the kernel took; or -errno, and then the stream has failed. */
static int64_t send_some(rl_stream *stream, const void *bytes, size_t size)
{
    struct rl_backend *backend = &stream->handle.loop->backend;
    int64_t sent = harmless_is_none(backend->write(backend->self, stream->fd, bytes, size));
    assert(sent <= (int64_t)size);
    if (sent < 0)
        fail(stream, (int)sent);
    return sent;
}

/* The fd is writable, or in error: the connection is there, or failed; or a wake-up for nothing. */
static int finish_connect(rl_stream *stream)
{
    struct rl_backend *backend = &stream->handle.loop->backend;
    int error = backend->finish_connect(backend->self, stream->fd);
    if (is_under_way(error))
        return 0;
    if (error < 0) {
        fail(stream, error);
        return 0;
    }
    unsigned effects = take(stream, RL_STREAM_CONNECTED);
    assert(effects == RL_STREAM_TELL_CONNECTED);
    (void)effects;
    settle(stream);
    if (stream->callbacks.connected == NULL || rl_stream_life_is_losing(&stream->life)) /* it cannot be waited for */
        return 0;
    stream->callbacks.connected(stream, stream->handle.arg);
    return 1;
}

static int tell_eof(rl_stream *stream)
{
    unsigned effects = take(stream, RL_STREAM_PEER_EOF);
    settle(stream);
    if ((effects & RL_STREAM_TELL_EOF) == 0 || stream->callbacks.eof == NULL)
        return 0;
    stream->callbacks.eof(stream, stream->handle.arg);
    return 1;
}

static int tell_data(rl_stream *stream, size_t size)
{
    if (stream->callbacks.data == NULL)
        return 0;
    stream->callbacks.data(stream, stream->handle.arg, stream->handle.loop->bytes, size);
    return 1;
}

static bool may_read(const rl_stream *stream)
{
    return rl_stream_life_is_reading(&stream->life) && !rl_turn_is_broken_off(&stream->handle.loop->turn);
}

static int read_all(rl_stream *stream)
{
    rl_loop *loop = stream->handle.loop;
    int callbacks_count = 0;
    for (int reads = 0; reads < RL_STREAM_READS_MAX && may_read(stream); reads++) {
        int64_t size = loop->backend.read(loop->backend.self, stream->fd, loop->bytes, sizeof loop->bytes);
        assert(size <= (int64_t)sizeof loop->bytes);
        if (size == 0)
            return callbacks_count + tell_eof(stream);
        size = harmless_is_none(size);
        if (size < 0)
            fail(stream, (int)size);
        if (size <= 0)
            break;
        callbacks_count += tell_data(stream, (size_t)size);
        if (size < (int64_t)sizeof loop->bytes)
            break; /* that was all; if not, the next wait says so */
    }
    return callbacks_count;
}

static int write_all(rl_stream *stream)
{
    size_t size;
    const void *bytes = rl_chunks_front(&stream->chunks, &size);
    for (int writes = 0; writes < RL_STREAM_WRITES_MAX && bytes != NULL; writes++) {
        int64_t sent = send_some(stream, bytes, size);
        if (sent < 0)
            return 0;
        free(rl_chunks_take(&stream->chunks, (size_t)sent));
        if (sent < (int64_t)size)
            break;
        bytes = rl_chunks_front(&stream->chunks, &size);
    }
    settle(stream);
    if (!rl_flow_must_resume(&stream->flow, stream->chunks.size) || stream->callbacks.resume_writing == NULL)
        return 0;
    stream->callbacks.resume_writing(stream, stream->handle.arg);
    return 1;
}

static int tell_lost(rl_stream *stream)
{
    bool is_allocated = stream->handle.is_allocated;
    unsigned effects = take(stream, RL_STREAM_REPORT);
    assert(effects == RL_STREAM_TELL_LOST);
    (void)effects;
    rl_handle_drop(&stream->handle);
    stream->callbacks.lost(stream, stream->handle.arg, stream->error);
    if (is_allocated)
        free(stream);
    return 1;
}

/* Reads first: what the peer sent before it went away is there also when writing fails. */
static int run_stream(struct rl_handle *handle)
{
    rl_stream *stream = RL_CONTAINER_OF(handle, rl_stream, handle);
    if (rl_stream_life_is_losing(&stream->life))
        return tell_lost(stream);
    uint32_t events = rl_watches_take(&handle->loop->turn.watches, &stream->watcher);
    int callbacks_count = 0;
    if (rl_stream_life_is_connecting(&stream->life))
        return finish_connect(stream);
    if (events & ~(uint32_t)RL_OUT)
        callbacks_count += read_all(stream);
    bool may_go_on = !rl_stream_life_is_losing(&stream->life) && !rl_turn_is_broken_off(&handle->loop->turn);
    if ((events & ~(uint32_t)RL_IN) && may_go_on)
        callbacks_count += write_all(stream);
    return callbacks_count;
}

static void drop_stream(struct rl_handle *handle)
{
    rl_stream *stream = RL_CONTAINER_OF(handle, rl_stream, handle);
    drop_buffered(stream);
    rl_handle_close_fd(handle, &stream->watcher, &stream->fd);
}

static int check_stream(const struct rl_handle *handle)
{
    const rl_stream *stream = RL_CONTAINER_OF(handle, const rl_stream, handle);
    if (rl_chunks_check(&stream->chunks) != 0 || rl_flow_check(&stream->flow) != 0)
        return -61;
    if (rl_stream_life_check(&stream->life) != 0 || stream->fd < 0 || stream->error > 0)
        return -62;
    if (stream->watcher.interest != interest_of(stream))
        return -63;
    bool is_empty = rl_chunks_is_empty(&stream->chunks);
    if (rl_stream_life_is_losing(&stream->life))
        return is_empty && rl_ready_is_queued(&handle->ready) ? 0 : -64;
    return is_empty && stream->flow.is_paused ? -65 : 0; /* nobody would tell the writer to go on */
}

static const struct rl_handle_type stream_type = {.run = run_stream, .drop = drop_stream, .check = check_stream};

/* The user's verbs. */

static int open_stream(rl_loop *loop, int fd, const struct rl_stream_callbacks *callbacks, void *arg, bool is_connected,
                       rl_stream **out)
{
    if (callbacks->lost == NULL)
        return -EINVAL;
    if (fd < 0)
        return -EBADF;
    rl_stream *stream = rl_handle_allocate(sizeof *stream);
    if (stream == NULL)
        return -ENOMEM;
    rl_handle_init(loop, &stream->handle, &stream_type, arg);
    rl_watcher_init(&stream->watcher, &stream->handle.ready);
    (is_connected ? rl_stream_life_init : rl_stream_life_init_connecting)(&stream->life);
    rl_chunks_init(&stream->chunks);
    rl_flow_init(&stream->flow, RL_STREAM_HIGH_BYTES, RL_STREAM_LOW_BYTES);
    stream->callbacks = *callbacks;
    stream->fd = fd;
    stream->error = 0;
    int error = rl_handle_take_fd(&stream->handle, &stream->watcher, fd, interest_of(stream));
    if (error == 0)
        *out = stream;
    return error;
}

int rl_stream_open(rl_loop *loop, int fd, const struct rl_stream_callbacks *callbacks, void *arg, rl_stream **out)
{
    return loop->backend.read == NULL ? -ENOTSUP : open_stream(loop, fd, callbacks, arg, true, out);
}

int rl_stream_connect(rl_loop *loop, int fd, const void *address, size_t size,
                      const struct rl_stream_callbacks *callbacks, void *arg, rl_stream **out)
{
    struct rl_backend *backend = &loop->backend;
    if (backend->read == NULL || backend->connect == NULL)
        return -ENOTSUP;
    int error = open_stream(loop, fd, callbacks, arg, false, out);
    if (error < 0)
        return error;
    error = backend->connect(backend->self, fd, address, size);
    if (error < 0 && error != -EISCONN && !is_under_way(error))
        fail(*out, error);
    return 0;
}

static struct rl_chunk *new_chunk(size_t size)
{
    size_t capacity = size < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : size;
    if (capacity > SIZE_MAX - sizeof(struct rl_chunk))
        return NULL;
    struct rl_chunk *chunk = malloc(sizeof *chunk + capacity);
    if (chunk != NULL)
        rl_chunk_init(chunk, capacity);
    return chunk;
}

/* Copies what the kernel did not take. The chunk is needed if there is no room without it, and else given back. */
static void buffer(rl_stream *stream, const unsigned char *bytes, size_t size, struct rl_chunk *chunk)
{
    bool is_needed = size > rl_chunks_room(&stream->chunks);
    if (size > 0)
        rl_chunks_append(&stream->chunks, bytes, size, is_needed ? chunk : NULL);
    if (!is_needed)
        free(chunk);
}

int rl_stream_write(rl_stream *stream, const void *bytes, size_t size)
{
    if (take(stream, RL_STREAM_WRITE) & RL_STREAM_REFUSE)
        return -EPIPE;
    if (size == 0)
        return 0;
    /* Memory first: once the kernel took a part, a failure would come too late to leave the stream as it was. */
    struct rl_chunk *chunk = NULL;
    size_t room = rl_chunks_room(&stream->chunks);
    if (size > room && (chunk = new_chunk(size - room)) == NULL)
        return -ENOMEM;
    int64_t sent = rl_chunks_is_empty(&stream->chunks) ? send_some(stream, bytes, size) : 0;
    if (sent < 0) {
        free(chunk);
        return 0; /* lost will tell */
    }
    buffer(stream, (const unsigned char *)bytes + sent, size - (size_t)sent, chunk);
    settle(stream);
    if (rl_flow_must_pause(&stream->flow, stream->chunks.size) && stream->callbacks.pause_writing != NULL)
        stream->callbacks.pause_writing(stream, stream->handle.arg);
    return 0;
}

int rl_stream_write_eof(rl_stream *stream)
{
    if (take(stream, RL_STREAM_WRITE_EOF) & RL_STREAM_REFUSE)
        return -EPIPE;
    settle(stream);
    return 0;
}

void rl_stream_pause(rl_stream *stream)
{
    rl_stream_life_set_paused(&stream->life, true);
    settle(stream);
}

void rl_stream_resume(rl_stream *stream)
{
    rl_stream_life_set_paused(&stream->life, false);
    settle(stream);
}

int rl_stream_set_limits(rl_stream *stream, size_t high, size_t low)
{
    if (high < low)
        return -EINVAL;
    rl_flow_set_limits(&stream->flow, high, low);
    return 0;
}

size_t rl_stream_buffered(const rl_stream *stream)
{
    return stream->chunks.size;
}

void rl_stream_close(rl_stream *stream)
{
    (void)take(stream, RL_STREAM_CLOSE);
    settle(stream);
}

void rl_stream_abort(rl_stream *stream)
{
    (void)take(stream, RL_STREAM_ABORT);
    settle(stream);
}
