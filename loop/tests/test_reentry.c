/* Real kernel. Any verb on any handle from within any callback: two handles of each kind are due in one turn, and the
 * callback of each in turn stops, closes or starts each of them. */
#define _GNU_SOURCE
#include "refloop.h"
#include "testing/test.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* In the order in which a turn runs them: what waited, fds, posts, timers. */
enum kind { SOON, WATCH, WAKER, TIMER, KINDS };
enum verb { STOP, CLOSE, START, VERBS };
enum { EACH = 2, HANDLES = KINDS * EACH, TURNS = 2 };

static rl_loop *loop;
static int pair[2];

static struct handle {
    rl_soon *soon;
    rl_watch *watch;
    rl_waker *waker;
    rl_timer *timer;
    int runs_count;
} handles[HANDLES];

/* What the callback of handles[actor] does to handles[target], once. */
static int actor, target;
static enum verb verb;
static bool has_acted;

static enum kind kind_of(int id)
{
    return (enum kind)(id / EACH);
}

static void start(int id)
{
    const struct handle *handle = &handles[id];
    if (kind_of(id) == SOON)
        CHECK(rl_soon_start(handle->soon) == 0);
    else if (kind_of(id) == WATCH)
        CHECK(rl_watch_start(handle->watch, pair[id % EACH], RL_OUT) == 0);
    else if (kind_of(id) == WAKER)
        CHECK(rl_waker_post(handle->waker) == 0);
    else
        CHECK(rl_timer_start(handle->timer, 0) == 0);
}

static void stop(int id)
{
    const struct handle *handle = &handles[id];
    if (kind_of(id) == SOON)
        rl_soon_stop(handle->soon);
    else if (kind_of(id) == WATCH)
        rl_watch_stop(handle->watch);
    else if (kind_of(id) == WAKER)
        rl_waker_stop(handle->waker);
    else
        rl_timer_stop(handle->timer);
}

static void close_handle(int id)
{
    const struct handle *handle = &handles[id];
    if (kind_of(id) == SOON)
        rl_soon_close(handle->soon);
    else if (kind_of(id) == WATCH)
        rl_watch_close(handle->watch);
    else if (kind_of(id) == WAKER)
        rl_waker_close(handle->waker);
    else
        rl_timer_close(handle->timer);
}

static void ran(struct handle *handle)
{
    handle->runs_count++;
    if (handle != &handles[actor] || has_acted)
        return;
    has_acted = true;
    CHECK(rl_loop_turn(loop, false) == -EBUSY && rl_loop_run(loop) == -EBUSY && rl_loop_close(loop) == -EBUSY);
    CHECK(rl_loop_check(loop) == 0);
    if (verb == STOP)
        stop(target);
    else if (verb == CLOSE)
        close_handle(target);
    else
        start(target);
    CHECK(rl_loop_check(loop) == 0);
}

static void on_soon(rl_soon *soon, void *arg)
{
    (void)soon;
    ran(arg);
}

static void on_watch(rl_watch *watch, void *arg, unsigned events)
{
    (void)watch;
    CHECK(events == RL_OUT);
    ran(arg);
}

static void on_waker(rl_waker *waker, void *arg)
{
    (void)waker;
    ran(arg);
}

static void on_timer(rl_timer *timer, void *arg)
{
    (void)timer;
    ran(arg);
}

static void open_all(void)
{
    CHECK(rl_loop_open(&loop) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    has_acted = false;
    for (int id = 0; id < HANDLES; id++) {
        struct handle *handle = &handles[id];
        *handle = (struct handle){.runs_count = 0};
        if (kind_of(id) == SOON)
            CHECK(rl_soon_open(loop, on_soon, handle, &handle->soon) == 0);
        else if (kind_of(id) == WATCH)
            CHECK(rl_watch_open(loop, on_watch, handle, &handle->watch) == 0);
        else if (kind_of(id) == WAKER)
            CHECK(rl_waker_open(loop, on_waker, handle, &handle->waker) == 0);
        else
            CHECK(rl_timer_open(loop, on_timer, handle, &handle->timer) == 0);
        start(id);
    }
}

static void close_all(void)
{
    CHECK(rl_loop_check(loop) == 0);
    CHECK(rl_loop_close(loop) == 0);
    CHECK(close(pair[0]) == 0 && close(pair[1]) == 0);
}

/* Does the target run in this turn? Starting order within a kind; the fds were ready in that order, too. */
static bool is_expected(int turn)
{
    bool has_run = target <= actor;
    if (turn == 0)
        return has_run || (verb == START && kind_of(target) == WAKER); /* a post does not take back the earlier one */
    return verb == START;
}

/* [AFTER] [TURN] [ONCE] The target runs as often as the table says, every other handle as if nothing had happened. */
static void act_and_count(void)
{
    open_all();
    for (int turn = 0; turn < TURNS; turn++) {
        CHECK(rl_loop_turn(loop, true) >= 0);
        for (int id = 0; id < HANDLES; id++) {
            bool expected = turn == 0 || kind_of(id) == WATCH;
            CHECK(handles[id].runs_count == (id == target ? is_expected(turn) : expected));
            handles[id].runs_count = 0;
        }
    }
    close_all();
}

static void act_on_all(enum verb with)
{
    verb = with;
    for (actor = 0; actor < HANDLES; actor++)
        for (target = 0; target < HANDLES; target++)
            act_and_count();
}

/* [AFTER] A handle that is stopped in a callback, its own or another's, does not run any more. */
static void stop_in_a_callback(void)
{
    act_on_all(STOP);
}

/* [AFTER] A handle that is closed in a callback, its own or another's, does not run any more. */
static void close_in_a_callback(void)
{
    act_on_all(CLOSE);
}

/* [TURN] [ONCE] A handle that is started again in a callback runs in the next turn, and no more in this one. */
static void start_in_a_callback(void)
{
    act_on_all(START);
}

static const struct test tests[] = {TEST(stop_in_a_callback), TEST(close_in_a_callback), TEST(start_in_a_callback)};

TEST_MAIN(tests)
