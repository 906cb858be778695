/* What a stream answers at its edges: wrong arguments, no memory, named bounds, a kernel that refuses, damage. On a
 * kernel made for the test. */
#include "handle.h"
#include "refloop.h"
#include "stream_kernel.h"
#include "testing/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BIG = 512 * 1024 };

static rl_loop *loop;
static rl_stream *streams[2]; /* of fd 0 and 1 */
static struct counts {
    size_t bytes;
    int data, eofs, pauses, resumes, losts, error;
} counts[2];
static unsigned char big[BIG];
static void (*in_data)(void); /* done in each data callback of stream 0 */
static bool is_memory_out;
static int allocations_count;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_malloc(size_t size)
{
    allocations_count++;
    return is_memory_out ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations_count++;
    return is_memory_out ? NULL : __real_calloc(count, size);
}

static void on_data(rl_stream *stream, void *arg, const void *bytes, size_t size)
{
    struct counts *count = arg;
    (void)bytes;
    count->bytes += size;
    count->data++;
    if (stream == streams[0] && in_data != NULL)
        in_data();
    CHECK(rl_loop_check(loop) == 0);
}

static void on_eof(rl_stream *stream, void *arg)
{
    (void)stream;
    ((struct counts *)arg)->eofs++;
}

static void on_pause(rl_stream *stream, void *arg)
{
    (void)stream;
    ((struct counts *)arg)->pauses++;
}

static void on_resume(rl_stream *stream, void *arg)
{
    (void)stream;
    ((struct counts *)arg)->resumes++;
}

static void on_lost(rl_stream *stream, void *arg, int error)
{
    (void)stream;
    struct counts *count = arg;
    count->losts++;
    count->error = error;
}

static const struct rl_stream_callbacks all_callbacks = {
    .data = on_data, .eof = on_eof, .pause_writing = on_pause, .resume_writing = on_resume, .lost = on_lost};
static const struct rl_stream_callbacks only_lost = {.lost = on_lost};

static void open_loop(void)
{
    struct rl_backend backend = kernel_backend();
    kernel_reset();
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < BIG; i++)
        big[i] = kernel_byte(i);
    in_data = NULL;
    is_memory_out = false;
    CHECK(rl_loop_open_on(&loop, &backend) == 0);
}

static void open_stream(int fd, const struct rl_stream_callbacks *callbacks)
{
    CHECK(rl_stream_open(loop, fd, callbacks, &counts[fd], &streams[fd]) == 0);
}

static void close_loop(void)
{
    CHECK(rl_loop_check(loop) == 0);
    CHECK(rl_loop_close(loop) == 0);
}

static int turn(void)
{
    int result = rl_loop_turn(loop, false);
    CHECK(result >= 0 && rl_loop_check(loop) == 0);
    return result;
}

/* A stream that cannot be opened leaves the fd to the caller and nothing in the loop. */
static void failed_open_leaves_the_fd(void)
{
    open_loop();
    const struct rl_stream_callbacks none = {.data = on_data};
    CHECK(rl_stream_open(loop, 0, &none, NULL, &streams[0]) == -EINVAL);
    CHECK(rl_stream_open(loop, -1, &only_lost, NULL, &streams[0]) == -EBADF);
    kernel.fds[0].apply_error = -EPERM;
    CHECK(rl_stream_open(loop, 0, &only_lost, NULL, &streams[0]) == -EPERM);
    kernel.fds[0].apply_error = 0;
    is_memory_out = true;
    CHECK(rl_stream_open(loop, 0, &only_lost, NULL, &streams[0]) == -ENOMEM);
    is_memory_out = false;
    CHECK(!rl_loop_is_alive(loop) && rl_list_is_empty(&loop->handles));
    loop->backend.read = NULL;
    CHECK(rl_stream_open(loop, 0, &only_lost, NULL, &streams[0]) == -ENOTSUP);
    close_loop();
    CHECK(kernel.fds[0].closes == 0);
}

