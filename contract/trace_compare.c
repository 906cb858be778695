#include "trace_compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

enum {
    SETTLE_STEPS = 5,  /* a step of a loop that makes several turns of one event needs no more */
    EVENTS_MAX = 24,   /* of one handle; more of the same are not told apart */
    KIND_HANDLES = 16, /* a program's handles: 16 of a kind */
    HANDLES = LC_KIND_COUNT * KIND_HANDLES,
    CLOSE_TICKS = 2 /* a turn that begins earlier than so much after a deadline may fire the timer, or leave it */
};

/* What one handle saw, and what keeps it from being compared. */
struct seen {
    uint8_t events[EVENTS_MAX]; /* enum lc_event; neither READY nor DATA, which are below */
    unsigned count;
    unsigned ready_bits;  /* a watcher's */
    uint64_t bytes;       /* a stream's, or what the runner took from an fd */
    bool has_end;         /* an fd's: the end of file was seen */
    bool is_wrong;        /* of its bytes some were wrong: the rules say so */
    uint32_t ops;         /* a hash of what was asked for it, in order */
    unsigned datagrams;   /* an endpoint's; each counts as one byte more in bytes, and so in sent */
    uint64_t accepted[2]; /* ops by code that the loop took at least once, and that it refused */
    uint32_t epoch;       /* in which its last callback came; 0: none came */
    uint32_t meddled;     /* epoch in which a callback of another handle asked something of it; 0: none */
    uint64_t deadline_ns; /* a timer's */
    bool is_armed;
    uint16_t fd;          /* a stream's or a watcher's */
    uint16_t peer;        /* an fd's other end */
    uint16_t stream;      /* that an fd belongs to */
    uint64_t sent;        /* bytes an fd was given to send */
    bool is_vague;        /* nothing of it is compared */
    bool are_bytes_vague; /* not its bytes */
    bool is_ending_vague; /* not its EOF and LOST, and no later event */
    bool is_paused;
    bool is_call; /* a request, or a stream that connects: it ends by itself */
    bool is_done; /* and did */
    bool is_udp;  /* an fd */
    bool is_over; /* flushed, aborted or destroyed: what comes for it is answered by a reset */
};

struct story {
    struct seen of[HANDLES];
    uint32_t errors; /* calls of the exception handler */
    uint32_t raises;
    uint32_t rescues;
    bool has_reset; /* of a stream: how a loop tells of it is not compared */
    uint32_t epoch; /* top-level ops so far */
    bool has_nan;   /* among its timers: when others fire is open then */
    uint64_t tick_ns;
    uint64_t turn_ns; /* when the last turn or run began */
    uint16_t inside;  /* handle of the innermost callback */
    unsigned depth;
    uint16_t outer[8];
};

static unsigned place(uint16_t handle)
{
    unsigned kind = LC_WIDE_KIND(handle), index = LC_WIDE_INDEX(handle);
    return kind < LC_KIND_COUNT && index < KIND_HANDLES ? kind * KIND_HANDLES + index : 0;
}

static struct seen *at(struct story *story, uint16_t handle)
{
    return &story->of[place(handle)];
}

/* What a callback of another handle does to one that is called in the same epoch depends on who came first. */
static void meddle(struct story *story, uint16_t handle)
{
    struct seen *seen = at(story, handle);
    if (story->depth == 0 || story->inside == handle)
        return;
    seen->meddled = story->epoch;
    seen->is_vague |= seen->epoch == story->epoch;
}

static void meddle_with_fd(struct story *story, uint16_t fd)
{
    for (unsigned i = 1; i < KIND_HANDLES; i++) {
        uint16_t watch = (uint16_t)(LC_KIND_WATCH << 12 | i), stream = (uint16_t)(LC_KIND_STREAM << 12 | i);
        uint16_t endpoint = (uint16_t)(LC_KIND_DATAGRAM << 12 | i);
        uint16_t peer = at(story, fd)->peer;
        if (at(story, watch)->fd == fd || at(story, watch)->fd == peer)
            meddle(story, watch);
        if (at(story, stream)->fd == fd || at(story, stream)->fd == peer)
            meddle(story, stream);
        if (at(story, endpoint)->fd == fd || at(story, endpoint)->fd == peer)
            meddle(story, endpoint);
    }
}

