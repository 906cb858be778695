/* The driver libuv.
 *
 * A soon is a timer of 0: idle, prepare and check handles run in reverse order, and an async cannot
 * be cancelled. Time counts from uv_now(), which libuv caches; it keeps whole milliseconds. A stream ends by
 * destroy alone: uv_close() drops what was not sent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "drivers.h"

enum { NS_A_MS = 1000000, BACKLOG = 128, DATAGRAM_BYTES_MAX = 65507 };

struct slot {
    union uv_any_handle uv;
    uint8_t handle;
    uint8_t bits; /* of a watcher */
    bool is_over; /* of a stream: it has seen its end or an error */
    uint8_t next; /* of a server: the stream that the next client becomes, */
    uint8_t left; /* and how many may */
};

/* One send under way, with its copy of the bytes. */
struct sending {
    uv_udp_send_t send;
    char bytes[];
};

/* One write under way, with its copy of the bytes. */
struct pending {
    uv_write_t write;
    char bytes[];
};

static struct {
    struct lc_driver base;
    uv_loop_t loop;
    bool is_in_sent;        /* in the callback of a datagram that was sent, or not */
    bool is_once;           /* in a step that may wait: it ends with its first callbacks */
    struct slot slots[256]; /* a slot is free for good once CLOSED was reported: handles are not reused */
} driver;

static void report_seen(struct lc_seen seen)
{
    struct lc_sink *sink = &driver.base.sink;
    if (driver.is_once) /* libuv <= 1.44 runs due timers first and would then sleep for something else */
        uv_stop(&driver.loop);
    sink->begin(sink->self, &seen);
    sink->end(sink->self, seen.handle, seen.event);
}

static void report(const struct slot *slot, enum lc_event event, unsigned bits, int error)
{
    report_seen((struct lc_seen){.handle = slot->handle, .event = event, .bits = bits, .error = error});
}

static void on_timer(uv_timer_t *timer)
{
    const struct slot *slot = (struct slot *)timer;
    report(slot, slot->handle >> 4 == LC_KIND_SOON ? LC_EVENT_SOON : LC_EVENT_TIMER, 0, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    unsigned bits = (events & UV_READABLE ? LC_IN : 0u) | (events & UV_WRITABLE ? LC_OUT : 0u);
    report((struct slot *)poll, LC_EVENT_READY, bits, status < 0 ? status : 0);
}

static void on_async(uv_async_t *async)
{
    report((struct slot *)async, LC_EVENT_POSTED, 0, 0);
}

static void on_close(uv_handle_t *handle)
{
    report((struct slot *)handle, LC_EVENT_CLOSED, 0, 0);
}

/* ---- streams: a pipe for an AF_UNIX socket, else TCP ------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    static char bytes[1 << 16]; /* libuv reads one stream after the other */
    (void)handle, (void)suggested;
    *buffer = uv_buf_init(bytes, sizeof bytes);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct slot *slot = (struct slot *)stream;
    if (size == 0) /* nothing there after all */
        return;
    slot->is_over |= size < 0;
    if (size > 0)
        report_seen((struct lc_seen){
            .handle = slot->handle, .event = LC_EVENT_DATA, .data = buffer->base, .size = (size_t)size});
    else
        report(slot, size == UV_EOF ? LC_EVENT_EOF : LC_EVENT_LOST, 0, size == UV_EOF ? 0 : (int)size);
}

/* A failed write is not the end of a libuv stream: reading will tell. */
static void on_written(uv_write_t *write, int status)
{
    (void)status;
    free((struct pending *)write);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)status;
    free(request);
}

static int open_stream(struct slot *slot, int fd)
{
    bool is_pipe = uv_guess_handle(fd) == UV_NAMED_PIPE;
    int error = is_pipe ? uv_pipe_init(&driver.loop, &slot->uv.pipe, 0) : uv_tcp_init(&driver.loop, &slot->uv.tcp);
    if (error == 0)
        error = is_pipe ? uv_pipe_open(&slot->uv.pipe, fd) : uv_tcp_open(&slot->uv.tcp, fd);
    return error < 0 ? error : uv_read_start(&slot->uv.stream, on_alloc, on_read);
}