/* A write without memory fails before the kernel sees a byte, and the stream goes on as it was. */
static void write_without_memory_changes_nothing(void)
{
    open_loop();
    open_stream(0, &all_callbacks);
    CHECK(rl_stream_write(streams[0], big, SIZE_MAX) == -ENOMEM);
    is_memory_out = true;
    CHECK(rl_stream_write(streams[0], big, 10) == -ENOMEM);
    CHECK(kernel.calls == 0 && counts[0].pauses == 0);
    is_memory_out = false;
    kernel.fds[0].room = 4;
    CHECK(rl_stream_write(streams[0], big, 10) == 0 && rl_stream_buffered(streams[0]) == 6);
    is_memory_out = true;
    CHECK(rl_stream_write(streams[0], big + 10, BIG - 10) == -ENOMEM);
    CHECK(rl_stream_write(streams[0], big + 10, 5) == 0); /* there is room for them */
    kernel.fds[0].room = BIG;
    CHECK(turn() == 0 && kernel.fds[0].written == 15);
    close_loop();
}

/* A write of no bytes does nothing, and is refused where any write is. */
static void empty_write_does_nothing(void)
{
    open_loop();
    open_stream(0, &all_callbacks);
    CHECK(rl_stream_set_limits(streams[0], 0, 0) == 0);
    CHECK(rl_stream_write(streams[0], NULL, 0) == 0 && kernel.calls == 0 && counts[0].pauses == 0);
    CHECK(rl_stream_write_eof(streams[0]) == 0 && rl_stream_write(streams[0], NULL, 0) == -EPIPE);
    close_loop();
}

/* One turn reads a bounded number of bytes, so that another stream has its turn too. */
static void reading_is_bounded(void)
{
    open_loop();
    open_stream(0, &all_callbacks);
    open_stream(1, &all_callbacks);
    kernel.fds[0].sent = BIG;
    kernel.fds[1].sent = 1;
    CHECK(turn() == RL_STREAM_READS_MAX + 1);
    CHECK(counts[0].bytes == (size_t)RL_STREAM_READS_MAX * RL_STREAM_READ_BYTES_MAX && counts[1].bytes == 1);
    CHECK(turn() == BIG / RL_STREAM_READ_BYTES_MAX - RL_STREAM_READS_MAX);
    CHECK(counts[0].bytes == BIG);
    close_loop();
}

/* One turn writes a bounded number of times. */
static void writing_is_bounded(void)
{
    enum { PIECE = 5000, PIECES = RL_STREAM_WRITES_MAX + 3 }; /* each too large to share a chunk */
    open_loop();
    open_stream(0, &all_callbacks);
    kernel.fds[0].room = 0;
    for (size_t i = 0; i < PIECES; i++)
        CHECK(rl_stream_write(streams[0], big + i * PIECE, PIECE) == 0);
    kernel.fds[0].room = BIG;
    (void)turn();
    CHECK(kernel.fds[0].written == (size_t)RL_STREAM_WRITES_MAX * PIECE);
    (void)turn();
    CHECK(kernel.fds[0].written == (size_t)PIECES * PIECE && rl_stream_buffered(streams[0]) == 0);
    close_loop();
}

/* Many small writes share memory and go out together. */
static void small_writes_go_out_together(void)
{
    open_loop();
    open_stream(0, &all_callbacks);
    kernel.fds[0].room = 0;
    allocations_count = 0;
    for (size_t i = 0; i < 1000; i++)
        CHECK(rl_stream_write(streams[0], big + i, 1) == 0);
    CHECK(allocations_count == 1);
    kernel.fds[0].room = BIG;
    kernel.calls = 0;
    CHECK(turn() == 0 && kernel.calls == 1 && kernel.fds[0].written == 1000);
    close_loop();
}

static void echo(void)
{
    CHECK(rl_stream_write(streams[0], big, 10) == 0);
    kernel.fds[0].written = 0; /* the same ten bytes each time */
}

/* An echo costs one read and one write, and nothing is told to the kernel about interest. */
static void echo_is_cheap(void)
{
    open_loop();
    open_stream(0, &all_callbacks);
    in_data = echo;
    int applies = kernel.applies;
    for (int i = 0; i < 10; i++) {
        kernel.fds[0].sent += 10;
        CHECK(turn() == 1);
    }
    CHECK(kernel.calls == 20 && kernel.applies == applies);
    close_loop();
}