/* ---- ops ----------------------------------------------------------------------------------- */

/* Has everything that was sent to this stream been delivered? Otherwise an ending decides how much is. */
static bool has_all(struct story *story, const struct seen *stream)
{
    return stream->bytes == at(story, at(story, stream->fd)->peer)->sent;
}

static void take_stream_op(struct story *story, struct seen *s, const struct lc_obs *obs)
{
    const bool is_fatal = obs->code == LC_OP_RAISE && (obs->arg == LC_EVENT_DATA || obs->arg == LC_EVENT_GET_BUFFER ||
                                                       obs->arg == LC_EVENT_EOF); /* it ends its connection */
    bool is_ending = is_fatal || obs->code == LC_OP_FLUSH || obs->code == LC_OP_ABORT || obs->code == LC_OP_DESTROY;
    struct seen *peer = at(story, at(story, s->fd)->peer);
    if (obs->code == LC_OP_STREAM) {
        s->fd = (uint16_t)((obs->arg >> 4) << 12 | (obs->arg & 15));
        at(story, s->fd)->stream = obs->handle;
        peer = at(story, at(story, s->fd)->peer);
    }
    bool is_cut = is_ending && !has_all(story, s); /* the peer finds the connection reset */
    if (is_cut || (obs->code == LC_OP_PAUSE && !has_all(story, s)))
        s->are_bytes_vague = s->is_ending_vague = true;
    if (obs->code == LC_OP_WRITE)
        at(story, s->fd)->sent += obs->arg;
    if (obs->code == LC_OP_WRITE && peer->stream != 0 && at(story, peer->stream)->is_over)
        s->are_bytes_vague = s->is_ending_vague = true;
    s->is_over |= is_ending;
    s->is_call |= obs->code == LC_OP_CONNECT;
    if (is_cut || is_fatal || obs->code == LC_OP_ABORT || obs->code == LC_OP_DESTROY) {
        if (peer->stream != 0)
            at(story, peer->stream)->are_bytes_vague = at(story, peer->stream)->is_ending_vague = true;
        peer->are_bytes_vague = true;
    }
    s->is_paused = obs->code == LC_OP_PAUSE || (s->is_paused && obs->code != LC_OP_RESUME);
}

/* What an endpoint has not been given when it ends is lost, and what it has not sent when it is aborted may be. */
static void take_endpoint_op(struct story *story, struct seen *s, const struct lc_obs *obs)
{
    const bool is_ending = obs->code == LC_OP_FLUSH || obs->code == LC_OP_ABORT || obs->code == LC_OP_DESTROY;
    if (obs->code == LC_OP_DATAGRAM) {
        s->fd = (uint16_t)((obs->arg >> 4) << 12 | (obs->arg & 15));
        at(story, s->fd)->stream = obs->handle;
    }
    if (obs->code == LC_OP_SEND)
        at(story, s->fd)->sent += obs->arg + 1;
    s->are_bytes_vague |= is_ending && !has_all(story, s);
    s->is_over |= is_ending;
    if (obs->code == LC_OP_ABORT || obs->code == LC_OP_DESTROY) {
        struct seen *peer = at(story, at(story, s->fd)->peer);
        peer->are_bytes_vague = at(story, peer->stream)->are_bytes_vague = true;
    }
}

/* The other side of an fd's stream meets an end it may learn of now or later, or in two ways. */
static void end_fd(struct story *story, uint16_t fd, bool is_reset)
{
    struct seen *peer = at(story, at(story, fd)->peer);
    at(story, fd)->are_bytes_vague = true;
    if (peer->stream == 0)
        return;
    struct seen *stream = at(story, peer->stream);
    story->has_reset |= is_reset;
    stream->is_ending_vague |= is_reset || stream->is_paused;
    stream->are_bytes_vague |= is_reset;
}

