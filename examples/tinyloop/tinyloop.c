#include "tinyloop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

enum { WATCHES_MAX = 64, NS_A_MS = 1000000 };

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int tl_open(struct tl_loop *loop)
{
    *loop = (struct tl_loop){.now_ns = clock_ns()};
    loop->armed.next = loop->armed.prev = &loop->armed;
    if (pipe(loop->wake) < 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        fcntl(loop->wake[i], F_SETFL, O_NONBLOCK);
    return 0;
}

void tl_close(struct tl_loop *loop)
{
    close(loop->wake[0]);
    close(loop->wake[1]);
}

void tl_start(struct tl_loop *loop, struct tl_event *event)
{
    tl_stop(event);
    event->is_armed = true;
    event->next = &loop->armed;
    event->prev = loop->armed.prev;
    event->prev->next = event->next->prev = event;
}

void tl_stop(struct tl_event *event)
{
    if (!event->is_armed)
        return;
    event->is_armed = event->is_due = false;
    event->next->prev = event->prev;
    event->prev->next = event->next;
}

void tl_post(struct tl_loop *loop, struct tl_event *waker)
{
    atomic_store(&waker->posted, true);
    if (write(loop->wake[1], "", 1) < 0)
        return; /* the pipe is full, so that the loop wakes anyway */
}

uint64_t tl_now(const struct tl_loop *loop)
{
    return loop->now_ns;
}

/* ---- a turn -------------------------------------------------------------------------------- */

/* Milliseconds for poll(2), rounded up: -1 for ever. */
static int timeout_of(const struct tl_loop *loop)
{
    uint64_t soonest = UINT64_MAX, now = clock_ns();
    for (const struct tl_event *e = loop->armed.next; e != &loop->armed; e = e->next) {
        if (e->kind == TL_SOON)
            return 0;
        if (e->kind == TL_TIMER && e->deadline_ns < soonest)
            soonest = e->deadline_ns;
    }
    if (soonest == UINT64_MAX)
        return -1;
    const uint64_t left_ms = soonest > now ? (soonest - now - 1) / NS_A_MS + 1 : 0;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

static int poll_all(struct tl_loop *loop, int timeout_ms)
{
    struct pollfd polled[WATCHES_MAX + 1] = {{.fd = loop->wake[0], .events = POLLIN}};
    struct tl_event *watches[WATCHES_MAX + 1];
    nfds_t count = 1;
    char bytes[64];

    for (struct tl_event *e = loop->armed.next; e != &loop->armed; e = e->next) {
        e->ready = 0;
        if (e->kind == TL_WATCH && count <= WATCHES_MAX) {
            watches[count] = e;
            polled[count++] = (struct pollfd){.fd = e->fd, .events = e->asked};
        }
    }
    if (poll(polled, count, timeout_ms) < 0)
        return errno == EINTR ? 0 : -errno;
    for (nfds_t i = 1; i < count; i++)
        watches[i]->ready = polled[i].revents;
    while (polled[0].revents != 0 && read(loop->wake[0], bytes, sizeof bytes) > 0)
        ;
    return 0;
}

static void mark_due(struct tl_loop *loop)
{
    loop->now_ns = clock_ns();
    for (struct tl_event *e = loop->armed.next; e != &loop->armed; e = e->next)
        e->is_due = e->kind == TL_SOON || (e->kind == TL_TIMER && e->deadline_ns <= loop->now_ns) ||
                    (e->kind == TL_WATCH && e->ready != 0) ||
                    (e->kind == TL_WAKER && atomic_exchange(&e->posted, false));
}

/* The next to be called: of a turn's timers the one with the earliest deadline, otherwise the one armed first. */
static struct tl_event *next_due(struct tl_loop *loop)
{
    struct tl_event *found = NULL;
    for (struct tl_event *e = loop->armed.next; e != &loop->armed; e = e->next) {
        if (!e->is_due)
            continue;
        if (found == NULL || (found->kind == TL_TIMER && e->kind == TL_TIMER && e->deadline_ns < found->deadline_ns))
            found = e;
    }
    return found;
}

int tl_turn(struct tl_loop *loop, bool may_sleep)
{
    struct tl_event *event;
    int error = poll_all(loop, may_sleep ? timeout_of(loop) : 0);
    if (error < 0)
        return error;
    mark_due(loop);
    while ((event = next_due(loop)) != NULL) {
        event->is_due = false;
        if (event->kind == TL_SOON || event->kind == TL_TIMER)
            tl_stop(event);
        event->call(event, event->ready);
    }
    return 0;
}

int tl_run(struct tl_loop *loop)
{
    int error = 0;
    for (loop->is_stopped = false; error == 0 && !loop->is_stopped;)
        error = tl_turn(loop, true);
    return error;
}

void tl_break(struct tl_loop *loop)
{
    loop->is_stopped = true;
}
