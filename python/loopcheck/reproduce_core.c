/* What a reproducer in C begins with, whatever library it is for: the handles of the program, what each of them saw,
 * and callbacks that do something. reproduce_c.py leaves out what a program does not need: the functions and fields
 * that nothing names, and each #ifdef of what it does not do. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STORY_BYTES = 4096, HOOKS_MAX = 256, LIMIT_S = 5, FAR_MS = 50, PERIOD = 251, BYTES_MAX = 1 << 16 };
enum { DATAGRAM_BYTES_MAX = 65507, DATAGRAMS_WAITING_MAX = 24, DATAGRAM_OF_A_FILL = 100, UDP_ROOM_BYTES = 1 << 20 };
enum state { FREE, IDLE, ARMED, CLOSING, CLOSED };

/* A handle of the program, or a socket, and what it was asked for and saw. */
struct handle {
    const char *name;
    enum state state;
    void *native;             /* the library's handle */
    bool is_soon;             /* a timer of 0 */
    bool is_absolute;         /* a timer that was given a deadline, not a delay */
    bool is_edge;             /* a timer that is armed only once: its delay is the least or the most that there is */
    uint64_t delay_ms;        /* a timer's; a deadline counts from the start */
    uint64_t deadline_ms;     /* of a timer that is armed */
    bool wants_in, wants_out; /* what a watcher was asked for */
    bool is_stale;            /* a watcher whose socket was closed */
    int posts;                /* that were made, and it was not called since */
    int posts_late;           /* that other threads are still to make */
    struct handle *socket;    /* of a watcher, stream or endpoint; a stream that the library made is its own */
    struct handle *owner;     /* of a socket: the stream or endpoint that has taken it over */
    struct handle *peer;      /* of a socket: the other end */
    int fd;                   /* of a socket */
    uint16_t port;            /* of a server or listener */
    bool is_listener;         /* a socket that is accepted from by hand */
    bool is_udp;              /* a socket of datagrams: sent and got count these */
    uint64_t sent;            /* bytes that a socket was given to send */
    uint64_t got;             /* bytes that arrived at a socket */
    struct handle **streams;  /* of a server: who connects becomes one of these, */
    int left;                 /* of which so many are left */
    int waiting;              /* clients that have connected and are no streams yet */
    int room;                 /* clients that may still connect */
    bool is_connecting;
    bool is_paused;          /* reading */
    bool has_ended;          /* it sends no more */
    bool is_over;            /* it has nothing more to read */
    uint64_t data;           /* bytes in the last word of the story */
    size_t last;             /* where the last word begins */
    char story[STORY_BYTES]; /* words with commas */
};

/* What one of them should have seen. */
struct expectation {
    struct handle *handle;
    const char *found; /* what it saw when the defect was found */
    const char *right; /* what it sees on the reference loop; NULL: that one cannot run this program */
};

#ifdef ORDER
static struct handle order = {.name = "order"};
#endif
static struct handle loop_itself = {.name = "loop"};
static pthread_t loop_thread;
static bool is_closing;    /* the program is over: callbacks do nothing any more */
static unsigned callbacks; /* so far */
static bool is_stopping;   /* the present run was stopped */
static int callbacks_left; /* until a run is stopped */

extern struct handle *const all[]; /* of the program, and NULL */

/* What the library's own part has to offer. */
static void loop_open(void);
static void loop_step(bool may_wait);
static void loop_run(void);
static void loop_stop(void);
static uint64_t now_ms(void); /* the loop's time */
static int loop_close(void);  /* 0 or -errno */
static void close_native(struct handle *h);
static const char *loop_name(void);
static const char *error_name(int error); /* EBADF for -EBADF */

/* ---- what a handle saw ---------------------------------------------------------------------- */

/* One word more; the same word again only where it means something else each time. */
static void note(struct handle *h, bool is_once, const char *format, ...)
{
    char word[96];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(word, sizeof word, format, arguments);
    va_end(arguments);
    const size_t used = strlen(h->story);
    if ((is_once && strcmp(h->story + h->last, word) == 0) || used + sizeof word + 2 > STORY_BYTES)
        return;
    h->last = used > 0 ? used + 2 : 0;
    h->data = 0;
    snprintf(h->story + used, STORY_BYTES - used, "%s%s", used > 0 ? ", " : "", word);
}

