/* The driver libuv: datagrams. The socket is connected, which uv_udp_open() sees. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libuv.h"

enum { DATAGRAM_BYTES_MAX = 65507 };

/* One send under way, with its copy of the bytes. */
struct sending {
    uv_udp_send_t send;
    char bytes[];
};

/* No address: nothing was there after all. */
static void on_datagram(uv_udp_t *udp, ssize_t size, const uv_buf_t *buffer, const struct sockaddr *from,
                        unsigned flags)
{
    struct slot *slot = (struct slot *)udp;
    (void)flags;
    if (size < 0)
        libuv_report(slot, LC_EVENT_REFUSED, 0, (int)size);
    else if (from != NULL)
        libuv_report_seen((struct lc_seen){
            .handle = slot->handle, .event = LC_EVENT_DATAGRAM, .data = buffer->base, .size = (size_t)size});
}

static void on_sent(uv_udp_send_t *send, int status)
{
    const struct slot *slot = (struct slot *)send->handle;
    libuv.is_in_sent = true;
    if (status < 0 && !uv_is_closing(&slot->uv.handle))
        libuv_report(slot, LC_EVENT_REFUSED, 0, status);
    libuv.is_in_sent = false;
    free((struct sending *)send);
}

static int open_endpoint(struct slot *slot, const struct lc_op *op)
{
    slot->handle = op->a;
    int error = uv_udp_init(&libuv.loop, &slot->uv.udp);
    if (error == 0)
        error = uv_udp_open(&slot->uv.udp, (int)op->arg);
    return error < 0 ? error : uv_udp_recv_start(&slot->uv.udp, libuv_on_alloc, on_datagram);
}

/* One that is too large fails all that are sent in one go with it (libuv#3129, docs/findings/libuv.md). So it is
 * refused here, unless it is tried alone and at once. */
static bool spoils_others(const struct slot *slot, size_t bytes)
{
    return bytes > DATAGRAM_BYTES_MAX && (libuv.is_in_sent || uv_udp_get_send_queue_count(&slot->uv.udp) > 0);
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

int libuv_use_datagrams(struct slot *slot, const struct lc_op *op)
{
    switch (op->op) {
    case LC_OP_DATAGRAM:
        return open_endpoint(slot, op);
    case LC_OP_SEND:
        return send_datagram(slot, op);
    default:
        return -ENOSYS;
    }
}
