/* Whatever the user, the peer and the kernel do, in whichever order: bytes arrive once and in order, callbacks keep
 * their grammar, lost comes once and last, and the fd is closed once. On a kernel made for the test. */
#include "refloop.h"
#include "stream_kernel.h"
#include "testing/test.h"

#include <errno.h>
#include <string.h>

enum { HIGH = 2, LOW = 1, ROOM = 2, TURNS_MAX = 64, LENGTH = 5, CALLBACKS = 5, LOOP_STREAMS = 37 };
enum callback { DATA, ENDED, PAUSE, RESUME, LOST };
enum op {
    WRITE_1,
    WRITE_3,
    WRITE_EOF,
    PAUSE_READING,
    RESUME_READING,
    CLOSE,
    ABORT,
    VERBS,
    PEER_SENDS = VERBS,
    PEER_ENDS,
    PEER_TAKES,
    BREAK,
    TURN,
    OPS
};

static rl_loop *loop;
static rl_stream *stream; /* NULL once lost */
static struct kernel_fd *fd;
static struct {
    size_t accepted, received; /* bytes */
    bool is_read_paused, is_eof_asked, is_closed, is_aborted, is_broken;
    bool is_writer_paused, has_eof, is_lost;
    bool is_in_turn, is_in_write;
    int lost_error;
} seen;
static int plan[CALLBACKS]; /* what to do in the next such callback; -1: nothing */
static int callbacks_of_turn;

static bool is_refused(void)
{
    return seen.is_eof_asked || seen.is_closed || seen.is_aborted ||
           (seen.is_broken && rl_stream_buffered(stream) == 0);
}

static void check_sound(void)
{
    CHECK(rl_loop_check(loop) == 0);
    if (stream == NULL)
        return;
    size_t buffered = rl_stream_buffered(stream);
    CHECK(buffered == seen.accepted - fd->written || (buffered == 0 && (seen.is_aborted || seen.is_broken)));
}

static void user_writes(size_t size)
{
    unsigned char bytes[4];
    for (size_t i = 0; i < size; i++)
        bytes[i] = kernel_byte(seen.accepted + i);
    bool was_in_write = seen.is_in_write, was_refused = is_refused(), is_broken = seen.is_broken;
    size_t before = seen.accepted;
    seen.accepted += size; /* before the call: pause_writing may look at it, or write more */
    seen.is_in_write = true;
    int result = rl_stream_write(stream, bytes, size);
    seen.is_in_write = was_in_write;
    CHECK(result == 0 || result == -EPIPE);
    CHECK((result == -EPIPE) == was_refused || is_broken);
    if (result != 0)
        seen.accepted = before;
}

static void user_does(int op)
{
    if (op == WRITE_1 || op == WRITE_3) {
        user_writes(op == WRITE_1 ? 1 : 3);
    } else if (op == WRITE_EOF) {
        bool was_refused = is_refused(), is_broken = seen.is_broken;
        seen.is_eof_asked = true;
        CHECK((rl_stream_write_eof(stream) == -EPIPE) == was_refused || is_broken);
    } else if (op == PAUSE_READING) {
        rl_stream_pause(stream);
        seen.is_read_paused = true;
    } else if (op == RESUME_READING) {
        seen.is_read_paused = false;
        rl_stream_resume(stream);
    } else if (op == CLOSE) {
        seen.is_closed = true;
        rl_stream_close(stream);
    } else if (op == ABORT) {
        seen.is_aborted = true;
        rl_stream_abort(stream);
    }
}

static void in_callback(enum callback callback)
{
    int op = plan[callback];
    CHECK(!seen.is_lost && (seen.is_in_turn || callback == PAUSE));
    callbacks_of_turn++;
    if (callback != LOST)
        check_sound();
    plan[callback] = -1;
    if (op >= 0)
        user_does(op);
}