static void take_back(struct handle *h)
{
    h->story[h->last > 1 ? h->last - 2 : 0] = 0;
    const char *comma = NULL;
    for (const char *at = h->story; (at = strstr(at, ", ")) != NULL; at += 2)
        comma = at;
    h->last = comma != NULL ? (size_t)(comma + 2 - h->story) : 0;
}

/* What was asked of a handle, and whether that was refused. Returns the error. */
static int asked(struct handle *h, const char *word, int error)
{
    if (error < 0)
        note(h, false, "%s failed: %s", word, error_name(error));
    else
        note(h, false, "%s", word);
    return error;
}

/* What is not worth a word unless it is refused. */
static int tried(struct handle *h, const char *word, int error)
{
    return error < 0 ? asked(h, word, error) : error;
}

/* Bytes that arrived; pieces that follow each other are one. What is sent is known at each position. */
static void note_data(struct handle *h, struct handle *socket, const unsigned char *data, size_t size)
{
    uint64_t before = h->data;
    bool is_right = true;
    for (size_t i = 0; i < size; i++)
        is_right &= data[i] == (socket->got + i) % PERIOD;
    socket->got += size;
    if (before > 0 && is_right)
        take_back(h);
    note(h, false, is_right ? "data %llu" : "data %llu (wrong bytes)",
         (unsigned long long)(is_right ? before + size : size));
    h->data = is_right ? before + size : 0;
}

/* A datagram, all of whose bytes are its number. */
static void note_datagram(struct handle *h, struct handle *socket, const unsigned char *data, size_t size)
{
    uint64_t number = socket->got;
    bool is_right = true;
    for (size_t i = 0; i < size; i++)
        is_right &= data[i] == data[0];
    if (size > 0)
        number = (socket->got & ~UINT64_C(255)) | data[0];
    if (!is_right)
        note(h, false, "datagram %zu (wrong bytes)", size);
    else if (number != socket->got)
        note(h, false, "datagram %zu (number %llu)", size, (unsigned long long)number);
    else
        note(h, false, "datagram %zu", size);
    if (number >= socket->got && number < socket->peer->sent)
        socket->got = number + 1;
}

/* ---- posts from other threads --------------------------------------------------------------- */

static void post_native(struct handle *h); /* of the library: on any thread */

static struct late {
    struct handle *handle;
    unsigned delay_us;
    pthread_t thread;
} lates[HOOKS_MAX];
static size_t lates_count;

static void *post_after(void *arg)
{
    const struct late *late = arg;
    nanosleep(&(struct timespec){.tv_nsec = late->delay_us * 1000L}, NULL);
    post_native(late->handle);
    return NULL;
}

/* On another thread: now, or so long after the next step began. */
static void post(struct handle *h, unsigned delay_us)
{
    struct late now = {.handle = h};
    if (h->state != ARMED || lates_count == HOOKS_MAX)
        return;
    if (delay_us > 0) {
        h->posts_late++;
        lates[lates_count++] = (struct late){.handle = h, .delay_us = delay_us};
        return;
    }
    h->posts++;
    pthread_create(&now.thread, NULL, post_after, &now);
    pthread_join(now.thread, NULL);
}

static void launch_posts(void)
{
    for (size_t i = 0; i < lates_count; i++)
        lates[i].handle->posts++;
    for (size_t i = 0; i < lates_count; i++)
        pthread_create(&lates[i].thread, NULL, post_after, &lates[i]);
}

static void join_posts(void)
{
    for (; lates_count > 0; lates_count--) {
        pthread_join(lates[lates_count - 1].thread, NULL);
        lates[lates_count - 1].handle->posts_late--;
    }
}

/* ---- turns ---------------------------------------------------------------------------------- */

static unsigned shown(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN | POLLOUT};
    return poll(&one, 1, 0) > 0 ? (unsigned)one.revents : 0;
}

