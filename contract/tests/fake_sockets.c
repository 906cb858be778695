#include "fake_sockets.h"

#include <errno.h>

static void arm(struct fake_loop *l, uint8_t handle)
{
    l->slots[handle].state = FAKE_ARMED;
    l->slots[handle].armed_seq = ++l->seq;
}

static void call_made(struct fake_loop *l, uint8_t handle, int fd, uint16_t port)
{
    fake_loop_call(l, &(struct lc_seen){.handle = handle, .event = LC_EVENT_MADE, .bits = port, .fd = fd});
}

/* ---- servers ---------------------------------------------------------------------------------- */

int64_t fake_server_listen(struct fake_loop *l, const struct lc_op *op)
{
    uint16_t port = 0;
    struct fake_slot *slot = &l->slots[op->a];
    slot->fd = fake_kernel_listen(&l->kernel, &port);
    slot->next = op->b;
    slot->left = op->n;
    arm(l, op->a);
    return slot->fd < 0 ? slot->fd : port;
}

bool fake_server_is_due(struct fake_loop *l, uint8_t handle)
{
    const struct fake_slot *slot = &l->slots[handle];
    if (l->defect == FAKE_SERVER_DEAF || (l->defect == FAKE_SERVER_SERVES_ONE && l->accepted > 0))
        return false;
    return slot->left > 0 && (l->kernel.base.ready(&l->kernel, slot->fd) & LC_IN) != 0;
}

static void begin(struct fake_loop *l, struct fake_slot *server, int fd, uint16_t port)
{
    const uint8_t handle = server->next++;
    server->left--;
    arm(l, handle);
    fake_stream_begin(l, handle, fd);
    call_made(l, handle, fd, port);
}

void fake_server_run(struct fake_loop *l, uint8_t handle)
{
    struct fake_slot *slot = &l->slots[handle];
    uint16_t port = 0;
    int fd = fake_kernel_accept(&l->kernel, slot->fd, &port);
    if (fd < 0)
        return;
    l->accepted++;
    fake_loop_call(l, &(struct lc_seen){.handle = handle, .event = LC_EVENT_FACTORY});
    if (l->raised != LC_RAISE_NONE || slot->state != FAKE_ARMED) {
        l->kernel.base.close(&l->kernel, fd, false);
        return;
    }
    begin(l, slot, fd, port);
    if (l->defect == FAKE_SERVER_MAKES_TWO && slot->left > 0 && slot->state == FAKE_ARMED)
        begin(l, slot, fake_kernel_open(&l->kernel), port);
}

/* ---- connects --------------------------------------------------------------------------------- */

int64_t fake_connect(struct fake_loop *l, const struct lc_op *op)
{
    struct fake_stream *s = &l->streams[op->a & 15];
    fake_stream_begin(l, op->a, -1);
    s->is_connecting = true;
    s->port = (uint16_t)op->arg;
    arm(l, op->a);
    return 0;
}

void fake_connect_cancel(struct fake_loop *l, uint8_t handle)
{
    for (uint8_t i = 0; i < 16; i++)
        if (i == (handle & 15) || l->defect == FAKE_CONNECT_CANCELS_ALL)
            l->streams[i].was_cancelled |= l->streams[i].is_connecting;
}

static int try_to_connect(struct fake_loop *l, const struct fake_stream *s, uint16_t *own_port)
{
    if (s->was_cancelled)
        return -ECANCELED;
    if (l->defect == FAKE_CONNECT_FAILS)
        return -ECONNREFUSED;
    int fd = fake_kernel_connect(&l->kernel, s->port, own_port);
    return fd < 0 && l->defect == FAKE_CONNECT_TO_NOBODY ? fake_kernel_open(&l->kernel) : fd;
}

void fake_connect_run(struct fake_loop *l, uint8_t handle)
{
    struct fake_stream *s = &l->streams[handle & 15];
    uint16_t port = 0;
    int fd = try_to_connect(l, s, &port);
    const struct lc_seen done = {.handle = handle, .event = LC_EVENT_DONE, .error = fd < 0 ? fd : 0};
    s->is_connecting = false;
    s->fd = fd < 0 ? -1 : fd;
    if (fd < 0)
        l->slots[handle].state = FAKE_IDLE;
    if (l->defect == FAKE_CONNECT_DONE_FIRST)
        fake_loop_call(l, &done);
    if (fd >= 0)
        call_made(l, handle, fd, port);
    if (l->defect != FAKE_CONNECT_DONE_FIRST && l->slots[handle].state < FAKE_CLOSING)
        fake_loop_call(l, &done);
    if (l->defect == FAKE_CONNECT_TWICE && l->slots[handle].state < FAKE_CLOSING)
        fake_loop_call(l, &done);
}
