/* Each way to break a rule is found within 2000 generated programs, by its rule, and shrinks to at most seven ops; the
 * correct loop is never found guilty. */
#include <string.h>

#include "rig.h"
#include "testing/test.h"

enum { OPS_MAX = 7, TRIES_MAX = 5000, FIND_PROGRAMS_MAX = 10000 };

static const struct {
    const char *name;
    const char *rule;
} defects[FAKE_DEFECTS] = {
    [FAKE_SOON_LIFO] = {"soon LIFO", "SOON-1"},
    [FAKE_SOON_TWICE] = {"soon twice", "SOON-3"},
    [FAKE_SOON_LOST] = {"soon lost", "SOON-5"},
    [FAKE_SOON_AT_ONCE] = {"soon at once", "SOON-2"},
    [FAKE_SOON_IN_SAME_TURN] = {"soon in the same turn", "SOON-2"},
    [FAKE_SOON_AFTER_CANCEL] = {"soon after cancel", "SOON-4"},
    [FAKE_TIMER_EARLY] = {"timer early", "TIMER-1"},
    [FAKE_TIMER_BY_ARMING] = {"timers by arming order", "TIMER-2"},
    [FAKE_TIMER_TIES_REVERSED] = {"timers' ties reversed", "TIMER-6"},
    [FAKE_TIMER_TWICE] = {"timer twice", "TIMER-4"},
    [FAKE_TIMER_AFTER_CANCEL] = {"timer after cancel", "TIMER-3"},
    [FAKE_TIMER_PAST_LOST] = {"past timer lost", "TIMER-5"},
    [FAKE_WATCH_NOT_READY] = {"watcher called when not ready", "FD-1"},
    [FAKE_WATCH_EDGE] = {"watcher edge-triggered", "FD-2"},
    [FAKE_WATCH_AFTER_CANCEL] = {"watcher after cancel", "FD-3"},
    [FAKE_WATCH_NEW_OWNER] = {"watcher called for a new owner", "FD-4"},
    [FAKE_WATCH_DRAINS] = {"watcher drains its fd", "FD-5"},
    [FAKE_WATCH_REPORTS_ALL] = {"watcher reports what was not asked for", "FD-6"},
    [FAKE_POST_LOST] = {"post lost", "WAKE-1"},
    [FAKE_POST_DOUBLED] = {"post doubled", "WAKE-2"},
    [FAKE_POST_SLEPT_THROUGH] = {"post does not wake", "WAKE-1"},
    [FAKE_POST_CALLS_BACK] = {"post calls back itself", "THREAD-1"},
    [FAKE_CALL_AFTER_DESTROY] = {"callback after destroy", "LIFE-9"},
    [FAKE_CLOSED_TWICE] = {"CLOSED twice", "LIFE-9"},
    [FAKE_CLOSED_NEVER] = {"CLOSED never", "LIFE-9"},
    [FAKE_STEP_FAILS_AFTER_STOP] = {"step fails after stop", "LIFE-1"},
    [FAKE_RUN_RETURNS_EARLY] = {"run returns early", "LIFE-8"},
    [FAKE_STOP_TURN_LATE] = {"stop comes a turn late", "LIFE-2"},
    [FAKE_FD_LEAKED] = {"fd leaked at close", "LIFE-3"},
    [FAKE_CLOSE_FAILS] = {"close fails", "LIFE-3"},
    [FAKE_HANDLER_NOT_CALLED] = {"exception handler not called", "ERR-2"},
    [FAKE_HANDLER_TWICE] = {"exception handler called twice", "ERR-2"},
    [FAKE_BATCH_DROPPED] = {"rest of batch dropped on raise", "ERR-1"},
    [FAKE_STREAM_MADE_NEVER] = {"MADE never", "STREAM-1"},
    [FAKE_STREAM_MADE_TWICE] = {"MADE twice", "STREAM-1"},
    [FAKE_STREAM_MADE_LATE] = {"data before MADE", "STREAM-1"},
    [FAKE_STREAM_DATA_EMPTY] = {"data of no bytes", "STREAM-1"},
    [FAKE_STREAM_DATA_AFTER_EOF] = {"data after EOF", "STREAM-1"},
    [FAKE_STREAM_DATA_AFTER_LOST] = {"data after LOST", "STREAM-1"},
    [FAKE_STREAM_EOF_TWICE] = {"EOF twice", "STREAM-1"},
    [FAKE_STREAM_LOST_TWICE] = {"LOST twice", "STREAM-1"},
    [FAKE_STREAM_READ_SWALLOWS] = {"read swallows a byte", "STREAM-2"},
    [FAKE_STREAM_READ_SWAPS] = {"read swaps", "STREAM-2"},
    [FAKE_STREAM_READ_TWICE] = {"data given twice", "STREAM-2"},
    [FAKE_STREAM_READ_FOREIGN] = {"foreign bytes", "STREAM-2"},
    [FAKE_STREAM_READ_DROPS] = {"data never given", "STREAM-2"},
    [FAKE_STREAM_WRITE_SWALLOWS] = {"write swallows a byte", "STREAM-2"},
    [FAKE_STREAM_WRITE_SWAPS] = {"writes swapped", "STREAM-2"},
    [FAKE_STREAM_WRITE_TWICE] = {"a part sent twice", "STREAM-2"},
    [FAKE_STREAM_WRITE_STUCK] = {"what has to wait is never sent", "STREAM-2"},
    [FAKE_STREAM_CLOSE_DROPS] = {"close drops", "STREAM-3"},
    [FAKE_STREAM_ABORT_SENDS] = {"abort sends", "STREAM-4"},
    [FAKE_STREAM_WRITE_EOF_DROPS] = {"write_eof drops", "STREAM-3"},
    [FAKE_STREAM_PAUSE_TWICE] = {"pause_writing twice", "STREAM-5"},
    [FAKE_STREAM_RESUME_TWICE] = {"resume_writing twice", "STREAM-5"},
    [FAKE_STREAM_READS_PAUSED] = {"data while paused", "STREAM-6"},
    [FAKE_STREAM_EOF_PAUSED] = {"EOF while paused", "STREAM-6"},
    [FAKE_STREAM_READS_ONCE] = {"reads once", "STREAM-8"},
    [FAKE_STREAM_READS_EDGE] = {"reads at edges", "STREAM-8"},
    [FAKE_STREAM_READS_LATE] = {"reads late", "STREAM-8"},
    [FAKE_STREAM_RESUME_DEAF] = {"pause is for ever", "STREAM-8"},
    [FAKE_STREAM_EOF_NEVER] = {"EOF never", "STREAM-8"},
    [FAKE_STREAM_ERROR_UNSEEN] = {"error of a read ignored", "STREAM-8"},
    [FAKE_STREAM_EINTR_ENDS] = {"EINTR is an error", "CLOSE-2"},
    [FAKE_STREAM_WRITE_ERROR_UNSEEN] = {"error of a write ignored", "CLOSE-1"},
    [FAKE_STREAM_PAUSE_NEVER] = {"no pause_writing", "FLOW-1"},
    [FAKE_STREAM_PAUSE_EARLY] = {"pause_writing too early", "FLOW-1"},
    [FAKE_STREAM_RESUME_NEVER] = {"no resume_writing", "FLOW-2"},
    [FAKE_STREAM_CLOSE_SILENT] = {"no LOST after close", "CLOSE-1"},
    [FAKE_STREAM_ABORT_SILENT] = {"no LOST after abort", "CLOSE-1"},
    [FAKE_STREAM_READS_CLOSED] = {"data after close", "CLOSE-1"},
    [FAKE_STREAM_LOST_WITH_ERROR] = {"closed with an error", "CLOSE-2"},
    [FAKE_STREAM_LOST_WITHOUT_ERROR] = {"reset without an error", "CLOSE-2"},
    [FAKE_STREAM_LOST_BY_EOF] = {"LOST by EOF", "CLOSE-2"},
    [FAKE_STREAM_ENDS_BY_EOF] = {"ends by EOF", "CLOSE-2"},
    [FAKE_STREAM_EOF_FROM_SHORT_READ] = {"EOF that nobody sent", "EOF-1"},
    [FAKE_STREAM_EOF_EARLY] = {"EOF before the last bytes", "EOF-1"},
    [FAKE_STREAM_WRITE_EOF_NOTHING] = {"write_eof does nothing", "EOF-2"},
    [FAKE_STREAM_CLOSE_ENDS_NOTHING] = {"close ends nothing", "EOF-2"},
    [FAKE_STREAM_FD_LEAKED] = {"a stream's fd leaked", "LIFE-3"},
    [FAKE_STREAM_FD_CLOSED_TWICE] = {"a stream's fd closed twice", "LIFE-13"},
    [FAKE_STREAM_FD_READ_LATE] = {"a closed fd is read", "LIFE-13"},
    [FAKE_STREAM_FD_SHUT_LATE] = {"a closed fd is shut", "LIFE-13"},
    [FAKE_STREAM_ON_THREAD] = {"stream calls on its own thread", "THREAD-1"},
    [FAKE_EXIT_SWALLOWED] = {"an exit is swallowed", "ERR-3"},
    [FAKE_EXIT_GOES_ON] = {"an exit lets its batch run", "ERR-3"},
    [FAKE_EXIT_DROPS_BATCH] = {"an exit drops its batch", "SOON-5"},
    [FAKE_EXIT_UNASKED] = {"a CancelledError is an exit", "ERR-3"},
    [FAKE_FATAL_GOES_ON] = {"data goes on after it raised", "ERR-4"},
    [FAKE_FATAL_UNTOLD] = {"LOST does not tell what was raised", "ERR-4"},
    [FAKE_FATAL_SILENT] = {"no LOST after data raised", "ERR-4"},
    [FAKE_SERVER_DEAF] = {"a server lets nobody in", "SERVER-4"},
    [FAKE_SERVER_SERVES_ONE] = {"a server lets one in", "SERVER-4"},
    [FAKE_SERVER_STAYS_OPEN] = {"a closed server listens", "SERVER-1"},
    [FAKE_SERVER_MAKES_TWO] = {"two streams for a client", "SERVER-4"},
    [FAKE_CONNECT_SILENT] = {"a connect never ends", "CONNECT-1"},
    [FAKE_CONNECT_TWICE] = {"a connect ends twice", "CONNECT-1"},
    [FAKE_CONNECT_DONE_FIRST] = {"connected before it is made", "CONNECT-1"},
    [FAKE_CONNECT_FAILS] = {"no connect succeeds", "CONNECT-2"},
    [FAKE_CONNECT_TO_NOBODY] = {"connected to nobody", "CONNECT-2"},
    [FAKE_CONNECT_CANCELS_ALL] = {"one cancel cancels all", "CONNECT-2"},
    [FAKE_CONNECT_CANCEL_SILENT] = {"a cancelled connect never ends", "CONNECT-1"},
    [FAKE_RECV_SILENT] = {"a read never ends", "FD-10"},
    [FAKE_RECV_TWICE] = {"a read ends twice", "FD-10"},
    [FAKE_RECV_FOREIGN] = {"a read gives foreign bytes", "STREAM-2"},
    [FAKE_RECV_TOO_MUCH] = {"a read gives too much", "SOCK-2"},
    [FAKE_RECV_EMPTY] = {"a read of nothing", "EOF-1"},
    [FAKE_DATAGRAM_MADE_NEVER] = {"an endpoint is never made", "DGRAM-6"},
    [FAKE_DATAGRAM_MADE_TWICE] = {"an endpoint is made twice", "DGRAM-6"},
    [FAKE_DATAGRAM_LOST_TWICE] = {"an endpoint is lost twice", "DGRAM-6"},
    [FAKE_DATAGRAM_LOST_NEVER] = {"an endpoint is never lost", "DGRAM-4"},
    [FAKE_DATAGRAM_AFTER_CLOSE] = {"a datagram after close", "DGRAM-4"},
    [FAKE_DATAGRAM_DEAF] = {"one datagram and no more", "DGRAM-1"},
    [FAKE_DATAGRAM_DROPS] = {"every second datagram", "DGRAM-1"},
    [FAKE_DATAGRAM_TWICE] = {"a datagram twice", "DGRAM-1"},
    [FAKE_DATAGRAM_SWAPS] = {"datagrams swapped", "DGRAM-1"},
    [FAKE_DATAGRAM_MERGES] = {"datagrams merged", "DGRAM-1"},
    [FAKE_DATAGRAM_CUTS] = {"datagrams cut", "DGRAM-1"},
    [FAKE_DATAGRAM_ALTERS] = {"datagrams altered", "DGRAM-1"},
    [FAKE_DATAGRAM_DROPS_EMPTY] = {"empty datagrams dropped", "DGRAM-1"},
    [FAKE_DATAGRAM_OF_STRANGER] = {"a stranger's datagram", "DGRAM-1"},
    [FAKE_DATAGRAM_SEND_DROPS] = {"a datagram not sent", "DGRAM-1"},
    [FAKE_DATAGRAM_SEND_TWICE] = {"a datagram sent twice", "DGRAM-1"},
    [FAKE_DATAGRAM_CLOSE_DROPS] = {"close drops datagrams", "DGRAM-3"},
    [FAKE_DATAGRAM_REFUSAL_SILENT] = {"a refusal not told", "DGRAM-2"},
    [FAKE_DATAGRAM_REFUSAL_ENDS] = {"a refusal ends the endpoint", "DGRAM-2"},
    [FAKE_DATAGRAM_REFUSAL_UNASKED] = {"a refusal of nothing", "DGRAM-2"},
    [FAKE_DATAGRAM_TOO_LARGE_SILENT] = {"too large, and not told", "DGRAM-2"},
    [FAKE_DATAGRAM_RAISE_ENDS] = {"an exception ends the endpoint", "DGRAM-2"},
    [FAKE_DATAGRAM_RESUME_NEVER] = {"no resume_writing for datagrams", "DGRAM-3"},
    [FAKE_RECV_CANCELS_ALL] = {"one cancel cancels all reads", "FD-10"},
    [FAKE_SEND_SILENT] = {"a sendall never ends", "FD-10"},
    [FAKE_SEND_SHORT] = {"a sendall ends early", "STREAM-2"},
    [FAKE_SEND_TWICE] = {"a sendall begins anew", "STREAM-2"},
    [FAKE_TASK_SILENT] = {"a task never ends", "TASK-1"},
    [FAKE_TASK_TWICE] = {"a task ends twice", "TASK-1"},
    [FAKE_TASK_DEAF] = {"a cancelled task goes on", "TASK-2"},
    [FAKE_TASK_CANCELS] = {"a task is cancelled unasked", "TASK-2"},
    [FAKE_WRITELINES_SKIPS] = {"writelines skips a piece", "STREAM-2"},
    [FAKE_SWITCH_NOTHING] = {"the old protocol is called", "STREAM-9"},
    [FAKE_BUFFER_FOR_LOST] = {"a buffer for a lost connection", "STREAM-1"},
    [FAKE_CLOSE_HOLDS] = {"a closed loop holds a callback", "HOLD-4"},
};