/* Has the loop to call this handle back soon? */
static bool is_due(const struct handle *h)
{
    if (h->state != ARMED)
        return h->state == CLOSING;
    switch (h->name[0]) {
#ifdef TIMERS
    case 'c':
        return true;
    case 't':
        return h->deadline_ms <= now_ms() + FAR_MS;
#endif
#ifdef POSTS
    case 'p':
        return h->posts > 0;
#endif
#ifdef WATCHES
    case 'w':
        return (shown(h->socket->fd) & (unsigned)(h->wants_in * POLLIN | h->wants_out * POLLOUT)) != 0;
#endif
#ifdef STREAMS
    case 's':
        return h->is_connecting || (!h->is_paused && !h->is_over && (shown(h->socket->fd) & POLLIN) != 0);
#endif
#ifdef DATAGRAMS
    case 'd':
        return (shown(h->socket->fd) & (POLLIN | POLLERR)) != 0;
#endif
#ifdef SERVERS
    case 'l':
        return h->waiting > 0;
#endif
    default:
        return false;
    }
}

/* A turn may wait only for what has to come. */
static bool may_wait(void)
{
    for (size_t i = 0; all[i] != NULL; i++)
        if (is_due(all[i]))
            return true;
#ifdef POSTS
    return lates_count > 0;
#else
    return false;
#endif
}

/* One turn; it waits for its first callback, if one has to come. */
static void step(void)
{
    const bool is_waiting = may_wait();
#ifdef TURNS
    note(&order, true, "step");
#endif
#ifdef POSTS
    if (is_waiting)
        launch_posts();
    loop_step(is_waiting);
    if (is_waiting)
        join_posts();
#else
    loop_step(is_waiting);
#endif
}

/* One turn that does not wait. */
static void poll_once(void)
{
#ifdef TURNS
    note(&order, true, "step");
#endif
    loop_step(false);
}

/* Runs the loop until so many callbacks have come, or no other has to come. */
static void run(int count)
{
    if (!may_wait())
        return;
#ifdef TURNS
    note(&order, true, "step");
#endif
    callbacks_left = count;
    is_stopping = false;
#ifdef POSTS
    launch_posts();
    loop_run();
    join_posts();
#else
    loop_run();
#endif
    callbacks_left = 0;
}

/* Inside a callback of run(). */
static void stop(void)
{
    if (callbacks_left > 0 && !is_stopping)
        loop_stop();
    is_stopping = true;
}

/* Lets time pass while the loop does not run. */
static void pass(long ns)
{
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* ---- callbacks ------------------------------------------------------------------------------ */

static struct hook {
    struct handle *handle;
    const char *event;
    void (*function)(void);
} hooks[HOOKS_MAX];
static size_t hooks_count;

/* The function runs inside the next such callback of the handle. */
static void on(struct handle *h, const char *event, void (*function)(void))
{
    hooks[hooks_count++] = (struct hook){h, event, function};
}

/* What every callback does, once it has noted what it saw. */
static void called(struct handle *h, const char *event)
{
    if (!pthread_equal(pthread_self(), loop_thread))
        note(h, false, "on another thread");
#ifdef DRAINS
    callbacks++;
#endif
#ifdef HOOKS
    for (size_t i = 0; i < hooks_count && !is_closing; i++) {
        void (*function)(void) = hooks[i].function;
        if (function == NULL || hooks[i].handle != h || (strcmp(hooks[i].event, event) != 0 && *hooks[i].event))
            continue;
        hooks[i].function = NULL;
        function();
    }
#endif
#ifdef RUNS
    if (callbacks_left == 1 || (callbacks_left > 0 && !may_wait()))
        stop();
    callbacks_left -= callbacks_left > 1;
#endif
#ifndef HOOKS
    (void)event;
#endif
}

/* What is closed as it was asked to is not mentioned. */
static void closed(struct handle *h)
{
    const bool is_asked = strcmp(h->story + h->last, "destroy") == 0;
    if (is_asked)
        take_back(h);
    else
        note(h, false, "closed");
    h->state = CLOSED;
#ifdef SOCKETS
    if (h->socket != NULL && h->socket->owner == h)
        h->socket->state = CLOSED;
#endif
    called(h, "closed");
}

static void destroy(struct handle *h)
{
    if (h->state == FREE || h->state >= CLOSING)
        return;
#ifdef POSTS
    if (h->posts_late > 0)
        return;
#endif
    h->state = CLOSING;
    note(h, false, "destroy");
    close_native(h);
}
