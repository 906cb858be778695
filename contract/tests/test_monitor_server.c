/* SERVER-1, SERVER-4, CONNECT-1 and CONNECT-2 are reported for the smallest trace that breaks them, not for the nearest
 * that does not. */
#include <errno.h>
#include <string.h>

#include "story.h"
#include "testing/test.h"

enum { SOCKETS = LC_CAP_STREAM | LC_CAP_MADE | LC_CAP_FLUSH | LC_CAP_RAISE | LC_CAP_SERVER | LC_CAP_CONNECT };
enum { L1 = LC_KIND_SERVER << 12 | 1 };

static void client(uint16_t f, int result)
{
    asks(LC_OP_CLIENT, f, LC_KIND_SERVER << 4 | 1, 0, result);
}

static void l1_listens(void)
{
    opens(SOCKETS, 0);
    asks(LC_OP_LISTEN, L1, LC_KIND_STREAM << 4 | 1, 0, 0);
}

/* The loop makes a stream for whoever `f` is; 0: for nobody that is known. */
static void accepted(uint16_t s, uint16_t f)
{
    const unsigned end = LC_KIND_END << 4 | (s & 15u);
    if (f != 0)
        asks(LC_OP_TCP, f, end, 0, 0);
    asks(LC_OP_STREAM, s, end, 0, 0);
    sees(s, LC_EVENT_MADE);
}

/* F1 listens, and S1 connects to it. */
static void s1_connects(void)
{
    opens(SOCKETS, 0);
    asks(LC_OP_BACKLOG, F1, 0, 0, 0);
    asks(LC_OP_CONNECT, S1, LC_KIND_END << 4 | 1, LC_KIND_FD << 4 | 1, 0);
}

static void done(uint16_t s, int error)
{
    tell((struct lc_obs){.what = LC_WHAT_BEGIN, .code = LC_EVENT_DONE, .handle = s, .result = error});
    tell((struct lc_obs){.what = LC_WHAT_END, .code = LC_EVENT_DONE, .handle = s});
}

/* [SERVER-1] Once the server is reported closed nobody gets in; while it is being closed somebody may. */
static void server_1(void)
{
    for (int is_closed = 0; is_closed <= 1; is_closed++)
        for (int is_in = 0; is_in <= 1; is_in++) {
            l1_listens();
            destroy(L1);
            if (is_closed)
                closed(L1);
            client(F1, is_in ? 0 : -ECONNREFUSED);
            CHECK(breaks(is_closed && is_in ? "SERVER-1" : ""));
        }
}

/* [SERVER-4] Who connects is let in, within sixteen steps, unless it hangs up, the server closes, or FACTORY raises. */
static void server_4_is_owed(void)
{
    static const char *const rules[] = {"SERVER-4", "", "", "", "", ""};
    for (int i = 0; i < 6; i++) {
        l1_listens();
        client(F1, 0);
        steps_pass(i == 5 ? 15 : 1);
        if (i == 1) {
            step();
            accepted(S1, F1);
            stepped(0);
        }
        if (i == 2)
            hangs_up(F1);
        if (i == 3)
            destroy(L1);
        if (i == 3)
            closed(L1);
        if (i == 4)
            raises_in(L1, LC_EVENT_FACTORY, LC_RAISE_EXCEPTION);
        steps_pass(i == 5 ? 0 : 16);
        CHECK(breaks(rules[i]));
    }
}

/* [SERVER-4] After a fault a server may rest for two seconds, if something ends its rest; a fault that fails a call for
 * good may cost one client his connection. */
static void server_4_after_faults(void)
{
    enum { IN_TIME, TOO_LATE, ASLEEP, COSTLY, COSTLY_FOR_TWO, STORIES };
    for (int i = 0; i < STORIES; i++) {
        l1_listens();
        client(F1, 0);
        asks(LC_OP_FAULT, 0, 1, i >= COSTLY ? LC_FAULT_COSTLY : 0, 0);
        if (i == COSTLY_FOR_TWO)
            client(F2, 0);
        at(i == IN_TIME ? 1999999999 : 2000000000);
        if (i == ASLEEP) {
            at(1);
            step();
            rescue();
            stepped(0);
        }
        steps_pass(17);
        CHECK(breaks(i == IN_TIME || i == COSTLY ? "" : "SERVER-4"));
        at(0);
    }
}

/* [SERVER-4] Each client gets one stream, and without a client there is none; a server that listens refuses nobody. */
static void server_4_is_for_clients(void)
{
    l1_listens();
    client(F1, 0);
    client(F2, 0);
    step();
    accepted(S1, F1);
    accepted(S2, F2);
    CHECK(breaks(""));
    accepted(LC_KIND_STREAM << 12 | 3, 0);
    CHECK(breaks("SERVER-4"));
    l1_listens();
    client(F1, -ECONNREFUSED);
    CHECK(breaks("SERVER-4"));
}

