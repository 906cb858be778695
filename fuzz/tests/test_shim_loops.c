/* Runs under the kernel shim. Timers over ten hours fire in order and none early, and a mebibyte passes between two
 * sockets that the loop watches, whatever the kernel does that it may. Compiled once for each C loop that is installed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "testing/test.h"

#ifdef LOOP_UV
#include <uv.h>
#endif
#ifdef LOOP_EVENT
#include <event2/event.h>
#endif
#ifdef LOOP_EV
#include <ev.h>
#endif
#ifdef LOOP_GLIB
#include <glib-unix.h>
#endif
#ifdef LOOP_SDEVENT
#include <systemd/sd-event.h>
#endif

enum { TIMERS = 1000, TOTAL_BYTES = 1 << 20, CHUNK_BYTES = 30000, MS_PER_S = 1000 };
#define S INT64_C(1000000000)

/* What each loop defines below: it is made, run until the test is done, and closed again.
 * run_timers arms TIMERS of them, with delay_s(i), each of which calls fired(i); run_watchers calls push while the
 * first fd is writable, pull while the second is readable. RESOLUTION_NS: what the loop rounds its times to. */
static void run_timers(void);
static void run_watchers(int from, int to);

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * S + now.tv_nsec;
}

/* ---- timers ---------------------------------------------------------------------------------- */

static int64_t began_ns, early_ns;
static unsigned fired_count, out_of_order;
static unsigned last_delay_s;

static unsigned delay_s(unsigned i)
{
    return (i * 7919 + 13) % 36000 + 1; /* all different */
}

/* True when it was the last. */
static bool fired(unsigned i)
{
    int64_t deadline_ns = began_ns + delay_s(i) * S, now = now_ns();
    if (deadline_ns - now > early_ns)
        early_ns = deadline_ns - now;
    out_of_order += delay_s(i) < last_delay_s;
    last_delay_s = delay_s(i);
    return ++fired_count == TIMERS;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static size_t written, got;

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 31 + (i >> 8));
}

/* True when all is written. */
static bool push(int fd)
{
    unsigned char chunk[CHUNK_BYTES];
    size_t size = TOTAL_BYTES - written < CHUNK_BYTES ? TOTAL_BYTES - written : CHUNK_BYTES;
    for (size_t i = 0; i < size; i++)
        chunk[i] = byte_at(written + i);
    ssize_t wrote = write(fd, chunk, size);
    if (wrote < 0 && errno != EAGAIN && errno != EINTR)
        abort();
    written += wrote > 0 ? (size_t)wrote : 0;
    return written == TOTAL_BYTES;
}

/* True when all has arrived. */
static bool pull(int fd)
{
    unsigned char chunk[CHUNK_BYTES];
    ssize_t size = read(fd, chunk, sizeof chunk);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        abort();
    for (ssize_t i = 0; i < size; i++)
        if (chunk[i] != byte_at(got + (size_t)i))
            abort();
    got += size > 0 ? (size_t)size : 0;
    return got == TOTAL_BYTES;
}

/* ---- libuv ------------------------------------------------------------------------------------ */

#ifdef LOOP_UV
enum { RESOLUTION_NS = 1000000 };

static void uv_fired(uv_timer_t *timer)
{
    fired((unsigned)(uintptr_t)timer->data);
}

