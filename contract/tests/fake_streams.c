#include "fake_streams.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fake_loop.h"
#include "fake_sockets.h"

enum {
    LIMIT_BYTES = 1000,         /* when nobody has asked for another */
    LATE_NS = LC_ARRIVAL_NS / 5 /* of FAKE_STREAM_READS_LATE */
};

static struct fake_stream *stream_at(struct fake_loop *l, uint8_t handle)
{
    return &l->streams[handle & 15];
}

static bool is_alive(const struct fake_loop *l, uint8_t handle)
{
    return l->slots[handle].state == FAKE_ARMED;
}

struct calling {
    struct fake_loop *loop;
    struct lc_seen seen;
};

static void *call_here(void *arg)
{
    struct calling *calling = arg;
    fake_loop_call(calling->loop, &calling->seen);
    return NULL;
}

static void call_with(struct fake_loop *l, struct lc_seen seen)
{
    struct calling calling = {.loop = l, .seen = seen};
    if (l->slots[seen.handle].is_switched && l->defect == FAKE_SWITCH_NOTHING)
        calling.seen.event = LC_EVENT_STALE;
    pthread_t thread;
    if (l->defect != FAKE_STREAM_ON_THREAD) {
        call_here(&calling);
        return;
    }
    int error = pthread_create(&thread, NULL, call_here, &calling);
    error |= error == 0 ? pthread_join(thread, NULL) : 0;
    assert(error == 0);
}

static void call(struct fake_loop *l, uint8_t handle, enum lc_event event)
{
    call_with(l, (struct lc_seen){.handle = handle, .event = event});
}

static void call_data(struct fake_loop *l, uint8_t handle, const uint8_t *bytes, size_t size)
{
    call_with(l, (struct lc_seen){.handle = handle, .event = LC_EVENT_DATA, .data = bytes, .size = size});
}

/* ---- the end ----------------------------------------------------------------------------------- */

/* What a loop may do to a number that is not its own any more. */
static void meddle_with_number(struct fake_loop *l, int fd)
{
    struct lc_kernel *k = &l->kernel.base;
    char byte;
    if (l->defect == FAKE_STREAM_FD_CLOSED_TWICE)
        k->close(k->self, fd, false);
    if (l->defect == FAKE_STREAM_FD_READ_LATE)
        k->read(k->self, fd, &byte, 1);
    if (l->defect == FAKE_STREAM_FD_SHUT_LATE)
        k->shut(k->self, fd);
}

static void close_fd(struct fake_loop *l, struct fake_stream *s)
{
    if (s->fd < 0)
        meddle_with_number(l, s->number);
    if (s->fd >= 0 && l->defect != FAKE_STREAM_FD_LEAKED)
        l->kernel.base.close(&l->kernel, s->fd, false);
    s->number = s->fd >= 0 ? s->fd : s->number;
    s->fd = -1;
}

static void hold_nothing(struct fake_stream *s)
{
    free(s->held);
    s->held = NULL;
    s->held_size = 0;
}

void fake_stream_drop(struct fake_loop *l, uint8_t handle)
{
    struct fake_stream *s = stream_at(l, handle);
    close_fd(l, s);
    hold_nothing(s);
}

static void lose(struct fake_loop *l, uint8_t handle, int error)
{
    struct lc_seen seen = {.handle = handle, .event = LC_EVENT_LOST, .error = error};
    if (l->defect == FAKE_STREAM_LOST_WITH_ERROR && error == 0)
        seen.error = -EPIPE;
    if (l->defect == FAKE_STREAM_LOST_WITHOUT_ERROR || (l->defect == FAKE_FATAL_UNTOLD && error == -EIO))
        seen.error = 0;
    l->slots[handle].state = FAKE_IDLE;
    hold_nothing(stream_at(l, handle));
    if (l->defect != FAKE_STREAM_CLOSE_ENDS_NOTHING)
        close_fd(l, stream_at(l, handle));
    call_with(l, seen);
    if (l->defect == FAKE_STREAM_LOST_TWICE && l->slots[handle].state == FAKE_IDLE)
        call_with(l, seen);
    if (l->defect == FAKE_BUFFER_FOR_LOST && l->slots[handle].state == FAKE_IDLE)
        call(l, handle, LC_EVENT_GET_BUFFER);
    if (l->defect == FAKE_STREAM_DATA_AFTER_LOST && l->slots[handle].state == FAKE_IDLE)
        call_data(l, handle, (const uint8_t *)"", 1);
}

/* ---- writing ------------------------------------------------------------------------------------- */

