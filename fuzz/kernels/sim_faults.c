/* The faults that the calls of the reference loop meet on the simulated kernel: those that adversary.c draws, or the
 * one that the plan asks for. A layer over the plain backend of sim.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "sim_files.h"

enum {
    WAITS = 0,            /* where waits are counted, and drawn for: no socket has this number */
    ONE_IN_SPURIOUS = 16, /* wake-ups of a stream for nothing */
    ONE_IN_LATE = 3,      /* waits that the end of a connect, or a refusal of a datagram, outlasts on its way */
    ONE_IN_JUMP = 8,      /* waits after which more time has passed than was asked for */
    PARTS = 8,            /* of a sleep that a signal ends */
    JUMP_BITS = 34        /* of the ns that pass then: up to 17 s */
};

enum call {
    CALL_APPLY,
    CALL_WAIT,
    CALL_READ,
    CALL_WRITE,
    CALL_SHUT,
    CALL_RECEIVE,
    CALL_SEND,
    CALL_ACCEPT,
    CALL_CONNECT,
    CALLS
};

/* How each kind of call can fail: backend.h, and the manuals of epoll_ctl, epoll_wait, recv, send and shutdown. */
static const int errors[CALLS][7] = {
    [CALL_APPLY] = {-ENOMEM, -ENOSPC, -EPERM},
    [CALL_WAIT] = {-EINTR, -ESTALE},
    [CALL_READ] = {-EINTR, -EAGAIN, -ECONNRESET, -ETIMEDOUT, -ENOMEM},
    [CALL_WRITE] = {-EINTR, -EAGAIN, -EPIPE, -ECONNRESET, -ENOBUFS, -ENOMEM},
    [CALL_SHUT] = {-ENOTCONN, -ENOBUFS},
    [CALL_RECEIVE] = {-EINTR, -EAGAIN, -ECONNREFUSED, -ENOMEM},
    [CALL_SEND] = {-EINTR, -EAGAIN, -ENOBUFS, -ECONNREFUSED, -EPERM, -ENOMEM},
    [CALL_ACCEPT] = {-EINTR, -EAGAIN, -ECONNABORTED, -EMFILE, -ENFILE, -ENOMEM},
    [CALL_CONNECT] = {-ECONNREFUSED, -ETIMEDOUT, -ENETUNREACH, -EADDRNOTAVAIL},
};

static bool is_harmless(enum call call, int error)
{
    return error == -EINTR || error == -EAGAIN || error == -ESTALE || call == CALL_ACCEPT ||
           (call == CALL_SEND && error == -ENOBUFS);
}

static void tell(const struct sim *sim, int fd, bool is_broken)
{
    if (sim->plan.on_fault != NULL)
        sim->plan.on_fault(sim->plan.arg, fd, is_broken);
}

/* The error of the plan, if this is the call that fails; else 0. */
static int planned_error(struct sim *sim, enum call call, int fd)
{
    if (call != CALL_WAIT)
        sim->is_told = false;
    struct sim_faults *faults = &sim->faults;
    if (++faults->calls != sim->plan.failing_call)
        return 0;
    const int error = errors[call][sim->plan.failing_choice];
    faults->has_failed = error != 0;
    if (error != 0)
        tell(sim, fd, !is_harmless(call, error));
    return error;
}

static bool is_off(const struct sim *sim)
{
    return sim->is_calm || sim->plan.adversary.level == ADVERSARY_OFF;
}

static uint32_t choice(const struct sim *sim, uint32_t n, uint32_t bound)
{
    return adversary_choice(&sim->plan.adversary, WAITS, sim->faults.numbers[WAITS][ADVERSARY_WAIT], n, bound);
}

/* ---- watching ------------------------------------------------------------------------------ */

static int faulty_apply(void *self, int fd, uint32_t interest)
{
    struct sim *sim = self;
    const uint32_t watched = sim->fds[fd].watched;
    const bool is_less = (interest & ~watched) == 0 && interest != watched; /* taking away succeeds; see backend.h */
    int error = interest == 0 || is_less ? 0 : planned_error(sim, CALL_APPLY, fd);
    return error != 0 ? error : sim->faults.plain.apply(sim, fd, interest);
}

static void forget_all(struct sim *sim)
{
    for (int fd = 0; fd < sim->fds_end; fd++)
        sim->fds[fd].watched = 0;
}

/* A stream may be woken though nothing has come: somebody else was faster, or a checksum was wrong. */
static int add_spurious(const struct sim *sim, struct rl_event *events, int count, int events_max)
{
    for (int fd = 0; fd < sim->fds_end && count < events_max; fd++) {
        bool is_there = false;
        for (int i = 0; i < count; i++)
            is_there |= events[i].fd == fd;
        if (!is_there && sim->fds[fd].is_read && (sim->fds[fd].watched & RL_IN) &&
            choice(sim, 100 + (uint32_t)fd, ONE_IN_SPURIOUS) == 0)
            events[count++] = (struct rl_event){.fd = fd, .events = RL_IN};
    }
    return count;
}

