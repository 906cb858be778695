/* Real clock and kernel. Endpoints on UDP and AF_UNIX datagram sockets: what the kernel does to a datagram reaches the
 * user. */
#define _GNU_SOURCE
#include "refloop.h"
#include "testing/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { COUNT = 300, BYTES = 2000, LARGE = RL_DATAGRAM_BYTES_MAX + 1 };

static rl_loop *loop;
static rl_datagram *sender, *receiver;
static unsigned received, losts;
static size_t last_size;
static int refused; /* the last error */
static unsigned char bytes[LARGE];

static void on_datagram(rl_datagram *endpoint, void *arg, const void *got, size_t size)
{
    (void)arg;
    CHECK(endpoint == receiver);
    CHECK(size == 0 || memcmp(got, bytes, size) == 0);
    last_size = size;
    received++;
}

static void on_numbered(rl_datagram *endpoint, void *arg, const void *got, size_t size)
{
    (void)endpoint, (void)arg;
    CHECK(size == BYTES && *(const unsigned char *)got == received % 251);
    received++;
}

static void on_refused(rl_datagram *endpoint, void *arg, int error)
{
    (void)endpoint, (void)arg;
    refused = error;
}

static void on_lost(rl_datagram *endpoint, void *arg, int error)
{
    (void)endpoint, (void)arg;
    CHECK(error == 0);
    losts++;
}

static int udp(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)address, size) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)address, &size) == 0);
    return fd;
}

static void open_endpoints(int family, void (*fn)(rl_datagram *, void *, const void *, size_t))
{
    const struct rl_datagram_callbacks callbacks = {.datagram = fn, .refused = on_refused, .lost = on_lost};
    int fds[2];
    if (family == AF_UNIX) {
        CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    } else {
        struct sockaddr_in addresses[2];
        for (int i = 0; i < 2; i++)
            fds[i] = udp(&addresses[i]);
        for (int i = 0; i < 2; i++)
            CHECK(connect(fds[i], (struct sockaddr *)&addresses[1 - i], sizeof addresses[0]) == 0);
    }
    received = losts = 0;
    refused = 0;
    CHECK(rl_loop_open(&loop) == 0);
    CHECK(rl_datagram_open(loop, fds[0], &callbacks, NULL, &sender) == 0);
    CHECK(rl_datagram_open(loop, fds[1], &callbacks, NULL, &receiver) == 0);
}

static void turn_until(const unsigned *count, unsigned wanted)
{
    while (*count < wanted)
        CHECK(rl_loop_turn(loop, true) >= 0);
}

static void datagrams_keep_their_bounds(void)
{
    static const size_t sizes[] = {5, 0, 0, 1, 65507, 3};
    memset(bytes, 7, sizeof bytes);
    open_endpoints(AF_INET, on_datagram);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK(rl_datagram_send(sender, bytes, sizes[i]) == 0);
        turn_until(&received, i + 1);
        CHECK(last_size == sizes[i]);
    }
    CHECK(rl_datagram_send(sender, bytes, 65508) == -EMSGSIZE);
    CHECK(rl_loop_close(loop) == 0);
}

/* The queue of an AF_UNIX socket is short: most of them have to wait. */
static void what_waits_is_sent_in_order_by_close(void)
{
    open_endpoints(AF_UNIX, on_numbered);
    for (unsigned i = 0; i < COUNT; i++) {
        memset(bytes, (int)(i % 251), BYTES);
        CHECK(rl_datagram_send(sender, bytes, BYTES) == 0);
    }
    CHECK(rl_datagram_buffered(sender) > 0);
    rl_datagram_close(sender);
    CHECK(rl_datagram_send(sender, bytes, 1) == -EPIPE);
    turn_until(&losts, 1);
    turn_until(&received, COUNT);
    CHECK(received == COUNT && rl_loop_close(loop) == 0);
}

static void refusal_is_told_and_the_endpoint_goes_on(void)
{
    open_endpoints(AF_INET, on_datagram);
    rl_datagram_abort(receiver);
    turn_until(&losts, 1);
    for (int round = 0; round < 2; round++) {
        CHECK(rl_datagram_send(sender, bytes, 1) == 0);
        for (refused = 0; refused == 0;)
            CHECK(rl_loop_turn(loop, true) >= 0);
        CHECK(refused == -ECONNREFUSED);
    }
    CHECK(losts == 1 && rl_loop_close(loop) == 0);
}

/* One that is larger than the memory for it is told as an error, not given in part. */
static void too_large_is_told_not_cut(void)
{
    open_endpoints(AF_UNIX, on_datagram);
    CHECK(rl_datagram_send(sender, bytes, LARGE) == 0);
    CHECK(rl_datagram_send(sender, bytes, 3) == 0);
    turn_until(&received, 1);
    CHECK(refused == -EMSGSIZE && last_size == 3);
    CHECK(rl_loop_close(loop) == 0);
}

static void what_cannot_be_opened(void)
{
    rl_datagram *endpoint;
    CHECK(rl_loop_open(&loop) == 0);
    CHECK(rl_datagram_open(loop, 0, &(struct rl_datagram_callbacks){.datagram = on_datagram}, NULL, &endpoint) ==
          -EINVAL);
    CHECK(rl_datagram_open(loop, -1, &(struct rl_datagram_callbacks){.lost = on_lost}, NULL, &endpoint) == -EBADF);
    CHECK(rl_datagram_open(loop, 999999, &(struct rl_datagram_callbacks){.lost = on_lost}, NULL, &endpoint) == -EBADF);
    CHECK(rl_loop_close(loop) == 0);
}

static const struct test tests[] = {TEST(datagrams_keep_their_bounds), TEST(what_waits_is_sent_in_order_by_close),
                                    TEST(refusal_is_told_and_the_endpoint_goes_on), TEST(too_large_is_told_not_cut),
                                    TEST(what_cannot_be_opened)};

TEST_MAIN(tests)