static size_t send_some(struct fake_loop *l, struct fake_stream *s, const uint8_t *bytes, size_t size)
{
    int64_t sent;
    do
        sent = fake_kernel_write(&l->kernel, s->fd, bytes, size);
    while (sent == -EINTR);
    if (sent >= 0 || sent == -EAGAIN)
        return sent < 0 ? 0 : (size_t)sent;
    if (l->defect == FAKE_STREAM_WRITE_ERROR_UNSEEN)
        return 0;
    s->error = (int)sent;
    return size;
}

static void hold(struct fake_stream *s, const uint8_t *bytes, size_t size, bool is_first)
{
    if (size == 0)
        return;
    s->held = realloc(s->held, s->held_size + size);
    assert(s->held != NULL);
    if (is_first)
        memmove(s->held + size, s->held, s->held_size);
    memcpy(s->held + (is_first ? 0 : s->held_size), bytes, size);
    s->held_size += size;
}

/* What was asked for before can be done once nothing is held. */
static void finish(struct fake_loop *l, struct fake_stream *s)
{
    if (!s->is_ended || s->is_shut || s->held_size > 0 || l->defect == FAKE_STREAM_WRITE_EOF_NOTHING ||
        (s->is_flushing && l->defect == FAKE_STREAM_CLOSE_ENDS_NOTHING))
        return;
    s->is_shut = true;
    l->kernel.base.shut(&l->kernel, s->fd);
}

void fake_streams_send(struct fake_loop *l)
{
    for (uint8_t i = 0; i < sizeof l->streams / sizeof *l->streams; i++) {
        struct fake_stream *s = &l->streams[i];
        if (!is_alive(l, (uint8_t)(LC_KIND_STREAM << 4 | i)) || s->fd < 0 || l->defect == FAKE_STREAM_WRITE_STUCK)
            continue;
        while (s->held_size > 0 && s->error == 0 && (l->kernel.base.ready(&l->kernel, s->fd) & LC_OUT) != 0) {
            size_t sent = send_some(l, s, s->held, s->held_size);
            s->held_size -= sent;
            memmove(s->held, s->held + sent, s->held_size);
            if (l->defect == FAKE_STREAM_WRITE_ERROR_UNSEEN && sent == 0)
                break;
        }
        finish(l, s);
    }
}

static void pause_when_full(struct fake_loop *l, uint8_t handle)
{
    struct fake_stream *s = stream_at(l, handle);
    bool is_full = s->held_size > s->limit || l->defect == FAKE_STREAM_PAUSE_EARLY;
    if (!is_full || (s->is_writing_paused && l->defect != FAKE_STREAM_PAUSE_TWICE) ||
        l->defect == FAKE_STREAM_PAUSE_NEVER)
        return;
    s->is_writing_paused = true;
    call(l, handle, LC_EVENT_PAUSE_WRITING);
}

static void do_write(struct fake_loop *l, const struct lc_op *op)
{
    struct fake_stream *s = stream_at(l, op->a);
    const uint8_t *bytes = (const uint8_t *)(uintptr_t)op->arg;
    size_t size = op->n, sent = 0;
    if (s->error != 0)
        return;
    if (op->op == LC_OP_WRITELINES && l->defect == FAKE_WRITELINES_SKIPS && size > 1)
        size--;
    if (s->held_size == 0)
        sent = send_some(l, s, bytes, size);
    if (l->defect == FAKE_STREAM_WRITE_TWICE && sent < size)
        sent = 0;
    if (l->defect == FAKE_STREAM_WRITE_SWALLOWS && size - sent > 1)
        size--;
    hold(s, bytes + sent, size - sent, l->defect == FAKE_STREAM_WRITE_SWAPS);
    pause_when_full(l, op->a);
}

static void do_ending(struct fake_loop *l, struct fake_stream *s, uint8_t code)
{
    s->is_ended = true;
    s->is_flushing |= code != LC_OP_WRITE_EOF;
    s->is_aborted |= code == LC_OP_ABORT && l->defect != FAKE_STREAM_ABORT_SENDS;
    if (s->is_aborted || (code == LC_OP_WRITE_EOF && l->defect == FAKE_STREAM_WRITE_EOF_DROPS) ||
        (code == LC_OP_FLUSH && l->defect == FAKE_STREAM_CLOSE_DROPS))
        hold_nothing(s);
    if (code == LC_OP_WRITE_EOF)
        finish(l, s);
}

void fake_stream_begin(struct fake_loop *l, uint8_t handle, int fd)
{
    *stream_at(l, handle) = (struct fake_stream){.fd = fd, .limit = LIMIT_BYTES, .is_made = true};
}