static void run_timers(void)
{
    static uv_timer_t timers[TIMERS];
    uv_loop_t loop;
    uv_loop_init(&loop);
    for (uintptr_t i = 0; i < TIMERS; i++) {
        uv_timer_init(&loop, &timers[i]);
        timers[i].data = (void *)i;
        uv_timer_start(&timers[i], uv_fired, (uint64_t)delay_s((unsigned)i) * MS_PER_S, 0);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < TIMERS; i++)
        uv_close((uv_handle_t *)&timers[i], NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}

static void uv_pushes(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    if (push((int)(intptr_t)poll->data))
        uv_poll_stop(poll);
}

static void uv_pulls(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    if (pull((int)(intptr_t)poll->data))
        uv_stop(poll->loop);
}

static void run_watchers(int from, int to)
{
    uv_loop_t loop;
    uv_poll_t out = {.data = (void *)(intptr_t)from}, in = {.data = (void *)(intptr_t)to};
    uv_loop_init(&loop);
    uv_poll_init(&loop, &out, from);
    uv_poll_init(&loop, &in, to);
    uv_poll_start(&out, UV_WRITABLE, uv_pushes);
    uv_poll_start(&in, UV_READABLE, uv_pulls);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&out, NULL);
    uv_close((uv_handle_t *)&in, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}
#endif

/* ---- libevent --------------------------------------------------------------------------------- */

#ifdef LOOP_EVENT
enum { RESOLUTION_NS = 4000000 };

static struct event_base *base;

static void event_fired(evutil_socket_t fd, short events, void *arg)
{
    (void)fd, (void)events;
    fired((unsigned)(uintptr_t)arg);
}

static void run_timers(void)
{
    static struct event *timers[TIMERS];
    base = event_base_new();
    for (uintptr_t i = 0; i < TIMERS; i++) {
        timers[i] = evtimer_new(base, event_fired, (void *)i);
        evtimer_add(timers[i], (&(struct timeval){.tv_sec = delay_s((unsigned)i)}));
    }
    event_base_dispatch(base);
    for (unsigned i = 0; i < TIMERS; i++)
        event_free(timers[i]);
    event_base_free(base);
}

static void event_pushes(evutil_socket_t fd, short events, void *arg)
{
    (void)events;
    if (push(fd))
        event_del(*(struct event **)arg);
}

static void event_pulls(evutil_socket_t fd, short events, void *arg)
{
    (void)events, (void)arg;
    if (pull(fd))
        event_base_loopbreak(base);
}

static void run_watchers(int from, int to)
{
    struct event *out, *in;
    base = event_base_new();
    out = event_new(base, from, EV_WRITE | EV_PERSIST, event_pushes, &out);
    in = event_new(base, to, EV_READ | EV_PERSIST, event_pulls, NULL);
    event_add(out, NULL);
    event_add(in, NULL);
    event_base_dispatch(base);
    event_free(out);
    event_free(in);
    event_base_free(base);
}
#endif

/* ---- libev ------------------------------------------------------------------------------------- */

#ifdef LOOP_EV
enum { RESOLUTION_NS = 1000 };

static void ev_fired(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    fired((unsigned)(uintptr_t)timer->data);
}

static void run_timers(void)
{
    static ev_timer timers[TIMERS];
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    for (uintptr_t i = 0; i < TIMERS; i++) {
        memset(&timers[i], 0, sizeof timers[i]);
        timers[i].cb = ev_fired;
        ev_timer_set(&timers[i], delay_s((unsigned)i), 0.);
        timers[i].data = (void *)i;
        ev_timer_start(loop, &timers[i]);
    }
    ev_run(loop, 0);
    ev_loop_destroy(loop);
}

static void ev_pushes(struct ev_loop *loop, ev_io *io, int events)
{
    (void)events;
    if (push(io->fd))
        ev_io_stop(loop, io);
}

static void ev_pulls(struct ev_loop *loop, ev_io *io, int events)
{
    (void)events;
    if (pull(io->fd))
        ev_break(loop, EVBREAK_ALL);
}

static void run_watchers(int from, int to)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    ev_io out = {.cb = ev_pushes}, in = {.cb = ev_pulls};
    ev_io_set(&out, from, EV_WRITE);
    ev_io_set(&in, to, EV_READ);
    ev_io_start(loop, &out);
    ev_io_start(loop, &in);
    ev_run(loop, 0);
    ev_loop_destroy(loop);
}
#endif

