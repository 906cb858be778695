/* Whatever the user, the peer and the kernel do, in whichever order: each datagram that was taken is sent once and in
 * order, refused, or dropped by abort; lost comes once and last, and the fd is closed once. On a kernel made for the
 * test. */
#include "fake_backend.h"
#include "refloop.h"
#include "testing/test.h"

#include <errno.h>
#include <string.h>

enum { TURNS = 8, LENGTH = 4, CALLBACKS = 5, HIGH = 12, LOW = 8 };
enum callback { DATAGRAM, REFUSED, PAUSE, RESUME, LOST };
enum op { SEND, CLOSE, ABORT, VERBS, PEER_SENDS = VERBS, PEER_REFUSES, KERNEL_TAKES, KERNEL_REFUSES, BREAK, TURN, OPS };

static struct {
    unsigned in, received;         /* datagrams of the peer; its n-th has n % 3 bytes */
    int receive_error;             /* what the next receive is told, once */
    bool is_receive_error_lasting; /* not once, but for good */
    unsigned room;                 /* datagrams that it still takes */
    int send_error;                /* what the next send that finds room is told, once */
    unsigned out, last;            /* datagrams that it took, and the number of the last one */
} kernel;

static rl_loop *loop;
static rl_datagram *endpoint; /* NULL once lost */
static struct {
    unsigned asked, accepted, refused, received, losts;
    unsigned replaced; /* that waited, and had to give way to an earlier one's error */
    bool is_closed, is_aborted, is_paused, is_in_send, is_in_turn;
} seen;
static int plan[CALLBACKS]; /* the verb of the next such callback; -1: none */

/* ---- the kernel ---------------------------------------------------------------------------------- */

static uint32_t ready(void)
{
    return (kernel.received < kernel.in ? RL_IN : 0u) | (kernel.receive_error != 0 ? RL_ERR : 0u) |
           (kernel.room > 0 ? RL_OUT : 0u);
}

static int64_t receive(void *self, int fd, void *bytes, size_t size)
{
    (void)self, (void)fd;
    const int error = kernel.receive_error;
    if (!kernel.is_receive_error_lasting)
        kernel.receive_error = 0;
    if (error != 0 || kernel.received == kernel.in)
        return error != 0 ? error : -EAGAIN;
    CHECK(size == RL_DATAGRAM_BYTES_MAX);
    memset(bytes, (int)kernel.received, 3);
    return kernel.received++ % 3;
}

static int send_one(void *self, int fd, const void *bytes, size_t size)
{
    (void)self, (void)fd;
    if (kernel.receive_error != 0 || (kernel.room > 0 && kernel.send_error != 0)) {
        const int error = kernel.receive_error != 0 ? kernel.receive_error : kernel.send_error;
        seen.replaced += kernel.receive_error != 0;
        kernel.receive_error = kernel.send_error = 0;
        return error;
    }
    if (kernel.room == 0)
        return -EAGAIN;
    CHECK(size == 1 && *(const unsigned char *)bytes > kernel.last);
    kernel.last = *(const unsigned char *)bytes;
    kernel.room--;
    kernel.out++;
    return 0;
}

/* ---- the user ------------------------------------------------------------------------------------ */

static void user_does(int op)
{
    const unsigned char number = (unsigned char)(seen.asked + 1);
    if (endpoint == NULL)
        return;
    if (op == CLOSE || op == ABORT) {
        (op == CLOSE ? rl_datagram_close : rl_datagram_abort)(endpoint);
        seen.is_closed = true;
        seen.is_aborted |= op == ABORT;
        return;
    }
    const bool was_in_send = seen.is_in_send, was_closed = seen.is_closed;
    seen.asked++;
    seen.is_in_send = true;
    const int result = rl_datagram_send(endpoint, &number, 1);
    seen.is_in_send = was_in_send;
    seen.accepted += result == 0;
    seen.replaced -= result == -ECONNREFUSED;
    CHECK((result == -EPIPE) == was_closed);
}

static void called(enum callback callback)
{
    const int op = plan[callback];
    CHECK(seen.losts == 0 || callback == LOST);
    CHECK(seen.is_in_turn || (callback == PAUSE && seen.is_in_send));
    plan[callback] = -1;
    if (op == BREAK)
        rl_loop_break(loop);
    else if (op >= 0)
        user_does(op);
}

static void on_datagram(rl_datagram *of, void *arg, const void *bytes, size_t size)
{
    (void)of, (void)arg;
    CHECK(!seen.is_closed && size == seen.received % 3);
    for (size_t i = 0; i < size; i++)
        CHECK(((const unsigned char *)bytes)[i] == seen.received);
    seen.received++;
    called(DATAGRAM);
}

static void on_refused(rl_datagram *of, void *arg, int error)
{
    (void)of, (void)arg;
    seen.refused += error == -EPERM;
    CHECK(error == -EPERM || error == -ECONNREFUSED);
    called(REFUSED);
}

static void on_pause(rl_datagram *of, void *arg)
{
    (void)arg;
    CHECK(!seen.is_paused && rl_datagram_buffered(of) > HIGH);
    seen.is_paused = true;
    called(PAUSE);
}

static void on_resume(rl_datagram *of, void *arg)
{
    (void)arg;
    CHECK(seen.is_paused && rl_datagram_buffered(of) <= LOW);
    seen.is_paused = false;
    called(RESUME);
}

static void on_lost(rl_datagram *of, void *arg, int error)
{
    (void)arg;
    CHECK(rl_datagram_buffered(of) == 0 && rl_datagram_send(of, "", 1) == -EPIPE);
    CHECK(seen.is_closed && error == fake.apply_error && fake.closes == 1);
    seen.losts++;
    endpoint = NULL;
    called(LOST);
}

