#include <errno.h>

#include "fake_sockets.h"

int64_t fake_call_begin(struct fake_loop *l, const struct lc_op *op)
{
    struct fake_slot *slot = &l->slots[op->a];
    const struct lc_send *send = op->op == LC_OP_SENDALL ? (const void *)(uintptr_t)op->arg : NULL;
    slot->call = op->op;
    slot->fd = send != NULL ? send->fd : (int)op->arg;
    slot->bytes = send != NULL ? send->bytes : NULL;
    slot->size = op->n;
    slot->state = FAKE_ARMED;
    slot->armed_seq = ++l->seq;
    return 0;
}

void fake_call_cancel(struct fake_loop *l, uint8_t handle)
{
    for (unsigned i = LC_KIND_REQUEST << 4; i < (LC_KIND_REQUEST + 1) << 4; i++)
        if (i == handle || (l->defect == FAKE_RECV_CANCELS_ALL && l->slots[i].call == LC_OP_RECV))
            l->slots[i].was_cancelled = true;
}

bool fake_call_is_due(struct fake_loop *l, uint8_t handle)
{
    const struct fake_slot *slot = &l->slots[handle];
    const unsigned ready = slot->call == LC_OP_TASK ? 0 : l->kernel.base.ready(&l->kernel, slot->fd);
    switch (slot->call) {
    case LC_OP_RECV:
        return l->defect != FAKE_RECV_SILENT &&
               (slot->was_cancelled || l->defect == FAKE_RECV_EMPTY || (ready & LC_IN) != 0);
    case LC_OP_SENDALL:
        return l->defect != FAKE_SEND_SILENT && (slot->was_cancelled || (ready & LC_OUT) != 0);
    default:
        return l->defect != FAKE_TASK_SILENT;
    }
}

static void done(struct fake_loop *l, uint8_t handle, int error, const void *bytes, size_t size)
{
    const struct lc_seen seen = {
        .handle = handle, .event = LC_EVENT_DONE, .error = error, .data = bytes, .size = error < 0 ? 0 : size};
    struct fake_slot *slot = &l->slots[handle];
    const bool is_twice = (slot->call == LC_OP_RECV && l->defect == FAKE_RECV_TWICE) ||
                          (slot->call == LC_OP_TASK && l->defect == FAKE_TASK_TWICE);
    slot->state = FAKE_IDLE;
    fake_loop_call(l, &seen);
    if (is_twice && slot->state == FAKE_IDLE)
        fake_loop_call(l, &seen);
}

static void receive(struct fake_loop *l, uint8_t handle)
{
    const struct fake_slot *slot = &l->slots[handle];
    uint8_t buffer[FAKE_BUFFER_BYTES];
    const size_t room = l->defect == FAKE_RECV_TOO_MUCH || slot->size > sizeof buffer ? sizeof buffer : slot->size;
    int64_t got = slot->was_cancelled ? -ECANCELED : fake_kernel_read(&l->kernel, slot->fd, buffer, room);
    if (got == -EINTR || (got == -EAGAIN && l->defect != FAKE_RECV_EMPTY))
        return;
    if (got == -EAGAIN)
        got = 0;
    if (got > 0 && l->defect == FAKE_RECV_FOREIGN)
        buffer[0] ^= 1;
    done(l, handle, got < 0 ? (int)got : 0, buffer, (size_t)got);
}

static void send_on(struct fake_loop *l, uint8_t handle)
{
    struct fake_slot *slot = &l->slots[handle];
    const int64_t sent =
        slot->was_cancelled ? -ECANCELED : fake_kernel_write(&l->kernel, slot->fd, slot->bytes, slot->size);
    if (sent == -EINTR || sent == -EAGAIN)
        return;
    if (sent < 0) {
        done(l, handle, (int)sent, NULL, 0);
        return;
    }
    if (l->defect != FAKE_SEND_TWICE || sent == slot->size) {
        slot->bytes += sent;
        slot->size = (uint16_t)(slot->size - sent);
    }
    if (slot->size == 0 || l->defect == FAKE_SEND_SHORT)
        done(l, handle, 0, NULL, 0);
}

void fake_call_run(struct fake_loop *l, uint8_t handle)
{
    struct fake_slot *slot = &l->slots[handle];
    if (slot->call == LC_OP_RECV)
        receive(l, handle);
    else if (slot->call == LC_OP_SENDALL)
        send_on(l, handle);
    else if (slot->was_cancelled && l->defect != FAKE_TASK_DEAF)
        done(l, handle, -ECANCELED, NULL, 0);
    else if (slot->size-- == 0)
        done(l, handle, l->defect == FAKE_TASK_CANCELS ? -ECANCELED : 0, NULL, 0);
}
