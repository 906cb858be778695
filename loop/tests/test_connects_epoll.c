/* Real clock and kernel. The loop connects over TCP to who listens, and is told when nobody does. */
#define _GNU_SOURCE
#include "refloop.h"
#include "testing/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static rl_loop *loop;
static rl_stream *stream;
static unsigned connected, losts;
static int last_error;

static void on_connected(rl_stream *of, void *arg)
{
    CHECK(of == stream && arg == &loop);
    connected++;
    CHECK(rl_stream_write(of, "hello", 5) == 0);
    rl_stream_close(of);
}

static void on_lost(rl_stream *of, void *arg, int error)
{
    CHECK(of == stream && arg == &loop);
    losts++;
    last_error = error;
}

/* A listener on a free port; its address comes out. */
static int listen_anywhere(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(bind(fd, (struct sockaddr *)address, size) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)address, &size) == 0);
    return fd;
}

static void begin(const struct sockaddr_in *address)
{
    static const struct rl_stream_callbacks callbacks = {.connected = on_connected, .lost = on_lost};
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    connected = losts = 0;
    CHECK(rl_loop_open(&loop) == 0);
    CHECK(rl_stream_connect(loop, fd, address, sizeof *address, &callbacks, &loop, &stream) == 0);
    CHECK(connected + losts == 0 && rl_stream_write(stream, "early", 5) == -EPIPE);
}

static void connects_to_who_listens(void)
{
    struct sockaddr_in address;
    char bytes[8];
    const int listener = listen_anywhere(&address);
    begin(&address);
    CHECK(rl_loop_run(loop) == 0 && connected == 1 && losts == 1 && last_error == 0);
    const int end = accept(listener, NULL, NULL);
    CHECK(end >= 0 && recv(end, bytes, sizeof bytes, MSG_WAITALL) == 5);
    CHECK(close(end) == 0 && close(listener) == 0 && rl_loop_close(loop) == 0);
}

static void is_told_that_nobody_listens(void)
{
    struct sockaddr_in address;
    CHECK(close(listen_anywhere(&address)) == 0);
    begin(&address);
    CHECK(rl_loop_run(loop) == 0 && connected == 0 && losts == 1 && last_error == -ECONNREFUSED);
    CHECK(rl_loop_close(loop) == 0);
}

static void is_given_up_by_abort(void)
{
    struct sockaddr_in address;
    const int listener = listen_anywhere(&address);
    begin(&address);
    rl_stream_abort(stream);
    CHECK(rl_loop_run(loop) == 0 && connected == 0 && losts == 1 && last_error == 0);
    CHECK(close(listener) == 0 && rl_loop_close(loop) == 0);
}

static const struct test tests[] = {TEST(connects_to_who_listens), TEST(is_told_that_nobody_listens),
                                    TEST(is_given_up_by_abort)};

TEST_MAIN(tests)
