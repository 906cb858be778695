#include "monitor_model.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

enum {
    PROGRAM_WIDTH = 16, /* indices of a kind that a program has */
    PROGRAM_WORDS = (LC_KIND_COUNT * PROGRAM_WIDTH + LC_WORD_BITS - 1) / LC_WORD_BITS
};

char lc_wide_letter(uint16_t handle)
{
    const unsigned kind = LC_WIDE_KIND(handle);
    return (char)(kind < LC_KIND_COUNT ? lc_kind_letters[kind] : '?');
}

static void report(struct lc_judgement *judgement, const struct lc_obs *obs, uint16_t handle, const char *rule,
                   const char *format, va_list arguments)
{
    char sentence[112];
    for (size_t i = 0; i < judgement->count; i++)
        if (judgement->violations[i].run == judgement->runs && strcmp(judgement->violations[i].rule, rule) == 0)
            return;
    if (judgement->count == LC_VIOLATIONS_MAX)
        return;
    struct lc_violation *v = &judgement->violations[judgement->count++];
    memset(v, 0, sizeof *v);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    snprintf(v->rule, sizeof v->rule, "%s", rule);
    if (handle != 0)
        snprintf(v->text, sizeof v->text, "%c%u %s", lc_wide_letter(handle), LC_WIDE_INDEX(handle), sentence);
    else
        snprintf(v->text, sizeof v->text, "the loop %s", sentence);
    v->seq = obs->seq;
    v->run = judgement->runs;
}

void lc_monitor_report(struct lc_model *model, const struct lc_obs *obs, const char *rule, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report(model->judgement, obs, obs->handle, rule, format, arguments);
    va_end(arguments);
}

void lc_monitor_report_of(struct lc_model *model, const struct lc_obs *obs, uint16_t handle, const char *rule,
                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report(model->judgement, obs, handle, rule, format, arguments);
    va_end(arguments);
}

/* ---- the handles --------------------------------------------------------------------------- */

static size_t words(uint32_t width)
{
    return ((size_t)LC_KIND_COUNT * width + LC_WORD_BITS - 1) / LC_WORD_BITS;
}

/* Of programs' traces, one after another: else each asks for memory as large as all that its loop asks for. */
static struct {
    atomic_flag is_taken;
    struct lc_model_handle handles[LC_KIND_COUNT * PROGRAM_WIDTH];
    uint64_t live[PROGRAM_WORDS];
    uint32_t generation; /* the last of these handles */
} kept = {.is_taken = ATOMIC_FLAG_INIT};

/* Nothing is known of a run yet. */
static void forget(struct lc_model *model)
{
    memset(model, 0, offsetof(struct lc_model, width));
    model->tick_ns = 1;
    model->open_fds = UINT64_MAX;
    memset(model->live, 0, words(model->width) * sizeof *model->live);
    if (++model->generation == 0) { /* after as many runs of programs as an uint32_t can count */
        memset(model->handles, 0, (size_t)LC_KIND_COUNT * model->width * sizeof *model->handles);
        model->generation = 1;
    }
}

void lc_model_forget(struct lc_model *model, unsigned place)
{
    const unsigned kind = place / model->width, index = place % model->width;
    model->handles[place] = (struct lc_model_handle){
        .generation = model->generation, .wide = (uint16_t)(kind << 12 | index), .state = LC_FREE};
}

bool lc_model_init(struct lc_model *model, uint32_t width, struct lc_judgement *judgement)
{
    const bool is_kept = width <= PROGRAM_WIDTH && !atomic_flag_test_and_set(&kept.is_taken);
    model->width = width;
    model->judgement = judgement;
    model->handles = is_kept ? kept.handles : calloc((size_t)LC_KIND_COUNT * width, sizeof *model->handles);
    model->live = is_kept ? kept.live : malloc(words(width) * sizeof *model->live);
    if (model->handles == NULL || model->live == NULL)
        return false;
    model->generation = is_kept ? kept.generation : 0;
    forget(model);
    return true;
}

void lc_model_drop(struct lc_model *model)
{
    if (model->handles == kept.handles) {
        kept.generation = model->generation;
        atomic_flag_clear(&kept.is_taken);
        return;
    }
    free(model->handles);
    free(model->live);
}