/* The marks: pause above high, resume at low, each once; a new stream has the named ones; high below low is refused. */
static void limits_are_marks(void)
{
    open_loop();
    open_stream(0, &all_callbacks);
    kernel.fds[0].room = 0;
    CHECK(rl_stream_set_limits(streams[0], 1, 2) == -EINVAL);
    CHECK(rl_stream_write(streams[0], big, RL_STREAM_HIGH_BYTES) == 0 && counts[0].pauses == 0);
    CHECK(rl_stream_write(streams[0], big + RL_STREAM_HIGH_BYTES, 1) == 0 && counts[0].pauses == 1);
    CHECK(rl_stream_write(streams[0], big + RL_STREAM_HIGH_BYTES + 1, 1) == 0 && counts[0].pauses == 1);
    kernel.fds[0].room = RL_STREAM_HIGH_BYTES + 1 - RL_STREAM_LOW_BYTES;
    CHECK(turn() == 0 && counts[0].resumes == 0);
    kernel.fds[0].room = 1;
    CHECK(turn() == 1 && counts[0].resumes == 1);
    kernel.fds[0].room = BIG;
    CHECK(turn() == 0 && counts[0].resumes == 1);
    close_loop();
}

static void pause_other(void)
{
    rl_stream_pause(streams[1]);
}

static void pause_and_write_other(void)
{
    rl_stream_pause(streams[1]);
    kernel.fds[1].room = 0;
    CHECK(rl_stream_write(streams[1], big, 1) == 0);
}

static void abort_other(void)
{
    rl_stream_abort(streams[1]);
}

/* [STREAM-6] [CLOSE] What was found ready already does not reach a stream that another's callback pauses or aborts. */
static void ready_data_can_be_stopped(void)
{
    void (*const stops[])(void) = {pause_other, pause_and_write_other, abort_other};
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) {
        open_loop();
        open_stream(0, &all_callbacks);
        open_stream(1, &all_callbacks);
        in_data = stops[i];
        kernel.fds[0].sent = kernel.fds[1].sent = 1;
        CHECK(turn() == 1 && counts[0].data == 1 && counts[1].data == 0);
        (void)turn();
        CHECK(counts[1].data == 0 && counts[1].losts == (stops[i] == abort_other));
        close_loop();
    }
}

static void break_loop(void)
{
    rl_loop_break(loop);
}

/* [STOP] After rl_loop_break the turn runs no further callback of the stream; the next turn does. */
static void break_ends_the_reading(void)
{
    open_loop();
    open_stream(0, &all_callbacks);
    in_data = break_loop;
    kernel.fds[0].sent = 2 * RL_STREAM_READ_BYTES_MAX;
    CHECK(turn() == 1 && counts[0].data == 1);
    CHECK(turn() == 1 && counts[0].data == 2);
    close_loop();
}

/* If the kernel cannot watch for more, the stream is lost with its answer; nothing is told inside the call. */
static void refused_interest_loses(void)
{
    for (int is_resume = 0; is_resume < 2; is_resume++) {
        open_loop();
        open_stream(0, &all_callbacks);
        rl_stream_pause(streams[0]);
        kernel.fds[0].apply_error = -ENOSPC;
        kernel.fds[0].room = 0;
        if (is_resume)
            rl_stream_resume(streams[0]);
        else
            CHECK(rl_stream_write(streams[0], big, 1) == 0);
        CHECK(counts[0].losts == 0 && rl_stream_write(streams[0], big, 1) == -EPIPE);
        CHECK(turn() == 1 && counts[0].losts == 1 && counts[0].error == -ENOSPC && kernel.fds[0].closes == 1);
        close_loop();
    }
}

/* An end of file that cannot be sent loses the stream, at once or after what was buffered. */
static void refused_shut_loses(void)
{
    for (size_t room = 0; room < 2; room++) {
        open_loop();
        open_stream(0, &all_callbacks);
        kernel.fds[0].shut_error = -ENOTCONN;
        kernel.fds[0].room = room;
        CHECK(rl_stream_write(streams[0], big, 1) == 0);
        CHECK(rl_stream_write_eof(streams[0]) == 0 && counts[0].losts == 0);
        kernel.fds[0].room = 1;
        (void)turn(), (void)turn();
        CHECK(counts[0].losts == 1 && counts[0].error == -ENOTCONN);
        close_loop();
    }
}