/* ---- servers and connects ---------------------------------------------------------------------- */

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

/* The name of one side of a socket; 0 when it has none any more. */
static uint16_t port_of(int (*name)(const uv_tcp_t *, struct sockaddr *, int *), const struct slot *slot)
{
    struct sockaddr_in address = {0};
    int size = sizeof address;
    return name(&slot->uv.tcp, (struct sockaddr *)&address, &size) < 0 ? 0 : ntohs(address.sin_port);
}

/* Reading begins before MADE, which may pause it. */
static void begin_stream(struct slot *slot, uint16_t port)
{
    uv_os_fd_t fd = -1;
    uv_fileno(&slot->uv.handle, &fd);
    uv_read_start(&slot->uv.stream, on_alloc, on_read);
    report_seen((struct lc_seen){.handle = slot->handle, .event = LC_EVENT_MADE, .bits = port, .fd = fd});
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct slot *server = (struct slot *)stream, *slot;
    if (status < 0 || server->left == 0)
        return;
    report(server, LC_EVENT_FACTORY, 0, 0);
    if (uv_is_closing(&server->uv.handle))
        return;
    slot = &driver.slots[server->next];
    slot->handle = server->next++;
    server->left--;
    uv_tcp_init(&driver.loop, &slot->uv.tcp);
    uv_accept(stream, &slot->uv.stream);
    begin_stream(slot, port_of(uv_tcp_getpeername, slot));
}

static int64_t listen_anywhere(struct slot *slot, const struct lc_op *op)
{
    const struct sockaddr_in address = loopback(0);
    slot->handle = op->a;
    slot->next = op->b;
    slot->left = (uint8_t)op->n;
    int error = uv_tcp_init(&driver.loop, &slot->uv.tcp);
    if (error == 0)
        error = uv_tcp_bind(&slot->uv.tcp, (const struct sockaddr *)&address, 0);
    if (error == 0)
        error = uv_listen(&slot->uv.stream, BACKLOG, on_connection);
    return error < 0 ? error : port_of(uv_tcp_getsockname, slot);
}

/* A handle that is closed while it connects is told so; nobody else is. */
static void on_connect(uv_connect_t *request, int status)
{
    struct slot *slot = (struct slot *)request->handle;
    free(request);
    if (status == 0)
        begin_stream(slot, port_of(uv_tcp_getsockname, slot));
    if (!uv_is_closing(&slot->uv.handle))
        report(slot, LC_EVENT_DONE, 0, status);
}

static int connect_to(struct slot *slot, const struct lc_op *op)
{
    const struct sockaddr_in address = loopback((uint16_t)op->arg);
    uv_connect_t *request = malloc(sizeof *request);
    slot->handle = op->a;
    int error = request == NULL ? UV_ENOMEM : uv_tcp_init(&driver.loop, &slot->uv.tcp);
    if (error == 0)
        error = uv_tcp_connect(request, &slot->uv.tcp, (const struct sockaddr *)&address, on_connect);
    if (error < 0)
        free(request);
    return error;
}

/* ---- datagrams: the socket is connected, which uv_udp_open() sees ------------------------------- */

/* No address: nothing was there after all. */
static void on_datagram(uv_udp_t *udp, ssize_t size, const uv_buf_t *buffer, const struct sockaddr *from,
                        unsigned flags)
{
    struct slot *slot = (struct slot *)udp;
    (void)flags;
    if (size < 0)
        report(slot, LC_EVENT_REFUSED, 0, (int)size);
    else if (from != NULL)
        report_seen((struct lc_seen){
            .handle = slot->handle, .event = LC_EVENT_DATAGRAM, .data = buffer->base, .size = (size_t)size});
}

static void on_sent(uv_udp_send_t *send, int status)
{
    const struct slot *slot = (struct slot *)send->handle;
    driver.is_in_sent = true;
    if (status < 0 && !uv_is_closing(&slot->uv.handle))
        report(slot, LC_EVENT_REFUSED, 0, status);
    driver.is_in_sent = false;
    free((struct sending *)send);
}

