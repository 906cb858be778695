/* DGRAM-1 to DGRAM-4 and DGRAM-6 are reported for the smallest trace that breaks them, not for the nearest that does
 * not. */
#include <errno.h>

#include "story.h"
#include "testing/test.h"

enum { D1 = LC_KIND_DATAGRAM << 12 | 1, D2, ENDPOINTS = LC_CAP_DATAGRAM | LC_CAP_MADE | LC_CAP_FLUSH };

static void udp(void)
{
    asks(LC_OP_UDP, F1, 0x52, 0, 0);
}

static void endpoint(uint16_t d, uint16_t f)
{
    asks(LC_OP_DATAGRAM, d, 0x50u | (f & 15u), 0, 0);
}

/* D1 is made over F1, whose other end is F2. */
static void d1_is_made(void)
{
    opens(ENDPOINTS, 0);
    udp();
    endpoint(D1, F1);
    step();
    sees(D1, LC_EVENT_MADE);
    stepped(0);
}

static void send(uint16_t d, uint64_t bytes)
{
    asks(LC_OP_SEND, d, bytes, 0, 0);
}

static void callback(uint16_t d, enum lc_event event, int result, unsigned bits)
{
    tell((struct lc_obs){
        .what = LC_WHAT_BEGIN, .code = (uint8_t)event, .handle = d, .arg = 5, .result = result, .bits = (uint8_t)bits});
    tell((struct lc_obs){.what = LC_WHAT_END, .code = (uint8_t)event, .handle = d});
}

static void receives(uint16_t d, int number, unsigned bits)
{
    callback(d, LC_EVENT_DATAGRAM, number, bits);
}

static void refused(uint16_t d, int error)
{
    callback(d, LC_EVENT_REFUSED, error, 0);
}

/* [DGRAM-1] Each datagram is given once, as it was sent, in order, and with its sender. */
static void dgram_1_is_given(void)
{
    static const struct {
        int numbers[3];
        unsigned bits;
        const char *rules;
    } stories[] = {{{0, 1, 2}, 0, ""},
                   {{0, 0, 1}, 0, "DGRAM-1"},
                   {{1, 0, 2}, 0, "DGRAM-1"},
                   {{0, 2, 2}, 0, "DGRAM-1"},
                   {{0, 1, 3}, 0, "DGRAM-1"},
                   {{0, 1, 2}, LC_BYTES_WRONG, "DGRAM-1"},
                   {{0, 1, 2}, LC_BYTES_FOREIGN, "DGRAM-1"}};
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        d1_is_made();
        for (int sent = 0; sent < 3; sent++)
            sends(F2, 5);
        step();
        for (int given = 0; given < 3; given++)
            receives(D1, stories[i].numbers[given], given == 2 ? stories[i].bits : 0);
        CHECK(breaks(stories[i].rules));
    }
}

/* [DGRAM-1] What was sent to an endpoint has come when all is over, unless it was closed. */
static void dgram_1_is_never_given(void)
{
    for (int i = 0; i < 3; i++) {
        d1_is_made();
        sends(F2, 5);
        if (i == 1)
            closes(D1);
        step();
        if (i == 0)
            receives(D1, 0, 0);
        stepped(0);
        drained();
        CHECK(breaks(i < 2 ? "" : "DGRAM-1"));
    }
}

/* [DGRAM-1] A datagram that has arrived is given within three steps, of which on a real clock none counts at first. */
static void dgram_1_is_owed(void)
{
    for (int is_exact = 0; is_exact < 2; is_exact++)
        for (int steps = 2; steps <= 3; steps++) {
            d1_is_made();
            terms(1, is_exact);
            sends(F2, 5);
            fd_is(F1, LC_IN | LC_OUT);
            at(1);
            if (!is_exact)
                steps_pass(9);
            at(LC_ARRIVAL_NS + 1);
            steps_pass(steps);
            CHECK(breaks(steps == 2 ? "" : "DGRAM-1"));
        }
}