static void on_data(rl_stream *of, void *arg, const void *bytes, size_t size)
{
    CHECK(of == stream && arg == &seen && size > 0);
    CHECK(!seen.is_read_paused && !seen.is_closed && !seen.is_aborted && !seen.has_eof);
    for (size_t i = 0; i < size; i++)
        CHECK(((const unsigned char *)bytes)[i] == kernel_byte(seen.received + i));
    seen.received += size;
    in_callback(DATA);
}

static void on_eof(rl_stream *of, void *arg)
{
    CHECK(of == stream && arg == &seen);
    CHECK(!seen.is_read_paused && !seen.is_closed && !seen.is_aborted && !seen.has_eof);
    CHECK(seen.received == fd->sent);
    seen.has_eof = true;
    in_callback(ENDED);
}

static void on_pause(rl_stream *of, void *arg)
{
    CHECK(of == stream && arg == &seen);
    CHECK(seen.is_in_write && !seen.is_writer_paused && rl_stream_buffered(stream) > HIGH);
    seen.is_writer_paused = true;
    in_callback(PAUSE);
}

static void on_resume(rl_stream *of, void *arg)
{
    CHECK(of == stream && arg == &seen);
    CHECK(seen.is_in_turn && seen.is_writer_paused && rl_stream_buffered(stream) <= LOW);
    CHECK(!seen.is_aborted);
    seen.is_writer_paused = false;
    in_callback(RESUME);
}

static void on_lost(rl_stream *of, void *arg, int error)
{
    CHECK(of == stream && arg == &seen);
    CHECK(seen.is_in_turn && fd->closes == 1 && rl_stream_buffered(stream) == 0);
    CHECK(error == 0 ? seen.is_closed || seen.is_aborted : error == -ECONNRESET && seen.is_broken);
    CHECK(rl_stream_write(stream, "x", 1) == -EPIPE && rl_stream_write_eof(stream) == -EPIPE);
    CHECK(rl_stream_set_limits(stream, 1, 0) == 0);
    seen.lost_error = error;
    bool was_aborted = seen.is_aborted; /* refusing is what the stream has to do here, whatever the plan asks */
    seen.is_aborted = true;
    in_callback(LOST);
    seen.is_aborted = was_aborted;
    seen.is_lost = true;
    stream = NULL;
}

static const struct rl_stream_callbacks callbacks = {
    .data = on_data, .eof = on_eof, .pause_writing = on_pause, .resume_writing = on_resume, .lost = on_lost};

static void open_all(void)
{
    struct rl_backend backend = kernel_backend();
    kernel_reset();
    memset(&seen, 0, sizeof seen);
    for (int i = 0; i < CALLBACKS; i++)
        plan[i] = -1;
    fd = &kernel.fds[0];
    fd->room = ROOM;
    if (loop == NULL)
        CHECK(rl_loop_open_on(&loop, &backend) == 0);
    CHECK(rl_stream_open(loop, 0, &callbacks, &seen, &stream) == 0);
    CHECK(rl_stream_set_limits(stream, HIGH, LOW) == 0);
}

static void turn(void)
{
    callbacks_of_turn = 0;
    seen.is_in_turn = true;
    CHECK(rl_loop_turn(loop, false) >= 0);
    seen.is_in_turn = false;
}

static void apply(int op)
{
    if (op < VERBS && stream != NULL)
        user_does(op);
    else if (op == PEER_SENDS && !fd->has_peer_ended)
        fd->sent += 2;
    else if (op == PEER_ENDS)
        fd->has_peer_ended = true;
    else if (op == PEER_TAKES)
        fd->room += 2;
    else if (op == TURN)
        turn();
    else if (op == BREAK) {
        seen.is_broken = true;
        fd->read_error = fd->write_error = -ECONNRESET;
        fd->unasked = RL_HUP | RL_ERR;
    }
    check_sound();
}

/* Often the stream is aborted, and the loop serves the next one; now and then the loop is closed over it. */
static void end_loop(void)
{
    static unsigned ends_count;
    if (++ends_count % LOOP_STREAMS != 0) {
        apply(ABORT);
        turn();
        CHECK(seen.is_lost && !rl_loop_is_alive(loop));
        return;
    }
    seen.is_lost = true; /* from here on a callback is a defect */
    CHECK(rl_loop_close(loop) == 0 && fake.backends_closed == 1);
    loop = NULL;
}

