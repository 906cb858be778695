/* The state of one run, and what the parts of the runner do for each other. Internal to contract/runner*.c. */
#ifndef LC_RUNNER_STATE_H
#define LC_RUNNER_STATE_H

#include <pthread.h>
#include <stddef.h>

#include "runner.h"
#include "runner_handle.h"

enum { LC_PORTS_MAX = 30 }; /* one for each fd and each server */
enum { POSTS_LATE_MAX = 16, CANARIES_MAX = 15, HANDLES_MAX = LC_KIND_COUNT << 4 };

struct late_post {
    struct runner *runner;
    uint8_t waker;
    uint16_t delay_us;
    int64_t result; /* of the driver */
};

/* A pair of sockets that nobody uses. */
struct canary {
    uint8_t handle;
    unsigned harm; /* LC_CANARY_*, as the trace has it */
    int fds[2];
    uint64_t identities[2];
};

struct runner {
    struct lc_driver *driver;
    const struct lc_kernel *kernel;
    struct lc_trace *trace;
    struct lc_stats *stats;
    pthread_t thread;   /* of the loop */
    bool is_elsewhere;  /* a simulated kernel acts on this thread as if it were another */
    uint64_t opened_ns; /* the loop's time when it was opened, */
    uint64_t now_ns;    /* and when it was last asked; UINT64_MAX: it was odd, and the trace has it */
    unsigned depth;     /* callbacks we are inside of */
    bool is_in_turn;    /* in a step or a run */
    bool was_promised;  /* when the last step or run began the loop had promised something */
    uint64_t wait_ns;   /* when the step began that may sleep and has called nobody yet; 0: none */
    unsigned steps;     /* made so far */
    unsigned run_left;  /* callbacks until the runner stops a run, at least 1; 0: not in a run */
    bool is_stopping;   /* the present run was stopped; a second stop is a case's business */
    int raise;          /* enum lc_raise by which the present callback has to end */
    uint8_t inside;     /* the handle whose callback this is, and which */
    uint8_t inside_event;
    bool has_nan;        /* a timer of NaN was taken: when others fire is open from then on */
    bool has_looked;     /* at all ends; since then nobody has done anything by which one becomes ready, or not */
    bool was_rescued;    /* a sleep had to be ended from outside */
    bool is_over_budget; /* attachments no longer run */
    size_t late_count, held_count, used_count;
    uint16_t touched[LC_KIND_COUNT];    /* of each kind, a bit for each handle that may have content */
    struct handle handles[HANDLES_MAX]; /* a known op names no other; of what a driver names, see lc_runner_at */
    size_t datagram_count;
    size_t canary_count;
    /* Large, and last, since they need not be cleared: below the counts everything was set. */
    uint8_t used[HANDLES_MAX]; /* the handles that are not FREE, in the order in which they were made */
    struct late_post late[POSTS_LATE_MAX];
    int held[LC_PORTS_MAX]; /* fds that hold the ports of closed listeners and servers */
    size_t attached;
    struct attachment {
        struct lc_op op;
        bool has_fired;
    } attachments[LC_PROGRAM_OPS_MAX];
    struct datagram datagrams[LC_DATAGRAMS_MAX];
    struct canary canaries[CANARIES_MAX];
};

/* On the thread of the loop? A callback on another one must not touch the runner: the trace has it. */
static inline bool lc_runner_is_here(const struct runner *r)
{
    return pthread_equal(pthread_self(), r->thread) && !r->is_elsewhere;
}

/* ---- runner_ops.c ---- */