static int open_endpoint(struct slot *slot, const struct lc_op *op)
{
    slot->handle = op->a;
    int error = uv_udp_init(&driver.loop, &slot->uv.udp);
    if (error == 0)
        error = uv_udp_open(&slot->uv.udp, (int)op->arg);
    return error < 0 ? error : uv_udp_recv_start(&slot->uv.udp, on_alloc, on_datagram);
}

/* One that is too large fails all that are sent in one go with it (libuv#3129, docs/findings/libuv.md). So it is
 * refused here, unless it is tried alone and at once. */
static bool spoils_others(const struct slot *slot, size_t bytes)
{
    return bytes > DATAGRAM_BYTES_MAX && (driver.is_in_sent || uv_udp_get_send_queue_count(&slot->uv.udp) > 0);
}

static int send_datagram(struct slot *slot, const struct lc_op *op)
{
    if (spoils_others(slot, op->n))
        return UV_EMSGSIZE;
    struct sending *sending = malloc(sizeof *sending + op->n);
    if (sending == NULL)
        return UV_ENOMEM;
    memcpy(sending->bytes, (const void *)(uintptr_t)op->arg, op->n);
    const uv_buf_t buffer = uv_buf_init(sending->bytes, op->n);
    int error = uv_udp_send(&sending->send, &slot->uv.udp, &buffer, 1, NULL, on_sent);
    if (error < 0)
        free(sending);
    return error;
}

/* WRITELINES in three pieces, the second of them empty. */
static int write_bytes(struct slot *slot, const struct lc_op *op)
{
    struct pending *pending = malloc(sizeof *pending + op->n);
    const unsigned cut = op->op == LC_OP_WRITELINES ? op->n / 3u : 0;
    if (pending == NULL)
        return UV_ENOMEM;
    memcpy(pending->bytes, (const void *)(uintptr_t)op->arg, op->n);
    const uv_buf_t pieces[] = {uv_buf_init(pending->bytes, cut), uv_buf_init(pending->bytes, 0),
                               uv_buf_init(pending->bytes + cut, op->n - cut)};
    const bool is_whole = op->op == LC_OP_WRITE;
    int error = uv_write(&pending->write, &slot->uv.stream, pieces + (is_whole ? 2 : 0), is_whole ? 1 : 3, on_written);
    if (error < 0)
        free(pending);
    return error;
}

static int write_eof(struct slot *slot)
{
    uv_shutdown_t *request = malloc(sizeof *request);
    int error = request == NULL ? UV_ENOMEM : uv_shutdown(request, &slot->uv.stream, on_shutdown);
    if (error < 0)
        free(request);
    return error;
}

static int use_stream(struct slot *slot, const struct lc_op *op)
{
    switch (op->op) {
    case LC_OP_STREAM:
        slot->handle = op->a;
        return open_stream(slot, (int)op->arg);
    case LC_OP_WRITE:
    case LC_OP_WRITELINES:
        return write_bytes(slot, op);
    case LC_OP_WRITE_EOF:
        return write_eof(slot);
    case LC_OP_PAUSE:
        return uv_read_stop(&slot->uv.stream);
    default: /* LC_OP_RESUME */
        return slot->is_over ? 0 : uv_read_start(&slot->uv.stream, on_alloc, on_read);
    }
}

static int start(struct slot *slot, const struct lc_op *op)
{
    uint64_t now_ms = uv_now(&driver.loop), delay_ms = op->arg / NS_A_MS;
    bool is_absolute = op->op == LC_OP_AT || (op->op == LC_OP_REARM && op->flags);

    switch (slot->handle >> 4) {
    case LC_KIND_SOON:
        return uv_timer_start(&slot->uv.timer, on_timer, 0, 0);
    case LC_KIND_TIMER:
        if (is_absolute) /* a deadline in ns, rounded up; libuv wants what is left of it */
            delay_ms = op->arg / NS_A_MS + (op->arg % NS_A_MS != 0);
        if (is_absolute)
            delay_ms = delay_ms > now_ms ? delay_ms - now_ms : 0;
        return uv_timer_start(&slot->uv.timer, on_timer, delay_ms, 0);
    default:
        return uv_poll_start(&slot->uv.poll, slot->bits, on_poll);
    }
}

