/* Byte streams of refloop: a connected fd whose bytes are read and written by the loop.
 *
 *   [STREAM-1] data, then eof at most once, then lost exactly once, and nothing after it.
 *   [STREAM-2] what is written arrives once and in order.
 *   [CLOSE]    after close or abort returned, neither data nor eof comes, even if bytes were ready already.
 *
 * No callback comes inside a call of the user, but for pause_writing inside rl_stream_write. All verbs are legal inside
 * any callback, also one of the stream itself.
 * A stream keeps the loop alive while it waits to read, to write, or for lost: not while reading is paused or over, and
 * nothing is buffered. */
#ifndef RL_STREAM_H
#define RL_STREAM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In one turn a stream reads at most READS_MAX times and writes at most WRITES_MAX times, so that none holds up the
 * others. */
enum {
    RL_STREAM_READ_BYTES_MAX = 65536, /* of one data callback */
    RL_STREAM_READS_MAX = 4,          /* a turn */
    RL_STREAM_WRITES_MAX = 16,        /* a turn, of what is buffered */
    RL_STREAM_HIGH_BYTES = 65536,     /* the limits of a new stream; see rl_stream_set_limits */
    RL_STREAM_LOW_BYTES = 16384
};

typedef struct rl_loop rl_loop;
typedef struct rl_stream rl_stream;

struct rl_stream_callbacks { /* any may be NULL but lost; without data, what is read is dropped */
    /* Of a stream of rl_stream_connect, and the first: it is connected, and is from now on as any other. */
    void (*connected)(rl_stream *stream, void *arg);
    /* The bytes, at least one, stay until the callback returns. */
    void (*data)(rl_stream *stream, void *arg, const void *bytes, size_t size);
    /* The peer sends no more. At most once; writing goes on, and the stream stays open. */
    void (*eof)(rl_stream *stream, void *arg);
    /* [STREAM-5] The two alternate, beginning with pause, which comes inside rl_stream_write: more than `high` bytes
     * are buffered. Writing is allowed nevertheless. */
    void (*pause_writing)(rl_stream *stream, void *arg);
    /* No more than `low` bytes are buffered any more. Comes also while a closed stream sends what is buffered. */
    void (*resume_writing)(rl_stream *stream, void *arg);
    /* The last callback, exactly once; of a stream that could not connect the only one. The fd is closed already, and
     * the stream's memory is gone when this returns. Error is 0 after close and abort; else the -errno with which the
     * kernel ended the stream (-ECONNRESET, -EPIPE
     * ...), whether or not it was closed meanwhile. */
    void (*lost)(rl_stream *stream, void *arg, int error);
};

/* The fd is a connected stream (a socket, or an end of a pipe) and non-blocking. On success it is the stream's, which
 * closes it, and reading is on from the next turn; on failure it is still the caller's. -EINVAL without a lost
 * callback; -EBADF and -EPERM as rl_watch_start; -ENOTSUP if the loop's backend has no streams. */
int rl_stream_open(rl_loop *loop, int fd, const struct rl_stream_callbacks *callbacks, void *arg, rl_stream **out);
/* As rl_stream_open, with a socket that is not connected yet and non-blocking: connects it to the address (a struct
 * sockaddr of size bytes), then calls connected; or lost, with the -errno for which it could not. Until then writing is
 * refused (-EPIPE), and close and abort give the connect up. It keeps the loop alive. */
int rl_stream_connect(rl_loop *loop, int fd, const void *address, size_t size,
                      const struct rl_stream_callbacks *callbacks, void *arg, rl_stream **out);
/* Tries the kernel at once when nothing is buffered, and copies what it does not take. 0, also if the kernel refused:
 * that comes as lost; -EPIPE after write_eof, close, abort or a failure; -ENOMEM, and then the stream is as it was. */
int rl_stream_write(rl_stream *stream, const void *bytes, size_t size);
/* After what is buffered, the peer sees end of file. Reading goes on. 0; -EPIPE as rl_stream_write. A pipe has no such
 * half: the stream is lost with -ENOTSOCK; close it instead. */
int rl_stream_write_eof(rl_stream *stream);
/* [STREAM-6] After pause returned, neither data nor eof comes, even if bytes were ready already, until resume. Both may
 * be called at any time, any number of times. */
void rl_stream_pause(rl_stream *stream);
void rl_stream_resume(rl_stream *stream);
/* Bytes. -EINVAL unless high >= low. The limits count from the next write, or the next bytes that the kernel takes. */
int rl_stream_set_limits(rl_stream *stream, size_t high, size_t low);
/* How many bytes were written that the kernel did not yet take; 0 after abort or a failure. */
size_t rl_stream_buffered(const rl_stream *stream);
/* [CLOSE] [STREAM-3] Sends what is buffered, then lost(0) in a later turn. Bytes of the peer that nobody read may make
 * the kernel reset the connection, as close(2) does. */
void rl_stream_close(rl_stream *stream);
/* [CLOSE] [STREAM-4] Drops what is buffered, then lost(0) in the next turn. */
void rl_stream_abort(rl_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