static void shuffle(const struct sim *sim, struct rl_event *events, int count)
{
    for (int i = count - 1; i > 0; i--) {
        const uint32_t other = choice(sim, 200 + (uint32_t)i, (uint32_t)i + 1);
        const struct rl_event event = events[i];
        events[i] = events[other];
        events[other] = event;
    }
}

/* By POSIX no fd is both hung up and writable; and what hangs up or fails need not be readable besides. */
static uint32_t other_bits(const struct sim *sim, uint32_t n, uint32_t bits)
{
    if (sim->plan.adversary.level < ADVERSARY_POSIX || choice(sim, 300 + n, 2) == 0)
        return bits;
    if (bits & RL_ERR)
        return RL_ERR;
    return bits & RL_HUP ? bits & ~(uint32_t)RL_OUT : bits;
}

static void jump(struct sim *sim)
{
    if (!sim->plan.has_jumps || choice(sim, 1, ONE_IN_JUMP) != 0)
        return;
    const uint64_t late_ns = UINT64_C(1) << choice(sim, 2, JUMP_BITS);
    sim->now_ns = late_ns > LC_TIME_NS_MAX - sim->now_ns ? LC_TIME_NS_MAX : sim->now_ns + late_ns;
    if (sim->plan.on_jump != NULL)
        sim->plan.on_jump(sim->plan.arg);
}

/* A signal may come in the middle of a sleep: a part of its time has passed then, unless something would have ended it
 * earlier. */
static void sleep_a_part(struct sim *sim, int64_t timeout_ns)
{
    bool is_ready = sim->is_woken || sim->posts_count > 0 || timeout_ns <= 0;
    for (int fd = 0; fd < sim->fds_end && !is_ready; fd++)
        is_ready =
            sim->fds[fd].watched != 0 && (sim_readiness(sim, fd) & (sim->fds[fd].watched | RL_HUP | RL_ERR)) != 0;
    if (!is_ready)
        sim->now_ns = sim_later(sim, (uint64_t)timeout_ns / PARTS * choice(sim, 3, PARTS));
}

/* A wait may be interrupted or hold events back, but not two in a row: what is ready must come. */
static int adverse_wait(struct sim *sim, int64_t timeout_ns, struct rl_event *events, int events_max)
{
    struct sim_faults *faults = &sim->faults;
    const struct adversary *adversary = &sim->plan.adversary;
    const uint32_t number = ++faults->numbers[WAITS][ADVERSARY_WAIT];
    const bool may_delay = !faults->has_delayed;
    faults->has_delayed = may_delay && adversary_draw(adversary, ADVERSARY_WAIT, WAITS, number) == ADVERSARY_EINTR;
    if (faults->has_delayed) {
        sleep_a_part(sim, timeout_ns);
        tell(sim, WAITS, false);
        return -EINTR;
    }
    int count = faults->plain.wait(sim, timeout_ns, events, events_max);
    if (count < 0)
        return count;
    jump(sim);
    count = add_spurious(sim, events, count, events_max);
    shuffle(sim, events, count);
    const int batch = count > 0 && may_delay ? adversary_batch(adversary, WAITS, number, count) : count;
    faults->has_delayed = batch < count;
    if (faults->has_delayed)
        tell(sim, WAITS, false);
    for (int i = 0; i < batch; i++)
        events[i].events = other_bits(sim, (uint32_t)i, events[i].events);
    sim->is_told = batch > 0;
    return batch;
}

/* What is on its way to this fd arrives: that a datagram was refused, or what came of a connect. */
static void deliver(struct sim *sim, int fd)
{
    struct sim_fd *one = &sim->fds[fd];
    const int error = one->late_port != 0 ? -sim_connect_to(sim, fd, one->late_port) : one->late_error;
    one->error = error;
    one->late_error = 0;
    one->late_port = 0;
}

/* Each by itself, earlier or later. Returns whether a connect is still under way. */
static bool deliver_some(struct sim *sim)
{
    bool is_connecting = false;
    for (int fd = 0; fd < sim->fds_end; fd++) {
        const struct sim_fd *one = &sim->fds[fd];
        if (one->late_error == 0 && one->late_port == 0)
            continue;
        if (!is_off(sim) && choice(sim, 400 + (uint32_t)fd, ONE_IN_LATE) == 0)
            is_connecting |= one->is_new;
        else
            deliver(sim, fd);
    }
    return is_connecting;
}

