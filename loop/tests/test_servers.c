/* Whatever accepting meets, and whatever the user does in between: each client is handed over once and in order, nobody
 * is accepted after close, an fd that nobody takes is closed, and a server that rests tries again after a second and
 * not before. On a kernel made for the test. */
#include "fake_backend.h"
#include "refloop.h"
#include "testing/test.h"

#include <errno.h>
#include <string.h>

enum { FD_NEW = 10, LENGTH = 5, HARMLESS = 3, SCARCE = 5, ACCEPTS_MAX = 1000 };
enum op { CLIENT, HARMLESS_ERROR, SCARCE_ERROR, SECOND, CLOSE, TURN, OPS };
enum answer { TAKE, REFUSE, CLOSE_AND_TAKE, CLOSE_AND_REFUSE, BREAK, ANSWERS };

static const int harmless[HARMLESS] = {-EINTR, -ECONNABORTED, -EPROTO};
static const int scarce[SCARCE] = {-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -EPERM};

static struct {
    unsigned clients, accepted; /* numbers of fds: FD_NEW + the client's */
    int error;                  /* what the next accept is told, once; EMFILE and its like for good */
    bool is_scarce;
    unsigned accepts;
} kernel;
static struct {
    unsigned handed_over, refused, rests;
} seen;
static rl_loop *loop;
static rl_server *server; /* NULL once closed */
static enum answer answer;

/* ---- the kernel ---------------------------------------------------------------------------------- */

static uint32_t ready(void)
{
    return kernel.accepted < kernel.clients ? RL_IN : 0;
}

static int accept_one(void *self, int fd)
{
    (void)self;
    const int error = kernel.error;
    CHECK(fd == FAKE_FD && fake.closes == 0);
    if (++kernel.accepts > ACCEPTS_MAX) /* a loop that asks for ever would end no test */
        return -EAGAIN;
    if (!kernel.is_scarce)
        kernel.error = 0;
    if (error != 0)
        return error;
    return kernel.accepted == kernel.clients ? -EAGAIN : FD_NEW + (int)kernel.accepted++;
}

/* ---- the user ------------------------------------------------------------------------------------ */

static void close_server(void)
{
    if (server != NULL)
        rl_server_close(server);
    server = NULL;
}

static bool on_accepted(rl_server *of, void *arg, int fd)
{
    (void)arg;
    CHECK(of == server && fd == FD_NEW + (int)seen.handed_over);
    seen.handed_over++;
    if (answer == CLOSE_AND_TAKE || answer == CLOSE_AND_REFUSE)
        close_server();
    if (answer == BREAK)
        rl_loop_break(loop);
    const bool is_refused = answer == REFUSE || answer == CLOSE_AND_REFUSE;
    seen.refused += is_refused;
    return !is_refused;
}

static void on_resting(rl_server *of, void *arg, int error)
{
    (void)arg;
    CHECK(of == server && error == (fake.apply_error != 0 ? fake.apply_error : kernel.error));
    seen.rests++;
    if (answer == CLOSE_AND_TAKE)
        close_server();
}

static void act(unsigned op, unsigned choice)
{
    switch (op) {
    case CLIENT:
        kernel.clients += 2;
        break;
    case HARMLESS_ERROR:
    case SCARCE_ERROR:
        kernel.is_scarce = op == SCARCE_ERROR;
        kernel.error = kernel.is_scarce ? scarce[choice % SCARCE] : harmless[choice % HARMLESS];
        break;
    case SECOND:
        fake.now_ns += RL_SERVER_REST_NS;
        break;
    case CLOSE:
        close_server();
        break;
    default:
        CHECK(rl_loop_turn(loop, false) >= 0);
    }
    CHECK(rl_loop_check(loop) == 0 && seen.handed_over == kernel.accepted && seen.refused == fake.others_closed);
}

