/* The simplest loop that keeps every rule, as a driver, and a way to break each of them. */
#ifndef FAKE_LOOP_H
#define FAKE_LOOP_H

#include <stddef.h>

#include "driver.h"
#include "fake_kernel.h"

/* What the loop does wrong. */
enum fake_defect {
    FAKE_CORRECT,
    FAKE_SOON_LIFO,
    FAKE_SOON_TWICE,
    FAKE_SOON_LOST, /* every second one of a batch */
    FAKE_SOON_AT_ONCE,
    FAKE_SOON_IN_SAME_TURN,
    FAKE_SOON_AFTER_CANCEL,
    FAKE_TIMER_EARLY,
    FAKE_TIMER_BY_ARMING,
    FAKE_TIMER_TIES_REVERSED,
    FAKE_TIMER_TWICE,
    FAKE_TIMER_AFTER_CANCEL,
    FAKE_TIMER_PAST_LOST, /* one that was due when it was armed */
    FAKE_WATCH_NOT_READY,
    FAKE_WATCH_EDGE,
    FAKE_WATCH_AFTER_CANCEL,
    FAKE_WATCH_NEW_OWNER, /* called after a cancel if its fd number was opened again */
    FAKE_WATCH_DRAINS,
    FAKE_WATCH_REPORTS_ALL,
    FAKE_POST_LOST, /* the second of two */
    FAKE_POST_DOUBLED,
    FAKE_POST_SLEPT_THROUGH,
    FAKE_POST_CALLS_BACK, /* on the thread that posts */
    FAKE_CALL_AFTER_DESTROY,
    FAKE_CLOSED_TWICE,
    FAKE_CLOSED_NEVER,
    FAKE_STEP_FAILS_AFTER_STOP,
    FAKE_RUN_RETURNS_EARLY,
    FAKE_STOP_TURN_LATE, /* run makes one turn more */
    FAKE_FD_LEAKED,
    FAKE_CLOSE_FAILS,
    FAKE_HANDLER_NOT_CALLED,
    FAKE_HANDLER_TWICE,
    FAKE_BATCH_DROPPED, /* what comes behind a callback that raised waits for the next turn */
    FAKE_OPEN_FAILS,
    FAKE_DEFECTS
};

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
};

struct fake_loop {
    struct lc_driver base;
    struct fake_kernel kernel;
    enum fake_defect defect;
    bool is_closing_at_once; /* CLOSED comes inside the call of destroy, as it may */
    int fd;
    uint64_t seq;
    bool is_stopped, was_stopped, is_asleep, is_batch_dropped;
    unsigned depth; /* turns within turns: must not pass 1 */
    unsigned depth_max;
    unsigned sleeps;  /* turns that were allowed to sleep */
    unsigned rescues; /* sleeps that nothing would have ended */
    unsigned stops;   /* in the present run */
    unsigned stops_max;
    struct fake_slot slots[FAKE_HANDLES];
};

/* What a turn has to call, in the order of its key: a class, a deadline, a number. */
struct fake_item {
    uint8_t handle;
    unsigned bits;
    uint64_t armed_seq;
    uint64_t key[3]; /* the class is 0 for what is to be closed, otherwise the handle's kind */
};

/* A loop of these capabilities; without LC_CAP_TURNS it promises no order. */
void fake_loop_init(struct fake_loop *loop, enum fake_defect defect, uint32_t capabilities);

/* ---- fake_due.c ---- */

/* By how much timers fire early. */
uint64_t fake_loop_early_ns(const struct fake_loop *loop);
/* What is due now, of kinds up to the given one, in order; returns how many. */
size_t fake_loop_collect(struct fake_loop *loop, struct fake_item batch[FAKE_HANDLES], unsigned kinds);
/* Leaves of a batch only what is to be closed and the one that was called longest ago; returns how many. */
size_t fake_loop_choose_one(const struct fake_loop *loop, struct fake_item *batch, size_t count);

#endif