/* What is to come would end a sleep: so a wait before that ends as if by a signal, if the last one did not. */
static bool is_interrupted(struct sim *sim, int64_t timeout_ns)
{
    struct sim_faults *faults = &sim->faults;
    if (!deliver_some(sim) || timeout_ns == 0)
        return false;
    if (!faults->has_delayed) {
        faults->has_delayed = true;
        faults->numbers[WAITS][ADVERSARY_WAIT]++;
        tell(sim, WAITS, false);
        return true;
    }
    for (int fd = 0; fd < sim->fds_end; fd++)
        if (sim->fds[fd].is_new && (sim->fds[fd].late_error != 0 || sim->fds[fd].late_port != 0))
            deliver(sim, fd);
    return false;
}

static int faulty_wait(void *self, int64_t timeout_ns, struct rl_event *events, int events_max)
{
    struct sim *sim = self;
    int error = planned_error(sim, CALL_WAIT, WAITS);
    if (error == -ESTALE)
        forget_all(sim);
    if (error != 0)
        return error;
    if (is_interrupted(sim, timeout_ns))
        return -EINTR;
    return is_off(sim) ? sim->faults.plain.wait(sim, timeout_ns, events, events_max)
                       : adverse_wait(sim, timeout_ns, events, events_max);
}

/* ---- moving bytes -------------------------------------------------------------------------- */

/* The fault that is drawn for this call, if it is lawful there. */
static enum adversary_fault draw(struct sim *sim, enum adversary_call call, int number, size_t size, uint32_t *count)
{
    const struct adversary *adversary = &sim->plan.adversary;
    const struct sim_fd *fd = &sim->fds[number];
    if (is_off(sim) || !fd->is_open)
        return ADVERSARY_NONE;
    *count = sim->faults.numbers[number][call]++;
    const struct adversary_situation situation = {.file = fd->is_udp   ? ADVERSARY_DATAGRAM
                                                          : fd->is_tcp ? ADVERSARY_INET_STREAM
                                                                       : ADVERSARY_UNIX_STREAM,
                                                  .has_peer_ended = fd->peer < 0 || sim->fds[fd->peer].is_shut,
                                                  .size = size};
    const enum adversary_fault fault = adversary_draw(adversary, call, number, *count);
    return adversary_allows(adversary, call, fault, &situation) ? fault : ADVERSARY_NONE;
}

/* What this read or write meets: *size becomes what it may move. Returns 0 or -errno. */
static int meet(struct sim *sim, enum adversary_call call, int number, size_t *size)
{
    const struct adversary *adversary = &sim->plan.adversary;
    uint32_t count = 0;
    const enum adversary_fault fault = draw(sim, call, number, *size, &count);
    if (fault == ADVERSARY_NONE)
        return 0;
    const bool is_reset = fault == ADVERSARY_RESET && sim_break(sim, number);
    tell(sim, number, is_reset);
    if (fault == ADVERSARY_SHORT)
        *size = adversary_size(adversary, number, count, *size);
    return fault == ADVERSARY_EAGAIN ? -EAGAIN : fault == ADVERSARY_EINTR ? -EINTR : is_reset ? -ECONNRESET : 0;
}

static int64_t faulty_read(void *self, int fd, void *bytes, size_t size)
{
    struct sim *sim = self;
    sim->fds[fd].is_read = true;
    int error = planned_error(sim, CALL_READ, fd);
    error = error == 0 ? meet(sim, ADVERSARY_READ, fd, &size) : error;
    return error != 0 ? error : sim->faults.plain.read(sim, fd, bytes, size);
}

static int64_t faulty_write(void *self, int fd, const void *bytes, size_t size)
{
    struct sim *sim = self;
    int error = planned_error(sim, CALL_WRITE, fd);
    error = error == 0 ? meet(sim, ADVERSARY_WRITE, fd, &size) : error;
    return error != 0 ? error : sim->faults.plain.write(sim, fd, bytes, size);
}

static int faulty_shut(void *self, int fd)
{
    struct sim *sim = self;
    int error = planned_error(sim, CALL_SHUT, fd);
    return error != 0 ? error : sim->faults.plain.shut(sim, fd);
}

/* ---- datagrams ----------------------------------------------------------------------------- */

