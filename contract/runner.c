#include "runner.h"

#include <string.h>

#include "runner_datagrams.h"
#include "runner_streams.h"

enum {
    SLEEP_NS_MAX = 50 * 1000 * 1000, /* on a real clock: what the runner lets a step sleep for */
    SLEEP_SEEN_NS = 200 * 1000,      /* from which on a step has slept */
    SETTLE_STEPS_MAX = 4,            /* steps after the program, so that what is owed can be paid */
    IDLE_STEPS = 2,                  /* steps without a callback when none is owed: there will be no more */
    AWAITED_STEPS = 5,               /* the same, while something is on its way that has not arrived */
    DRAIN_ROUNDS_MAX = 64,           /* steps in which streams can send what they still hold */
    DRAIN_PAUSE_NS = 200 * 1000
};

/* ---- steps and runs ------------------------------------------------------------------------ */

/* Has the loop promised anything that will end a sleep? Otherwise it may rightly sleep for ever. */
static bool is_promised(struct runner *r)
{
    /* Where the kernel's clock is the loop's, the loop is not asked: so it would learn the time that it has to know. */
    uint64_t now = r->driver->is_exact ? r->kernel->now_ns(r->kernel->self) : lc_runner_now_ns(r);
    uint64_t latest = r->driver->is_exact ? LC_TIME_NS_MAX : lc_runner_add_saturating(now, SLEEP_NS_MAX);

    if (r->was_rescued) /* the loop has slept through a promise before: once is enough to tell */
        return false;
    if (r->stats->unimplemented != 0) /* its driver lies, so that nobody knows what it has promised */
        return false;
    if (r->late_count > 0 && r->depth == 0) /* not launched yet */
        return true;
    for (size_t used = 0; used < r->used_count; used++) {
        const unsigned i = r->used[used];
        const struct handle *h = &r->handles[i];
        if (h->state == CLOSING)
            return true;
        if (h->state != ARMED)
            continue;
        if (i >> 4 == LC_KIND_SOON || h->posts_pending > 0)
            return true;
        if (i >> 4 == LC_KIND_TIMER && h->deadline_ns <= latest && !r->has_nan)
            return true;
        if (i >> 4 == LC_KIND_STREAM && lc_runner_is_stream_promised(r, h))
            return true;
        if (i >> 4 == LC_KIND_DATAGRAM && lc_runner_is_datagram_promised(r, h))
            return true;
        if (i >> 4 == LC_KIND_FD && lc_runner_is_client_waiting(r, h))
            return true;
        if (i >> 4 == LC_KIND_REQUEST && lc_runner_is_call_promised(r, h))
            return true;
        if (i >> 4 == LC_KIND_WATCH && (lc_runner_ready_now(r, &r->handles[h->fd_handle]) & h->bits) != 0)
            return true;
    }
    return false;
}

/* Streams, servers and calls take turns of the loop in which nobody is called. */
static bool takes_silent_turns(const struct runner *r)
{
    for (size_t used = 0; used < r->used_count; used++) {
        const unsigned kind = r->used[used] >> 4;
        if (kind == LC_KIND_STREAM || kind == LC_KIND_SERVER || kind == LC_KIND_DATAGRAM || kind == LC_KIND_REQUEST)
            return true;
    }
    return false;
}

/* The first callback of a step that may sleep, or its end without one. */
static void end_of_wait(struct runner *r, bool is_called)
{
    if (r->wait_ns == 0)
        return;
    const bool has_slept = r->kernel->now_ns(r->kernel->self) - r->wait_ns >= SLEEP_SEEN_NS;
    r->stats->sleeps += is_called && has_slept;
    r->stats->vain_waits += !is_called && !takes_silent_turns(r);
    r->wait_ns = 0;
}