static void take_fd_op(struct story *story, const struct lc_obs *obs)
{
    struct seen *fd = at(story, obs->handle);
    if (obs->code == LC_OP_PAIR || obs->code == LC_OP_TCP || obs->code == LC_OP_UDP) {
        fd->is_udp = at(story, (uint16_t)((obs->arg >> 4) << 12 | (obs->arg & 15)))->is_udp = obs->code == LC_OP_UDP;
        fd->peer = (uint16_t)((obs->arg >> 4) << 12 | (obs->arg & 15));
        at(story, fd->peer)->peer = obs->handle;
        return;
    }
    meddle_with_fd(story, obs->handle);
    if (obs->code == LC_OP_PUT || obs->code == LC_OP_FILL) {
        fd->sent += fd->is_udp ? (obs->result >= 0) * (obs->arg + 1) : obs->arg;
        fd->are_bytes_vague |= at(story, at(story, fd->peer)->stream)->is_over;
    }
    if (obs->code == LC_OP_FILL && at(story, fd->peer)->stream == 0)
        at(story, fd->peer)->are_bytes_vague = true; /* how much fits is the kernel's business */
    if (obs->code == LC_OP_TAKE) {
        fd->bytes += obs->arg;
        fd->has_end |= (obs->bits & LC_BYTES_END) != 0;
        fd->is_wrong |= (obs->bits & LC_BYTES_WRONG) != 0;
    }
    if (obs->code == LC_OP_SHUT)
        end_fd(story, obs->handle, false);
    if (obs->code == LC_OP_HANGUP || obs->code == LC_OP_RST || obs->code == LC_OP_RECYCLE)
        end_fd(story, obs->handle, true);
}

static void take_op(struct story *story, const struct lc_obs *obs)
{
    struct seen *seen = at(story, obs->handle);
    bool is_timer = LC_WIDE_KIND(obs->handle) == LC_KIND_TIMER;
    if (obs->code < 64)
        seen->accepted[obs->result < 0] |= UINT64_C(1) << obs->code;
    const bool is_answer = obs->code == LC_OP_SEND && obs->result < 0; /* the second record of one op */
    if (obs->code != LC_OP_TAKE && !is_answer)
        seen->ops = seen->ops * 31 + obs->code + (obs->code == LC_OP_RAISE ? (uint32_t)obs->arg << 8 : 0);
    story->raises += obs->code == LC_OP_RAISE;
    if (obs->thread != 0) /* a post */
        return;
    if (story->depth == 0)
        story->epoch++;
    if (LC_WIDE_KIND(obs->handle) == LC_KIND_FD) {
        take_fd_op(story, obs);
        return;
    }
    seen->is_vague |= obs->code == LC_OP_EDGE && obs->result < 0; /* a loop may have no word for it */
    if (obs->result < 0)
        return;
    story->has_nan |= obs->code == LC_OP_EDGE && obs->bits == LC_EDGE_NAN;
    meddle(story, obs->handle);
    if (is_timer && (obs->code == LC_OP_CANCEL || obs->code == LC_OP_DESTROY)) {
        uint64_t slack_ns = CLOSE_TICKS * story->tick_ns;
        seen->is_vague |= seen->is_armed &&
                          (seen->deadline_ns > UINT64_MAX - slack_ns || story->turn_ns < seen->deadline_ns + slack_ns);
    } else if (is_timer) {
        seen->deadline_ns = obs->arg;
        seen->is_armed = true;
    }
    /* A call that is ended before it was through could have been, in a turn more or less. */
    seen->is_call |= LC_WIDE_KIND(obs->handle) == LC_KIND_REQUEST;
    seen->is_vague |= seen->is_call && !seen->is_done && (obs->code == LC_OP_CANCEL || obs->code == LC_OP_DESTROY);
    if (LC_WIDE_KIND(obs->handle) == LC_KIND_WATCH && obs->code == LC_OP_WATCH)
        seen->fd = (uint16_t)((obs->arg >> 4) << 12 | (obs->arg & 15));
    if (LC_WIDE_KIND(obs->handle) == LC_KIND_STREAM)
        take_stream_op(story, seen, obs);
    if (LC_WIDE_KIND(obs->handle) == LC_KIND_DATAGRAM)
        take_endpoint_op(story, seen, obs);
}