/* A datagram may be larger than the memory for it; then one that was sent to this socket is lost. */
static int64_t faulty_receive(void *self, int fd, void *bytes, size_t size)
{
    struct sim *sim = self;
    uint32_t count = 0;
    sim->fds[fd].is_read = true;
    int error = planned_error(sim, CALL_RECEIVE, fd);
    const enum adversary_fault fault = error == 0 ? draw(sim, ADVERSARY_READ, fd, size, &count) : ADVERSARY_NONE;
    if (fault == ADVERSARY_EAGAIN || fault == ADVERSARY_EINTR)
        error = fault == ADVERSARY_EAGAIN ? -EAGAIN : -EINTR;
    if (fault != ADVERSARY_NONE)
        tell(sim, fd, fault == ADVERSARY_CUT);
    const int64_t got = error != 0 ? error : sim->faults.plain.receive(sim, fd, bytes, size);
    return fault == ADVERSARY_CUT && got >= 0 ? (int64_t)size + 1 : got;
}

static int refuse_send(enum adversary_fault fault)
{
    return fault == ADVERSARY_EAGAIN   ? -EAGAIN
           : fault == ADVERSARY_EINTR  ? -EINTR
           : fault == ADVERSARY_NOBUFS ? -ENOBUFS
                                       : 0;
}

/* What the network drops was sent as far as anybody knows. That nobody was there is known later. */
static int faulty_send(void *self, int fd, const void *bytes, size_t size)
{
    struct sim *sim = self;
    uint32_t count = 0;
    int error = planned_error(sim, CALL_SEND, fd);
    const enum adversary_fault fault = error == 0 ? draw(sim, ADVERSARY_WRITE, fd, size, &count) : ADVERSARY_NONE;
    error = error == 0 ? refuse_send(fault) : error;
    if (fault != ADVERSARY_NONE)
        tell(sim, fd, fault == ADVERSARY_DROPPED);
    if (error != 0)
        return error;
    struct sim_fd *one = &sim->fds[fd];
    error = sim->faults.plain.send(sim, fd, bytes, size);
    if (error == 0 && fault == ADVERSARY_DROPPED && one->peer >= 0)
        sim_datagram_drop_last(sim);
    if (error == 0 && one->error != 0 && !is_off(sim)) {
        one->late_error = one->error;
        one->error = 0;
    }
    return error;
}

/* ---- accepting ----------------------------------------------------------------------------- */

/* Whatever it is, who has connected is still there. */
static int faulty_accept(void *self, int listener)
{
    static const int scarce[] = {-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM};
    struct sim *sim = self;
    uint32_t count = 0;
    int error = planned_error(sim, CALL_ACCEPT, listener);
    const enum adversary_fault fault = error == 0 ? draw(sim, ADVERSARY_ACCEPT, listener, 0, &count) : ADVERSARY_NONE;
    if (fault == ADVERSARY_EINTR || fault == ADVERSARY_ABORTED)
        error = fault == ADVERSARY_EINTR ? -EINTR : -ECONNABORTED;
    else if (fault == ADVERSARY_EMFILE)
        error = scarce[choice(sim, 500 + count, sizeof scarce / sizeof *scarce)];
    if (fault != ADVERSARY_NONE)
        tell(sim, listener, false);
    return error != 0 ? error : sim->faults.plain.accept(sim, listener);
}

/* ---- connecting ---------------------------------------------------------------------------- */

/* It ends at once, or later, when the listener may be gone; and it may fail though somebody listens. */
static int faulty_connect(void *self, int number, const void *address, size_t size)
{
    static const int failures[] = {ECONNREFUSED, ETIMEDOUT, ECONNRESET};
    static const int beginnings[] = {-EINPROGRESS, -EALREADY, -EINTR};
    struct sim *sim = self;
    struct sim_fd *fd = &sim->fds[number];
    const struct sockaddr_in *to = address;
    const uint32_t n = 600 + 4 * (uint32_t)number;
    int error = planned_error(sim, CALL_CONNECT, number);
    if (error != 0 || is_off(sim) || !fd->is_new || choice(sim, n, 3) == 0)
        return error != 0 ? error : sim->faults.plain.connect(sim, number, address, size);
    const bool has_failed = sim->plan.adversary.is_loud && choice(sim, n + 1, 8) == 0;
    tell(sim, number, has_failed);
    if (has_failed)
        fd->late_error = failures[choice(sim, n + 2, sizeof failures / sizeof *failures)];
    else
        fd->late_port = ntohs(to->sin_port);
    return beginnings[choice(sim, n + 3, sizeof beginnings / sizeof *beginnings)];
}

struct rl_backend sim_faults_over(struct sim *sim, const struct rl_backend *plain)
{
    struct rl_backend faulty = *plain;
    sim->faults = (struct sim_faults){.plain = *plain};
    faulty.apply = faulty_apply;
    faulty.wait = faulty_wait;
    faulty.read = faulty_read;
    faulty.write = faulty_write;
    faulty.shut = faulty_shut;
    faulty.receive = faulty_receive;
    faulty.send = faulty_send;
    faulty.accept = faulty_accept;
    faulty.connect = faulty_connect;
    return faulty;
}