/* [DGRAM-1, DGRAM-3] What an endpoint was asked to send arrives at a runner's end, or at another endpoint. */
static void dgram_1_is_sent(void)
{
    for (int i = 0; i < 5; i++) {
        d1_is_made();
        send(D1, 5);
        send(D1, 0);
        asks(LC_OP_TAKE, F2, 5, i == 3 ? LC_BYTES_WRONG : 0, 0);
        if (i < 3)
            asks(LC_OP_TAKE, F2, 0, 0, i == 2 ? 0 : 1);
        if (i == 1)
            asks(LC_OP_TAKE, F2, 0, 0, -ECONNREFUSED);
        if (i == 4)
            closes(D1);
        drained();
        CHECK(breaks(i < 2 ? "" : i == 4 ? "DGRAM-3" : "DGRAM-1"));
    }
}

/* [DGRAM-1] Both ends of a pair may be endpoints; nothing is owed to one that closes, or by one that is aborted. */
static void dgram_1_between_endpoints(void)
{
    for (int i = 0; i < 4; i++) {
        d1_is_made();
        endpoint(D2, F2);
        step();
        sees(D2, LC_EVENT_MADE);
        send(D1, 5);
        if (i == 1)
            receives(D2, 0, 0);
        if (i == 2)
            closes(D2);
        if (i == 3)
            aborts(D1);
        stepped(0);
        drained();
        CHECK(breaks(i == 0 ? "DGRAM-1" : ""));
    }
}

/* [DGRAM-2] A refusal comes only where something was sent to who is closed, and the endpoint goes on. */
static void dgram_2_is_refused(void)
{
    for (int i = 0; i < 5; i++) {
        d1_is_made();
        if (i != 1)
            send(D1, 5);
        if (i != 2)
            hangs_up(F2);
        step();
        refused(D1, -ECONNREFUSED);
        if (i >= 3)
            lost(D1, i == 3 ? -ECONNREFUSED : 0);
        CHECK(breaks(i == 0 ? "" : "DGRAM-2"));
    }
}

/* [DGRAM-2] It is told within three steps of the socket showing it. */
static void dgram_2_is_owed(void)
{
    for (int is_told = 0; is_told <= 1; is_told++) {
        d1_is_made();
        hangs_up(F2);
        send(D1, 5);
        fd_is(F1, LC_OUT | LC_ERR);
        step();
        if (is_told)
            refused(D1, -ECONNREFUSED);
        fd_is(F1, is_told ? LC_OUT : LC_OUT | LC_ERR);
        stepped(0);
        steps_pass(3);
        CHECK(breaks(is_told ? "" : "DGRAM-2"));
    }
}

/* [DGRAM-2] One that is too large is told once, and is on its way to nobody. */
static void dgram_2_is_too_large(void)
{
    for (int told = 0; told <= 2; told++) {
        d1_is_made();
        send(D1, 65508);
        step();
        for (int i = 0; i < told; i++)
            refused(D1, -EMSGSIZE);
        stepped(0);
        steps_pass(3);
        drained();
        CHECK(breaks(told == 1 ? "" : "DGRAM-2"));
    }
    d1_is_made();
    asks(LC_OP_SEND, D1, 65508, 0, 0);
    asks(LC_OP_SEND, D1, 65508, 0, -EMSGSIZE); /* refused at once */
    steps_pass(4);
    CHECK(breaks(""));
    for (int faults = 0; faults <= 1; faults++) { /* which may have answered it */
        d1_is_made();
        send(D1, 65508);
        for (int i = 0; i < faults; i++)
            asks(LC_OP_FAULT, F1, 1, 0, 0);
        steps_pass(9);
        CHECK(breaks(faults == 1 ? "" : "DGRAM-2"));
    }
}

/* [DGRAM-1] A fault may lose one datagram of a pair, and no second one. */
static void dgram_1_is_lost_by_a_fault(void)
{
    for (int missing = 0; missing <= 2; missing++)
        for (int is_last = 0; is_last <= 1; is_last++) {
            d1_is_made();
            for (int sent = 0; sent < 4; sent++)
                sends(F2, 5);
            step();
            asks(LC_OP_FAULT, F2, 1, 0, 0);
            for (int number = is_last ? 0 : missing; number < (is_last ? 4 - missing : 4); number++)
                receives(D1, number, 0);
            stepped(0);
            drained();
            CHECK(breaks(missing < 2 ? "" : "DGRAM-1"));
        }
}

