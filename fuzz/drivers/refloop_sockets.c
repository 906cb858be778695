/* The drivers refloop_sim and refloop_epoll: servers. The listener is made by the runner's kernel, as the loop makes
 * none. */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "kernel.h"
#include "refloop_driver.h"

static const struct lc_kernel *kernel_of(const struct refloop_driver *d)
{
    return d->base.kernel != NULL ? d->base.kernel : lc_kernel_posix();
}

/* 0 when it has none any more. */
static uint16_t peer_port(const struct refloop_driver *d, int fd)
{
    struct sockaddr_in peer = {0};
    socklen_t size = sizeof peer;
    if (d->sim != NULL)
        return d->sim->fds[fd].port;
    return getpeername(fd, (struct sockaddr *)&peer, &size) < 0 ? 0 : ntohs(peer.sin_port);
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
    refloop_report_seen(stream, (struct lc_seen){.event = LC_EVENT_MADE, .bits = peer_port(d, fd), .fd = fd});
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

int64_t refloop_use_sockets(struct refloop_driver *d, const struct lc_op *op)
{
    return op->op == LC_OP_LISTEN ? listen_anywhere(d, op) : -ENOSYS;
}
