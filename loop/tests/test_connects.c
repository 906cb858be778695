/* Whatever a connect meets, and whatever the user does meanwhile: connected comes once and before all else, or lost
 * alone; nothing is written or read before, and the fd is closed once. On a kernel made for the test. */
#include "fake_backend.h"
#include "refloop.h"
#include "testing/test.h"

#include <errno.h>
#include <string.h>

enum { LENGTH = 4, TURNS = 6 };
enum op { WRITE, WRITE_EOF, CLOSE, ABORT, PAUSE, SPURIOUS, SUCCEED, FAIL, TURN, OPS };

static const int beginnings[] = {0, -EISCONN, -EINPROGRESS, -EALREADY, -EINTR, -ECONNREFUSED, -ENETUNREACH};
enum { BEGINNINGS = sizeof beginnings / sizeof *beginnings, AT_ONCE = 2, FAILING = 5 };

static struct {
    bool is_connected, is_ready;
    int error; /* what the end of the connect is told */
} kernel;
static struct {
    unsigned connected, losts;
    int error;
    bool is_given_up, is_in_call;
} seen;
static rl_loop *loop;
static rl_stream *stream; /* NULL once lost */
static int beginning;

/* ---- the kernel ---------------------------------------------------------------------------------- */

static uint32_t ready(void)
{
    const bool is_out = kernel.is_ready || kernel.is_connected || kernel.error != 0;
    kernel.is_ready = false;
    return (is_out ? RL_OUT : 0u) | (kernel.error != 0 ? RL_ERR : 0u);
}

static int begin_connect(void *self, int fd, const void *address, size_t size)
{
    (void)self;
    CHECK(fd == FAKE_FD && size == 5 && memcmp(address, "there", 5) == 0);
    return beginning;
}

static int finish_connect(void *self, int fd)
{
    (void)self;
    CHECK(fd == FAKE_FD && seen.connected == 0);
    return kernel.error != 0 ? kernel.error : kernel.is_connected ? 0 : -EINPROGRESS;
}

static int64_t read_bytes(void *self, int fd, void *bytes, size_t size)
{
    (void)self, (void)fd, (void)bytes, (void)size;
    CHECK(kernel.is_connected);
    return -EAGAIN;
}

static int64_t write_bytes(void *self, int fd, const void *bytes, size_t size)
{
    (void)self, (void)fd, (void)bytes;
    CHECK(kernel.is_connected && seen.connected == 1);
    return (int64_t)size;
}

static int shut(void *self, int fd)
{
    (void)self, (void)fd;
    CHECK(kernel.is_connected);
    return 0;
}

/* ---- the user ------------------------------------------------------------------------------------ */

static void on_connected(rl_stream *of, void *arg)
{
    (void)arg;
    CHECK(of == stream && !seen.is_in_call && kernel.is_connected && !seen.is_given_up && seen.losts == 0);
    seen.connected++;
    CHECK(rl_stream_write(of, "x", 1) == 0);
}

static void on_lost(rl_stream *of, void *arg, int error)
{
    (void)arg;
    CHECK(of == stream && !seen.is_in_call && fake.closes == 1);
    seen.losts++;
    seen.error = error;
    stream = NULL;
}

static void user_does(unsigned op)
{
    if (stream == NULL)
        return;
    if (op == WRITE)
        CHECK((rl_stream_write(stream, "x", 1) == -EPIPE) || seen.connected == 1);
    else if (op == WRITE_EOF)
        CHECK((rl_stream_write_eof(stream) == -EPIPE) || seen.connected == 1);
    else if (op == PAUSE)
        rl_stream_pause(stream);
    else
        (op == CLOSE ? rl_stream_close : rl_stream_abort)(stream);
    seen.is_given_up |= op == CLOSE || op == ABORT;
}

static void act(unsigned op)
{
    if (op == TURN)
        CHECK(rl_loop_turn(loop, false) >= 0);
    else if (op == SPURIOUS)
        kernel.is_ready = true;
    else if (op == SUCCEED)
        kernel.is_connected = kernel.error == 0;
    else if (op == FAIL)
        kernel.error = kernel.is_connected ? 0 : -ETIMEDOUT;
    else {
        seen.is_in_call = true;
        user_does(op);
        seen.is_in_call = false;
    }
    CHECK(rl_loop_check(loop) == 0);
}

static void open_world(void)
{
    static const struct rl_stream_callbacks callbacks = {.connected = on_connected, .lost = on_lost};
    struct rl_backend backend = fake_backend(ready);
    backend.read = read_bytes;
    backend.write = write_bytes;
    backend.shut = shut;
    backend.connect = begin_connect;
    backend.finish_connect = finish_connect;
    memset(&kernel, 0, sizeof kernel);
    memset(&seen, 0, sizeof seen);
    CHECK(rl_loop_open_on(&loop, &backend) == 0);
    seen.is_in_call = true;
    CHECK(rl_stream_connect(loop, FAKE_FD, "there", 5, &callbacks, NULL, &stream) == 0);
    seen.is_in_call = false;
}

static void it_ends_once(void)
{
    for (int begun = 0; begun < BEGINNINGS; begun++)
        for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
            beginning = beginnings[begun];
            open_world();
            kernel.is_connected = begun < AT_ONCE;
            for (unsigned i = 0; i < LENGTH; i++)
                act(test_op(code, OPS, i));
            for (int turns = 0; turns < TURNS; turns++)
                act(TURN);
            const bool has_failed = begun >= FAILING || kernel.error != 0;
            const int error = begun >= FAILING ? beginning : kernel.error;
            CHECK(seen.losts == (seen.is_given_up || has_failed) && seen.connected <= 1);
            CHECK(seen.losts == 0 || seen.error == error || (seen.is_given_up && seen.error == 0));
            CHECK(!kernel.is_connected || begun >= FAILING || seen.connected == 1 || seen.is_given_up);
            CHECK(rl_loop_is_alive(loop) == (stream != NULL) || kernel.is_connected);
            CHECK(rl_loop_close(loop) == 0 && fake.closes == 1);
        }
}

/* A connection that cannot be waited for once it is there is lost with that error, and connected is not told. */
static void what_cannot_be_waited_for_is_lost(void)
{
    beginning = -EINPROGRESS;
    open_world();
    kernel.is_connected = true;
    fake.apply_error = -ENOMEM;
    act(TURN);
    CHECK(seen.connected == 0);
    act(TURN);
    CHECK(seen.connected == 0 && seen.losts == 1 && seen.error == -ENOMEM);
    CHECK(rl_loop_close(loop) == 0 && fake.closes == 1);
}

static const struct test tests[] = {TEST(it_ends_once), TEST(what_cannot_be_waited_for_is_lost)};

TEST_MAIN(tests)
