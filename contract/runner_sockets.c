/* Ops on servers, listeners and the connections that they make, and the guards before them. */
#include <errno.h>

#include "runner_datagrams.h"
#include "runner_streams.h"

enum { CLIENTS_MAX = 4 }; /* of a server that was asked for no number */

static uint8_t end_of(uint8_t stream)
{
    return (uint8_t)(LC_KIND_END << 4 | (stream & 15));
}

/* ---- who is connected to whom --------------------------------------------------------------- */

static void join(struct runner *r, uint8_t fd, uint8_t end)
{
    r->handles[fd].peer = end;
    r->handles[end].peer = fd;
    lc_runner_record_op(r, LC_OP_TCP, fd, end, 0, 0);
}

/* Finds a handle of a kind that is an end of the connection of this port and has no other end yet; the latest one,
 * since ports come again. Connections through two listeners may have the same. */
static uint8_t find_lone(const struct runner *r, unsigned kind, uint16_t port, uint8_t via)
{
    for (size_t i = r->used_count; i-- > 0;) {
        const struct handle *h = &r->handles[r->used[i]];
        if (r->used[i] >> 4 == kind && h->via == via && h->port == port && h->peer == 0)
            return r->used[i];
    }
    return 0;
}

/* Of a connection that was reset before the loop looked at it, the loop cannot tell the port any more. */
static uint8_t find_gone(const struct runner *r, uint8_t server)
{
    for (size_t i = 0; i < r->used_count && server != 0; i++) {
        const struct handle *h = &r->handles[r->used[i]];
        if (r->used[i] >> 4 == LC_KIND_FD && h->server == server && h->state == CLOSED && h->peer == 0)
            return r->used[i];
    }
    return 0;
}

/* The loop tells of a connection: its end, and the other one if the runner has it. */
static void connect_end(struct runner *r, uint8_t end, const struct lc_seen *seen)
{
    const uint16_t port = (uint16_t)seen->bits;
    const uint8_t server = lc_runner_at(r, seen->handle)->server;
    const uint8_t other = port != 0 ? find_lone(r, LC_KIND_FD, port, r->handles[end].via) : find_gone(r, server);
    r->handles[end].fd = seen->fd;
    r->handles[end].port = port;
    if (r->kernel->send_at_once != NULL)
        r->kernel->send_at_once(r->kernel->self, seen->fd);
    if (other != 0)
        join(r, other, end);
    lc_runner_record_fd(r, end);
}

/* The loop may go on with a duplicate, and the number that it was given be another file's. What it tells is believed of
 * the same file alone. */
static void note_duplicate(struct runner *r, struct handle *end, int fd)
{
    if (fd > 0 && fd != end->fd && r->kernel->identity(r->kernel->self, fd) == end->identity)
        end->fd = fd;
}

void lc_runner_note_made(struct runner *r, const struct lc_seen *seen)
{
    struct handle *h = lc_runner_at(r, seen->handle);
    const uint8_t end = end_of(seen->handle);
    if (seen->handle >> 4 != LC_KIND_STREAM)
        return;
    if (h->is_connecting)
        connect_end(r, end, seen);
    else if (h->state == ARMED)
        note_duplicate(r, &r->handles[h->fd_handle], seen->fd);
    if (h->state != FREE || h->server == 0)
        return;
    *h = (struct handle){.state = ARMED, .fd_handle = end, .server = h->server};
    r->handles[end] = (struct handle){.state = ARMED, .stream = seen->handle, .via = h->server};
    lc_runner_note_used(r, seen->handle);
    lc_runner_note_used(r, end);
    connect_end(r, end, seen);
    lc_runner_record_op(r, LC_OP_STREAM, seen->handle, end, 0, 0);
}

void lc_runner_note_done(struct runner *r, const struct lc_seen *seen)
{
    struct handle *h = lc_runner_at(r, seen->handle);
    h->is_connecting = false;
    if (seen->error == 0 || h->is_made)
        return;
    h->state = h->state == ARMED ? IDLE : h->state;
    r->handles[h->fd_handle].state = CLOSED;
}

bool lc_runner_is_client_waiting(const struct runner *r, const struct handle *fd)
{
    unsigned waiting = 0;
    if (fd->server == 0 || fd->peer != 0 || fd->state != ARMED || r->handles[fd->server].state != ARMED)
        return false;
    for (size_t i = 0; i < r->used_count; i++) {
        const struct handle *other = &r->handles[r->used[i]];
        waiting += r->used[i] >> 4 == LC_KIND_FD && other->server == fd->server && other->peer == 0;
    }
    return waiting > r->handles[fd->server].refused;
}

void lc_runner_hold_port(struct runner *r, struct handle *h)
{
    if (h->port == 0 || r->kernel->hold == NULL || r->held_count == LC_PORTS_MAX)
        return;
    int fd = r->kernel->hold(r->kernel->self, h->port);
    if (fd >= 0)
        r->held[r->held_count++] = fd;
    else
        h->port = 0; /* another process was faster, and would be met there */
}

/* The system may give a port again as soon as it is free. */
static void forget_port(struct runner *r, uint16_t port)
{
    for (size_t i = 0; i < r->used_count; i++) {
        struct handle *h = &r->handles[r->used[i]];
        if ((h->is_listener || r->used[i] >> 4 == LC_KIND_SERVER) && h->port == port)
            h->port = 0;
    }
}

/* ---- servers ---------------------------------------------------------------------------------- */

