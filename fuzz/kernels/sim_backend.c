/* The loop's side of the simulated kernel: the backend under the reference loop. sim.c has the sockets and the runner's
 * side. */
#include "sim_files.h"

#include <assert.h>
#include <errno.h>

static uint64_t backend_now_ns(void *self)
{
    return ((struct sim *)self)->now_ns;
}

static int backend_apply(void *self, int number, uint32_t interest)
{
    struct sim_fd *fd = sim_fd_at(self, number);
    ((struct sim *)self)->is_told = false;
    if (fd == NULL)
        return interest == 0 ? 0 : -EBADF;
    fd->watched = interest;
    return 0;
}

static int collect(struct sim *sim, struct rl_event *events, int events_max)
{
    const int first = (int)(sim->waits++ % ((unsigned)sim->fds_end + 1));
    int count = 0;
    for (int i = 0; i < sim->fds_end && count < events_max; i++) {
        int fd = first + i < sim->fds_end ? first + i : first + i - sim->fds_end;
        uint32_t watched = sim->fds[fd].watched;
        if (watched == 0)
            continue;
        uint32_t bits = sim_readiness(sim, fd) & (watched | RL_HUP | RL_ERR);
        if (bits != 0)
            events[count++] = (struct rl_event){.fd = fd, .events = bits};
    }
    return count;
}

static int backend_wait(void *self, int64_t timeout_ns, struct rl_event *events, int events_max)
{
    struct sim *sim = self;
    uint64_t deadline_ns = timeout_ns < 0 ? LC_TIME_NS_MAX : sim_later(sim, (uint64_t)timeout_ns);
    int count = collect(sim, events, events_max);

    sim->has_spun |= sim->is_told;
    sim->is_told = false;
    if (++sim->vain_waits > SIM_VAIN_WAITS_MAX) {
        sim->on_deadlock(sim->on_deadlock_arg);
        return -ECANCELED;
    }
    while (count == 0 && !sim->is_woken && timeout_ns != 0) {
        if (sim->posts_count > 0 && sim->posts[0].due_ns <= deadline_ns) {
            sim_post_first(sim);
        } else if (deadline_ns < LC_TIME_NS_MAX) {
            sim->now_ns = deadline_ns;
            timeout_ns = 0; /* slept long enough */
        } else {
            sim->on_deadlock(sim->on_deadlock_arg);
            return -ECANCELED;
        }
        count = collect(sim, events, events_max);
    }
    sim->is_woken = false;
    sim->is_told = count > 0;
    return count;
}

static int backend_wake(void *self)
{
    ((struct sim *)self)->is_woken = true;
    return 0;
}

/* Does the next read or write meet this fault? */
static bool meets(struct sim *sim, enum lc_fault fault)
{
    if (sim->fault_calls == 0 || sim->fault != fault)
        return false;
    sim->fault_calls--;
    return true;
}

static int64_t backend_read(void *self, int number, void *bytes, size_t size)
{
    ((struct sim *)self)->is_told = false;
    if (meets(self, LC_FAULT_EINTR))
        return -EINTR;
    if (meets(self, LC_FAULT_EAGAIN))
        return -EAGAIN;
    return sim_read_bytes(self, number, bytes, meets(self, LC_FAULT_SHORT_READ) && size > 1 ? 1 : size);
}

static int64_t backend_write(void *self, int number, const void *bytes, size_t size)
{
    ((struct sim *)self)->is_told = false;
    if (meets(self, LC_FAULT_EINTR))
        return -EINTR;
    if (meets(self, LC_FAULT_EAGAIN))
        return -EAGAIN;
    return sim_write_bytes(self, number, bytes, meets(self, LC_FAULT_SHORT_WRITE) && size > 1 ? 1 : size);
}

static int64_t backend_receive(void *self, int number, void *bytes, size_t size)
{
    ((struct sim *)self)->is_told = false;
    if (meets(self, LC_FAULT_EINTR))
        return -EINTR;
    if (meets(self, LC_FAULT_EAGAIN))
        return -EAGAIN;
    return sim_is_udp(self, number) ? sim_datagram_receive(self, number, bytes, size) : -ENOTSOCK;
}

static int backend_send(void *self, int number, const void *bytes, size_t size)
{
    ((struct sim *)self)->is_told = false;
    if (meets(self, LC_FAULT_EINTR))
        return -EINTR;
    if (meets(self, LC_FAULT_EAGAIN))
        return -EAGAIN;
    return sim_is_udp(self, number) ? sim_datagram_send(self, number, bytes, size) : -ENOTSOCK;
}

static int backend_accept(void *self, int number)
{
    ((struct sim *)self)->is_told = false;
    return sim_accept(self, number, NULL);
}

static void backend_close_fd(void *self, int number)
{
    int error = sim_close(self, number, false);
    assert(error == 0);
    (void)error;
}

static void backend_close(void *self)
{
    struct sim *sim = self;
    assert(sim->backends_open > 0);
    sim->backends_open--;
}

struct rl_backend sim_backend(struct sim *sim)
{
    sim->backends_open++;
    const struct rl_backend plain = {.now_ns = backend_now_ns,
                                     .apply = backend_apply,
                                     .wait = backend_wait,
                                     .wake = backend_wake,
                                     .read = backend_read,
                                     .write = backend_write,
                                     .shut = sim_shut,
                                     .receive = backend_receive,
                                     .send = backend_send,
                                     .accept = backend_accept,
                                     .connect = sim_connect_by_address,
                                     .finish_connect = sim_finish_connect,
                                     .close_fd = backend_close_fd,
                                     .close = backend_close,
                                     .self = sim};
    bool is_kind = sim->plan.adversary.level == ADVERSARY_OFF && sim->plan.failing_call == 0;
    return is_kind ? plain : sim_faults_over(sim, &plain);
}
