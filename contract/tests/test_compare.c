/* Two traces differ where a handle saw something else, and nowhere else: not in the order between handles, not in how
 * bytes were cut into pieces, not where it depends on that order what a handle sees. */
#include <string.h>

#include "story.h"
#include "testing/test.h"
#include "trace_compare.h"

enum { STREAMS = LC_CAP_STREAM };

static struct lc_obs first[STORY_RECORDS_MAX], second[STORY_RECORDS_MAX];
static struct lc_difference differences[LC_DIFFERENCES_MAX];
static size_t first_count;

static void hears(uint16_t handle, enum lc_event event, uint64_t arg)
{
    tell((struct lc_obs){.what = LC_WHAT_BEGIN, .handle = handle, .code = (uint8_t)event, .arg = arg});
    tell((struct lc_obs){.what = LC_WHAT_END, .handle = handle, .code = (uint8_t)event});
}

/* f1 and f2 are connected, and s1 has taken f1 over. */
static void opens_a_stream(void)
{
    opens(STREAMS, 0);
    asks(LC_OP_PAIR, F1, 0x52, 0, 0);
    asks(LC_OP_STREAM, S1, 0x51, 0, 0);
    hears(S1, LC_EVENT_MADE, 0);
}

/* The story so far is the loop's; what is told next is the control's. */
static void on_the_control(void)
{
    first_count = told(first);
}

/* The first difference, "" if there is none. */
static const char *difference(void)
{
    size_t count = told(second);
    differences[0].text[0] = 0;
    return lc_trace_compare(first, first_count, second, count, differences) > 0 ? differences[0].text : "";
}

static bool differs(const char *text)
{
    return strcmp(difference(), text) == 0;
}

/* Nothing is said of equal traces, nor of callbacks that come in another order. */
static void order_between_handles(void)
{
    opens(0, 0);
    soon(C1);
    soon(C2);
    called(C1);
    called(C2);
    on_the_control();
    CHECK(differs(""));
    opens(0, 0);
    soon(C1);
    soon(C2);
    called(C2);
    called(C1);
    CHECK(differs(""));
}

/* A callback that one loop made and the other did not is a difference of that handle. */
static void callback_missing(void)
{
    opens(0, 0);
    soon(C2);
    on_the_control();
    opens(0, 0);
    soon(C2);
    called(C2);
    CHECK(differs("c2 saw nothing; on the control soon") && differences[0].handle == C2);
}

/* Bytes are compared by their number, in whatever pieces they come. */
static void chunks(void)
{
    opens_a_stream();
    hears(S1, LC_EVENT_DATA, 5);
    on_the_control();
    opens_a_stream();
    hears(S1, LC_EVENT_DATA, 2);
    hears(S1, LC_EVENT_DATA, 3);
    CHECK(differs(""));
    hears(S1, LC_EVENT_DATA, 1);
    CHECK(differs("s1 saw made, 5 bytes; on the control made, 6 bytes"));
}

/* Flow control is left to the rules, and so is an error of a reset connection. */
static void left_to_the_rules(void)
{
    opens_a_stream();
    on_the_control();
    opens_a_stream();
    hears(S1, LC_EVENT_PAUSE_WRITING, 0);
    CHECK(differs(""));
    opens_a_stream();
    asks(LC_OP_RST, F2, 0, 0, 0);
    on_the_control();
    opens_a_stream();
    asks(LC_OP_RST, F2, 0, 0, 0);
    hears(S1, LC_EVENT_EOF, 0);
    CHECK(differs(""));
}

/* An end of file is compared, unless the stream was paused when it came. */
static void end_of_file(void)
{
    opens_a_stream();
    asks(LC_OP_SHUT, F2, 0, 0, 0);
    on_the_control();
    hears(S1, LC_EVENT_EOF, 0);
    CHECK(differs("s1 saw made, 0 bytes; on the control made, eof, 0 bytes"));
    opens_a_stream();
    asks(LC_OP_PAUSE, S1, 0, 0, 0);
    asks(LC_OP_SHUT, F2, 0, 0, 0);
    on_the_control();
    hears(S1, LC_EVENT_EOF, 0);
    CHECK(differs(""));
}

static void aborted_inside(uint16_t outer)
{
    opens_a_stream();
    soon(C1);
    begins(C1);
    asks(LC_OP_ABORT, outer, 0, 0, 0);
    ends(C1);
}

/* A handle that another's callback meddles with while it is called itself is not compared; one that is left alone is.
 */
static void meddled(void)
{
    aborted_inside(S1);
    on_the_control();
    aborted_inside(S1);
    hears(S1, LC_EVENT_LOST, 0);
    CHECK(differs(""));
    aborted_inside(S2);
    on_the_control();
    aborted_inside(S2);
    hears(S1, LC_EVENT_LOST, 0);
    CHECK(differs("s1 saw made, 0 bytes; on the control made, lost, 0 bytes"));
}

