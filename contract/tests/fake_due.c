/* What of the fake loop is due, and in which order. */
#include <stdlib.h>

#include "fake_loop.h"
#include "fake_sockets.h"

enum { EARLY_NS = 500 };

uint64_t fake_loop_early_ns(const struct fake_loop *l)
{
    return l->defect == FAKE_TIMER_EARLY ? EARLY_NS : 0;
}

static unsigned watch_bits(struct fake_loop *l, struct fake_slot *slot)
{
    unsigned ready = l->kernel.base.ready(&l->kernel, slot->fd), asked = slot->bits | LC_HUP | LC_ERR;
    bool was_ready = slot->was_ready;
    slot->was_ready = (ready & slot->bits) != 0;
    if (l->defect == FAKE_WATCH_NOT_READY)
        return slot->bits;
    if (!slot->was_ready || (was_ready && l->defect == FAKE_WATCH_EDGE))
        return 0;
    return l->defect == FAKE_WATCH_REPORTS_ALL ? ready : ready & asked;
}

static bool is_due(struct fake_loop *l, struct fake_item *item)
{
    struct fake_slot *slot = &l->slots[item->handle];
    unsigned kind = item->handle >> 4;
    item->armed_seq = slot->armed_seq;
    item->key[0] = slot->state == FAKE_CLOSING ? 0 : kind;
    item->key[1] = kind == LC_KIND_TIMER && l->defect != FAKE_TIMER_BY_ARMING ? slot->deadline_ns : 0;
    item->key[2] = slot->armed_seq;
    if ((kind == LC_KIND_SOON && l->defect == FAKE_SOON_LIFO) ||
        (kind == LC_KIND_TIMER && l->defect == FAKE_TIMER_TIES_REVERSED))
        item->key[2] = UINT64_MAX - item->key[2];
    if (slot->state != FAKE_ARMED)
        return slot->state == FAKE_CLOSING && l->defect != FAKE_CLOSED_NEVER;
    if (kind == LC_KIND_TIMER)
        return slot->deadline_ns <= l->kernel.now_ns + fake_loop_early_ns(l);
    if (kind == LC_KIND_WAKER)
        return slot->posts > 0 && !(l->is_asleep && l->defect == FAKE_POST_SLEPT_THROUGH);
    if (kind == LC_KIND_WATCH)
        return (item->bits = watch_bits(l, slot)) != 0;
    if (kind == LC_KIND_REQUEST)
        return fake_call_is_due(l, item->handle);
    if (kind == LC_KIND_SERVER)
        return fake_server_is_due(l, item->handle);
    if (kind == LC_KIND_DATAGRAM)
        return fake_endpoint_is_due(l, item->handle);
    if (kind == LC_KIND_STREAM)
        return fake_stream_is_due(l, item->handle);
    return true;
}

static int by_key(const void *left, const void *right)
{
    const struct fake_item *a = left, *b = right;
    for (int i = 0; i < 3; i++)
        if (a->key[i] != b->key[i])
            return a->key[i] < b->key[i] ? -1 : 1;
    return 0;
}

size_t fake_loop_collect(struct fake_loop *l, struct fake_item batch[FAKE_HANDLES], unsigned kinds)
{
    size_t count = 0;
    for (unsigned i = LC_KIND_SOON << 4; i < FAKE_HANDLES; i++) {
        if (i >> 4 == LC_KIND_FD || i >> 4 == LC_KIND_END)
            continue;
        struct fake_item item = {.handle = (uint8_t)i};
        if (i >> 4 <= kinds && is_due(l, &item))
            batch[count++] = item;
    }
    qsort(batch, count, sizeof *batch, by_key);
    return count;
}

size_t fake_loop_choose_one(const struct fake_loop *l, struct fake_item *batch, size_t count)
{
    size_t closing = 0, chosen;
    while (closing < count && batch[closing].key[0] == 0)
        closing++;
    chosen = closing;
    for (size_t i = closing; i < count; i++)
        if (l->slots[batch[i].handle].called_seq < l->slots[batch[chosen].handle].called_seq)
            chosen = i;
    if (chosen < count)
        batch[closing] = batch[chosen];
    return chosen < count ? closing + 1 : closing;
}