int64_t fake_stream_apply(struct fake_loop *l, const struct lc_op *op)
{
    struct fake_stream *s = stream_at(l, op->a);
    switch (op->op) {
    case LC_OP_STREAM:
        fake_stream_begin(l, op->a, (int)op->arg);
        s->is_made = (l->base.capabilities & LC_CAP_MADE) == 0;
        s->is_buffered = op->flags & LC_BUFFERED;
        return 0;
    case LC_OP_WRITE:
    case LC_OP_WRITELINES:
        do_write(l, op);
        return 0;
    case LC_OP_PAUSE:
        s->is_paused = true;
        return 0;
    case LC_OP_RESUME:
        s->is_paused = l->defect == FAKE_STREAM_RESUME_DEAF;
        return 0;
    case LC_OP_LIMITS:
        s->limit = op->n;
        pause_when_full(l, op->a);
        return 0;
    default:
        do_ending(l, s, op->op);
        return 0;
    }
}

/* ---- reading ------------------------------------------------------------------------------------- */

static bool has_end(const struct fake_loop *l, const struct fake_stream *s)
{
    const struct fake_fd *fd = &l->kernel.fds[s->fd];
    return fd->peer < 0 || l->kernel.fds[fd->peer].is_shut;
}

static bool may_read(const struct fake_loop *l, const struct fake_stream *s)
{
    const struct fake_fd *fd = &l->kernel.fds[s->fd];
    if (s->has_seen_eof || (s->reads > 0 && l->defect == FAKE_STREAM_READS_ONCE) ||
        (l->defect == FAKE_STREAM_READS_EDGE && fd->unread <= s->seen && !(fd->unread == 0 && has_end(l, s))))
        return false;
    if (s->is_paused && l->defect != FAKE_STREAM_READS_PAUSED &&
        !(l->defect == FAKE_STREAM_EOF_PAUSED && fd->unread == 0))
        return false;
    return !s->is_flushing || l->defect == FAKE_STREAM_READS_CLOSED;
}

static bool is_read_later(const struct fake_loop *l, struct fake_stream *s)
{
    if (l->defect != FAKE_STREAM_READS_LATE)
        return false;
    s->reads_ns = s->reads_ns != 0 ? s->reads_ns : l->kernel.now_ns + LATE_NS;
    return l->kernel.now_ns < s->reads_ns;
}

static bool may_read_now(struct fake_loop *l, struct fake_stream *s)
{
    return s->fd >= 0 && may_read(l, s) && (l->kernel.base.ready(&l->kernel, s->fd) & LC_IN) != 0 &&
           !is_read_later(l, s);
}

/* What DATA or EOF raise is the end of the stream. */
static void fail(struct fake_loop *l, struct fake_stream *s)
{
    if ((l->raised == LC_RAISE_EXCEPTION || l->raised == LC_RAISE_CANCELLED) && l->defect != FAKE_FATAL_GOES_ON)
        s->error = s->error != 0 ? s->error : -EIO;
}

static void see_eof(struct fake_loop *l, uint8_t handle)
{
    struct fake_stream *s = stream_at(l, handle);
    s->has_seen_eof = l->defect != FAKE_STREAM_EOF_EARLY || l->kernel.fds[s->fd].unread == 0;
    if (l->defect == FAKE_STREAM_DATA_EMPTY)
        call_data(l, handle, (const uint8_t *)"", 0);
    if (l->defect == FAKE_STREAM_ENDS_BY_EOF)
        l->kernel.base.shut(&l->kernel, s->fd);
    call(l, handle, LC_EVENT_EOF);
    fail(l, s);
    if (l->defect == FAKE_STREAM_EOF_TWICE && is_alive(l, handle))
        call(l, handle, LC_EVENT_EOF);
    if (l->defect == FAKE_STREAM_DATA_AFTER_EOF && is_alive(l, handle))
        call_data(l, handle, (const uint8_t *)"", 1);
    if (l->defect == FAKE_STREAM_LOST_BY_EOF && is_alive(l, handle))
        lose(l, handle, 0);
}

/* Spoils what was read; returns what is left of its size. */
static size_t spoil(const struct fake_loop *l, uint8_t *bytes, size_t size)
{
    const size_t half = size / 2;
    uint8_t copy[FAKE_BUFFER_BYTES];
    if (l->defect == FAKE_STREAM_READ_FOREIGN)
        bytes[size - 1] ^= 1;
    if (l->defect == FAKE_STREAM_READ_SWAPS) {
        memcpy(copy, bytes, size);
        memcpy(bytes, copy + half, size - half);
        memcpy(bytes + size - half, copy, half);
    }
    return size - (l->defect == FAKE_STREAM_READ_SWALLOWS && size > 1);
}

