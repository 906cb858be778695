/* The simplest loop that keeps every rule, as a driver, and a way to break each of them. */
#ifndef FAKE_LOOP_H
#define FAKE_LOOP_H

#include <stddef.h>

#include "driver.h"
#include "fake_datagrams.h"
#include "fake_defect_streams.h"
#include "fake_kernel.h"
#include "fake_streams.h"

enum { FAKE_HANDLES = 256 };

struct fake_slot {
    enum { FAKE_FREE, FAKE_IDLE, FAKE_ARMED, FAKE_CLOSING, FAKE_CLOSED } state;
    uint64_t armed_seq; /* order of arming over all slots, from 1 */
    uint64_t called_seq;
    uint64_t deadline_ns;
    int fd;
    unsigned fd_opened; /* fake_fd.opened when it was armed */
    uint8_t bits;
    bool was_ready; /* when last looked at, for FAKE_WATCH_EDGE */
    unsigned posts;
    uint8_t next;       /* server: the stream that the next client becomes */
    unsigned left;      /* server: how many may */
    uint8_t call;       /* request: enum lc_op_code */
    const char *bytes;  /* request: to be sent */
    uint16_t size;      /* request: so many bytes, at most; of a task, turns */
    bool was_cancelled; /* request */
    bool is_switched;   /* stream */
    bool is_dropped;    /* by its owner */
};

struct fake_loop {
    struct lc_driver base;
    struct fake_kernel kernel;
    int defect;              /* FAKE_CORRECT, or what it does wrong */
    bool is_closing_at_once; /* CLOSED comes inside the call of destroy, as it may */
    uint8_t refuses;         /* the op of which the first, the third ... is refused; 0: none */
    unsigned refusable;      /* how many of them came */
    int fd;
    uint64_t seq;
    bool is_stopped, was_stopped, is_asleep, is_batch_dropped;
    unsigned accepted; /* by all servers */
    bool is_left;      /* by an exit */
    int raised;        /* by the last callback */
    unsigned depth;    /* turns within turns: must not pass 1 */
    unsigned depth_max;
    unsigned sleeps;  /* turns that were allowed to sleep */
    unsigned rescues; /* sleeps that nothing would have ended */
    unsigned stops;   /* in the present run */
    unsigned stops_max;
    struct fake_slot slots[FAKE_HANDLES];
    struct fake_stream streams[16];
    struct fake_endpoint endpoints[16];
    bool has_held[LC_OP_PROGRAM_END]; /* ops that came while a stream still held bytes; those of the last program */
};

/* What a turn has to call, in the order of its key: a class, a deadline, a number. */
struct fake_item {
    uint8_t handle;
    unsigned bits;
    uint64_t armed_seq;
    uint64_t key[3]; /* the class is 0 for what is to be closed, otherwise the handle's kind */
};

/* A loop of these capabilities; without LC_CAP_TURNS it promises no order. */
void fake_loop_init(struct fake_loop *loop, int defect, uint32_t capabilities);

/* Calls back, and the exception handler if that raises. */
void fake_loop_call(struct fake_loop *loop, const struct lc_seen *seen);

/* ---- fake_due.c ---- */

/* By how much timers fire early. */
uint64_t fake_loop_early_ns(const struct fake_loop *loop);
/* What is due now, of kinds up to the given one, in order; returns how many. */
size_t fake_loop_collect(struct fake_loop *loop, struct fake_item batch[FAKE_HANDLES], unsigned kinds);
/* Leaves of a batch only what is to be closed and the one that was called longest ago; returns how many. */
size_t fake_loop_choose_one(const struct fake_loop *loop, struct fake_item *batch, size_t count);

#endif
