/* Real kernel. The simulated pair answers every read, write, end of file, close and poll as an AF_UNIX pair does. */
#include <string.h>

#include "sim_worlds.h"
#include "testing/test.h"

enum { WRITE, READ, SHUT, CLOSE, VERBS, OPS = 2 * VERBS, LENGTH = 5, WRITE_BYTES = 3, READ_BYTES = 2 };

static unsigned char byte_next;

static void open_pairs(void)
{
    worlds_open();
    for (int i = 0; i < 2; i++)
        CHECK(worlds[i].kernel.pair(worlds[i].kernel.self, worlds[i].fds, false) == 0);
    byte_next = 1;
}

/* Returns what the kernel answered; what was read is in bytes. */
static int64_t act(struct world *world, int end, int verb, unsigned char bytes[WRITE_BYTES])
{
    struct rl_backend *backend = &world->backend;
    int fd = world->fds[end];
    if (fd < 0)
        return 0;
    if (verb == WRITE)
        return backend->write(backend->self, fd, bytes, WRITE_BYTES);
    if (verb == READ)
        return backend->read(backend->self, fd, bytes, READ_BYTES);
    if (verb == SHUT)
        return backend->shut(backend->self, fd);
    world_close_end(world, end);
    return 0;
}

static void act_in_both(int end, int verb)
{
    unsigned char bytes[2][WRITE_BYTES] = {{0}};
    int64_t answers[2];
    for (int i = 0; i < 2; i++) {
        for (int j = 0; verb == WRITE && j < WRITE_BYTES; j++)
            bytes[i][j] = (unsigned char)(byte_next + j);
        answers[i] = act(&worlds[i], end, verb, bytes[i]);
    }
    CHECK(answers[0] == answers[1]);
    CHECK(memcmp(bytes[0], bytes[1], WRITE_BYTES) == 0);
    byte_next = (unsigned char)(byte_next + WRITE_BYTES);
}

/* Every sequence of five things that can be done at either end gets the same answers, bytes and readiness. */
static void simulated_pair_answers_as_a_real_one(void)
{
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
        open_pairs();
        for (unsigned i = 0; i < LENGTH; i++) {
            unsigned op = test_op(code, OPS, i);
            act_in_both((int)op / VERBS, (int)op % VERBS);
            for (int end = 0; end < 2; end++)
                CHECK(world_ready(&worlds[0], end) == world_ready(&worlds[1], end));
        }
        worlds_close();
    }
}

/* A full buffer takes a part and then nothing, and gives it back in order, also across the end of its ring. */
static void full_buffer_keeps_its_bytes(void)
{
    unsigned char bytes[SIM_BUFFER_BYTES + 100], got[SIM_BUFFER_BYTES];
    open_pairs();
    struct rl_backend *backend = &worlds[0].backend;
    const int *fds = worlds[0].fds;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + (i >> 8));
    for (int round = 0; round < 5; round++) {
        CHECK(backend->write(backend->self, fds[0], bytes, 1000) == 1000);
        CHECK(backend->write(backend->self, fds[0], bytes + 1000, sizeof bytes - 1000) == SIM_BUFFER_BYTES - 1000);
        CHECK(backend->write(backend->self, fds[0], bytes, 1) < 0 && (world_ready(&worlds[0], 0) & LC_OUT) == 0);
        CHECK(backend->read(backend->self, fds[1], got, 1500) == 1500);
        CHECK(backend->read(backend->self, fds[1], got + 1500, sizeof got) == SIM_BUFFER_BYTES - 1500);
        CHECK(memcmp(bytes, got, sizeof got) == 0);
        CHECK(backend->write(backend->self, fds[0], bytes, 300) == 300); /* the next round begins elsewhere */
        CHECK(backend->read(backend->self, fds[1], got, sizeof got) == 300);
    }
    worlds_close();
}

static const struct test tests[] = {TEST(simulated_pair_answers_as_a_real_one), TEST(full_buffer_keeps_its_bytes)};

TEST_MAIN(tests)