static int create(const struct lc_op *op)
{
    struct slot *slot = &driver.slots[op->a];
    int error;

    slot->handle = op->a;
    if (op->op == LC_OP_WAKER)
        return uv_async_init(&driver.loop, &slot->uv.async, on_async);
    if (op->op == LC_OP_WATCH) {
        slot->bits = (uint8_t)((op->flags & LC_IN ? UV_READABLE : 0) | (op->flags & LC_OUT ? UV_WRITABLE : 0));
        error = uv_poll_init(&driver.loop, &slot->uv.poll, (int)op->arg);
    } else {
        error = uv_timer_init(&driver.loop, &slot->uv.timer);
    }
    return error < 0 ? error : start(slot, op);
}

static int cancel(struct slot *slot)
{
    if (slot->handle >> 4 == LC_KIND_WATCH)
        return uv_poll_stop(&slot->uv.poll);
    return uv_timer_stop(&slot->uv.timer);
}

static int64_t apply(struct lc_driver *base, const struct lc_op *op)
{
    struct slot *slot = &driver.slots[op->a];
    (void)base;
    switch (op->op) {
    case LC_OP_OPEN:
        memset(driver.slots, 0, sizeof driver.slots);
        signal(SIGPIPE, SIG_IGN); /* libuv leaves that to its user */
        return uv_loop_init(&driver.loop);
    case LC_OP_CLOSE:
        return uv_loop_close(&driver.loop);
    case LC_OP_NOW:
        return (int64_t)(uv_now(&driver.loop) * NS_A_MS);
    case LC_OP_SOON:
    case LC_OP_TIMER:
    case LC_OP_AT:
    case LC_OP_WATCH:
    case LC_OP_WAKER:
        return create(op);
    case LC_OP_POST:
        return uv_async_send(&slot->uv.async);
    case LC_OP_CANCEL:
        return cancel(slot);
    case LC_OP_REARM:
        return start(slot, op);
    case LC_OP_DESTROY:
        uv_close(&slot->uv.handle, on_close);
        return 0;
    case LC_OP_STOP:
        uv_stop(&driver.loop);
        return 0;
    case LC_OP_RUN:
        uv_run(&driver.loop, UV_RUN_DEFAULT);
        return 0;
    case LC_OP_STEP:
        driver.is_once = (op->flags & LC_WAIT) != 0;
        uv_run(&driver.loop, driver.is_once ? UV_RUN_ONCE : UV_RUN_NOWAIT);
        driver.is_once = false;
        return 0;
    case LC_OP_STREAM:
    case LC_OP_WRITE:
    case LC_OP_WRITE_EOF:
    case LC_OP_PAUSE:
    case LC_OP_RESUME:
        return use_stream(slot, op);
    case LC_OP_DATAGRAM:
        return open_endpoint(slot, op);
    case LC_OP_SEND:
        return send_datagram(slot, op);
    case LC_OP_LISTEN:
        return listen_anywhere(slot, op);
    case LC_OP_CONNECT:
        return connect_to(slot, op);
    default:
        return -ENOSYS;
    }
}

struct lc_driver *driver_libuv(void)
{
    driver.base =
        (struct lc_driver){.abi = LC_DRIVER_ABI,
                           .name = "libuv",
                           .capabilities = LC_CAP_STOP | LC_CAP_COALESCE | LC_CAP_STREAM | LC_CAP_WRITE_EOF |
                                           LC_CAP_SERVER | LC_CAP_CONNECT | LC_CAP_WRITELINES | LC_CAP_DATAGRAM,
                           .promises = LC_PROMISE_FIFO | LC_PROMISE_ORDER | LC_PROMISE_TIES,
                           .tick_ns = NS_A_MS,
                           .apply = apply};
    return &driver.base;
}
