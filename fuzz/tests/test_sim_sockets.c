/* Real clock and kernel. Simulated listeners answer connect, accept and close as real ones do, and give the lowest
 * number that is free. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "backend/epoll.h"
#include "kernels/sim_files.h"
#include "runner.h"
#include "testing/test.h"

enum { CONNECT, ACCEPT, SAY, HANG_UP, RESET, CLOSE_LISTENER, OPS, LENGTH = 4, PATIENCE_MS = 2000 };

/* A kernel as the loop and as the runner see it, and one listener of it. */
static struct world {
    struct rl_backend backend;
    struct lc_kernel kernel;
    int listener; /* -1 once closed */
    uint16_t port, ports[LENGTH];
    int clients[LENGTH], ends[LENGTH]; /* -1: none */
    int clients_count, ends_count;
} worlds[2]; /* simulated, real */
static struct sim sim;
static struct rl_epoll epoll;

static void open_worlds(void)
{
    sim_reset(&sim);
    worlds[0] = (struct world){.backend = sim_backend(&sim), .kernel = sim_kernel(&sim)};
    worlds[1] = (struct world){.kernel = *lc_kernel_posix()};
    CHECK(rl_epoll_open(&epoll, &worlds[1].backend) == 0);
    for (int i = 0; i < 2; i++) {
        worlds[i].listener = worlds[i].kernel.listen(worlds[i].kernel.self, &worlds[i].port);
        CHECK(worlds[i].listener >= 0);
    }
}

static void close_one(struct world *world, int *fd, bool is_reset)
{
    if (*fd >= 0)
        CHECK(world->kernel.close(world->kernel.self, *fd, is_reset) == 0);
    *fd = -1;
}

static void close_worlds(void)
{
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < worlds[i].clients_count; j++)
            close_one(&worlds[i], &worlds[i].clients[j], false);
        for (int j = 0; j < worlds[i].ends_count; j++)
            close_one(&worlds[i], &worlds[i].ends[j], false);
        close_one(&worlds[i], &worlds[i].listener, false);
        worlds[i].backend.close(worlds[i].backend.self);
    }
    CHECK(worlds[0].kernel.open_fds(&sim) == 0);
}

static int connect_one(struct world *world)
{
    const int place = world->clients_count;
    const int fd = world->kernel.connect(world->kernel.self, world->port, &world->ports[place]);
    if (fd >= 0)
        world->clients[world->clients_count++] = fd;
    return fd < 0 ? fd : 0;
}

static int accept_one(struct world *world)
{
    if (world->listener < 0)
        return 0;
    const int fd = world->backend.accept(world->backend.self, world->listener);
    if (fd >= 0)
        world->ends[world->ends_count++] = fd;
    return fd < 0 ? fd : 0;
}

/* Returns what the kernel answered. */
static int act(struct world *world, unsigned op)
{
    int *last = world->clients_count > 0 ? &world->clients[world->clients_count - 1] : NULL;
    switch (op) {
    case CONNECT:
        return connect_one(world);
    case ACCEPT:
        return accept_one(world);
    case SAY:
        return last != NULL && *last >= 0 && world->kernel.write(world->kernel.self, *last, "hello", 5) == 5;
    case HANG_UP:
    case RESET:
        if (last != NULL)
            close_one(world, last, op == RESET);
        return 0;
    default:
        close_one(world, &world->listener, false);
        return 0;
    }
}

static bool is_ready_to_accept(const struct world *world)
{
    return world->listener >= 0 && (world->kernel.ready(world->kernel.self, world->listener) & LC_IN) != 0;
}

/* What the accepted ends can read, in the order of the clients. */
static void compare_ends(void)
{
    CHECK(worlds[0].ends_count == worlds[1].ends_count);
    for (int i = 0; i < worlds[0].ends_count; i++) {
        char bytes[2][8] = {{0}};
        int64_t got[2];
        for (int j = 0; j < 2; j++) {
            struct rl_backend *backend = &worlds[j].backend;
            got[j] = backend->read(backend->self, worlds[j].ends[i], bytes[j], sizeof bytes[j]);
        }
        CHECK(got[0] == got[1] && memcmp(bytes[0], bytes[1], sizeof bytes[0]) == 0);
    }
}

/* Every sequence of four things that can be done to a listener and to who connects gets the same answers. */
static void simulated_listener_answers_as_a_real_one(void)
{
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
        open_worlds();
        for (unsigned i = 0; i < LENGTH; i++) {
            const unsigned op = test_op(code, OPS, i);
            const int answer = act(&worlds[0], op);
            CHECK(answer == act(&worlds[1], op) || op == SAY); /* the real answer to a reset takes a moment */
            for (int waited_ms = 0; is_ready_to_accept(&worlds[0]) != is_ready_to_accept(&worlds[1]); waited_ms++)
                CHECK(waited_ms < PATIENCE_MS && poll(NULL, 0, 1) == 0);
        }
        close_worlds();
    }
}

static void bytes_sent_before_accept_are_there(void)
{
    static const unsigned ops[] = {CONNECT, SAY, CONNECT, SAY, HANG_UP, ACCEPT, ACCEPT};
    open_worlds();
    for (unsigned i = 0; i < sizeof ops / sizeof *ops; i++)
        CHECK(act(&worlds[0], ops[i]) == act(&worlds[1], ops[i]));
    compare_ends();
    close_worlds();
}

/* A number that was closed is the next one's, and none is given beyond the last. */
static void lowest_number_is_used_again(void)
{
    open_worlds();
    struct world *world = &worlds[0];
    CHECK(connect_one(world) == 0 && accept_one(world) == 0);
    const int number = world->clients[0], end = world->ends[0];
    CHECK(number == SIM_FD_FIRST + 1 && end == number + 1);
    close_one(world, &world->clients[0], false);
    CHECK(connect_one(world) == 0 && world->clients[1] == number);
    int fds[SIM_FDS_MAX][2], count = 0;
    while (world->kernel.pair(&sim, fds[count], false) == 0)
        count++;
    while (sim_open(&sim) >= 0)
        ;
    CHECK(accept_one(world) == -EMFILE && is_ready_to_accept(world));
    CHECK(sim_close(&sim, fds[0][0], false) == 0 && accept_one(world) == 0 && world->ends[1] == fds[0][0]);
    sim_reset(&sim); /* closes all that is open there */
    world->listener = -1;
    world->clients_count = world->ends_count = 0;
    sim.backends_open = 0;
    close_one(&worlds[1], &worlds[1].listener, false);
    worlds[1].backend.close(worlds[1].backend.self);
}

static const struct test tests[] = {TEST(simulated_listener_answers_as_a_real_one),
                                    TEST(bytes_sent_before_accept_are_there), TEST(lowest_number_is_used_again)};

TEST_MAIN(tests)
