/* The part of a reproducer that is about libuv: what each operation of a program is in its calls. */
#include <uv.h>

#include "reproduce_core.c"
#include "reproduce_sockets.c"

static uv_loop_t loop;
static bool is_once; /* the turn is to end with its first callbacks */
#ifdef TIMERS
static uint64_t start_ms;
#endif

static void loop_open(void)
{
    uv_loop_init(&loop);
#ifdef TIMERS
    start_ms = uv_now(&loop);
#endif
}

static void loop_step(bool may_wait)
{
    is_once = may_wait;
    uv_run(&loop, may_wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    is_once = false;
}

static void loop_stop(void)
{
    uv_stop(&loop);
}

static void loop_run(void)
{
    uv_run(&loop, UV_RUN_DEFAULT);
}

static uint64_t now_ms(void)
{
    return uv_now(&loop);
}

static int loop_close(void)
{
    return uv_loop_close(&loop);
}

static const char *loop_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "libuv %s", uv_version_string());
    return name;
}

static const char *error_name(int error)
{
    return uv_err_name(error);
}

static union uv_any_handle *of(const struct handle *h)
{
    return h->native;
}

static union uv_any_handle *make(struct handle *h)
{
    h->native = calloc(1, sizeof(union uv_any_handle));
    return h->native;
}

/* What every callback ends with. Before 1.45 a UV_RUN_ONCE that has run a timer may sleep all the same. */
static void back(struct handle *h, const char *event)
{
    if (is_once)
        uv_stop(&loop);
    called(h, event);
}

static void on_close(uv_handle_t *handle)
{
    struct handle *h = handle->data;
    if (is_once)
        uv_stop(&loop);
    closed(h);
}

static void close_native(struct handle *h)
{
    uv_close(&of(h)->handle, on_close);
}

/* ---- timers --------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *native)
{
    struct handle *h = native->data;
    const bool is_early = uv_hrtime() + 1000000 <= h->deadline_ms * 1000000;
    h->state = h->state == ARMED ? IDLE : h->state;
    note(h, false, h->is_soon ? "ran" : is_early ? "fired too early" : "fired");
#ifdef ORDER
    note(&order, false, "%s", h->name);
#endif
    back(h, h->is_soon ? "soon" : "timer");
}

static void start_timer(struct handle *h, const char *word)
{
    const uint64_t now = now_ms();
    h->deadline_ms = (h->is_absolute ? start_ms : now) + h->delay_ms;
    const uint64_t delay_ms = h->deadline_ms > now ? h->deadline_ms - now : 0;
    h->state = ARMED;
    if (asked(h, word, uv_timer_start(&of(h)->timer, on_timer, delay_ms, 0)) < 0)
        h->state = IDLE;
}

static void new_timer(struct handle *h, const char *word)
{
    if (h->state != FREE)
        return;
    uv_timer_init(&loop, &make(h)->timer);
    of(h)->handle.data = h;
    start_timer(h, word);
}

/* A callback for the next turn: a timer of 0. */
static void soon(struct handle *h)
{
    h->is_soon = true;
    new_timer(h, "soon");
}

static void timer(struct handle *h, uint64_t delay_ms)
{
    h->delay_ms = h->state == FREE ? delay_ms : h->delay_ms;
    new_timer(h, "timer");
}

/* As timer, but it counts from the start. */
static void timer_at(struct handle *h, uint64_t deadline_ms)
{
    h->is_absolute |= h->state == FREE;
    h->delay_ms = h->state == FREE ? deadline_ms : h->delay_ms;
    new_timer(h, "at");
}

/* The library gets the delay as it is. 0 and 1 are due at once, any longer one never is. */
static void edge(struct handle *h, uint64_t delay_ms)
{
    if (h->state != FREE)
        return;
    uv_timer_init(&loop, &make(h)->timer);
    of(h)->handle.data = h;
    h->is_edge = true;
    h->deadline_ms = delay_ms > 1 ? UINT64_MAX / 1000000 : now_ms();
    h->state = ARMED;
    if (asked(h, "edge", uv_timer_start(&of(h)->timer, on_timer, delay_ms, 0)) < 0)
        h->state = IDLE;
}