/* The loop's own turn or run, with the helpers' posts around it. */
static bool turn_the_loop(struct runner *r, const struct lc_op *op)
{
    bool is_run = op->op == LC_OP_RUN, may_sleep = is_run || (op->flags & LC_WAIT);
    bool is_wait = may_sleep && r->steps < LC_STEPS_MAX && is_promised(r);
    r->was_promised = is_wait;

    if (r->depth > 0 || r->steps >= LC_STEPS_MAX || (is_run && (!is_wait || !lc_runner_has(r, LC_CAP_STOP))))
        return false;
    r->steps++;
    lc_runner_give_time(r);
    lc_runner_record_streams(r);
    lc_runner_record(r, (struct lc_obs){.what = is_run ? LC_WHAT_RUN : LC_WHAT_STEP, .bits = is_wait ? LC_WAIT : 0});
    if (is_wait)
        lc_runner_launch_posts(r);
    r->run_left = is_run ? (op->n ? op->n : 1u) : 0;
    r->is_stopping = false;
    r->is_in_turn = true;
    r->wait_ns = is_wait && !is_run ? r->kernel->now_ns(r->kernel->self) : 0;
    int64_t result = lc_runner_apply(r, (struct lc_op){.op = op->op, .flags = is_wait ? LC_WAIT : 0});
    r->run_left = 0;
    r->is_in_turn = false;
    const bool is_left = result == LC_LEFT && lc_runner_has(r, LC_CAP_EXIT);
    r->depth = 0; /* a loop that loses an exception never ended the callback */
    lc_runner_record(r, (struct lc_obs){.what = is_run ? LC_WHAT_RAN : LC_WHAT_STEPPED,
                                        .result = (int32_t)(result < 0 ? result
                                                            : is_left  ? LC_LEFT
                                                                       : 0)});
    lc_runner_look_at_canaries(r);
    end_of_wait(r, false);
    if (is_wait) {
        r->kernel->join(r->kernel->self);
        for (; r->late_count > 0; r->late_count--)
            r->handles[r->late[r->late_count - 1].waker].posts_late--;
    }
    return true;
}

static void execute_counted(struct runner *r, const struct lc_op *op)
{
    bool is_turn = op->op == LC_OP_STEP || op->op == LC_OP_RUN;
    if (is_turn ? turn_the_loop(r, op) : lc_runner_execute(r, op))
        r->stats->executed++;
    else
        r->stats->ignored++;
}

/* ---- what the callbacks saw ---------------------------------------------------------------- */

static void note_closed(struct runner *r, uint8_t handle, struct handle *h)
{
    h->state = CLOSED;
    if (handle >> 4 == LC_KIND_SERVER)
        lc_runner_hold_port(r, h);
}

static void note_callback(struct runner *r, uint8_t handle, enum lc_event event, int error)
{
    struct handle *h = lc_runner_at(r, handle);
    if (event == LC_EVENT_CLOSED)
        note_closed(r, handle, h);
    else if (handle >> 4 == LC_KIND_STREAM || handle >> 4 == LC_KIND_SERVER || handle >> 4 == LC_KIND_DATAGRAM)
        return; /* lc_runner_note_stream or _datagram has seen it; a server goes on */
    else if (event == LC_EVENT_POSTED && h->posts_pending > 0)
        h->posts_pending = lc_runner_has(r, LC_CAP_COALESCE) ? 0 : h->posts_pending - 1;
    else if (h->state == ARMED && (event != LC_EVENT_READY || error < 0))
        h->state = IDLE;
}

static void run_attachments(struct runner *r, uint8_t handle, enum lc_event event)
{
    for (size_t i = 0; i < r->attached; i++) {
        const struct lc_op *op = &r->attachments[i].op;
        if (r->attachments[i].has_fired || op->on != handle || (op->event != LC_EVENT_ANY && op->event != event))
            continue;
        r->attachments[i].has_fired = true;
        execute_counted(r, op);
    }
}

/* The runner's own stop: after the callbacks that the op asked for, or when no other is to come. */
static void stop_when_done(struct runner *r)
{
    bool is_last = r->run_left == 1;
    r->run_left -= !is_last;
    if (is_last || r->is_over_budget || !is_promised(r))
        lc_runner_stop(r);
}

/* What stands in the trace of a callback, or of what is none. */
static struct lc_obs observed(struct runner *r, const struct lc_seen *seen, bool is_here)
{
    struct lc_obs obs = {.what = LC_WHAT_BEGIN,
                         .code = (uint8_t)seen->event,
                         .handle = LC_HANDLE_WIDE(seen->handle),
                         .bits = seen->event == LC_EVENT_READY ? (uint8_t)seen->bits : 0,
                         .result = seen->error};
    if (seen->event == LC_EVENT_ERROR)
        obs.what = LC_WHAT_ERROR;
    else if (seen->event == LC_EVENT_RESCUE)
        obs.what = LC_WHAT_RESCUE;
    else if (seen->event == LC_EVENT_HELD)
        obs.what = LC_WHAT_HELD;
    else if (seen->event == LC_EVENT_READY)
        obs.arg = r->kernel->ready(r->kernel->self, r->handles[lc_runner_at(r, seen->handle)->fd_handle].fd);
    else if (seen->handle >> 4 == LC_KIND_REQUEST && is_here && seen->event == LC_EVENT_DONE)
        lc_runner_note_request(r, seen, &obs);
    else if (seen->handle >> 4 == LC_KIND_STREAM && is_here)
        lc_runner_note_stream(r, seen, &obs);
    else if (seen->handle >> 4 == LC_KIND_DATAGRAM && is_here)
        lc_runner_note_datagram(r, seen, &obs);
    return obs;
}