static struct lc_program program;

static bool still_breaks(void *rule, const struct lc_program *candidate)
{
    rig_run(candidate);
    return rig_is_broken(rule);
}

/* Leaves the next generated program that breaks the rule in `program`; *seed is the next to be tried. */
static bool find(const char *rule, uint64_t *seed)
{
    while (*seed < FIND_PROGRAMS_MAX) {
        rig_generate(&program, (*seed)++);
        rig_run(&program);
        if (rig_is_broken(rule))
            return true;
    }
    return false;
}

/* Shrinking only goes downhill: where one program ends in a hollow, the next one found has to do. */
static bool is_found_and_shrunk(const char *name, const char *rule)
{
    uint64_t seed = 0;
    char copy[16] = "";
    strncat(copy, rule, sizeof copy - 1);
    while (find(rule, &seed)) {
        lc_program_shrink(&program, still_breaks, copy, TRIES_MAX);
        rig_run(&program);
        CHECK(rig_is_broken(rule));
        if (program.count <= OPS_MAX)
            return true;
        rig_print(name, &program);
    }
    printf("%s: no program breaks %s and shrinks to %d ops\n", name, rule, OPS_MAX);
    return false;
}

/* What a loop needs for a defect to show; more would only dilute the programs. */
static uint32_t capabilities_for(int defect)
{
    if (defect >= FAKE_DATAGRAM_MADE_NEVER)
        return RIG_STREAMS | RIG_DATAGRAMS;
    return (defect < FAKE_STREAM_MADE_NEVER ? 0 : RIG_STREAMS) | (defect < FAKE_SERVER_DEAF ? 0 : RIG_SOCKETS);
}