/* ---- watchers of sockets -------------------------------------------------------------------- */

static void on_poll(uv_poll_t *native, int status, int events)
{
    struct handle *h = native->data;
    const unsigned now = shown(h->socket->fd);
    const bool is_in = (events & UV_READABLE) != 0, is_out = (events & UV_WRITABLE) != 0;
    const bool is_true = (now & (POLLHUP | POLLERR | POLLNVAL)) != 0 ||
                         ((!is_in || (now & POLLIN) != 0) && (!is_out || (now & POLLOUT) != 0));
    const char *what = is_in && is_out ? " in+out" : is_in ? " in" : is_out ? " out" : "";
    if (status < 0) {
        h->state = h->state == ARMED ? IDLE : h->state;
        note(h, true, "ready: %s", error_name(status));
    } else {
        note(h, true, "ready%s%s", what, is_true ? "" : " (poll(2) does not show it)");
    }
    back(h, "ready");
}

/* Two active handles for one fd are not allowed. */
static bool may_watch(const struct handle *f)
{
    for (size_t i = 0; all[i] != NULL; i++)
        if (all[i]->name[0] == 'w' && all[i]->socket == f && all[i]->state == ARMED)
            return false;
    return is_held(f);
}

static void start_poll(struct handle *h, const char *word)
{
    const int events = h->wants_in * UV_READABLE | h->wants_out * UV_WRITABLE;
    h->state = ARMED;
    if (asked(h, word, uv_poll_start(&of(h)->poll, events, on_poll)) < 0)
        h->state = IDLE;
}

static void watch(struct handle *h, struct handle *f, int events)
{
    if (h->state != FREE || !may_watch(f))
        return;
    h->socket = f;
    h->wants_in = (events & UV_READABLE) != 0;
    h->wants_out = (events & UV_WRITABLE) != 0;
    int error = uv_poll_init(&loop, &make(h)->poll, f->fd);
    of(h)->handle.data = h;
    if (tried(h, "watch", error) < 0)
        h->state = IDLE;
    else
        start_poll(h, "watch");
}

/* ---- of timers and watchers ----------------------------------------------------------------- */

static void cancel(struct handle *h)
{
    if ((h->state != ARMED && h->state != IDLE) || h->is_stale)
        return;
    h->state = IDLE;
#ifdef WATCHES
    if (h->name[0] == 'w') {
        asked(h, "cancel", uv_poll_stop(&of(h)->poll));
        return;
    }
#endif
#ifdef TIMERS
    asked(h, "cancel", uv_timer_stop(&of(h)->timer));
#endif
}

static void rearm(struct handle *h)
{
    if (h->state != IDLE || h->is_edge)
        return;
#ifdef WATCHES
    if (h->name[0] == 'w') {
        if (!h->is_stale && may_watch(h->socket))
            start_poll(h, "rearm");
        return;
    }
#endif
#ifdef TIMERS
    start_timer(h, "rearm");
#endif
}

/* ---- posts from other threads --------------------------------------------------------------- */

static void on_async(uv_async_t *async)
{
    struct handle *h = async->data;
    h->posts = 0;
    note(h, false, "posted");
    back(h, "posted");
}

static void waker(struct handle *h)
{
    if (h->state != FREE)
        return;
    h->state = asked(h, "waker", uv_async_init(&loop, &make(h)->async, on_async)) < 0 ? IDLE : ARMED;
    of(h)->handle.data = h;
}

static void post_native(struct handle *h)
{
    uv_async_send(&of(h)->async);
}

#include "reproduce_libuv_streams.c"

/* ---- the program ---------------------------------------------------------------------------- */

/* PROGRAM */

#include "reproduce_main.c"