/* [DGRAM-2] One that is too large may wait behind others for as long as the socket is full. */
static void dgram_2_waits_while_it_is_full(void)
{
    for (int is_full = 0; is_full <= 1; is_full++) {
        d1_is_made();
        send(D1, 65508);
        fd_is(F1, is_full ? 0 : LC_OUT);
        steps_pass(4);
        CHECK(breaks(is_full ? "" : "DGRAM-2"));
    }
}

/* [DGRAM-3] Writing is paused and resumed in turn, with something to wait for, and not for ever. */
static void dgram_3_pauses(void)
{
    for (int i = 0; i < 4; i++) {
        d1_is_made();
        if (i != 1)
            send(D1, 5);
        step();
        sees(D1, LC_EVENT_PAUSE_WRITING);
        if (i == 2)
            sees(D1, LC_EVENT_PAUSE_WRITING);
        if (i != 1)
            asks(LC_OP_TAKE, F2, 5, 0, 0);
        if (i != 3)
            sees(D1, LC_EVENT_RESUME_WRITING);
        stepped(0);
        steps_pass(4);
        CHECK(breaks(i == 0 ? "" : "DGRAM-3"));
    }
}

/* [DGRAM-4] After close no datagram comes, and LOST does, without an error. */
static void dgram_4_closes(void)
{
    static const char *const rules[] = {"", "DGRAM-4", "DGRAM-4", "DGRAM-4"};
    for (int i = 0; i < 4; i++) {
        d1_is_made();
        sends(F2, 5);
        closes(D1);
        step();
        if (i == 1)
            receives(D1, 0, 0);
        if (i != 3)
            lost(D1, i == 2 ? -EIO : 0);
        stepped(0);
        steps_pass(4);
        CHECK(breaks(rules[i]));
    }
}

/* [DGRAM-6] MADE comes first and once, LOST last and once. */
static void dgram_6_orders(void)
{
    static const struct {
        enum lc_event events[3];
        const char *rules;
    } stories[] = {{{LC_EVENT_MADE, LC_EVENT_DATAGRAM, LC_EVENT_LOST}, ""},
                   {{LC_EVENT_MADE, LC_EVENT_MADE, LC_EVENT_LOST}, "DGRAM-6"},
                   {{LC_EVENT_DATAGRAM, LC_EVENT_MADE, LC_EVENT_LOST}, "DGRAM-6"},
                   {{LC_EVENT_MADE, LC_EVENT_LOST, LC_EVENT_DATAGRAM}, "DGRAM-6"},
                   {{LC_EVENT_MADE, LC_EVENT_LOST, LC_EVENT_LOST}, "DGRAM-6"}};
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        opens(ENDPOINTS, 0);
        udp();
        endpoint(D1, F1);
        sends(F2, 5);
        step();
        for (int seen = 0; seen < 3; seen++) {
            if (stories[i].events[seen] == LC_EVENT_LOST)
                aborts(D1);
            callback(D1, stories[i].events[seen], 0, 0);
        }
        CHECK(breaks(stories[i].rules));
    }
}

/* [DGRAM-6] MADE comes within eight steps. */
static void dgram_6_is_owed(void)
{
    for (int steps = 8; steps <= 9; steps++) {
        opens(ENDPOINTS, 0);
        udp();
        endpoint(D1, F1);
        steps_pass(steps - 1);
        CHECK(breaks(steps == 8 ? "" : "DGRAM-6"));
    }
}

static const struct test tests[] = {
    TEST(dgram_1_is_given),
    TEST(dgram_1_is_never_given),
    TEST(dgram_1_is_owed),
    TEST(dgram_1_is_sent),
    TEST(dgram_1_between_endpoints),
    TEST(dgram_1_is_lost_by_a_fault),
    TEST(dgram_2_is_refused),
    TEST(dgram_2_is_owed),
    TEST(dgram_2_is_too_large),
    TEST(dgram_2_waits_while_it_is_full),
    TEST(dgram_3_pauses),
    TEST(dgram_4_closes),
    TEST(dgram_6_orders),
    TEST(dgram_6_is_owed),
};
TEST_MAIN(tests)