/* Every defect is found by its rule and shrinks. */
static void every_defect_is_found(void)
{
    for (int defect = FAKE_OPEN_FAILS + 1; defect < FAKE_DEFECTS; defect++) {
        rig_init(defect, RIG_CAPABILITIES | capabilities_for(defect));
        CHECK(is_found_and_shrunk(defects[defect].name, defects[defect].rule));
    }
    rig_dispose();
}

/* A callback on another thread is seen as such, and the runner is not touched by it. */
static void foreign_thread_is_found(void)
{
    rig_init(FAKE_POST_CALLS_BACK, RIG_CAPABILITIES);
    rig.loop.kernel.is_threaded = true;
    CHECK(is_found_and_shrunk("post calls back on its thread", "THREAD-1"));
    CHECK(strstr(rig.judgement.violations[0].text, "on another thread") != NULL);
    rig_dispose();
}

static bool passes_everything(uint32_t capabilities, bool is_closing_at_once, bool is_threaded)
{
    rig_init(FAKE_CORRECT, capabilities);
    rig.loop.is_closing_at_once = is_closing_at_once;
    rig.loop.kernel.is_threaded = is_threaded;
    for (uint64_t seed = 0; seed < RIG_PROGRAMS; seed++) {
        rig_generate(&program, seed);
        rig_run(&program);
        if (rig.judgement.count > 0 || rig.judgement.owed[0] != '\0' || rig.result != 0) {
            rig_print("the correct loop", &program);
            return false;
        }
    }
    rig_dispose();
    return true;
}