static int begin(void *self, const struct lc_seen *seen)
{
    struct runner *r = self;
    const bool is_here = lc_runner_is_here(r);
    if (is_here)
        r->has_looked = false;
    if (is_here && seen->event == LC_EVENT_MADE)
        lc_runner_note_made(r, seen);
    const struct lc_obs obs = observed(r, seen, is_here);

    lc_runner_record(r, obs);
    if (is_here && obs.what == LC_WHAT_BEGIN)
        end_of_wait(r, true);
    r->was_rescued |= obs.what == LC_WHAT_RESCUE;
    if (obs.what != LC_WHAT_BEGIN || !is_here)
        return 0;
    const int outer_raise = r->raise; /* CLOSED may come inside another callback's destroy */
    const uint8_t outer = r->inside, outer_event = r->inside_event;
    r->depth++;
    r->raise = LC_RAISE_NONE;
    r->inside = seen->handle;
    r->inside_event = (uint8_t)seen->event;
    note_callback(r, seen->handle, seen->event, seen->error);
    if (++r->stats->callbacks >= LC_CALLBACKS_MAX)
        r->is_over_budget = true;
    if (!r->is_over_budget && r->depth <= LC_DEPTH_MAX)
        run_attachments(r, seen->handle, seen->event);
    if (r->run_left > 0)
        stop_when_done(r);
    int raise = r->raise;
    if (raise == LC_RAISE_EXCEPTION || raise == LC_RAISE_CANCELLED)
        lc_runner_note_raise(r, seen->handle, (uint8_t)seen->event);
    r->raise = outer_raise;
    r->inside = outer;
    r->inside_event = outer_event;
    return raise;
}

static void end(void *self, uint8_t handle, enum lc_event event)
{
    struct runner *r = self;
    lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_END, .code = (uint8_t)event, .handle = LC_HANDLE_WIDE(handle)});
    if (lc_runner_is_here(r) && r->depth > 0)
        r->depth--;
}

/* ---- a whole run --------------------------------------------------------------------------- */

static const struct lc_op step = {.op = LC_OP_STEP, .flags = LC_WAIT};

/* Is there a stream, or a call, that may still hold bytes? */
static bool has_to_send(const struct runner *r)
{
    for (size_t i = 0; i < r->used_count; i++) {
        const unsigned kind = r->used[i] >> 4;
        const struct handle *h = &r->handles[r->used[i]];
        const bool is_connection = kind == LC_KIND_STREAM || kind == LC_KIND_SERVER || kind == LC_KIND_DATAGRAM;
        if (is_connection && (h->state == ARMED || h->state == IDLE))
            return true;
        if (kind == LC_KIND_REQUEST && h->call == LC_OP_SENDALL && h->state != CLOSED)
            return true;
    }
    return false;
}

static void run_ops(struct runner *r, const struct lc_program *program)
{
    for (size_t i = 0; i < program->count; i++) {
        const struct lc_op *op = &program->ops[i];
        if (!lc_op_is_known(op))
            r->stats->ignored++;
        else if (op->on == 0)
            execute_counted(r, op);
        else
            r->attachments[r->attached++] = (struct attachment){.op = *op};
    }
    const int idle_enough = has_to_send(r) ? 1 : IDLE_STEPS; /* in drain() come more */
    int idle = 0;
    for (int i = 0; i < SETTLE_STEPS_MAX && idle < idle_enough; i++) {
        const uint32_t callbacks = r->stats->callbacks;
        turn_the_loop(r, &step);
        const bool is_idle = r->stats->callbacks == callbacks && !r->was_rescued && !r->was_promised;
        idle = is_idle ? idle + 1 : 0;
    }
    for (size_t i = 0; i < r->attached; i++)
        r->stats->unfired += !r->attachments[i].has_fired;
}

/* Takes what the streams send, until no more comes: what has not arrived by then never will. */
static void drain(struct runner *r)
{
    if (!has_to_send(r))
        return;
    r->is_over_budget = true; /* attachments do not run any more: a program must not keep the loop open for ever */
    if (r->kernel->fault != NULL)
        r->kernel->fault(r->kernel->self, LC_FAULT_NONE, 0);
    int quiet = 0, quiet_enough = IDLE_STEPS;
    for (int rounds = 0; rounds < DRAIN_ROUNDS_MAX && quiet < quiet_enough; rounds++) {
        uint32_t callbacks = r->stats->callbacks;
        r->steps = 0; /* a budget of its own */
        turn_the_loop(r, &step);
        bool is_quiet = lc_runner_take_all(r) == 0 && r->stats->callbacks == callbacks;
        quiet = is_quiet ? quiet + 1 : 0;
        const bool is_awaited = is_quiet && lc_runner_is_outstanding(r);
        if (is_awaited && !r->driver->is_exact)
            lc_runner_advance(r, DRAIN_PAUSE_NS); /* it may be on its way through the network */
        quiet_enough = is_awaited ? AWAITED_STEPS : IDLE_STEPS;
    }
    if (quiet >= quiet_enough)
        lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_DRAINED});
}

