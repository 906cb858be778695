/* What the files of the driver libuv share. */
#ifndef FUZZ_LIBUV_H
#define FUZZ_LIBUV_H

#include <uv.h>

#include "driver.h"

struct slot {
    union uv_any_handle uv;
    uint8_t handle;
    uint8_t bits; /* of a watcher */
    bool is_over; /* of a stream: it has seen its end or an error */
    uint8_t next; /* of a server: the stream that the next client becomes, */
    uint8_t left; /* and how many may */
};

extern struct libuv_driver {
    struct lc_driver base;
    uv_loop_t loop;
    bool is_in_sent;        /* in the callback of a datagram that was sent, or not */
    bool is_once;           /* in a step that may wait: it ends with its first callbacks */
    struct slot slots[256]; /* a slot is free for good once CLOSED was reported: handles are not reused */
} libuv;

void libuv_report_seen(struct lc_seen seen);
void libuv_report(const struct slot *slot, enum lc_event event, unsigned bits, int error);
/* The memory that any handle reads into: libuv reads one after the other. */
void libuv_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer);

/* Executes an op on streams, servers or connects, or lets libuv_use_datagrams do it. */
int64_t libuv_use_streams(struct slot *slot, const struct lc_op *op);
/* Executes an op on datagrams; any other is -ENOSYS. */
int libuv_use_datagrams(struct slot *slot, const struct lc_op *op);

#endif