static void is_cancelled_inside(bool is_called)
{
    opens(0, 0);
    soon(C1);
    soon(C2);
    if (is_called)
        called(C2);
    begins(C1);
    cancel(C2);
    ends(C1);
}

/* The same when the meddling comes after the callback: on the other loop it came before, and there was none. */
static void meddled_afterwards(void)
{
    is_cancelled_inside(true);
    on_the_control();
    is_cancelled_inside(false);
    CHECK(differs(""));
}

/* What was asked of only one of the two is not compared: another handle is to blame. */
static void asked_for_something_else(void)
{
    opens(0, 0);
    soon(C1);
    on_the_control();
    called(C1);
    rearm(C1, 0);
    CHECK(differs(""));
}

/* A turn begins, and some time after it the timer is cancelled, which is due at 100 ns. */
static void timer_is_cancelled_after(uint64_t turn_ns, bool fires)
{
    opens(0, 0);
    terms(10, false);
    timer(T1, 100);
    at(turn_ns);
    step();
    if (fires)
        called(T1);
    stepped(0);
    at(300);
    cancel(T1);
}

/* A timer that is cancelled before a turn must have fired it may have fired or not. */
static void cancelled_timer(void)
{
    timer_is_cancelled_after(90, false);
    on_the_control();
    timer_is_cancelled_after(90, true);
    CHECK(differs(""));
    timer_is_cancelled_after(200, false);
    on_the_control();
    timer_is_cancelled_after(200, true);
    CHECK(differs("t1 saw nothing; on the control timer"));
}

/* An op that one loop takes and the other refuses is a difference. */
static void refused(void)
{
    opens(0, 0);
    asks(LC_OP_SOON, C1, 0, 0, -5);
    on_the_control();
    opens(0, 0);
    soon(C1);
    CHECK(differs("soon c1: the loop refuses it, the control takes it"));
}

/* After one has slept through a step nothing else is compared. */
static void slept(void)
{
    opens(0, 0);
    rescue();
    on_the_control();
    opens(0, 0);
    soon(C1);
    called(C1);
    CHECK(differs("the loop slept through what called the control back"));
}

/* Any bytes are compared, and equal ones do not differ. */
static void total(void)
{
    uint64_t seed = 1;
    unsigned char *bytes = (unsigned char *)first;
    for (int round = 0; round < 200; round++) {
        first_count = 200;
        for (size_t i = 0; i < first_count * sizeof *first; i++)
            bytes[i] = (unsigned char)(lc_random(&seed) % (i % 32 == 28 ? 18 : 256));
        CHECK(lc_trace_compare(first, first_count, first, first_count, differences) == 0);
        lc_trace_compare(first, first_count, second, 100, differences);
    }
}

/* Settling puts short steps behind each step, and a settled program stays as it is. */
static void settled(void)
{
    struct lc_program program, again;
    for (uint64_t seed = 0; seed < 200; seed++) {
        lc_program_generate(
            &program, seed,
            &(struct lc_profile){.capabilities = UINT32_MAX, .delay_ns_max = 4000000, .tick_ns = 1000000});
        size_t count = program.count;
        lc_program_settle(&program);
        CHECK(program.count >= count);
        again = program;
        lc_program_settle(&again);
        CHECK(again.count == program.count && memcmp(again.ops, program.ops, count * sizeof *program.ops) == 0);
    }
    program = (struct lc_program){.count = 2, .ops = {{.op = LC_OP_STEP, .flags = LC_WAIT}, {.op = LC_OP_STOP}}};
    lc_program_settle(&program);
    CHECK(program.count > 4 && program.ops[1].op == LC_OP_STEP && program.ops[1].flags == 0);
    CHECK(program.ops[program.count - 1].op == LC_OP_STOP);
}

enum { D1 = LC_KIND_DATAGRAM << 12 | 1 };

/* F1 and F2 are UDP sockets, and D1 has taken F1 over; F2 was given two datagrams to send. */
static void opens_an_endpoint(void)
{
    opens(LC_CAP_DATAGRAM, 0);
    asks(LC_OP_UDP, F1, 0x52, 0, 0);
    asks(LC_OP_DATAGRAM, D1, 0x51, 0, 0);
    hears(D1, LC_EVENT_MADE, 0);
    asks(LC_OP_PUT, F2, 5, 0, 0);
    asks(LC_OP_PUT, F2, 0, 0, 0);
}

/* Datagrams are counted, empty ones too; what is told of refusals is not compared. */
static void datagrams_missing(void)
{
    for (int given = 1; given <= 2; given++) {
        opens_an_endpoint();
        hears(D1, LC_EVENT_DATAGRAM, 5);
        if (given == 2)
            hears(D1, LC_EVENT_DATAGRAM, 0);
        on_the_control();
        opens_an_endpoint();
        hears(D1, LC_EVENT_DATAGRAM, 5);
        hears(D1, LC_EVENT_REFUSED, 0);
        hears(D1, LC_EVENT_DATAGRAM, 0);
        CHECK(differs(given == 2 ? ""
                                 : "d1 saw made, 1 datagrams of 5 bytes; on the control made, 2 datagrams of 5 bytes"));
    }
}

