/* What the monitor knows of a run, and the questions its rules ask. Internal to contract/monitor*.c.
 *
 * Each area's file has one function that is shown the records of its kinds BEFORE the model takes them in; it compares
 * a record with what the model says must hold, and reports. lc_model_take changes the model; of the areas liveness
 * alone does, by its own counters.
 */
#ifndef LC_MONITOR_MODEL_H
#define LC_MONITOR_MODEL_H

#include "monitor.h"
#include "monitor_handle.h"

enum { LC_WORD_BITS = 64 }; /* of lc_model.live */

/* A server that can have no fd may rest so long before it tries again; loops take a second. */
#define LC_REST_NS_MAX UINT64_C(2000000000)

enum lc_phase { LC_AT_REST, LC_IN_STEP, LC_IN_RUN };

struct lc_model {
    uint32_t capabilities, promises;
    uint64_t tick_ns;
    bool is_exact, is_timed;
    enum lc_phase phase;
    bool is_loop_closed;
    bool has_nan;              /* a timer of NaN was taken */
    bool is_late_run;          /* the loop has completed a step or run before */
    bool was_left;             /* the last step or run was left by an exit, with what waited in it */
    uint32_t turn;             /* steps and runs begun; 0 before the first */
    uint32_t depth;            /* callbacks we are inside of */
    uint16_t thread;           /* of the present step or run */
    uint32_t raises, errors;   /* since the last step or run began or ended */
    uint32_t refusals;         /* exceptions of a FACTORY, which need not be told */
    uint64_t turn_ns;          /* when the present step or run began, */
    uint32_t turn_seq;         /* and its record; */
    uint64_t turn_away_ns;     /* away_ns at that time, */
    bool may_sleep;            /* and whether it was let sleep */
    bool has_jumped;           /* since then more time has passed than the loop has asked for */
    uint64_t callbacks_before; /* number of callbacks begun before the present step or run */
    uint32_t exits;            /* callbacks of the present step or run that ended by SystemExit or the like */
    uint32_t stop_seq;         /* of the first stop in the present run, 0 if none */
    uint64_t open_fds;         /* before the loop was opened; UINT64_MAX unknown */
    uint64_t time_ns;          /* of the last record */
    uint64_t away_ns;          /* time that has passed inside callbacks and outside of steps and runs */
    uint64_t now_ns;           /* the driver's now(), as it was last recorded */
    uint32_t faults;           /* reads and writes that faults may have spoiled; each may cost a step */
    uint32_t costly;           /* of these, calls that may have cost somebody who had connected his connection */
    uint64_t fault_ns;         /* when the last of them came */
    /* What is above is of one run; of the whole trace: */
    uint32_t width;                  /* indexes a kind; at most 4096 */
    uint32_t generation;             /* tells what handles holds of this run from what is left of earlier ones */
    struct lc_model_handle *handles; /* [kind][index]; what nobody has asked for yet is of an earlier generation */
    uint64_t *live;                  /* a bit for each of handles that is neither free nor closed */
    struct lc_judgement *judgement;
};

/* Takes a record in. Never fails: what is impossible changes nothing. */
void lc_model_take(struct lc_model *model, const struct lc_obs *obs);

/* The part of lc_model_take that is about streams and the ends of their connections. */
void lc_model_take_stream_op(struct lc_model *model, const struct lc_obs *obs);
void lc_model_take_stream_event(struct lc_model *model, const struct lc_obs *obs);
/* A call is cancelled, or destroyed with what it has in hand. */
void lc_model_take_request_cancel(struct lc_model *model, struct lc_model_handle *request);
void lc_model_take_request_done(struct lc_model *model, const struct lc_obs *obs);
/* The part that is about datagrams; false: the op is none of theirs. */
bool lc_model_take_datagram_op(struct lc_model *model, const struct lc_obs *obs);
void lc_model_take_datagram_event(struct lc_model *model, const struct lc_obs *obs);
/* The callback in which a stream raised has ended: from now on the loop has to end it. */
void lc_model_take_failure(struct lc_model *model, struct lc_model_handle *stream);

/* Was the handle at a place in model->handles asked for? */
static inline bool lc_model_is_known(const struct lc_model *model, unsigned place)
{
    return model->handles[place].generation == model->generation;
}