static void open_world(void)
{
    static const struct rl_server_callbacks callbacks = {.accepted = on_accepted, .resting = on_resting};
    struct rl_backend backend = fake_backend(ready);
    backend.accept = accept_one;
    memset(&kernel, 0, sizeof kernel);
    memset(&seen, 0, sizeof seen);
    CHECK(rl_loop_open_on(&loop, &backend) == 0);
    CHECK(rl_server_open(loop, FAKE_FD, &callbacks, NULL, &server) == 0);
}

static void each_client_is_handed_over_once(void)
{
    for (answer = TAKE; answer < ANSWERS; answer++)
        for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
            open_world();
            for (unsigned i = 0; i < LENGTH; i++)
                act(test_op(code, OPS, i), (unsigned)code + i);
            kernel.error = 0;
            fake.now_ns += RL_SERVER_REST_NS;
            for (int turns = 0; turns < 10; turns++)
                act(TURN, 0);
            CHECK(server == NULL || seen.handed_over == kernel.clients);
            CHECK(rl_loop_is_alive(loop) == (server != NULL));
            CHECK(rl_loop_close(loop) == 0 && fake.closes == 1);
            server = NULL;
        }
}

/* While no fd or memory can be had, accept is asked once a second, however many turns there are. */
static void rest_from(int error)
{
    answer = TAKE;
    open_world();
    kernel.clients = 1;
    kernel.is_scarce = true;
    kernel.error = error;
    for (unsigned seconds = 1; seconds <= 5; seconds++) {
        for (int turns = 0; turns < 100; turns++)
            act(TURN, 0);
        CHECK(kernel.accepts == seconds && seen.rests == seconds);
        fake.now_ns += RL_SERVER_REST_NS - 1;
        act(TURN, 0);
        CHECK(kernel.accepts == seconds);
        fake.now_ns++;
    }
    CHECK(rl_loop_close(loop) == 0 && seen.handed_over == 0);
    server = NULL;
}

static void resting_does_not_spin(void)
{
    for (unsigned i = 0; i < SCARCE; i++)
        rest_from(scarce[i]);
}

/* A server that has rested and cannot be watched then rests again. */
static void refused_interest_is_another_rest(void)
{
    answer = TAKE;
    open_world();
    kernel.clients = 1;
    kernel.is_scarce = true;
    kernel.error = -EMFILE;
    act(TURN, 0);
    kernel.error = 0;
    for (unsigned seconds = 1; seconds <= 3; seconds++) {
        CHECK(seen.rests == seconds && fake.interest == 0);
        fake.apply_error = seconds < 3 ? -ENOMEM : 0;
        act(SECOND, 0), act(TURN, 0);
    }
    act(TURN, 0);
    CHECK(seen.rests == 3 && seen.handed_over == 1 && rl_loop_close(loop) == 0);
    server = NULL;
}

/* Errors without end of single clients hold a turn up no longer than clients do. */
static void errors_of_a_turn_are_bounded(void)
{
    answer = TAKE;
    open_world();
    kernel.clients = 1;
    kernel.is_scarce = true;
    kernel.error = -ECONNABORTED;
    act(TURN, 0);
    CHECK(kernel.accepts == RL_SERVER_ACCEPTS_MAX && seen.rests == 0);
    kernel.error = 0;
    act(TURN, 0);
    CHECK(seen.handed_over == 1 && rl_loop_close(loop) == 0);
    server = NULL;
}

/* [STOP] rl_loop_break in accepted ends the turn there: who else has connected waits for the next one. */
static void break_leaves_the_others_waiting(void)
{
    answer = BREAK;
    open_world();
    kernel.clients = 3;
    for (unsigned turns = 1; turns <= kernel.clients; turns++) {
        act(TURN, 0);
        CHECK(seen.handed_over == turns);
    }
    CHECK(rl_loop_close(loop) == 0);
    server = NULL;
}

static const struct test tests[] = {TEST(each_client_is_handed_over_once), TEST(resting_does_not_spin),
                                    TEST(errors_of_a_turn_are_bounded), TEST(refused_interest_is_another_rest),
                                    TEST(break_leaves_the_others_waiting)};

TEST_MAIN(tests)