void lc_model_set_state(struct lc_model *model, struct lc_model_handle *h, enum lc_state state)
{
    const size_t place = (size_t)(h - model->handles);
    const uint64_t bit = UINT64_C(1) << place % LC_WORD_BITS;
    h->state = state;
    if (state == LC_FREE || state == LC_CLOSED)
        model->live[place / LC_WORD_BITS] &= ~bit;
    else
        model->live[place / LC_WORD_BITS] |= bit;
}

bool lc_model_is_due(struct lc_model *model, const struct lc_model_handle *h, uint64_t time_ns)
{
    if (h->state != LC_ARMED)
        return h->state == LC_CLOSING;
    switch (LC_WIDE_KIND(h->wide)) {
    case LC_KIND_SOON:
        return true;
    case LC_KIND_TIMER:
        return h->latest_ns < time_ns && time_ns - h->latest_ns >= model->tick_ns && !model->has_nan;
    case LC_KIND_WAKER:
        if (model->capabilities & LC_CAP_COALESCE)
            return h->post_seq > h->begin_seq;
        return h->posts > h->posted;
    case LC_KIND_WATCH: {
        const struct lc_model_handle *fd = lc_model_at(model, h->fd);
        return h->fd != 0 && fd->is_known && (fd->readiness & h->asked) != 0;
    }
    case LC_KIND_STREAM:
        return lc_model_stream_owed(model, h) != NULL;
    case LC_KIND_DATAGRAM:
        return lc_model_datagram_owed(model, h) != NULL;
    case LC_KIND_FD:
        return lc_model_is_client_waiting(model, h) &&
               (model->faults == 0 || time_ns - model->fault_ns >= LC_REST_NS_MAX);
    case LC_KIND_REQUEST:
        return lc_model_is_call_due(model, h);
    default:
        return false;
    }
}

bool lc_model_is_of(const struct lc_obs *obs, unsigned kind)
{
    return (obs->what == LC_WHAT_BEGIN || obs->what == LC_WHAT_OP) && LC_WIDE_KIND(obs->handle) == kind;
}

/* ---- taking a record in -------------------------------------------------------------------- */

static void take_open(struct lc_model *model, const struct lc_obs *obs)
{
    forget(model);
    model->capabilities = (uint32_t)obs->arg;
    model->promises = (uint32_t)(obs->arg >> 32);
    model->thread = obs->thread;
    model->time_ns = obs->time_ns;
    model->judgement->runs++;
}

static void take_arming(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    unsigned kind = LC_WIDE_KIND(obs->handle);
    if (obs->result < 0)
        return;
    lc_model_set_state(model, h, LC_ARMED);
    h->was_cancelled = false;
    h->armed_seq = obs->seq;
    h->armed_turn = model->phase == LC_AT_REST ? 0 : model->turn;
    h->is_owed = false;
    h->steps_unpaid = 0;
    h->found_seq = 0;
    if (kind == LC_KIND_TIMER) {
        uint64_t slack_ns = (uint64_t)obs->result;
        h->deadline_ns = obs->arg;
        h->latest_ns = obs->arg > UINT64_MAX - slack_ns ? UINT64_MAX : obs->arg + slack_ns;
    }
    h->edge = obs->code == LC_OP_EDGE ? obs->bits : LC_EDGE_NONE;
    model->has_nan |= h->edge == LC_EDGE_NAN;
    h->was_past = kind == LC_KIND_TIMER && (h->edge != LC_EDGE_NONE || (obs->arg < obs->time_ns && !model->is_exact));
    if (kind == LC_KIND_WATCH) {
        h->fd = obs->arg ? LC_HANDLE_WIDE(obs->arg & 255) : 0;
        h->asked = obs->bits;
        h->ready_since = h->fd ? lc_model_at(model, h->fd)->readiness : 0;
    }
    if (h->began_early && (kind == LC_KIND_SOON || kind == LC_KIND_TIMER))
        lc_model_set_state(model, h, LC_IDLE); /* it has had its callback */
    h->began_early = false;
}

static void take_raise(struct lc_model *model, const struct lc_obs *obs, struct lc_model_handle *h)
{
    const bool is_exit = obs->bits >= LC_RAISE_EXIT;
    model->exits += is_exit;
    model->raises += !is_exit && obs->arg != LC_EVENT_FACTORY;
    model->refusals += obs->arg == LC_EVENT_FACTORY;
    h->refused += obs->arg == LC_EVENT_FACTORY;
    if (lc_model_is_of(obs, LC_KIND_STREAM) &&
        (obs->arg == LC_EVENT_DATA || obs->arg == LC_EVENT_EOF || obs->arg == LC_EVENT_GET_BUFFER))
        h->stream.has_raised = !is_exit;
}

