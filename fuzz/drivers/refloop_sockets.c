/* The drivers refloop_sim and refloop_epoll: servers and connects. The listener is made by the runner's kernel, as the
 * loop makes none. */
#define _GNU_SOURCE /* SOCK_NONBLOCK */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "kernel.h"
#include "kernels/sim_files.h"
#include "refloop_driver.h"

static const struct lc_kernel *kernel_of(const struct refloop_driver *d)
{
    return d->base.kernel != NULL ? d->base.kernel : lc_kernel_posix();
}

/* The port of the end that connected, as getpeername or getsockname tells it; 0 when it has none any more. */
static uint16_t port_of(const struct refloop_driver *d, int fd, bool is_peer)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    if (d->sim != NULL)
        return d->sim->fds[fd].port;
    const int result = is_peer ? getpeername(fd, (struct sockaddr *)&address, &size)
                               : getsockname(fd, (struct sockaddr *)&address, &size);
    return result < 0 ? 0 : ntohs(address.sin_port);
}

static bool on_accepted(rl_server *server, void *arg, int fd)
{
    struct slot *slot = arg;
    struct refloop_driver *d = slot->driver;
    (void)server;
    if (slot->left == 0)
        return false;
    refloop_report_seen(slot, (struct lc_seen){.event = LC_EVENT_FACTORY});
    if (slot->server == NULL) /* destroyed meanwhile */
        return false;
    const struct slot *stream = &d->slots[slot->next];
    slot->left--;
    if (refloop_open_stream(d, slot->next++, fd) < 0)
        return false;
    refloop_report_seen(stream, (struct lc_seen){.event = LC_EVENT_MADE, .bits = port_of(d, fd, true), .fd = fd});
    return true;
}

static int64_t listen_anywhere(struct refloop_driver *d, const struct lc_op *op)
{
    static const struct rl_server_callbacks callbacks = {.accepted = on_accepted};
    const struct lc_kernel *kernel = kernel_of(d);
    struct slot *slot = &d->slots[op->a];
    uint16_t port = 0;
    const int fd = kernel->listen(kernel->self, &port);
    *slot = (struct slot){.driver = d, .handle = op->a, .next = op->b, .left = (uint8_t)op->n};
    if (fd < 0)
        return fd;
    const int error = rl_server_open(d->loop, fd, &callbacks, slot, &slot->server);
    if (error < 0)
        kernel->close(kernel->self, fd, false);
    return error < 0 ? error : port;
}

void refloop_report_made(const struct slot *slot)
{
    const uint16_t port = port_of(slot->driver, slot->fd, false);
    refloop_report_seen(slot, (struct lc_seen){.event = LC_EVENT_MADE, .bits = port, .fd = slot->fd});
}

static int new_socket(struct refloop_driver *d)
{
    if (d->sim != NULL)
        return sim_socket(d->sim);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int connect_to(struct refloop_driver *d, const struct lc_op *op)
{
    const struct lc_kernel *kernel = kernel_of(d);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)op->arg)};
    struct slot *slot = &d->slots[op->a];
    *slot = (struct slot){.driver = d, .handle = op->a, .is_connecting = true, .fd = new_socket(d)};
    if (slot->fd < 0)
        return slot->fd;
    const int error =
        rl_stream_connect(d->loop, slot->fd, &address, sizeof address, &refloop_stream_callbacks, slot, &slot->stream);
    if (error < 0)
        kernel->close(kernel->self, slot->fd, false);
    return error;
}

int64_t refloop_use_sockets(struct refloop_driver *d, const struct lc_op *op)
{
    switch (op->op) {
    case LC_OP_LISTEN:
        return listen_anywhere(d, op);
    case LC_OP_CONNECT:
        return connect_to(d, op);
    default:
        return -ENOSYS;
    }
}
