/* The runner connects to servers and lets itself be connected to only where that can be answered for, finds out which
 * end belongs to which, and leaves nothing open. */
#include <string.h>

#include "rig.h"
#include "testing/test.h"

enum { SOCKETS = RIG_CAPABILITIES | RIG_STREAMS | RIG_SOCKETS };

struct guarded {
    const char *text;
    uint32_t executed, ignored;
};

static void check_guarded(const struct guarded *programs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rig_init(FAKE_CORRECT, SOCKETS);
        CHECK(rig_counts(programs[i].text, programs[i].executed, programs[i].ignored, 0));
        CHECK(rig.loop.kernel.base.open_fds(&rig.loop.kernel) == 0);
    }
}

/* How many callbacks of this event came to handles of this kind. */
static size_t seen(enum lc_event event, unsigned kind)
{
    size_t count = 0;
    for (size_t i = 0; i < rig.trace_count; i++)
        count += rig.trace[i].what == LC_WHAT_BEGIN && rig.trace[i].code == event &&
                 LC_WIDE_KIND(rig.trace[i].handle) == kind;
    return count;
}

/* A server keeps streams that are free, lets in as many clients as it has streams, and none once it is closed. */
static void servers_are_guarded(void)
{
    static const struct guarded programs[] = {
        {"listen l1 s5 2\nclient f1 l1\nclient f2 l1\nclient f3 l1\n", 3, 1},
        {"listen l1 s14 9\nclient f1 l1\nclient f2 l1\nclient f3 l1\n", 3, 1},
        {"listen l1 s5 2\nlisten l2 s6\nlisten l2 s7\nlisten l1 s9\n", 2, 2},
        {"pair f1 f2\nlisten l1 s5\nstream s5 f1\nbacklog f3\nconnect s6 f3\nstream s9 f1\n", 4, 2},
        {"client f1 l1\nlisten l1 s5\nclient f1 l1\nclient f1 l1\n", 2, 2},
        {"listen l1 s5\ndestroy l1\nclient f1 l1\nstep\nclient f1 l1\n", 3, 2},
        {"listen l1 s5\ncancel l1\nrearm l1\nclose s5\nwrite s5\ndestroy s5\n", 1, 5},
    };
    check_guarded(programs, sizeof programs / sizeof *programs);
}

/* A listener is for accepting alone; a connect needs one, also one that is closed, and is cancelled once. */
static void connects_are_guarded(void)
{
    static const struct guarded programs[] = {
        {"backlog f1\nput f1\ntake f1\nfill f1\nshut f1\nrecycle f1\nwatch w1 f2 in\nstream s1 f1\n", 1, 7},
        {"pair f1 f2\nconnect s1 f1\naccept f3 f1\naccept f3 f4\nbacklog f1\n", 1, 4},
        {"backlog f1\naccept f2 f1\nconnect s1 f1\nstep\naccept f2 f1\naccept f3 f1\n", 4, 2},
        {"backlog f1\nconnect s1 f1\ncancel s1\ncancel s1\nstep\ncancel s1\nconnect s1 f1\n", 4, 3},
        {"backlog f1\nhangup f1\nconnect s1 f1\nwrite s1\nstep\nclose s1\n", 4, 2},
        {"backlog f1\nconnect s1 f1\nwrite s1\nclose s1\nstep\nwrite s1\nclose s1\n", 5, 2},
    };
    check_guarded(programs, sizeof programs / sizeof *programs);
}

/* One call waits for an fd at a time, nobody else does or takes the fd away, and a cancelled one may be followed at
 * once. */
static void calls_are_guarded(void)
{
    static const struct guarded programs[] = {
        {"pair f1 f2\nrecv q1 f1\nrecv q2 f1\nwatch w1 f1 in\nstream s1 f1\nhangup f1\nrecycle f2\ntake f1\n", 2, 6},
        {"pair f1 f2\nrecv q1 f1\ncancel q1\ncancel q1\nrecv q2 f1\nrecv q3 f1\nstep\nput f2 5\nstep\n", 7, 2},
        {"pair f1 f2\nrecv q1 f1\nput f2 5\ncancel q1\nstep\ntake f1\nstream s1 f1\nwatch w1 f1 in\n", 7, 1},
        {"pair f1 f2\nwatch w1 f1 in\nrecv q1 f1\ncancel w1\nrecv q1 f1\nrearm w1\nrecv q1 f2\n", 4, 3},
        {"backlog f1\nrecv q1 f1\nrecv q1 f2\nrearm q1\ndestroy q1\n", 1, 4},
    };
    check_guarded(programs, sizeof programs / sizeof *programs);
}

/* What a loop cannot do is not asked of it. */
static void capabilities_bound_what_is_asked(void)
{
    static const char text[] = "listen l1 s5\nbacklog f1\nconnect s1 f1\ncancel s1\n";
    static const struct {
        uint32_t missing, ignored;
    } cases[] = {{LC_CAP_SERVER, 1}, {LC_CAP_CONNECT, 2}, {LC_CAP_CANCEL, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig_init(FAKE_CORRECT, SOCKETS & ~cases[i].missing);
        CHECK(rig_counts(text, 4 - cases[i].ignored, cases[i].ignored, 0));
    }
}

/* Clients and streams are matched whatever came in between, so that every byte finds its way, early ones too. */
static void ends_are_matched(void)
{
    static const char text[] =
        "listen l1 s5\nlisten l2 s9\nclient f1 l1\nclient f2 l2\nput f1 5\nput f2 6\nhangup f2\n"
        "step\nstep\nstep\nwrite s5 7\nstep\ntake f1\nbacklog f3\nconnect s1 f3\nconnect s2 f3\n"
        "accept f4 f3\nstep\nstep\naccept f4 f3\naccept f5 f3\nput f5 8\nwrite s1 9\nstep\ntake f4\n";
    rig_init(FAKE_CORRECT, SOCKETS);
    CHECK(rig_counts(text, 24, 1, 0));
    CHECK(seen(LC_EVENT_MADE, LC_KIND_STREAM) == 4 && seen(LC_EVENT_DATA, LC_KIND_STREAM) == 3);
    CHECK(seen(LC_EVENT_FACTORY, LC_KIND_SERVER) == 2 && seen(LC_EVENT_DONE, LC_KIND_STREAM) == 2);
}

/* A client that FACTORY refused is not waited for, and the next one is. */
static void refused_client_is_not_awaited(void)
{
    rig_init(FAKE_CORRECT, SOCKETS);
    CHECK(rig_counts("listen l1 s5\nclient f1 l1\nclient f2 l1\non l1.factory: raise\nstep\nstep\n", 6, 0, 0));
    CHECK(seen(LC_EVENT_MADE, LC_KIND_STREAM) == 1);
}

/* Programs on a kernel without a network ask for none. */
static void kernel_may_have_no_network(void)
{
    rig_init(FAKE_CORRECT, SOCKETS);
    rig.has_no_network = true;
    CHECK(rig_counts("listen l1 s5\nclient f1 l1\nbacklog f1\nconnect s1 f1\naccept f2 f1\n", 0, 5, 0));
    rig.has_no_network = false;
}

static const struct test tests[] = {
    TEST(calls_are_guarded),          TEST(servers_are_guarded),
    TEST(connects_are_guarded),       TEST(capabilities_bound_what_is_asked),
    TEST(ends_are_matched),           TEST(refused_client_is_not_awaited),
    TEST(kernel_may_have_no_network),
};
TEST_MAIN(tests)