/* What is owed once the peer takes everything: all bytes of a stream that was not aborted and did not break; its
 * end of file; and lost, if anything asked for it. */
static void check_end(void)
{
    bool is_clean = !seen.is_aborted && !seen.is_broken;
    fd->room = KERNEL_BYTES_MAX;
    for (int i = 0; i < TURNS_MAX && rl_loop_is_alive(loop) && (i == 0 || callbacks_of_turn > 0 || i < 4); i++)
        turn();
    check_sound();
    CHECK(!(seen.is_closed || seen.is_aborted) || seen.is_lost);
    CHECK(!seen.is_broken || seen.is_lost || seen.is_read_paused || seen.has_eof);
    CHECK(!is_clean || fd->written == seen.accepted);
    CHECK(!is_clean || !seen.is_eof_asked || seen.is_closed || fd->shuts == 1);
    CHECK(fd->shuts == 0 || (fd->shuts == 1 && fd->written_shut == fd->written && seen.is_eof_asked));
    CHECK(!is_clean || seen.is_closed || seen.is_read_paused || seen.received == fd->sent);
    CHECK(!is_clean || seen.is_closed || seen.is_read_paused || seen.has_eof == fd->has_peer_ended);
    CHECK(!is_clean || seen.is_lost || !seen.is_writer_paused);
    end_loop();
    CHECK(fd->closes == 1);
}

/* Every sequence of five things that user, peer, kernel and loop can do, then a peer that takes everything. */
static void every_short_sequence(void)
{
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
        open_all();
        for (unsigned i = 0; i < LENGTH; i++)
            apply((int)test_op(code, OPS, i));
        check_end();
    }
}

/* A story in which each callback comes, unless what is done in one prevents others. */
static void tell_story(int with_break)
{
    const int story[] = {WRITE_3,    WRITE_3, PEER_SENDS, TURN, PEER_TAKES, TURN,
                         PEER_TAKES, TURN,    PEER_ENDS,  TURN, WRITE_3,    with_break ? BREAK : TURN,
                         PEER_TAKES, TURN,    CLOSE,      TURN};
    for (size_t i = 0; i < sizeof story / sizeof *story; i++)
        apply(story[i]);
    check_end();
}

/* Every pair of verbs, each in any callback, with a peer that stays and one that breaks off. */
static void every_verb_in_every_callback(void)
{
    enum { CHOICES = CALLBACKS * VERBS };
    for (int choice = 0; choice < CHOICES * CHOICES * 2; choice++) {
        int first = choice % CHOICES, second = choice / CHOICES % CHOICES;
        open_all();
        plan[second / VERBS] = second % VERBS;
        plan[first / VERBS] = first % VERBS;
        tell_story(choice / CHOICES / CHOICES);
    }
}

/* EINTR or EAGAIN at any one of the reads and writes of the story, whole or byte by byte, loses and repeats nothing. */
static void harmless_errors_at_every_call(void)
{
    for (int variant = 0; variant < 4; variant++) {
        unsigned long calls = 1;
        for (unsigned long at = 0; at <= calls; at++) {
            open_all();
            kernel.fault_at = at;
            kernel.fault_error = variant % 2 ? -EINTR : -EAGAIN;
            kernel.call_bytes_max = variant / 2 ? 1 : KERNEL_BYTES_MAX;
            tell_story(false);
            CHECK(seen.lost_error == 0 && fd->written == 9 && seen.accepted == 9);
            calls = kernel.calls;
        }
        CHECK(calls > 6);
    }
}

/* The loop that the last story left open. */
static void loop_is_closed(void)
{
    CHECK(loop == NULL || rl_loop_close(loop) == 0);
}

static const struct test tests[] = {TEST(every_short_sequence), TEST(every_verb_in_every_callback),
                                    TEST(harmless_errors_at_every_call), TEST(loop_is_closed)};

TEST_MAIN(tests)