/* The correct loop breaks no rule, whatever it can do and however it closes. */
static void correct_loop_passes(void)
{
    CHECK(passes_everything(RIG_CAPABILITIES, false, false));
    CHECK(passes_everything(RIG_CAPABILITIES, true, false));
    CHECK(passes_everything(RIG_CAPABILITIES | LC_CAP_MULTI, false, false));
    CHECK(passes_everything(RIG_CAPABILITIES | LC_CAP_COALESCE, false, false));
    CHECK(passes_everything(LC_CAP_STOP | LC_CAP_RAISE | LC_CAP_ONE_PER_STEP | LC_CAP_MULTI, false, false));
    CHECK(passes_everything(LC_CAP_TURNS, false, false));
    CHECK(passes_everything(0, true, false));
}

/* So it does with streams, whichever part of them it has. */
static void correct_streams_pass(void)
{
    static const uint32_t parts[] = {LC_CAP_MADE, LC_CAP_FLUSH, LC_CAP_WRITE_EOF, LC_CAP_FLOW};
    for (unsigned with = 0; with < 32; with++) {
        uint32_t capabilities = LC_CAP_STREAM | (with & 16 ? RIG_CAPABILITIES : 0u);
        for (unsigned i = 0; i < 4; i++)
            capabilities |= with >> i & 1 ? parts[i] : 0;
        CHECK(passes_everything(capabilities, with % 3 == 0, false));
    }
    CHECK(passes_everything(RIG_CAPABILITIES | RIG_STREAMS | LC_CAP_MULTI, true, false));
    CHECK(passes_everything(RIG_CAPABILITIES | RIG_STREAMS | LC_CAP_COALESCE, false, true));
    CHECK(passes_everything(LC_CAP_STOP | LC_CAP_RAISE | LC_CAP_ONE_PER_STEP | RIG_STREAMS, false, false));
}