/* A post that was refused asks for nothing. */
static void take_refusal(struct lc_model_handle *h)
{
    h->posts -= h->posts > 0;
    h->post_seq = h->post_before;
}

static void take_op(struct lc_model *model, const struct lc_obs *obs)
{
    struct lc_model_handle *h = lc_model_at(model, obs->handle);
    switch (obs->code) {
    case LC_OP_SOON:
    case LC_OP_TIMER:
    case LC_OP_AT:
    case LC_OP_EDGE:
    case LC_OP_WATCH:
    case LC_OP_WAKER:
    case LC_OP_REARM:
        take_arming(model, obs, h);
        break;
    case LC_OP_CANCEL:
        h->stream.was_cancelled = h->stream.is_connecting;
        if (LC_WIDE_KIND(obs->handle) == LC_KIND_REQUEST)
            lc_model_take_request_cancel(model, h);
        if (h->state != LC_ARMED || h->stream.is_connecting || LC_WIDE_KIND(obs->handle) == LC_KIND_REQUEST)
            break;
        lc_model_set_state(model, h, LC_IDLE);
        h->was_cancelled = true;
        h->is_owed = false;
        break;
    case LC_OP_DESTROY:
        lc_model_set_state(model, h, LC_CLOSING);
        h->is_owed = false;
        h->steps_unpaid = 0;
        if (lc_model_is_of(obs, LC_KIND_STREAM) || lc_model_is_of(obs, LC_KIND_DATAGRAM))
            lc_model_take_stream_op(model, obs);
        else if (lc_model_is_of(obs, LC_KIND_REQUEST))
            lc_model_take_request_cancel(model, h);
        break;
    case LC_OP_STOP:
        if (model->stop_seq == 0)
            model->stop_seq = obs->seq;
        break;
    case LC_OP_RAISE:
        take_raise(model, obs, h);
        break;
    case LC_OP_POST:
        if (obs->result < 0)
            take_refusal(h);
        break;
    case LC_OP_NOW:
        model->now_ns = obs->arg;
        break;
    case LC_OP_RECYCLE:
        h->is_reused = true;
        h->reused_turn = model->turn;
        h->sent = h->got = h->dropped = 0;
        h->may_grow = false;
        h->is_shut = h->is_closed = h->is_broken = h->is_full = h->has_seen_end = false;
        break;
    default:
        if (!lc_model_take_datagram_op(model, obs))
            lc_model_take_stream_op(model, obs);
        break;
    }
}

static void take_post(struct lc_model *model, struct lc_model_handle *h, const struct lc_obs *obs)
{
    if (!lc_model_is_due(model, h, obs->time_ns))
        h->post_ns = obs->time_ns;
    h->posts++;
    h->post_before = h->post_seq;
    h->post_seq = obs->seq;
}

static void take_begin(struct lc_model *model, const struct lc_obs *obs)
{
    struct lc_model_handle *h = lc_model_at(model, obs->handle);
    model->depth++;
    h->begin_seq = obs->seq;
    if (obs->code != LC_EVENT_GET_BUFFER) { /* a question is no answer */
        h->is_owed = false;
        h->steps_unpaid = 0;
        h->arrived_ns = 0;
    }
    h->began_early = h->state == LC_FREE;
    switch (obs->code) {
    case LC_EVENT_POSTED:
        h->posted++;
        break;
    case LC_EVENT_READY:
        h->ready_since &= (uint8_t)~obs->bits;
        if (obs->result < 0 && h->state == LC_ARMED)
            lc_model_set_state(model, h, LC_IDLE);
        break;
    case LC_EVENT_CLOSED:
        lc_model_set_state(model, h, LC_CLOSED);
        break;
    default:
        if (lc_model_is_of(obs, LC_KIND_STREAM))
            lc_model_take_stream_event(model, obs);
        else if (lc_model_is_of(obs, LC_KIND_DATAGRAM))
            lc_model_take_datagram_event(model, obs);
        else if (lc_model_is_of(obs, LC_KIND_REQUEST) && obs->code == LC_EVENT_DONE)
            lc_model_take_request_done(model, obs);
        else if (h->state == LC_ARMED && obs->code != LC_EVENT_FACTORY)
            lc_model_set_state(model, h, LC_IDLE);
        break;
    }
}