/* ---- callbacks ----------------------------------------------------------------------------- */

static void take_event(struct story *story, const struct lc_obs *obs)
{
    struct seen *seen = at(story, obs->handle);
    if (obs->code == LC_EVENT_CLOSED || obs->code == LC_EVENT_PAUSE_WRITING || obs->code == LC_EVENT_RESUME_WRITING ||
        obs->code == LC_EVENT_REFUSED) /* which may come at once, with the next datagram, or for several of them */
        return;
    seen->is_vague |= seen->meddled == story->epoch && seen->meddled != 0;
    seen->is_armed = false;
    seen->epoch = story->epoch;
    seen->is_done |= obs->code == LC_EVENT_DONE;
    if (obs->code == LC_EVENT_DONE && LC_WIDE_KIND(obs->handle) == LC_KIND_STREAM)
        return; /* the call and the protocol of a connect are two callbacks in no order */
    if (obs->code == LC_EVENT_READY)
        seen->ready_bits |= obs->bits & (LC_IN | LC_OUT);
    if (obs->code == LC_EVENT_DATA) {
        seen->bytes += obs->arg;
        seen->is_wrong |= obs->bits != 0;
    }
    if (obs->code == LC_EVENT_DATAGRAM) {
        seen->bytes += obs->arg + 1;
        seen->datagrams++;
        seen->is_wrong |= obs->bits != 0;
    }
    if (obs->code == LC_EVENT_READY || obs->code == LC_EVENT_DATA || obs->code == LC_EVENT_DATAGRAM)
        return;
    if (seen->is_ending_vague && (obs->code == LC_EVENT_EOF || obs->code == LC_EVENT_LOST))
        return;
    if (obs->code == LC_EVENT_POSTED && seen->count > 0) /* posts may be merged */
        return;
    if (seen->count < EVENTS_MAX)
        seen->events[seen->count++] = obs->code;
}

static void enter(struct story *story, uint16_t handle)
{
    if (story->depth < sizeof story->outer / sizeof *story->outer)
        story->outer[story->depth] = story->inside;
    story->depth++;
    story->inside = handle;
}

static void leave(struct story *story)
{
    if (story->depth == 0)
        return;
    story->depth--;
    story->inside = story->depth < sizeof story->outer / sizeof *story->outer ? story->outer[story->depth] : 0;
}

static void read_story(struct story *story, const struct lc_obs *records, size_t count)
{
    memset(story, 0, sizeof *story);
    story->epoch = 1;
    for (size_t i = 0; i < count; i++) {
        const struct lc_obs *obs = &records[i];
        if (obs->what == LC_WHAT_TERMS)
            story->tick_ns = obs->arg;
        else if (obs->what == LC_WHAT_OP)
            take_op(story, obs);
        else if (obs->what == LC_WHAT_ERROR)
            story->errors++;
        else if (obs->what == LC_WHAT_RESCUE)
            story->rescues++;
        else if (obs->what == LC_WHAT_BEGIN) {
            if (obs->code != LC_EVENT_GET_BUFFER) /* when it is asked for is nowhere settled */
                take_event(story, obs);
            enter(story, obs->handle);
        } else if (obs->what == LC_WHAT_END)
            leave(story);
        else if (obs->what == LC_WHAT_STEP || obs->what == LC_WHAT_RUN)
            story->turn_ns = obs->time_ns;
        else if (obs->what == LC_WHAT_STEPPED || obs->what == LC_WHAT_RAN)
            story->depth = 0; /* a callback that raised may never have ended */
        else if (obs->what == LC_WHAT_DRAINED)
            break; /* what comes is the runner's clearing up */
    }
}