/* How many come before an endpoint is closed is the loop's own business, LOST is not. */
static void datagrams_before_close(void)
{
    for (int is_lost = 0; is_lost <= 1; is_lost++) {
        opens_an_endpoint();
        asks(LC_OP_FLUSH, D1, 0, 0, 0);
        if (is_lost)
            hears(D1, LC_EVENT_LOST, 0);
        on_the_control();
        opens_an_endpoint();
        hears(D1, LC_EVENT_DATAGRAM, 5);
        asks(LC_OP_FLUSH, D1, 0, 0, 0);
        hears(D1, LC_EVENT_LOST, 0);
        CHECK(differs(is_lost ? "" : "d1 saw made; on the control made, lost"));
    }
}

/* A SEND that one loop refuses and the other takes is a difference. */
static void send_refused(void)
{
    opens_an_endpoint();
    asks(LC_OP_SEND, D1, 5, 0, 0);
    asks(LC_OP_SEND, D1, 5, 0, -5);
    on_the_control();
    opens_an_endpoint();
    asks(LC_OP_SEND, D1, 5, 0, 0);
    CHECK(differs("send d1: the loop refuses it, the control takes it"));
}

enum { Q1 = LC_KIND_REQUEST << 12 | 1 };

/* What a call tells that was ended before it was through is its turn's business; of one that was left alone it is
 * compared. */
static void call_that_was_ended(void)
{
    for (int is_ended = 0; is_ended <= 1; is_ended++) {
        opens(0, 0);
        asks(LC_OP_TASK, Q1, 5, 0, 0);
        if (is_ended)
            asks(LC_OP_CANCEL, Q1, 0, 0, 0);
        on_the_control();
        opens(0, 0);
        asks(LC_OP_TASK, Q1, 5, 0, 0);
        if (is_ended)
            asks(LC_OP_CANCEL, Q1, 0, 0, 0);
        hears(Q1, LC_EVENT_DONE, 0);
        CHECK(differs(is_ended ? "" : "q1 saw nothing; on the control done"));
    }
}

/* How many bytes fit in depends on how many the loop has read. */
static void another_number_fitted(void)
{
    for (unsigned fitted = 4; fitted <= 5; fitted++) {
        opens_a_stream();
        asks(LC_OP_PUT, F2, fitted, 0, 0);
        hears(S1, LC_EVENT_DATA, 4);
        on_the_control();
        opens_a_stream();
        asks(LC_OP_PUT, F2, 5, 0, 0);
        hears(S1, LC_EVENT_DATA, 5);
        CHECK(differs(fitted == 4 ? "" : "s1 saw made, 4 bytes; on the control made, 5 bytes"));
    }
}

/* A stream whose peer's data_received raised loses what is under way; one whose peer raised in connection_made does
 * not. */
static void peer_that_raised(void)
{
    for (int is_fatal = 0; is_fatal <= 1; is_fatal++)
        for (int is_control = 0; is_control <= 1; is_control++) {
            opens_a_stream();
            asks(LC_OP_STREAM, S2, 0x52, 0, 0);
            asks(LC_OP_RAISE, S2, is_fatal ? LC_EVENT_DATA : LC_EVENT_MADE, 0, 0);
            if (is_control) {
                hears(S1, LC_EVENT_DATA, 5);
                CHECK(differs(is_fatal ? "" : "s1 saw made, 0 bytes; on the control made, 5 bytes"));
            } else
                on_the_control();
        }
}

/* A connect is answered by its call and by its protocol, in no order; and what raised in another callback is another
 * run. */
static void calls_and_protocols(void)
{
    opens_a_stream();
    hears(S1, LC_EVENT_LOST, 0);
    hears(S1, LC_EVENT_DONE, 0);
    on_the_control();
    opens_a_stream();
    hears(S1, LC_EVENT_DONE, 0);
    hears(S1, LC_EVENT_LOST, 0);
    CHECK(differs(""));
    opens_a_stream();
    hears(S1, LC_EVENT_DATA, 5);
    asks(LC_OP_RAISE, S1, LC_EVENT_DATA, 0, 0);
    on_the_control();
    opens_a_stream();
    asks(LC_OP_RAISE, S1, LC_EVENT_GET_BUFFER, 0, 0);
    CHECK(differs(""));
}

static const struct test tests[] = {
    TEST(order_between_handles),
    TEST(callback_missing),
    TEST(chunks),
    TEST(left_to_the_rules),
    TEST(end_of_file),
    TEST(meddled),
    TEST(meddled_afterwards),
    TEST(asked_for_something_else),
    TEST(cancelled_timer),
    TEST(refused),
    TEST(slept),
    TEST(total),
    TEST(settled),
    TEST(datagrams_missing),
    TEST(datagrams_before_close),
    TEST(send_refused),
    TEST(call_that_was_ended),
    TEST(another_number_fitted),
    TEST(peer_that_raised),
    TEST(calls_and_protocols),
};
TEST_MAIN(tests)