/* Makes it a free one; not inline, since what it clears is large, and it is asked for at a hundred places. */
void lc_model_forget(struct lc_model *model, unsigned place) __attribute__((noinline));

/* The handle of a wide handle number, a free one when it is asked for first; out of range gives a spare one that nobody
 * looks at. */
static inline struct lc_model_handle *lc_model_at(struct lc_model *model, uint16_t handle)
{
    const unsigned kind = LC_WIDE_KIND(handle), index = LC_WIDE_INDEX(handle);
    const unsigned place = kind < LC_KIND_COUNT && index < model->width ? kind * model->width + index : 0;
    if (!lc_model_is_known(model, place))
        lc_model_forget(model, place);
    return &model->handles[place];
}

/* Alone changes a handle's state. */
void lc_model_set_state(struct lc_model *model, struct lc_model_handle *h, enum lc_state state);
/* Walks the handles that are neither free nor closed: the first place in model->handles from `from` on, or `end`. */
static inline unsigned lc_model_next(const struct lc_model *model, unsigned from, unsigned end)
{
    while (from < end) {
        const uint64_t rest = model->live[from / LC_WORD_BITS] >> from % LC_WORD_BITS;
        if (rest != 0)
            return from + (unsigned)__builtin_ctzll(rest) < end ? from + (unsigned)__builtin_ctzll(rest) : end;
        from += LC_WORD_BITS - from % LC_WORD_BITS;
    }
    return end;
}
/* Room for `width` handles of each kind; false: no memory. */
bool lc_model_init(struct lc_model *model, uint32_t width, struct lc_judgement *judgement);
void lc_model_drop(struct lc_model *model);

/* Has this fd connected to a server that has made no stream for it yet? */
bool lc_model_is_client_waiting(struct lc_model *model, const struct lc_model_handle *fd);
/* Is a callback of this handle due now? Says so by the text-book: an armed soon, a timer past its
 * deadline, a watcher whose fd is ready for it, a waker with a post that no callback has seen. */
bool lc_model_is_due(struct lc_model *model, const struct lc_model_handle *h, uint64_t time_ns);

/* Why a callback of this stream is due: the rule that is broken when it does not come, or NULL: none is. */
const char *lc_model_stream_owed(struct lc_model *model, const struct lc_model_handle *stream);
struct lc_owed {
    const char *rule, *sentence;
};
/* The same of an endpoint of datagrams, with the sentence. */
const struct lc_owed *lc_model_datagram_owed(struct lc_model *model, const struct lc_model_handle *endpoint);
/* How many datagrams to this end may be lost by faults, beside those that are known to be. */
uint64_t lc_model_losable(struct lc_model *model, const struct lc_model_handle *end);
/* May this end be closed by now? One of the loop's is closed a little before it is told so. */
bool lc_model_may_be_closed(struct lc_model *model, const struct lc_model_handle *end);
/* Has this call to end now? */
bool lc_model_is_call_due(struct lc_model *model, const struct lc_model_handle *request);
/* Are both ends of this stream's connection known? Of a case's stream they may not be. */
bool lc_model_is_joined(struct lc_model *model, const struct lc_model_handle *stream);
/* Bytes that the stream was given to send and that were not yet taken at the other end. */
uint64_t lc_model_outstanding(struct lc_model *model, const struct lc_model_handle *stream);
/* Does a record of a callback or an op belong to a handle of this kind? */
bool lc_model_is_of(const struct lc_obs *obs, unsigned kind);

/* Stores a violation; `format` gets the handle's name first ("t2"). Only the first one of a rule in
 * a run is kept. */
void lc_monitor_report(struct lc_model *model, const struct lc_obs *obs, const char *rule, const char *format, ...)
    __attribute__((cold, format(printf, 4, 5)));
/* The same, but it is not the record's handle that is told of. */
void lc_monitor_report_of(struct lc_model *model, const struct lc_obs *obs, uint16_t handle, const char *rule,
                          const char *format, ...) __attribute__((cold, format(printf, 5, 6)));

/* "t2" is printed as "%c%u" of the letter and LC_WIDE_INDEX. */
char lc_wide_letter(uint16_t handle);

#endif
