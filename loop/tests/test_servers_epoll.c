/* Real clock and kernel, but for a second that is said to have passed. A server without a free fd loses nobody, and the
 * accepted fd is non-blocking and closed on exec. */
#define _GNU_SOURCE
#include "backend/epoll.h"
#include "refloop.h"
#include "testing/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rl_epoll epoll;
static struct rl_backend inner;
static uint64_t passed_ns; /* beside the real time */
static rl_loop *loop;
static rl_server *server;
static struct sockaddr_in address;
static unsigned accepted, rests;
static int last_fd, last_error;

static uint64_t now_ns(void *self)
{
    return inner.now_ns(self) + passed_ns;
}

static bool on_accepted(rl_server *of, void *arg, int fd)
{
    CHECK(of == server && arg == &address);
    CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    accepted++;
    last_fd = fd;
    return false; /* the loop closes it */
}

static void on_resting(rl_server *of, void *arg, int error)
{
    CHECK(of == server && arg == &address);
    rests++;
    last_error = error;
}

static void open_world(void)
{
    static const struct rl_server_callbacks callbacks = {.accepted = on_accepted, .resting = on_resting};
    socklen_t size = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    accepted = rests = 0;
    CHECK(rl_epoll_open(&epoll, &inner) == 0);
    struct rl_backend backend = inner;
    backend.now_ns = now_ns;
    CHECK(rl_loop_open_on(&loop, &backend) == 0);
    CHECK(rl_server_open(loop, fd, &callbacks, &address, &server) == 0);
}

static int connect_client(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    return fd;
}

static void turn_until(const unsigned *count, unsigned wanted)
{
    while (*count < wanted)
        CHECK(rl_loop_turn(loop, true) >= 0);
}

static void fd_that_nobody_takes_is_closed(void)
{
    char byte;
    open_world();
    const int client = connect_client();
    turn_until(&accepted, 1);
    CHECK(fcntl(last_fd, F_GETFD) < 0 && errno == EBADF);
    CHECK(read(client, &byte, 1) == 0);
    CHECK(close(client) == 0 && rl_loop_close(loop) == 0);
}

/* No fd can be had: the server rests, and the client is there when there are some again. */
static void scarcity_loses_nobody(void)
{
    struct rlimit limit, none;
    open_world();
    const int client = connect_client();
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)client + 1, .rlim_max = limit.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    turn_until(&rests, 1);
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(last_error == -EMFILE && accepted == 0 && rl_loop_check(loop) == 0);
    passed_ns += RL_SERVER_REST_NS;
    turn_until(&accepted, 1);
    CHECK(rests == 1 && close(client) == 0 && rl_loop_close(loop) == 0);
}

/* Closed with the server: a client that was not accepted is reset, and nobody can connect any more. */
static void closed_server_is_gone(void)
{
    char byte;
    open_world();
    const int client = connect_client();
    rl_server_close(server);
    CHECK(read(client, &byte, 1) < 0 && errno == ECONNRESET);
    const int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(late, (struct sockaddr *)&address, sizeof address) < 0 && errno == ECONNREFUSED);
    CHECK(close(client) == 0 && close(late) == 0 && rl_loop_close(loop) == 0 && accepted == 0);
}

static void what_cannot_be_opened(void)
{
    CHECK(rl_loop_open(&loop) == 0);
    CHECK(rl_server_open(loop, 0, &(struct rl_server_callbacks){.resting = on_resting}, NULL, &server) == -EINVAL);
    CHECK(rl_server_open(loop, -1, &(struct rl_server_callbacks){.accepted = on_accepted}, NULL, &server) == -EBADF);
    CHECK(rl_server_open(loop, 999999, &(struct rl_server_callbacks){.accepted = on_accepted}, NULL, &server) ==
          -EBADF);
    CHECK(rl_loop_close(loop) == 0);
}

static const struct test tests[] = {TEST(fd_that_nobody_takes_is_closed), TEST(scarcity_loses_nobody),
                                    TEST(closed_server_is_gone), TEST(what_cannot_be_opened)};

TEST_MAIN(tests)