/* [CLOSE] What a closed stream could not send is told as the error that kept it from it. */
static void failed_flush_is_told(void)
{
    open_loop();
    open_stream(0, &all_callbacks);
    kernel.fds[0].room = 0;
    CHECK(rl_stream_write(streams[0], big, 1) == 0);
    rl_stream_close(streams[0]);
    kernel.fds[0].room = 1;
    kernel.fds[0].write_error = -ECONNRESET;
    (void)turn(), (void)turn();
    CHECK(counts[0].losts == 1 && counts[0].error == -ECONNRESET && kernel.fds[0].closes == 1);
    close_loop();
}

/* Without callbacks bytes are dropped, end of file passes, and lost still comes. */
static void callbacks_may_be_missing(void)
{
    open_loop();
    open_stream(0, &only_lost);
    kernel.fds[0].sent = 10;
    kernel.fds[0].has_peer_ended = true;
    kernel.fds[0].room = 0;
    CHECK(rl_stream_set_limits(streams[0], 0, 0) == 0 && rl_stream_write(streams[0], big, 1) == 0);
    CHECK(turn() == 0 && turn() == 0 && kernel.fds[0].read == 10);
    kernel.fds[0].room = 1;
    CHECK(turn() == 0 && !rl_loop_is_alive(loop));
    rl_stream_close(streams[0]);
    CHECK(turn() == 1 && counts[0].losts == 1);
    close_loop();
}

/* A stream keeps the loop alive while it waits for its fd or for lost, and not while it waits for nothing. */
static void alive_while_it_waits(void)
{
    open_loop();
    open_stream(0, &all_callbacks);
    CHECK(rl_loop_is_alive(loop));
    rl_stream_pause(streams[0]);
    CHECK(!rl_loop_is_alive(loop) && rl_loop_run(loop) == 0);
    kernel.fds[0].room = 0;
    CHECK(rl_stream_write(streams[0], big, 1) == 0 && rl_loop_is_alive(loop));
    rl_stream_abort(streams[0]);
    CHECK(rl_loop_is_alive(loop) && rl_loop_run(loop) == 0);
    CHECK(counts[0].losts == 1 && !rl_loop_is_alive(loop));
    close_loop();
}

/* Closing the loop closes the fds of open and of losing streams, gives their memory back and runs no callback. */
static void closing_the_loop_closes_streams(void)
{
    open_loop();
    open_stream(0, &all_callbacks);
    open_stream(1, &all_callbacks);
    kernel.fds[0].room = 0;
    CHECK(rl_stream_write(streams[0], big, BIG) == 0 && counts[0].pauses == 1);
    rl_stream_abort(streams[1]);
    close_loop();
    CHECK(counts[0].losts + counts[1].losts + counts[0].resumes == 0);
    CHECK(kernel.fds[0].closes == 1 && kernel.fds[1].closes == 1);
}

/* rl_loop_check looks into each part of a stream. */
static void check_sees_damage(void)
{
    open_loop();
    open_stream(0, &all_callbacks);
    rl_stream *stream = streams[0];
    stream->chunks.size = 1;
    CHECK(rl_loop_check(loop) == -61);
    stream->chunks.size = 0;
    stream->error = 1;
    CHECK(rl_loop_check(loop) == -62);
    stream->error = 0;
    stream->life.is_paused = true;
    CHECK(rl_loop_check(loop) == -63);
    stream->life.is_paused = false;
    stream->flow.is_paused = true;
    CHECK(rl_loop_check(loop) == -65);
    stream->flow.is_paused = false;
    rl_stream_abort(stream);
    rl_ready_remove(&stream->handle.ready);
    CHECK(rl_loop_check(loop) == -64);
    rl_ready_push(&loop->turn.ready, &stream->handle.ready);
    close_loop();
}

static const struct test tests[] = {TEST(failed_open_leaves_the_fd),
                                    TEST(write_without_memory_changes_nothing),
                                    TEST(empty_write_does_nothing),
                                    TEST(reading_is_bounded),
                                    TEST(writing_is_bounded),
                                    TEST(small_writes_go_out_together),
                                    TEST(echo_is_cheap),
                                    TEST(limits_are_marks),
                                    TEST(ready_data_can_be_stopped),
                                    TEST(break_ends_the_reading),
                                    TEST(refused_interest_loses),
                                    TEST(refused_shut_loses),
                                    TEST(failed_flush_is_told),
                                    TEST(callbacks_may_be_missing),
                                    TEST(alive_while_it_waits),
                                    TEST(closing_the_loop_closes_streams),
                                    TEST(check_sees_damage)};

TEST_MAIN(tests)