/* ---- GLib -------------------------------------------------------------------------------------- */

#ifdef LOOP_GLIB
enum { RESOLUTION_NS = 1000 };

static GMainLoop *main_loop;

static gboolean glib_fired(gpointer arg)
{
    if (fired((unsigned)(uintptr_t)arg))
        g_main_loop_quit(main_loop);
    return G_SOURCE_REMOVE;
}

static void run_timers(void)
{
    main_loop = g_main_loop_new(NULL, FALSE);
    for (uintptr_t i = 0; i < TIMERS; i++)
        g_timeout_add(delay_s((unsigned)i) * MS_PER_S, glib_fired, (gpointer)i);
    g_main_loop_run(main_loop);
    g_main_loop_unref(main_loop);
}

static gboolean glib_pushes(gint fd, GIOCondition condition, gpointer arg)
{
    (void)condition, (void)arg;
    return push(fd) ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static gboolean glib_pulls(gint fd, GIOCondition condition, gpointer arg)
{
    (void)condition, (void)arg;
    if (!pull(fd))
        return G_SOURCE_CONTINUE;
    g_main_loop_quit(main_loop);
    return G_SOURCE_REMOVE;
}

static void run_watchers(int from, int to)
{
    main_loop = g_main_loop_new(NULL, FALSE);
    g_unix_fd_add(from, G_IO_OUT, glib_pushes, NULL);
    g_unix_fd_add(to, G_IO_IN, glib_pulls, NULL);
    g_main_loop_run(main_loop);
    g_main_loop_unref(main_loop);
}
#endif

/* ---- sd-event ---------------------------------------------------------------------------------- */

#ifdef LOOP_SDEVENT
enum { RESOLUTION_NS = 1000 };

static int sd_fired(sd_event_source *source, uint64_t us, void *arg)
{
    (void)us;
    return fired((unsigned)(uintptr_t)arg) ? sd_event_exit(sd_event_source_get_event(source), 0) : 0;
}

static void run_timers(void)
{
    sd_event *event;
    sd_event_new(&event);
    for (uintptr_t i = 0; i < TIMERS; i++)
        sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, delay_s((unsigned)i) * UINT64_C(1000000), 1, sd_fired,
                                   (void *)i);
    sd_event_loop(event);
    sd_event_unref(event);
}

static int sd_pushes(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    (void)events, (void)arg;
    return push(fd) ? sd_event_source_set_enabled(source, SD_EVENT_OFF) : 0;
}

static int sd_pulls(sd_event_source *source, int fd, uint32_t events, void *arg)
{
    (void)events, (void)arg;
    return pull(fd) ? sd_event_exit(sd_event_source_get_event(source), 0) : 0;
}

static void run_watchers(int from, int to)
{
    sd_event *event;
    sd_event_new(&event);
    sd_event_add_io(event, NULL, from, 4 /* EPOLLOUT */, sd_pushes, NULL);
    sd_event_add_io(event, NULL, to, 1 /* EPOLLIN */, sd_pulls, NULL);
    sd_event_loop(event);
    sd_event_unref(event);
}
#endif

/* ---- the tests --------------------------------------------------------------------------------- */

static void test_ten_hours_of_timers(void)
{
    began_ns = now_ns();
    early_ns = INT64_MIN;
    run_timers();
    printf("%u timers in %.0f s, at most %.0f us early\n", fired_count, (double)(now_ns() - began_ns) / 1e9,
           (double)early_ns / 1e3);
    CHECK(fired_count == TIMERS && out_of_order == 0 && early_ns < RESOLUTION_NS);
}

static void test_a_mebibyte(void)
{
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    run_watchers(fds[0], fds[1]);
    CHECK(got == TOTAL_BYTES);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    static const struct test tests[] = {TEST(test_ten_hours_of_timers), TEST(test_a_mebibyte)};
    return test_main(tests, sizeof tests / sizeof *tests);
}