static void take_end(struct lc_model *model, const struct lc_obs *obs)
{
    struct lc_model_handle *h = lc_model_at(model, obs->handle);
    if (model->depth > 0)
        model->depth--;
    if (obs->code == LC_EVENT_READY && h->fd != 0)
        h->ready_since |= lc_model_at(model, h->fd)->readiness;
    if (h->stream.has_raised)
        lc_model_take_failure(model, h);
}

static void take_fd(struct lc_model *model, const struct lc_obs *obs)
{
    struct lc_model_handle *fd = lc_model_at(model, obs->handle);
    fd->is_known = true;
    fd->readiness = obs->bits;
    fd->is_full &= (obs->bits & LC_OUT) == 0;
    const unsigned end = (LC_KIND_WATCH + 1) * model->width;
    for (unsigned i = LC_KIND_WATCH * model->width; (i = lc_model_next(model, i, end)) < end; i++)
        if (model->handles[i].fd == obs->handle)
            model->handles[i].ready_since |= obs->bits;
}

static void take_turn(struct lc_model *model, const struct lc_obs *obs)
{
    model->phase = obs->what == LC_WHAT_RUN ? LC_IN_RUN : LC_IN_STEP;
    model->turn++;
    model->turn_ns = obs->time_ns;
    model->turn_seq = obs->seq;
    model->turn_away_ns = model->away_ns;
    model->may_sleep = obs->what == LC_WHAT_RUN || (obs->bits & LC_WAIT) != 0;
    model->has_jumped = false;
    model->callbacks_before = model->judgement->callbacks;
    model->thread = obs->thread;
    model->raises = model->errors = model->exits = model->refusals = model->stop_seq = model->depth = 0;
}

/* What was due in a turn that an exit has left waits at its place: what was armed since the turn began comes behind. */
static void take_exit(struct lc_model *model, const struct lc_obs *obs)
{
    const unsigned end = (LC_KIND_TIMER + 1) * model->width;
    for (unsigned i = LC_KIND_TIMER * model->width; (i = lc_model_next(model, i, end)) < end; i++) {
        struct lc_model_handle *h = &model->handles[i];
        if (h->state == LC_ARMED && h->deadline_ns <= obs->time_ns && h->found_seq == 0)
            h->found_seq = model->turn_seq;
    }
}

static void take_time(struct lc_model *model, const struct lc_obs *obs)
{
    if ((model->depth > 0 || model->phase == LC_AT_REST) && obs->time_ns > model->time_ns)
        model->away_ns += obs->time_ns - model->time_ns;
    model->time_ns = obs->time_ns;
}

void lc_model_take(struct lc_model *model, const struct lc_obs *obs)
{
    take_time(model, obs);
    switch (obs->what) {
    case LC_WHAT_OPEN:
        take_open(model, obs);
        break;
    case LC_WHAT_TERMS:
        model->tick_ns = obs->arg ? obs->arg : 1;
        model->is_exact = (obs->bits & LC_TERMS_EXACT) != 0;
        model->is_timed = (obs->bits & LC_TERMS_TIMED) != 0;
        break;
    case LC_WHAT_OP:
        model->judgement->ops += obs->result >= 0;
        take_op(model, obs);
        break;
    case LC_WHAT_POST:
        take_post(model, lc_model_at(model, obs->handle), obs);
        break;
    case LC_WHAT_BEGIN:
        model->judgement->callbacks++;
        take_begin(model, obs);
        break;
    case LC_WHAT_END:
        take_end(model, obs);
        break;
    case LC_WHAT_STEP:
    case LC_WHAT_RUN:
        take_turn(model, obs);
        break;
    case LC_WHAT_STEPPED:
    case LC_WHAT_RAN:
        model->phase = LC_AT_REST;
        model->is_late_run = true;
        model->was_left = obs->result == LC_LEFT;
        if (model->was_left)
            take_exit(model, obs);
        model->raises = model->errors = model->exits = model->refusals = 0;
        break;
    case LC_WHAT_FD:
        take_fd(model, obs);
        break;
    case LC_WHAT_FDS:
        if (!model->is_loop_closed)
            model->open_fds = obs->arg;
        break;
    case LC_WHAT_CLOSED:
        model->is_loop_closed = true;
        break;
    case LC_WHAT_RESCUE: /* the driver stopped the loop, not the loop itself */
        if (model->stop_seq == 0)
            model->stop_seq = obs->seq;
        break;
    case LC_WHAT_ERROR:
        model->errors++;
        break;
    default:
        break;
    }
}