/* And with servers and connects. */
static void correct_sockets_pass(void)
{
    CHECK(passes_everything(RIG_CAPABILITIES | RIG_STREAMS | RIG_SOCKETS, false, false));
    CHECK(passes_everything(RIG_CAPABILITIES | RIG_STREAMS | RIG_SOCKETS, true, true));
    CHECK(passes_everything(LC_CAP_STREAM | RIG_SOCKETS, false, false));
    CHECK(
        passes_everything(LC_CAP_STOP | LC_CAP_RAISE | LC_CAP_ONE_PER_STEP | RIG_STREAMS | RIG_SOCKETS, false, false));
}

/* And with datagrams, whichever part of them it has. */
static void correct_datagrams_pass(void)
{
    CHECK(passes_everything(RIG_CAPABILITIES | RIG_STREAMS | RIG_DATAGRAMS, false, false));
    CHECK(passes_everything(RIG_CAPABILITIES | RIG_STREAMS | RIG_SOCKETS | RIG_DATAGRAMS, true, true));
    CHECK(passes_everything(LC_CAP_DATAGRAM, false, false));
    CHECK(passes_everything(
        LC_CAP_STOP | LC_CAP_RAISE | LC_CAP_ONE_PER_STEP | LC_CAP_MADE | LC_CAP_FLUSH | RIG_DATAGRAMS, false, false));
}

/* The same with posts from real threads, which makes no difference. */
static void correct_loop_passes_with_threads(void)
{
    CHECK(passes_everything(RIG_CAPABILITIES, false, true));
}

static const struct test tests[] = {
    TEST(every_defect_is_found),
    TEST(foreign_thread_is_found),
    TEST(correct_loop_passes),
    TEST(correct_datagrams_pass),
    TEST(correct_sockets_pass),
    TEST(correct_streams_pass),
    TEST(correct_loop_passes_with_threads),
};
TEST_MAIN(tests)
