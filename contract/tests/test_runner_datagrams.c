/* The runner sends no more datagrams than a socket holds, knows each that arrives, and asks of endpoints only what can
 * be answered for. */
#include <string.h>

#include "rig.h"
#include "testing/test.h"

enum { DATAGRAMS = RIG_CAPABILITIES | RIG_STREAMS | RIG_SOCKETS | RIG_DATAGRAMS };

/* How many callbacks of this event came to d<index>. */
static size_t seen(enum lc_event event, unsigned index)
{
    size_t count = 0;
    for (size_t i = 0; i < rig.trace_count; i++)
        count += rig.trace[i].what == LC_WHAT_BEGIN && rig.trace[i].code == event &&
                 rig.trace[i].handle == (LC_KIND_DATAGRAM << 12 | index);
    return count;
}

/* An endpoint needs a socket of the runner's, and its ops an endpoint that is made and not closed; a socket of
 * datagrams is no stream's, call's or reset's. */
static void endpoints_are_guarded(void)
{
    static const struct {
        const char *text;
        uint32_t executed, ignored;
    } programs[] = {
        {"udp f1 f2\ndatagram d1 f1\ndatagram d2 f1\ndatagram d1 f2\nput f1 5\n", 2, 3},
        {"pair f1 f2\ndatagram d1 f1\nsend d1 5\n", 1, 2},
        {"udp f1 f2\nstream s1 f1\nrecv q1 f1\nrst f1\nshut f1\nrecycle f1\nudp f1 f3\n", 1, 6},
        {"udp f1 f2\ndatagram d1 f1\nsend d1 5\nlimits d1 5\nclose d1\nabort d1\nstep\nsend d1 5\nclose d1\n", 5, 4},
        {"udp f1 f2\ndatagram d1 f1\nstep\nclose d1\nclose d1\nabort d1\nabort d1\nsend d1\ncancel d1\n", 5, 4},
        {"udp f1 f2\nwatch w1 f1 in\nput f2 5\nstep\ntake f1\ndatagram d1 f1\nrearm w1\n", 6, 1},
        {"udp f1 f2\ndatagram d1 f1\ndestroy d1\ndestroy d1\nput f2 5\nstep\n", 5, 1},
    };
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        rig_init(FAKE_CORRECT, DATAGRAMS);
        CHECK(rig_counts(programs[i].text, programs[i].executed, programs[i].ignored, 0));
        CHECK(rig.loop.kernel.base.open_fds(&rig.loop.kernel) == 0);
    }
}

/* What would not fit is not sent, in either direction, until somebody takes what is there; what is too large always is.
 */
static void room_is_kept(void)
{
    rig_init(FAKE_CORRECT, DATAGRAMS);
    CHECK(rig_counts("udp f1 f2\nput f1 4000\nput f1 1\ntake f2 1\nput f1 1\n", 4, 1, 0));
    CHECK(rig_counts("udp f1 f2\ndatagram d1 f1\nstep\nsend d1 4000\nsend d1 4000\ntake f2\nsend d1 4000\n", 6, 1, 0));
    CHECK(rig_counts("udp f1 f2\nfill f1\nput f1\nfill f1\ntake f2\nfill f1\n", 4, 2, 0));
    CHECK(rig_counts("udp f1 f2\ndatagram d1 f1\nstep\nsend d1 4000\nsend d1 65508\n", 5, 0, 0));
    CHECK(seen(LC_EVENT_REFUSED, 1) == 1);
    CHECK(rig_counts("udp f1 f2\nhangup f2\nput f1 4000\nput f1 4000\nput f1 4000\n", 4, 1, 0));
}

/* Every datagram is known by its number, empty ones too, whatever came before it on another pair. */
static void datagrams_are_known(void)
{
    static const char text[] = "udp f1 f2\nudp f3 f4\ndatagram d1 f1\nput f4 5\nput f2 5\nput f2\nput f2\nput f4 9\n"
                               "step\nstep\nstep\nstep\nsend d1\nsend d1 7\ntake f2\ntake f3\n";
    int next = 0;
    rig_init(FAKE_CORRECT, DATAGRAMS);
    CHECK(rig_counts(text, 16, 0, 0));
    CHECK(seen(LC_EVENT_DATAGRAM, 1) == 3);
    for (size_t i = 0; i < rig.trace_count; i++)
        if (rig.trace[i].what == LC_WHAT_BEGIN && rig.trace[i].code == LC_EVENT_DATAGRAM)
            CHECK(rig.trace[i].result == next++ && rig.trace[i].bits == 0);
}

/* A refused SEND was never on its way: the numbers go on as if it had not been. */
static void refused_send_is_forgotten(void)
{
    rig_init(FAKE_CORRECT, DATAGRAMS);
    rig.loop.refuses = LC_OP_SEND;
    CHECK(rig_counts("udp f1 f2\ndatagram d1 f1\nstep\nsend d1 5\nsend d1 5\nsend d1 6\ntake f2\n", 5, 2, 0));
}

/* What was sent to who is closed comes back, and the endpoint can still be used and closed. */
static void refusal_is_told(void)
{
    rig_init(FAKE_CORRECT, DATAGRAMS);
    CHECK(rig_counts("udp f1 f2\ndatagram d1 f1\nstep\nhangup f2\nsend d1 5\nstep\nsend d1 5\nsend d1 5\nclose d1\n", 9,
                     0, 0));
    CHECK(seen(LC_EVENT_REFUSED, 1) == 2 && seen(LC_EVENT_LOST, 1) == 1);
}

/* REFUSED that comes inside SEND may not raise: the call would; any other may. */
static void refused_inside_send_does_not_raise(void)
{
    rig_init(FAKE_CORRECT, DATAGRAMS);
    CHECK(rig_counts("udp f1 f2\ndatagram d1 f1\nstep\non d1.refused: raise\nsend d1 65508\n", 4, 1, 0));
    CHECK(rig_counts("udp f1 f2\ndatagram d1 f1\nstep\nhangup f2\non d1.refused: raise\nsend d1 5\nstep\n", 7, 0, 0));
}

/* What a loop or a kernel cannot do is not asked of it. */
static void capabilities_bound_what_is_asked(void)
{
    rig_init(FAKE_CORRECT, DATAGRAMS & ~(uint32_t)LC_CAP_DATAGRAM);
    CHECK(rig_counts("udp f1 f2\ndatagram d1 f1\nput f1 5\ntake f2\n", 3, 1, 0));
    rig_init(FAKE_CORRECT, LC_CAP_DATAGRAM);
    CHECK(rig_counts("udp f1 f2\ndatagram d1 f1\nsend d1 5\nclose d1\nabort d1\nlimits d1 5\ndestroy d1\n", 4, 3, 0));
    rig.has_no_network = true;
    CHECK(rig_counts("udp f1 f2\ndatagram d1 f1\n", 0, 2, 0));
    rig.has_no_network = false;
}

static const struct test tests[] = {
    TEST(endpoints_are_guarded),
    TEST(room_is_kept),
    TEST(datagrams_are_known),
    TEST(refused_send_is_forgotten),
    TEST(refusal_is_told),
    TEST(refused_inside_send_does_not_raise),
    TEST(capabilities_bound_what_is_asked),
};
TEST_MAIN(tests)