static bool has_closing(const struct runner *r)
{
    for (size_t i = 0; i < r->used_count; i++)
        if (r->handles[r->used[i]].state == CLOSING)
            return true;
    return false;
}

static bool is_of_the_loop(unsigned handle)
{
    return handle >> 4 != LC_KIND_FD && handle >> 4 != LC_KIND_END && handle >> 4 != LC_KIND_CANARY;
}

/* Whoever a server has let in by now becomes a stream before the streams are closed. */
static void close_servers(struct runner *r)
{
    bool has_server = false;
    for (size_t i = 0; i < r->used_count; i++)
        if (r->used[i] >> 4 == LC_KIND_SERVER)
            has_server |= lc_runner_destroy(r, r->used[i]);
    r->steps = 0;
    for (int i = 0; has_server && i < SETTLE_STEPS_MAX; i++)
        turn_the_loop(r, &(struct lc_op){.op = LC_OP_STEP, .flags = 0});
}

static void close_all(struct runner *r)
{
    const struct lc_kernel *k = r->kernel;

    r->is_over_budget = true;
    close_servers(r);
    for (size_t i = 0; i < r->used_count; i++)
        if (is_of_the_loop(r->used[i]))
            lc_runner_destroy(r, r->used[i]);
    r->steps = 0; /* the closing part has a budget of its own */
    for (int i = 0; has_closing(r) && i <= LC_CLOSE_STEPS_MAX; i++)
        turn_the_loop(r, &(struct lc_op){.op = LC_OP_STEP, .flags = 0});
    int64_t result = lc_runner_apply(r, (struct lc_op){.op = LC_OP_CLOSE});
    lc_runner_close_canaries(r);
    for (unsigned i = LC_KIND_FD << 4; i < (LC_KIND_FD + 1) << 4; i++)
        if (lc_runner_holds(r, (uint8_t)i)) /* a reset leaves nothing that keeps a port from the next program */
            k->close(k->self, r->handles[i].fd, r->handles[i].is_tcp || r->handles[i].port != 0);
    for (size_t i = 0; i < r->held_count; i++)
        k->close(k->self, r->held[i], false);
    lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_CLOSED, .result = (int32_t)(result < 0 ? result : 0)});
}

static void record_open_fds(struct runner *r)
{
    int count = r->kernel->open_fds(r->kernel->self);
    if (count >= 0)
        lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_FDS, .arg = (uint64_t)count});
}

/* Clears what the run before has touched. */
static void forget(struct runner *r)
{
    for (unsigned kind = 0; kind < LC_KIND_COUNT; kind++) {
        const unsigned touched = r->touched[kind];
        if (touched == 0)
            continue;
        const unsigned first = (unsigned)__builtin_ctz(touched), last = 31 - (unsigned)__builtin_clz(touched);
        memset(&r->handles[kind << 4 | first], 0, (last + 1 - first) * sizeof *r->handles); /* FREE */
    }
    memset(r, 0, offsetof(struct runner, handles));
    r->datagram_count = r->attached = 0;
}

int lc_run(struct lc_driver *driver, const struct lc_program *program, uint16_t number, struct lc_trace *trace,
           struct lc_stats *stats)
{
    const struct lc_kernel *kernel = driver->kernel != NULL ? driver->kernel : lc_kernel_posix();
    static struct runner runner; /* large; one process runs one program at a time */
    struct runner *r = &runner;

    forget(r);
    r->driver = driver;
    r->kernel = kernel;
    r->trace = trace;
    r->stats = stats;
    *stats = (struct lc_stats){.ops = (uint32_t)program->count};
    r->thread = pthread_self();
    driver->sink = (struct lc_sink){.begin = begin, .end = end, .self = r};
    lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_OPEN,
                                        .handle = number,
                                        .arg = driver->capabilities | (uint64_t)driver->promises << 32});
    const uint8_t terms = (driver->is_exact ? LC_TERMS_EXACT : 0) | (kernel->is_timed ? LC_TERMS_TIMED : 0);
    lc_runner_record(r, (struct lc_obs){.what = LC_WHAT_TERMS, .arg = driver->tick_ns, .bits = terms});
    record_open_fds(r);
    int64_t opened = lc_runner_apply(r, (struct lc_op){.op = LC_OP_OPEN});
    if (opened < 0)
        return (int)opened;
    r->opened_ns = lc_runner_now_ns(r);
    run_ops(r, program);
    drain(r);
    close_all(r);
    record_open_fds(r);
    return 0;
}
