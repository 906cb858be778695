/* The simulated kernel meets every fault that it can, the same ones for the same seed, and none once it was told to
 * stop. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "kernels/sim_files.h"
#include "testing/test.h"

enum { ROUNDS = 2000, BYTES = 100 };

static struct sim sim;
static struct rl_backend backend;
static struct lc_kernel kernel;
static int fds[2];

static void open_world(uint64_t seed, bool is_tcp)
{
    sim.plan = (struct sim_plan){.adversary = {.level = ADVERSARY_POSIX, .is_loud = true, .seed = seed},
                                 .has_small_buffers = true,
                                 .has_jumps = true};
    sim_reset(&sim);
    backend = sim_backend(&sim);
    kernel = sim_kernel(&sim);
    CHECK(kernel.pair(&sim, fds, is_tcp) == 0);
    CHECK(backend.apply(&sim, fds[0], RL_IN | RL_OUT) == 0);
}

static void close_world(void)
{
    backend.close_fd(&sim, fds[0]);
    CHECK(kernel.close(&sim, fds[1], false) == 0);
    backend.close(&sim);
}

/* What a loop sees of one wait, one write and one read of the other end's bytes. */
static void look(int64_t seen[6])
{
    unsigned char bytes[BYTES] = {0};
    struct rl_event events[8] = {{0}};
    (void)kernel.write(&sim, fds[1], bytes, sizeof bytes);
    seen[0] = backend.wait(&sim, 0, events, 8);
    seen[1] = events[0].events;
    seen[2] = backend.read(&sim, fds[0], bytes, sizeof bytes);
    seen[3] = backend.write(&sim, fds[0], bytes, sizeof bytes);
    seen[4] = (int64_t)backend.now_ns(&sim);
    seen[5] = (int64_t)sim.buffer_bytes;
    (void)kernel.read(&sim, fds[1], bytes, sizeof bytes);
}

static void a_seed_gives_the_same_faults(void)
{
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        int64_t first[6], second[6];
        for (int round = 0; round < 2; round++) {
            open_world(seed, seed % 2 == 0);
            look(round == 0 ? first : second);
            close_world();
        }
        CHECK(memcmp(first, second, sizeof first) == 0);
    }
}

static void every_fault_is_met(void)
{
    bool has_eintr = false, has_eagain = false, has_reset = false, has_short = false, has_jump = false,
         is_small = false;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        int64_t seen[6];
        open_world(seed, true);
        const uint64_t before_ns = backend.now_ns(&sim);
        look(seen);
        has_eintr |= seen[0] == -EINTR;
        has_eagain |= seen[2] == -EAGAIN;
        has_reset |= seen[2] == -ECONNRESET;
        has_short |= seen[3] > 0 && seen[3] < BYTES && sim.buffer_bytes > BYTES;
        has_jump |= (uint64_t)seen[4] > before_ns;
        is_small |= seen[5] < BYTES;
        close_world();
    }
    CHECK(has_eintr && has_eagain && has_reset && has_short && has_jump && is_small);
}

/* Datagrams: what the network and a full kernel do to them, each seen by one seed or another. */
static void every_fault_of_datagrams_is_met(void)
{
    bool has_nobufs = false, has_dropped = false, is_cut = false, is_full = false, is_late = false;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        unsigned char bytes[BYTES] = {0};
        open_world(seed, true);
        int udp[2];
        CHECK(kernel.udp(&sim, udp) > 0 && backend.apply(&sim, udp[0], RL_IN) == 0);
        const int error = backend.send(&sim, udp[0], bytes, sizeof bytes);
        has_nobufs |= error == -ENOBUFS;
        has_dropped |= error == 0 && (kernel.ready(&sim, udp[1]) & LC_IN) == 0;
        while (kernel.write(&sim, udp[1], bytes, 1) == 1 && sim.datagrams_count < 5)
            ;
        is_full |= sim.datagrams_count < 5;
        is_cut |= backend.receive(&sim, udp[0], bytes, sizeof bytes) > BYTES;
        CHECK(kernel.close(&sim, udp[1], false) == 0);
        is_late |= backend.send(&sim, udp[0], bytes, 1) == 0 && (kernel.ready(&sim, udp[0]) & LC_ERR) == 0;
        backend.close_fd(&sim, udp[0]);
        close_world();
    }
    CHECK(has_nobufs && has_dropped && is_cut && is_full && is_late);
}

/* What accept meets costs nobody his connection. */
static void every_fault_of_accept_is_met(void)
{
    static const int wanted[] = {-EINTR, -ECONNABORTED, -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM};
    enum { WANTED = sizeof wanted / sizeof *wanted };
    bool is_met[WANTED] = {false};
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        uint16_t port = 0, own = 0;
        open_world(seed, true);
        const int listener = kernel.listen(&sim, &port), client = kernel.connect(&sim, port, &own);
        int accepted = backend.accept(&sim, listener);
        for (int i = 0; i < WANTED; i++)
            is_met[i] |= accepted == wanted[i];
        for (int tries = 0; tries < 2 && accepted < 0; tries++)
            accepted = backend.accept(&sim, listener);
        CHECK(accepted > client && kernel.close(&sim, accepted, false) == 0);
        CHECK(kernel.close(&sim, client, false) == 0 && kernel.close(&sim, listener, false) == 0);
        close_world();
    }
    for (int i = 0; i < WANTED; i++)
        CHECK(is_met[i]);
}

/* A connect ends at once, late, or late and badly; and it ends. */
static void every_end_of_a_connect_is_met(void)
{
    bool is_at_once = false, is_late = false, has_failed = false;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        uint16_t port = 0;
        struct rl_event events[8];
        open_world(seed, true);
        const int listener = kernel.listen(&sim, &port), fd = sim_socket(&sim);
        const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
        CHECK(backend.apply(&sim, fd, RL_OUT) == 0);
        const int begun = backend.connect(&sim, fd, &to, sizeof to);
        int ended = begun == 0 ? 0 : backend.finish_connect(&sim, fd);
        is_at_once |= begun == 0;
        is_late |= ended == -EINPROGRESS;
        for (int waits = 0; ended == -EINPROGRESS && waits < 100; waits++) {
            (void)backend.wait(&sim, 1, events, 8);
            ended = backend.finish_connect(&sim, fd);
        }
        has_failed |= ended == -ETIMEDOUT;
        CHECK(ended != -EINPROGRESS && sim_is_anybody_waiting(&sim, listener) == (ended == 0));
        backend.close_fd(&sim, fd);
        CHECK(kernel.close(&sim, listener, false) == 0);
        close_world();
    }
    CHECK(is_at_once && is_late && has_failed);
}

static void none_is_met_when_it_is_over(void)
{
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        int64_t seen[6];
        open_world(seed, seed % 2 == 0);
        CHECK(kernel.fault(&sim, LC_FAULT_NONE, 0) == 0);
        look(seen);
        CHECK(seen[0] == 1 && seen[1] == (RL_IN | RL_OUT) && seen[2] == BYTES && seen[3] == BYTES);
        close_world();
    }
}

static const struct test tests[] = {TEST(a_seed_gives_the_same_faults),    TEST(every_fault_is_met),
                                    TEST(every_fault_of_datagrams_is_met), TEST(every_fault_of_accept_is_met),
                                    TEST(every_end_of_a_connect_is_met),   TEST(none_is_met_when_it_is_over)};

TEST_MAIN(tests)