/* Keeps the streams from this one on for those who connect; returns how many. */
static uint8_t keep_streams(struct runner *r, uint8_t server, uint8_t first, unsigned count)
{
    unsigned kept = 0;
    while (kept < count && (first & 15u) + kept <= 15 && r->handles[first + kept].state == FREE &&
           r->handles[first + kept].server == 0)
        lc_runner_at(r, (uint8_t)(first + kept++))->server = server;
    return (uint8_t)kept;
}

static bool do_listen(struct runner *r, struct lc_op op)
{
    struct handle *h = &r->handles[op.a];
    if (h->state != FREE || !lc_runner_has(r, LC_CAP_SERVER) || r->kernel->listen == NULL)
        return false;
    op.n = keep_streams(r, op.a, op.b, op.n ? op.n : CLIENTS_MAX);
    if (op.n == 0)
        return false;
    *h = (struct handle){.state = ARMED, .room = (uint8_t)op.n};
    int64_t port = lc_runner_apply_recorded(r, op, op.b, 0);
    if (port < 0)
        h->state = IDLE;
    forget_port(r, (uint16_t)(port < 0 ? 0 : port));
    h->port = (uint16_t)(port < 0 ? 0 : port);
    return port >= 0;
}

static bool do_client(struct runner *r, const struct lc_op *op)
{
    struct handle *h = &r->handles[op->a], *server = &r->handles[op->b];
    uint16_t port = 0;
    if (h->state != FREE || server->port == 0 || server->state == CLOSING ||
        (server->state == ARMED && server->room == 0))
        return false;
    int fd = r->kernel->connect(r->kernel->self, server->port, &port);
    lc_runner_record_op(r, LC_OP_CLIENT, op->a, op->b, 0, fd);
    if (fd < 0)
        return false;
    if (server->room > 0)
        server->room--;
    *h = (struct handle){.state = ARMED, .fd = fd, .port = port, .server = op->b, .via = op->b};
    return true;
}

/* ---- connects --------------------------------------------------------------------------------- */

static bool do_backlog(struct runner *r, const struct lc_op *op)
{
    struct handle *h = &r->handles[op->a];
    uint16_t port = 0;
    if (h->state != FREE || r->kernel->listen == NULL)
        return false;
    int fd = r->kernel->listen(r->kernel->self, &port);
    if (fd < 0)
        return false;
    forget_port(r, port);
    *h = (struct handle){.state = ARMED, .fd = fd, .port = port, .is_listener = true};
    lc_runner_record_op(r, LC_OP_BACKLOG, op->a, 0, 0, 0);
    return true;
}

/* Also to a listener that is closed, so that it is refused. */
static bool do_connect(struct runner *r, struct lc_op op)
{
    struct handle *h = &r->handles[op.a];
    const struct handle *listener = &r->handles[op.b];
    const uint8_t end = end_of(op.a);
    if (h->state != FREE || h->server != 0 || !listener->is_listener || listener->port == 0 ||
        !lc_runner_has(r, LC_CAP_CONNECT))
        return false;
    *h = (struct handle){.state = ARMED, .fd_handle = end, .is_connecting = true};
    r->handles[end] = (struct handle){.state = ARMED, .fd = -1, .stream = op.a, .via = op.b};
    lc_runner_note_used(r, end);
    op.arg = listener->port;
    lc_runner_record_op(r, LC_OP_CONNECT, op.a, end, op.b, 0); /* before it is applied: DONE may come inside the call */
    int64_t result = lc_runner_apply(r, op);
    if (result >= 0)
        return true;
    lc_runner_record_op(r, LC_OP_CONNECT, op.a, end, op.b, result);
    h->state = IDLE;
    h->is_connecting = false;
    r->handles[end].state = CLOSED;
    return false;
}

bool lc_runner_cancel_connect(struct runner *r, uint8_t stream)
{
    struct handle *h = &r->handles[stream];
    if (h->state != ARMED || !h->is_connecting || h->was_cancelled || !lc_runner_has(r, LC_CAP_CANCEL))
        return false;
    h->was_cancelled = true;
    lc_runner_record_op(r, LC_OP_CANCEL, stream, 0, 0, 0); /* before it is applied, as the connect is */
    return lc_runner_apply(r, (struct lc_op){.op = LC_OP_CANCEL, .a = stream}) >= 0;
}

static bool do_accept(struct runner *r, const struct lc_op *op)
{
    struct handle *h = &r->handles[op->a], *listener = &r->handles[op->b];
    uint16_t port = 0;
    if (h->state != FREE || listener->state != ARMED || !listener->is_listener)
        return false;
    int fd = r->kernel->accept(r->kernel->self, listener->fd, &port);
    if (fd < 0)
        return false;
    *h = (struct handle){.state = ARMED, .fd = fd, .port = port, .via = op->b};
    lc_runner_record_op(r, LC_OP_ACCEPT, op->a, op->b, 0, 0);
    const uint8_t end = find_lone(r, LC_KIND_END, port, op->b);
    if (end != 0)
        join(r, op->a, end);
    return true;
}

bool lc_runner_execute_sockets(struct runner *r, const struct lc_op *op)
{
    switch (op->op) {
    case LC_OP_LISTEN:
        return do_listen(r, *op);
    case LC_OP_CLIENT:
        return do_client(r, op);
    case LC_OP_BACKLOG:
        return do_backlog(r, op);
    case LC_OP_CONNECT:
        return do_connect(r, *op);
    case LC_OP_ACCEPT:
        return do_accept(r, op);
    default:
        return lc_runner_execute_datagrams(r, op);
    }
}