/* [SERVER-4] The bytes that a client sent before it was let in arrive, and it may have gone by then. */
static void server_4_early_bytes(void)
{
    for (uint64_t bytes = 5; bytes <= 6; bytes++) {
        l1_listens();
        client(F1, 0);
        sends(F1, 5);
        hangs_up(F1);
        step();
        accepted(S1, F1);
        sees_data(S1, bytes);
        CHECK(breaks(bytes == 5 ? "" : "STREAM-2"));
    }
}

/* [ERR-2] What FACTORY raises may be told or not, but not twice. */
static void factory_may_be_silent(void)
{
    for (int told = 0; told <= 2; told++) {
        l1_listens();
        step();
        raises_in(L1, LC_EVENT_FACTORY, LC_RAISE_EXCEPTION);
        for (int i = 0; i < told; i++)
            handler_is_called();
        stepped(0);
        CHECK(breaks(told < 2 ? "" : "ERR-2"));
    }
}

/* [CONNECT-1] A connect ends once, after it was made if it succeeds; one that failed is never made. */
static void connect_1_ends_once(void)
{
    s1_connects();
    step();
    sees(S1, LC_EVENT_MADE);
    done(S1, 0);
    CHECK(breaks(""));
    done(S1, 0);
    CHECK(breaks("CONNECT-1"));
    s1_connects();
    step();
    done(S1, 0);
    CHECK(breaks("CONNECT-1"));
    s1_connects();
    hangs_up(F1);
    step();
    done(S1, -ECONNREFUSED);
    CHECK(breaks(""));
    sees(S1, LC_EVENT_MADE);
    CHECK(breaks("CONNECT-1"));
}

/* [CONNECT-1] It ends within sixteen steps, also when it was cancelled. */
static void connect_1_is_owed(void)
{
    for (int is_cancelled = 0; is_cancelled <= 1; is_cancelled++)
        for (int steps = 15; steps <= 16; steps++) {
            s1_connects();
            if (is_cancelled)
                cancel(S1);
            steps_pass(steps);
            CHECK(breaks(steps == 16 ? "CONNECT-1" : ""));
        }
    CHECK(strstr(verdict.violations[0].text, "s1 was asked to connect and never answered") != NULL);
}

/* [CONNECT-2] It fails only when nobody listens any more, when it was reset, or when it was cancelled. */
static void connect_2_fails(void)
{
    for (int i = 0; i < 5; i++) {
        s1_connects();
        if (i == 1)
            hangs_up(F1);
        if (i == 2)
            cancel(S1);
        if (i == 3) {
            asks(LC_OP_ACCEPT, F2, LC_KIND_FD << 4 | 1, 0, 0);
            resets(F2);
        }
        step();
        done(S1, i == 2 || i == 4 ? -ECANCELED : -ECONNREFUSED);
        CHECK(breaks(i == 0 || i == 4 ? "CONNECT-2" : ""));
    }
}

/* [CONNECT-2] Where nobody listened at the time of the call nobody can be met. */
static void connect_2_to_nobody(void)
{
    for (int is_closed = 0; is_closed <= 1; is_closed++) {
        opens(SOCKETS, 0);
        asks(LC_OP_BACKLOG, F1, 0, 0, 0);
        if (is_closed)
            hangs_up(F1);
        asks(LC_OP_CONNECT, S1, LC_KIND_END << 4 | 1, LC_KIND_FD << 4 | 1, 0);
        step();
        sees(S1, LC_EVENT_MADE);
        CHECK(breaks(is_closed ? "CONNECT-2" : ""));
    }
}

/* [CLOSE-2] Only a connect that was cancelled may be lost with nobody having closed it. */
static void cancelled_connect_may_be_lost(void)
{
    for (int is_cancelled = 0; is_cancelled <= 1; is_cancelled++) {
        s1_connects();
        step();
        sees(S1, LC_EVENT_MADE);
        asks(LC_OP_TCP, F2, LC_KIND_END << 4 | 1, 0, 0);
        if (is_cancelled)
            cancel(S1);
        done(S1, is_cancelled ? -ECANCELED : 0);
        lost(S1, 0);
        CHECK(breaks(is_cancelled ? "" : "CLOSE-2"));
    }
}

static const struct test tests[] = {
    TEST(server_1),
    TEST(server_4_is_owed),
    TEST(server_4_after_faults),
    TEST(server_4_is_for_clients),
    TEST(server_4_early_bytes),
    TEST(factory_may_be_silent),
    TEST(connect_1_ends_once),
    TEST(connect_1_is_owed),
    TEST(connect_2_fails),
    TEST(connect_2_to_nobody),
    TEST(cancelled_connect_may_be_lost),
};
TEST_MAIN(tests)