/* ---- the runs ------------------------------------------------------------------------------------ */

static int turn(void)
{
    seen.is_in_turn = true;
    const int result = rl_loop_turn(loop, false);
    seen.is_in_turn = false;
    CHECK(result >= 0);
    return result;
}

static void act(int op)
{
    if (op == PEER_SENDS)
        kernel.in += 2;
    else if (op == PEER_REFUSES)
        kernel.receive_error = -ECONNREFUSED;
    else if (op == KERNEL_TAKES)
        kernel.room += 2;
    else if (op == KERNEL_REFUSES)
        kernel.send_error = -EPERM;
    else if (op == TURN)
        (void)turn();
    else if (op != BREAK)
        user_does(op);
    CHECK(rl_loop_check(loop) == 0);
}

static void open_world(void)
{
    static const struct rl_datagram_callbacks callbacks = {.datagram = on_datagram,
                                                           .refused = on_refused,
                                                           .pause_writing = on_pause,
                                                           .resume_writing = on_resume,
                                                           .lost = on_lost};
    struct rl_backend backend = fake_backend(ready);
    backend.receive = receive;
    backend.send = send_one;
    memset(&kernel, 0, sizeof kernel);
    memset(&seen, 0, sizeof seen);
    CHECK(rl_loop_open_on(&loop, &backend) == 0);
    CHECK(rl_datagram_open(loop, FAKE_FD, &callbacks, NULL, &endpoint) == 0);
    CHECK(rl_datagram_set_limits(endpoint, HIGH, LOW) == 0 && rl_datagram_set_limits(endpoint, 1, 2) == -EINVAL);
}

/* All that waits goes, and what was accepted is accounted for. */
static void settle(void)
{
    kernel.room += 100;
    for (int turns = 0; turns < TURNS; turns++)
        (void)turn();
    CHECK(seen.is_aborted || kernel.out + seen.refused + seen.replaced == seen.accepted);
    CHECK(seen.losts == seen.is_closed);
    if (endpoint == NULL)
        return;
    CHECK(!seen.is_closed && !seen.is_paused && seen.received == kernel.in && rl_datagram_buffered(endpoint) == 0);
}

static void nothing_is_lost_or_told_twice(void)
{
    for (int callback = DATAGRAM; callback <= LOST; callback++)
        for (int verb = 0; verb <= VERBS; verb++)
            for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
                open_world();
                memset(plan, -1, sizeof plan);
                plan[callback] = verb == VERBS ? BREAK : verb;
                for (unsigned i = 0; i < LENGTH; i++)
                    act((int)test_op(code, OPS, i));
                settle();
                const bool was_closed = seen.is_closed;
                CHECK(rl_loop_close(loop) == 0);
                CHECK(fake.closes == 1 && seen.losts == (was_closed ? 1u : 0u));
            }
}

/* One that sends on and on is refused, when so much waits as is allowed, and not before. */
static void what_waits_is_bounded(void)
{
    static const unsigned char bytes[60000];
    size_t count = 0;
    open_world();
    memset(plan, -1, sizeof plan);
    seen.is_in_send = true;
    while (rl_datagram_send(endpoint, bytes, sizeof bytes) == 0)
        CHECK(++count < 100);
    CHECK(count == RL_DATAGRAM_WAITING_BYTES_MAX / (sizeof bytes + 8));
    CHECK(rl_datagram_send(endpoint, bytes, sizeof bytes) == -ENOBUFS && rl_datagram_send(endpoint, bytes, 1) == 0);
    const size_t left = RL_DATAGRAM_WAITING_BYTES_MAX - rl_datagram_buffered(endpoint) - 8; /* beside its bookkeeping */
    CHECK(rl_datagram_send(endpoint, bytes, left + 1) == -ENOBUFS && rl_datagram_send(endpoint, bytes, left) == 0);
    CHECK(rl_datagram_buffered(endpoint) == RL_DATAGRAM_WAITING_BYTES_MAX);
    CHECK(rl_datagram_send(endpoint, bytes, 0) == -ENOBUFS && rl_loop_close(loop) == 0);
}

/* An error that is there again at once is told once a turn. */
static void lasting_error_is_told_once_a_turn(void)
{
    open_world();
    memset(plan, -1, sizeof plan);
    kernel.receive_error = -EPERM;
    kernel.is_receive_error_lasting = true;
    for (unsigned turns = 1; turns <= 3; turns++)
        CHECK(turn() == 1 && seen.refused == turns);
    CHECK(rl_loop_close(loop) == 0);
}

/* An endpoint that cannot wait for room is lost with that error, and is told nothing before it: nothing can resume. */
static void refused_interest_loses(void)
{
    static const unsigned char bytes[HIGH];
    open_world();
    memset(plan, -1, sizeof plan);
    fake.apply_error = -ENOSPC;
    seen.is_in_send = true;
    CHECK(rl_datagram_send(endpoint, bytes, sizeof bytes) == 0);
    seen.is_in_send = false;
    seen.is_closed = true;
    CHECK(!seen.is_paused && rl_datagram_send(endpoint, bytes, 1) == -EPIPE);
    CHECK(turn() == 1 && seen.losts == 1 && rl_loop_close(loop) == 0);
}

static const struct test tests[] = {TEST(nothing_is_lost_or_told_twice), TEST(what_waits_is_bounded),
                                    TEST(refused_interest_loses), TEST(lasting_error_is_told_once_a_turn)};

TEST_MAIN(tests)