static void see_data(struct fake_loop *l, uint8_t handle, uint8_t *bytes, size_t size)
{
    struct fake_stream *s = stream_at(l, handle);
    const bool is_short = size < FAKE_BUFFER_BYTES;
    s->reads++;
    s->reads_ns = 0;
    s->seen = l->kernel.fds[s->fd].unread;
    size = spoil(l, bytes, size);
    if (l->defect != FAKE_STREAM_READ_DROPS) {
        call_data(l, handle, bytes, size);
        fail(l, s);
    }
    if (l->defect == FAKE_STREAM_READ_TWICE && is_alive(l, handle) && may_read(l, s))
        call_data(l, handle, bytes, size);
    if (l->defect == FAKE_STREAM_EOF_FROM_SHORT_READ && is_short && is_alive(l, handle) && may_read(l, s))
        see_eof(l, handle);
}

static void read_some(struct fake_loop *l, uint8_t handle)
{
    struct fake_stream *s = stream_at(l, handle);
    uint8_t buffer[FAKE_BUFFER_BYTES];
    int64_t got;
    if (s->is_buffered) {
        call(l, handle, LC_EVENT_GET_BUFFER);
        fail(l, s);
        if (!may_read_now(l, s) || s->error != 0 || !is_alive(l, handle))
            return;
    }
    if (l->defect == FAKE_STREAM_EOF_EARLY && has_end(l, s) && !l->kernel.fds[s->fd].is_reset && s->reads == 0) {
        s->reads++;
        see_eof(l, handle);
        return;
    }
    do
        got = fake_kernel_read(&l->kernel, s->fd, buffer, l->defect == FAKE_STREAM_READS_EDGE ? 1 : sizeof buffer);
    while (got == -EINTR && l->defect != FAKE_STREAM_EINTR_ENDS);
    if (got > 0)
        see_data(l, handle, buffer, (size_t)got);
    else if (got == 0 && l->defect != FAKE_STREAM_EOF_NEVER)
        see_eof(l, handle);
    else if (got < 0 && got != -EAGAIN && l->defect != FAKE_STREAM_ERROR_UNSEEN)
        lose(l, handle, (int)got);
}

/* ---- what is due --------------------------------------------------------------------------------- */

static bool must_be_made(const struct fake_loop *l, const struct fake_stream *s)
{
    return !s->is_made && (l->defect != FAKE_STREAM_MADE_LATE || s->reads > 0);
}

static bool must_be_lost(const struct fake_loop *l, const struct fake_stream *s)
{
    if (s->is_aborted)
        return l->defect != FAKE_STREAM_ABORT_SILENT;
    if (s->error == -EIO && l->defect == FAKE_FATAL_SILENT)
        return false;
    return s->error != 0 || (s->is_flushing && s->held_size == 0 && l->defect != FAKE_STREAM_CLOSE_SILENT);
}

static bool must_resume(const struct fake_loop *l, const struct fake_stream *s)
{
    return s->is_writing_paused && s->held_size <= s->limit / 4 && l->defect != FAKE_STREAM_RESUME_NEVER;
}

bool fake_stream_is_due(struct fake_loop *l, uint8_t handle)
{
    struct fake_stream *s = stream_at(l, handle);
    if (s->is_connecting)
        return l->defect != FAKE_CONNECT_SILENT && !(s->was_cancelled && l->defect == FAKE_CONNECT_CANCEL_SILENT);
    if (must_be_made(l, s))
        return l->defect != FAKE_STREAM_MADE_NEVER;
    return must_be_lost(l, s) || must_resume(l, s) || may_read_now(l, s);
}

static void make(struct fake_loop *l, uint8_t handle)
{
    stream_at(l, handle)->is_made = true;
    call(l, handle, LC_EVENT_MADE);
    if (l->defect == FAKE_STREAM_MADE_TWICE && is_alive(l, handle))
        call(l, handle, LC_EVENT_MADE);
}

static void resume(struct fake_loop *l, uint8_t handle)
{
    stream_at(l, handle)->is_writing_paused = false;
    call(l, handle, LC_EVENT_RESUME_WRITING);
    if (l->defect == FAKE_STREAM_RESUME_TWICE && is_alive(l, handle))
        call(l, handle, LC_EVENT_RESUME_WRITING);
}

void fake_stream_run(struct fake_loop *l, uint8_t handle)
{
    struct fake_stream *s = stream_at(l, handle);
    if (s->is_connecting)
        fake_connect_run(l, handle);
    else if (must_be_made(l, s))
        make(l, handle);
    else if (l->defect == FAKE_STREAM_READS_CLOSED && may_read_now(l, s))
        read_some(l, handle);
    else if (must_be_lost(l, s))
        lose(l, handle, s->is_aborted ? 0 : s->error);
    else if (must_resume(l, s))
        resume(l, handle);
    else if (may_read_now(l, s))
        read_some(l, handle);
}