/* ---- the comparison ------------------------------------------------------------------------ */

/* What a handle saw, in words. */
static void tell(const struct seen *seen, unsigned kind, bool has_bytes, bool has_ending, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (unsigned i = 0; i < seen->count && used < size; i++) {
        unsigned event = seen->events[i];
        if (kind == LC_KIND_STREAM && !has_ending && (event == LC_EVENT_EOF || event == LC_EVENT_LOST))
            break;
        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                 event < LC_EVENT_COUNT ? lc_event_names[event] : "?");
    }
    if (kind == LC_KIND_WATCH && used < size)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s", seen->ready_bits & LC_IN ? "readable" : "not readable",
                             seen->ready_bits & LC_OUT ? ", writable" : "");
    if (has_bytes && kind == LC_KIND_DATAGRAM && used < size)
        used += (size_t)snprintf(text + used, size - used, "%s%u datagrams of %llu bytes", used ? ", " : "",
                                 seen->datagrams, (unsigned long long)(seen->bytes - seen->datagrams));
    else if (has_bytes && used < size)
        used += (size_t)snprintf(text + used, size - used, "%s%llu bytes%s", used ? ", " : "",
                                 (unsigned long long)seen->bytes,
                                 kind == LC_KIND_FD && seen->has_end ? ", then the end of file" : "");
    if (used == 0)
        snprintf(text, size, "nothing");
}

/* What a handle sees may be another thing when other things were asked of it, because of what another handle saw. */
static bool was_asked_the_same(struct story stories[2], uint16_t handle)
{
    const struct seen *s = at(&stories[0], handle);
    uint16_t fd = LC_WIDE_KIND(handle) == LC_KIND_FD ? handle : s->fd, peer = at(&stories[0], fd)->peer;
    const uint16_t all[] = {handle, fd, peer, at(&stories[0], fd)->stream, at(&stories[0], peer)->stream};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] != 0 && (at(&stories[0], all[i])->ops != at(&stories[1], all[i])->ops ||
                            at(&stories[0], all[i])->sent != at(&stories[1], all[i])->sent))
            return false; /* as much as fitted was sent, which is another thing when one of them had read more */
    return true;
}

static bool compare_seen(struct story stories[2], uint16_t handle, struct lc_difference *difference)
{
    const struct seen *a = at(&stories[0], handle), *b = at(&stories[1], handle);
    char name[8], ours[64], theirs[64];
    unsigned kind = LC_WIDE_KIND(handle);
    bool has_bytes = (kind == LC_KIND_STREAM || kind == LC_KIND_FD || kind == LC_KIND_DATAGRAM) &&
                     !a->are_bytes_vague && !b->are_bytes_vague;
    bool has_ending = !a->is_ending_vague && !b->is_ending_vague;

    lc_handle_format((uint8_t)(kind << 4 | LC_WIDE_INDEX(handle)), name);
    tell(a, kind, has_bytes, has_ending, ours, sizeof ours);
    tell(b, kind, has_bytes, has_ending, theirs, sizeof theirs);
    bool is_clear = !a->is_vague && !b->is_vague && !a->is_wrong && !b->is_wrong;
    if (is_clear && was_asked_the_same(stories, handle) && strcmp(ours, theirs) != 0) {
        snprintf(difference->text, sizeof difference->text, "%s saw %s; on the control %s", name, ours, theirs);
        return true;
    }
    if (!has_ending || !was_asked_the_same(stories, handle))
        return false;
    const uint64_t open = UINT64_C(1) << LC_OP_EDGE;
    uint64_t refused = ~open & a->accepted[1] & ~b->accepted[1] & b->accepted[0];
    uint64_t taken = ~open & b->accepted[1] & ~a->accepted[1] & a->accepted[0];
    for (unsigned code = 0; code < LC_OP_PROGRAM_END && (refused | taken) != 0 && kind != LC_KIND_FD; code++)
        if (((refused | taken) >> code & 1) != 0) {
            bool is_ours = (refused >> code & 1) != 0;
            snprintf(difference->text, sizeof difference->text, "%s %s: the loop %s it, the control %s it",
                     lc_op_forms[code].name, name, is_ours ? "refuses" : "takes", is_ours ? "takes" : "refuses");
            return true;
        }
    return false;
}

