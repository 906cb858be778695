/* Real clock and kernel. Simulated UDP sockets answer every send, receive, close and poll as real ones do; a full
 * queue, which real ones hardly ever show, keeps its datagrams whole and in order. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "sim_worlds.h"
#include "testing/test.h"

enum { SEND, SEND_EMPTY, RECEIVE, CLOSE, VERBS, OPS = 2 * VERBS, LENGTH = 4, BYTES = 3, PATIENCE_MS = 2000 };

static unsigned char byte_next;

static void open_pairs(void)
{
    worlds_open();
    for (int i = 0; i < 2; i++)
        CHECK(worlds[i].kernel.udp(worlds[i].kernel.self, worlds[i].fds) > 0);
    byte_next = 1;
}

/* Returns what the kernel answered; what was received is in bytes. */
static int64_t act(struct world *world, int end, int verb, unsigned char bytes[BYTES])
{
    struct rl_backend *backend = &world->backend;
    const int fd = world->fds[end];
    if (fd < 0)
        return 0;
    if (verb == RECEIVE)
        return backend->receive(backend->self, fd, bytes, BYTES - 1);
    if (verb != CLOSE)
        return backend->send(backend->self, fd, bytes, verb == SEND ? BYTES : 0);
    world_close_end(world, end);
    return 0;
}

static bool is_ready_alike(void)
{
    return world_ready(&worlds[0], 0) == world_ready(&worlds[1], 0) &&
           world_ready(&worlds[0], 1) == world_ready(&worlds[1], 1);
}

/* A real datagram, and a real refusal, may take a moment. */
static void act_in_both(int end, int verb)
{
    unsigned char bytes[2][BYTES] = {{0}};
    int64_t answers[2];
    for (int i = 0; i < 2; i++) {
        memset(bytes[i], verb == RECEIVE ? 0 : byte_next, BYTES);
        answers[i] = act(&worlds[i], end, verb, bytes[i]);
    }
    byte_next++;
    CHECK(answers[0] == answers[1] && memcmp(bytes[0], bytes[1], BYTES) == 0);
    for (int waited_ms = 0; !is_ready_alike(); waited_ms++)
        CHECK(waited_ms < PATIENCE_MS && poll(NULL, 0, 1) == 0);
}

/* Every sequence of four things that can be done at either end gets the same answers, bytes and readiness. */
static void simulated_sockets_answer_as_real_ones(void)
{
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
        open_pairs();
        for (unsigned i = 0; i < LENGTH; i++) {
            const unsigned op = test_op(code, OPS, i);
            act_in_both((int)op / VERBS, (int)op % VERBS);
        }
        worlds_close();
    }
}

static void full_queue_keeps_its_datagrams(void)
{
    unsigned char bytes[BYTES];
    open_pairs();
    struct rl_backend *backend = &worlds[0].backend;
    const int *fds = worlds[0].fds;
    sim.datagrams_max = 3;
    for (int round = 0; round < 5; round++) {
        for (unsigned char i = 0; i < 3; i++)
            CHECK(backend->send(backend->self, fds[0], memset(bytes, i, BYTES), i) == 0);
        CHECK(backend->send(backend->self, fds[0], bytes, 1) == -EAGAIN && (world_ready(&worlds[0], 0) & LC_OUT) == 0);
        for (unsigned char i = 0; i < 3; i++)
            CHECK(backend->receive(backend->self, fds[1], bytes, BYTES) == i && (i == 0 || bytes[0] == i));
        CHECK(world_ready(&worlds[0], 0) & LC_OUT);
    }
    worlds_close();
}

static void sizes_are_those_of_udp(void)
{
    static unsigned char bytes[65508];
    open_pairs();
    for (int i = 0; i < 2; i++) {
        struct rl_backend *backend = &worlds[i].backend;
        CHECK(backend->send(backend->self, worlds[i].fds[0], bytes, 65508) == -EMSGSIZE);
        CHECK(backend->send(backend->self, worlds[i].fds[0], bytes, 65507) == 0);
        for (int waited_ms = 0; (world_ready(&worlds[i], 1) & LC_IN) == 0; waited_ms++)
            CHECK(waited_ms < PATIENCE_MS && poll(NULL, 0, 1) == 0);
        CHECK(backend->receive(backend->self, worlds[i].fds[1], bytes, 10) == 65507);
        CHECK(backend->receive(backend->self, worlds[i].fds[1], bytes, 10) == -EAGAIN);
    }
    worlds_close();
}

static const struct test tests[] = {TEST(simulated_sockets_answer_as_real_ones), TEST(full_queue_keeps_its_datagrams),
                                    TEST(sizes_are_those_of_udp)};

TEST_MAIN(tests)
