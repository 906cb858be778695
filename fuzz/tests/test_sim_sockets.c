/* Real clock and kernel. Simulated listeners answer connect, accept and close as real ones do, and give the lowest
 * number that is free. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "sim_worlds.h"
#include "testing/test.h"

enum { CONNECT, ACCEPT, SAY, HANG_UP, RESET, CLOSE_LISTENER, OPS, LENGTH = 4, PATIENCE_MS = 2000 };

/* A listener of one kernel, and who has connected to it. */
static struct side {
    const struct lc_kernel *kernel;
    const struct rl_backend *backend;
    int listener; /* -1 once closed */
    uint16_t port, ports[LENGTH];
    int clients[LENGTH], ends[LENGTH]; /* -1: none */
    int clients_count, ends_count;
} sides[2]; /* simulated, real */

static void open_listeners(void)
{
    worlds_open();
    for (int i = 0; i < 2; i++) {
        struct side *side = &sides[i];
        *side = (struct side){.kernel = &worlds[i].kernel, .backend = &worlds[i].backend};
        side->listener = side->kernel->listen(side->kernel->self, &side->port);
        CHECK(side->listener >= 0);
    }
}

static void close_one(const struct side *side, int *fd, bool is_reset)
{
    if (*fd >= 0)
        CHECK(side->kernel->close(side->kernel->self, *fd, is_reset) == 0);
    *fd = -1;
}

static void close_listeners(void)
{
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < sides[i].clients_count; j++)
            close_one(&sides[i], &sides[i].clients[j], false);
        for (int j = 0; j < sides[i].ends_count; j++)
            close_one(&sides[i], &sides[i].ends[j], false);
        close_one(&sides[i], &sides[i].listener, false);
    }
    worlds_close();
}

static int connect_one(struct side *side)
{
    const int place = side->clients_count;
    const int fd = side->kernel->connect(side->kernel->self, side->port, &side->ports[place]);
    if (fd >= 0)
        side->clients[side->clients_count++] = fd;
    return fd < 0 ? fd : 0;
}

static int accept_one(struct side *side)
{
    if (side->listener < 0)
        return 0;
    const int fd = side->backend->accept(side->backend->self, side->listener);
    if (fd >= 0)
        side->ends[side->ends_count++] = fd;
    return fd < 0 ? fd : 0;
}

/* Returns what the kernel answered. */
static int act(struct side *side, unsigned op)
{
    int *last = side->clients_count > 0 ? &side->clients[side->clients_count - 1] : NULL;
    switch (op) {
    case CONNECT:
        return connect_one(side);
    case ACCEPT:
        return accept_one(side);
    case SAY:
        return last != NULL && *last >= 0 && side->kernel->write(side->kernel->self, *last, "hello", 5) == 5;
    case HANG_UP:
    case RESET:
        if (last != NULL)
            close_one(side, last, op == RESET);
        return 0;
    default:
        close_one(side, &side->listener, false);
        return 0;
    }
}

static bool is_ready_to_accept(const struct side *side)
{
    return side->listener >= 0 && (side->kernel->ready(side->kernel->self, side->listener) & LC_IN) != 0;
}

/* What the accepted ends can read, in the order of the clients. */
static void compare_ends(void)
{
    CHECK(sides[0].ends_count == sides[1].ends_count);
    for (int i = 0; i < sides[0].ends_count; i++) {
        char bytes[2][8] = {{0}};
        int64_t got[2];
        for (int j = 0; j < 2; j++) {
            const struct side *side = &sides[j];
            got[j] = side->backend->read(side->backend->self, side->ends[i], bytes[j], sizeof bytes[j]);
        }
        CHECK(got[0] == got[1] && memcmp(bytes[0], bytes[1], sizeof bytes[0]) == 0);
    }
}

/* Every sequence of four things that can be done to a listener and to who connects gets the same answers. */
static void simulated_listener_answers_as_a_real_one(void)
{
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
        open_listeners();
        for (unsigned i = 0; i < LENGTH; i++) {
            const unsigned op = test_op(code, OPS, i);
            const int answer = act(&sides[0], op);
            CHECK(answer == act(&sides[1], op) || op == SAY); /* the real answer to a reset takes a moment */
            for (int waited_ms = 0; is_ready_to_accept(&sides[0]) != is_ready_to_accept(&sides[1]); waited_ms++)
                CHECK(waited_ms < PATIENCE_MS && poll(NULL, 0, 1) == 0);
        }
        close_listeners();
    }
}

static void bytes_sent_before_accept_are_there(void)
{
    static const unsigned ops[] = {CONNECT, SAY, CONNECT, SAY, HANG_UP, ACCEPT, ACCEPT};
    open_listeners();
    for (unsigned i = 0; i < sizeof ops / sizeof *ops; i++)
        CHECK(act(&sides[0], ops[i]) == act(&sides[1], ops[i]));
    compare_ends();
    close_listeners();
}

/* A number that was closed is the next one's, and none is given beyond the last. */
static void lowest_number_is_used_again(void)
{
    open_listeners();
    struct side *side = &sides[0];
    CHECK(connect_one(side) == 0 && accept_one(side) == 0);
    const int number = side->clients[0], end = side->ends[0];
    CHECK(number == SIM_FD_FIRST + 1 && end == number + 1);
    close_one(side, &side->clients[0], false);
    CHECK(connect_one(side) == 0 && side->clients[1] == number);
    int fds[SIM_FDS_MAX][2], count = 0;
    while (side->kernel->pair(&sim, fds[count], false) == 0)
        count++;
    while (sim_open(&sim) >= 0)
        ;
    CHECK(accept_one(side) == -EMFILE && is_ready_to_accept(side));
    CHECK(sim_close(&sim, fds[0][0], false) == 0 && accept_one(side) == 0 && side->ends[1] == fds[0][0]);
    sim_reset(&sim); /* closes all that is open there */
    side->listener = -1;
    side->clients_count = side->ends_count = 0;
    close_listeners();
}

static const struct test tests[] = {TEST(simulated_listener_answers_as_a_real_one),
                                    TEST(bytes_sent_before_accept_are_there), TEST(lowest_number_is_used_again)};

TEST_MAIN(tests)