static bool is_compared(struct story *story, uint16_t handle)
{
    if (LC_WIDE_KIND(handle) != LC_KIND_FD)
        return LC_WIDE_KIND(handle) != LC_KIND_TIMER || !story->has_nan;
    return at(story, handle)->stream == 0 && at(story, at(story, handle)->peer)->stream != 0;
}

size_t lc_trace_compare(const struct lc_obs *trace, size_t count, const struct lc_obs *control, size_t control_count,
                        struct lc_difference differences[LC_DIFFERENCES_MAX])
{
    struct story *stories = malloc(2 * sizeof *stories);
    size_t stored = 0;
    if (stories == NULL)
        return 0;
    read_story(&stories[0], trace, count);
    read_story(&stories[1], control, control_count);
    if (stories[0].rescues != 0 || stories[1].rescues != 0) { /* afterwards everything is late */
        bool is_ours = stories[1].rescues == 0;
        if (is_ours || stories[0].rescues == 0)
            snprintf(differences[stored++].text, sizeof differences->text,
                     "the %s slept through what called the %s back", is_ours ? "loop" : "control",
                     is_ours ? "control" : "loop");
        differences[0].handle = 0;
        free(stories);
        return stored;
    }
    for (unsigned i = KIND_HANDLES; i < HANDLES && stored < LC_DIFFERENCES_MAX; i++) {
        uint16_t handle = (uint16_t)(i / KIND_HANDLES << 12 | i % KIND_HANDLES);
        if (!is_compared(&stories[0], handle) || !is_compared(&stories[1], handle))
            continue;
        differences[stored].handle = handle;
        stored += compare_seen(stories, handle, &differences[stored]);
    }
    bool is_clear = !stories[0].has_reset && !stories[1].has_reset && stories[0].raises == stories[1].raises;
    if (stored == 0 && is_clear && stories[0].errors != stories[1].errors) {
        snprintf(differences[0].text, sizeof differences[0].text,
                 "the exception handler was called %u times; on the control %u times", stories[0].errors,
                 stories[1].errors);
        differences[0].handle = 0;
        stored = 1;
    }
    free(stories);
    return stored;
}

static bool is_turn(const struct lc_op *op)
{
    return op->op == LC_OP_STEP || op->op == LC_OP_RUN;
}

static bool is_poll(const struct lc_op *op)
{
    return op->op == LC_OP_STEP && op->flags == 0;
}

void lc_program_settle(struct lc_program *program)
{
    struct lc_program settled = {0};
    unsigned polls = SETTLE_STEPS; /* since the last op that was no poll */
    for (size_t i = 0; i <= program->count; i++) {
        const struct lc_op *op = i < program->count ? &program->ops[i] : NULL;
        for (; (op == NULL || !is_poll(op)) && polls < SETTLE_STEPS && settled.count < LC_PROGRAM_OPS_MAX; polls++)
            settled.ops[settled.count++] = (struct lc_op){.op = LC_OP_STEP};
        if (op == NULL || settled.count == LC_PROGRAM_OPS_MAX)
            break;
        polls = is_poll(op) ? (polls < SETTLE_STEPS ? polls + 1 : 1) : is_turn(op) && op->on == 0 ? 0 : SETTLE_STEPS;
        settled.ops[settled.count++] = *op;
    }
    *program = settled;
}