/* The handle of any number; of one that is none, a spare one that no op names. */
struct handle *lc_runner_at(struct runner *r, uint8_t handle);
static inline void lc_runner_record(struct runner *r, struct lc_obs obs)
{
    obs.time_ns = r->kernel->now_ns(r->kernel->self);
    lc_trace_add(r->trace, obs);
}
/* Records an op: `result` counts only when it is negative. */
void lc_runner_record_op(struct runner *r, uint8_t code, uint8_t handle, uint64_t arg, unsigned bits, int64_t result);
int64_t lc_runner_apply(struct runner *r, struct lc_op op);
uint64_t lc_runner_now_ns(struct runner *r); /* the loop's own time */
uint64_t lc_runner_add_saturating(uint64_t a, uint64_t b);
bool lc_runner_has(const struct runner *r, uint32_t capability);
/* Carries an op to the loop and records it with the value that the monitor judges by. */
int64_t lc_runner_apply_recorded(struct runner *r, struct lc_op op, uint64_t value, unsigned bits);
bool lc_runner_cancel(struct runner *r, uint8_t handle);
/* Executes any op but a step or a run. True when it reached the loop or the kernel and was accepted. */
bool lc_runner_execute(struct runner *r, const struct lc_op *op);
bool lc_runner_stop(struct runner *r);
bool lc_runner_destroy(struct runner *r, uint8_t handle);
/* Hands the posts that were asked for "later" to helpers; they post while the loop sleeps. */
void lc_runner_launch_posts(struct runner *r);
/* To be called when a handle is no longer FREE. */
void lc_runner_note_used(struct runner *r, uint8_t handle);

/* ---- runner_requests.c ---- */

/* Asks for one call on an fd. */
bool lc_runner_request(struct runner *r, const struct lc_op *op);
bool lc_runner_cancel_request(struct runner *r, uint8_t request);
/* What a cancelled or destroyed call may have read nobody gets: these bytes are not judged any more. */
void lc_runner_doubt(struct runner *r, const struct handle *request);
/* What DONE of a request saw, for the record. */
void lc_runner_note_request(struct runner *r, const struct lc_seen *seen, struct lc_obs *obs);
/* Is a call under way on this fd, that may not lose it? A cancelled one: only until it is over. */
bool lc_runner_is_in_call(const struct runner *r, uint8_t fd, bool even_cancelled);
/* Is one of this sort, LC_OP_RECV or LC_OP_SENDALL? */
bool lc_runner_is_calling(const struct runner *r, uint8_t fd, uint8_t call, bool even_cancelled);
/* Has the loop to end this call soon? */
bool lc_runner_is_call_promised(struct runner *r, const struct handle *request);

/* ---- runner_canaries.c ---- */

bool lc_runner_do_canary(struct runner *r, const struct lc_op *op);
/* Records what has newly been done to canaries. */
void lc_runner_look_at_canaries(struct runner *r);
/* The same, their bytes included, and closes those that are still there. To be called when the loop is closed. */
void lc_runner_close_canaries(struct runner *r);

/* ---- runner_fds.c ---- */

/* Records how ready an fd is; unless the trace has it already. */
void lc_runner_record_fd(struct runner *r, uint8_t handle);
void lc_runner_record_changed(struct runner *r, uint8_t handle);
/* Lets time pass while the loop does not run. */
void lc_runner_advance(struct runner *r, uint64_t duration_ns);
/* How ready it is now; what is closed is not. */
unsigned lc_runner_ready_now(struct runner *r, const struct handle *end);
void lc_runner_cancel_watchers(struct runner *r, uint8_t fd_handle);
/* Is this one end of a connection, the runner's or one that the loop made? */
bool lc_runner_is_end(uint8_t handle);
/* Is this an open fd that no stream has taken over? */
bool lc_runner_holds(const struct runner *r, uint8_t fd_handle);
/* Executes an op on an fd or on the kernel, or lets lc_runner_execute_streams do it. */
bool lc_runner_execute_fds(struct runner *r, const struct lc_op *op);
/* Records how ready the fds of all streams are, and of calls that send, where that has changed. */
void lc_runner_record_streams(struct runner *r);
/* Takes everything that has arrived at the runner's own ends of streams. Returns the bytes. */
uint64_t lc_runner_take_all(struct runner *r);

#endif
