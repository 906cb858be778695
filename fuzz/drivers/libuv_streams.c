/* The driver libuv: streams, servers and connects. A stream is a pipe for an AF_UNIX socket, else TCP. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "libuv.h"

enum { BACKLOG = 128 };

/* One write under way, with its copy of the bytes. */
struct pending {
    uv_write_t write;
    char bytes[];
};

/* ---- streams ------------------------------------------------------------------------------- */

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct slot *slot = (struct slot *)stream;
    if (size == 0) /* nothing there after all */
        return;
    slot->is_over |= size < 0;
    if (size > 0)
        libuv_report_seen((struct lc_seen){
            .handle = slot->handle, .event = LC_EVENT_DATA, .data = buffer->base, .size = (size_t)size});
    else
        libuv_report(slot, size == UV_EOF ? LC_EVENT_EOF : LC_EVENT_LOST, 0, size == UV_EOF ? 0 : (int)size);
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
    int error = is_pipe ? uv_pipe_init(&libuv.loop, &slot->uv.pipe, 0) : uv_tcp_init(&libuv.loop, &slot->uv.tcp);
    if (error == 0)
        error = is_pipe ? uv_pipe_open(&slot->uv.pipe, fd) : uv_tcp_open(&slot->uv.tcp, fd);
    return error < 0 ? error : uv_read_start(&slot->uv.stream, libuv_on_alloc, on_read);
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
    uv_read_start(&slot->uv.stream, libuv_on_alloc, on_read);
    libuv_report_seen((struct lc_seen){.handle = slot->handle, .event = LC_EVENT_MADE, .bits = port, .fd = fd});
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct slot *server = (struct slot *)stream, *slot;
    if (status < 0 || server->left == 0)
        return;
    libuv_report(server, LC_EVENT_FACTORY, 0, 0);
    if (uv_is_closing(&server->uv.handle))
        return;
    slot = &libuv.slots[server->next];
    slot->handle = server->next++;
    server->left--;
    uv_tcp_init(&libuv.loop, &slot->uv.tcp);
    uv_accept(stream, &slot->uv.stream);
    begin_stream(slot, port_of(uv_tcp_getpeername, slot));
}

static int64_t listen_anywhere(struct slot *slot, const struct lc_op *op)
{
    const struct sockaddr_in address = loopback(0);
    slot->handle = op->a;
    slot->next = op->b;
    slot->left = (uint8_t)op->n;
    int error = uv_tcp_init(&libuv.loop, &slot->uv.tcp);
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
        libuv_report(slot, LC_EVENT_DONE, 0, status);
}

static int connect_to(struct slot *slot, const struct lc_op *op)
{
    const struct sockaddr_in address = loopback((uint16_t)op->arg);
    uv_connect_t *request = malloc(sizeof *request);
    slot->handle = op->a;
    int error = request == NULL ? UV_ENOMEM : uv_tcp_init(&libuv.loop, &slot->uv.tcp);
    if (error == 0)
        error = uv_tcp_connect(request, &slot->uv.tcp, (const struct sockaddr *)&address, on_connect);
    if (error < 0)
        free(request);
    return error;
}

int64_t libuv_use_streams(struct slot *slot, const struct lc_op *op)
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
    case LC_OP_RESUME:
        return slot->is_over ? 0 : uv_read_start(&slot->uv.stream, libuv_on_alloc, on_read);
    case LC_OP_LISTEN:
        return listen_anywhere(slot, op);
    case LC_OP_CONNECT:
        return connect_to(slot, op);
    default:
        return libuv_use_datagrams(slot, op);
    }
}
