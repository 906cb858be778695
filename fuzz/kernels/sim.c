#include "sim_files.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

enum { FIRST_NS = 1000000000 }; /* a clock that begins at 0 hides sign errors */

static size_t draw_buffer(const struct sim_plan *plan)
{
    if (!plan->has_small_buffers || adversary_choice(&plan->adversary, 0, 0, 0, 2) == 0)
        return SIM_BUFFER_BYTES;
    return (size_t)1 << (2 + adversary_choice(&plan->adversary, 0, 0, 1, 10));
}

void sim_reset(struct sim *sim)
{
    memset(sim->fds, 0, (size_t)sim->fds_end * sizeof *sim->fds);
    if (sim->connects > 0)
        memset(sim->fds + SIM_FDS_MAX, 0, SIM_PENDING_MAX * sizeof *sim->fds);
    memset(&sim->now_ns, 0, offsetof(struct sim, posts) - offsetof(struct sim, now_ns));
    sim->now_ns = FIRST_NS;
    sim->buffer_bytes = draw_buffer(&sim->plan);
    if (sim->plan.has_small_buffers)
        sim->datagrams_max = adversary_choice(&sim->plan.adversary, 0, 0, 2, 4);
}

struct sim_fd *sim_fd_at(struct sim *sim, int fd)
{
    return fd >= 0 && fd < SIM_FILES_MAX && sim->fds[fd].is_open ? &sim->fds[fd] : NULL;
}

/* As poll(2) shows one end on Linux: of an AF_UNIX stream pair, or of a TCP connection. */
unsigned sim_readiness(struct sim *sim, int number)
{
    const struct sim_fd *fd = sim_fd_at(sim, number), *peer;
    if (fd == NULL)
        return 0;
    if (fd->is_udp)
        return sim_datagram_readiness(sim, fd);
    if (fd->is_listener)
        return sim_is_anybody_waiting(sim, number) ? LC_IN : 0;
    if (fd->is_new && fd->error == 0)
        return fd->late_port != 0 || fd->late_error != 0 ? 0 : LC_OUT | LC_HUP;
    peer = sim_fd_at(sim, fd->peer);
    unsigned bits = fd->error != 0 ? LC_ERR : 0;
    if (peer == NULL)
        return bits | LC_IN | LC_OUT | (fd->is_tcp && !fd->is_broken && !fd->is_shut ? 0u : LC_HUP);
    if (fd->unread > 0 || peer->is_shut)
        bits |= LC_IN;
    if (peer->unread < sim->buffer_bytes)
        bits |= LC_OUT;
    if (fd->is_shut && peer->is_shut)
        bits |= LC_HUP;
    return bits;
}

/* ---- bytes --------------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Adds as many of the bytes as there is room for; returns their number. */
static size_t ring_add(struct sim *sim, struct sim_fd *fd, const unsigned char *bytes, size_t size)
{
    unsigned char *ring = sim->rings[fd - sim->fds];
    size_t added = fd->unread < sim->buffer_bytes ? least(size, sim->buffer_bytes - fd->unread) : 0;
    size_t at = (fd->first + fd->unread) % SIM_BUFFER_BYTES, to_the_end = least(added, SIM_BUFFER_BYTES - at);
    memcpy(ring + at, bytes, to_the_end);
    memcpy(ring, bytes + to_the_end, added - to_the_end);
    fd->unread += added;
    return added;
}

/* Takes out at most size bytes; returns their number. */
static size_t ring_remove(const struct sim *sim, struct sim_fd *fd, unsigned char *bytes, size_t size)
{
    const unsigned char *ring = sim->rings[fd - sim->fds];
    size_t removed = least(size, fd->unread), to_the_end = least(removed, SIM_BUFFER_BYTES - fd->first);
    memcpy(bytes, ring + fd->first, to_the_end);
    memcpy(bytes + to_the_end, ring, removed - to_the_end);
    fd->first = (fd->first + removed) % SIM_BUFFER_BYTES;
    fd->unread -= removed;
    return removed;
}

/* The next read that finds no bytes, or the next write, is told so. */
static void break_connection(struct sim_fd *fd)
{
    fd->is_broken = true;
    fd->error = ECONNRESET;
}

bool sim_break(struct sim *sim, int number)
{
    struct sim_fd *fd = sim_fd_at(sim, number), *peer = fd == NULL ? NULL : sim_fd_at(sim, fd->peer);
    if (peer == NULL)
        return false;
    peer->peer = fd->peer = -1;
    fd->is_broken = true;
    fd->unread = 0;
    break_connection(peer);
    return true;
}

static int take_error(struct sim_fd *fd)
{
    int error = fd->error;
    fd->error = 0;
    return -error;
}

/* As recv(2): 0 is end of file. */
int64_t sim_read_bytes(struct sim *sim, int number, void *bytes, size_t size)
{
    struct sim_fd *fd = sim_fd_at(sim, number), *peer;
    if (fd == NULL)
        return -EBADF;
    if (fd->unread > 0)
        return (int64_t)ring_remove(sim, fd, bytes, size);
    if (fd->error != 0)
        return take_error(fd);
    peer = sim_fd_at(sim, fd->peer);
    return peer == NULL || peer->is_shut ? 0 : -EAGAIN;
}

/* As send(2) with MSG_NOSIGNAL. */
int64_t sim_write_bytes(struct sim *sim, int number, const void *bytes, size_t size)
{
    struct sim_fd *fd = sim_fd_at(sim, number), *peer;
    if (fd == NULL)
        return -EBADF;
    if (fd->is_tcp && fd->error != 0)
        return take_error(fd);
    peer = sim_fd_at(sim, fd->peer);
    if (peer == NULL && fd->is_tcp && !fd->is_broken && !fd->is_shut) {
        break_connection(fd); /* the bytes are on their way when the answer comes that nobody wants them */
        return (int64_t)size;
    }
    if (fd->is_shut || peer == NULL)
        return -EPIPE;
    size_t added = ring_add(sim, peer, bytes, size);
    return added > 0 ? (int64_t)added : -EAGAIN;
}

/* ---- the runner's side --------------------------------------------------------------------- */

uint64_t sim_later(const struct sim *sim, uint64_t duration_ns)
{
    return duration_ns > LC_TIME_NS_MAX - sim->now_ns ? LC_TIME_NS_MAX : sim->now_ns + duration_ns;
}

/* The runner reads the clock for everything that it records. */
static uint64_t kernel_now_ns(void *self)
{
    struct sim *sim = self;
    sim->vain_waits = 0;
    sim->is_told = false;
    return sim->now_ns;
}

static void kernel_advance(void *self, uint64_t duration_ns)
{
    struct sim *sim = self;
    const uint64_t then_ns = sim_later(sim, duration_ns),
                   last_ns = LC_TIME_NS_MAX / 2; /* else a rest would have no end */
    sim->now_ns = then_ns < last_ns || sim->now_ns > last_ns ? then_ns : last_ns;
}

/* Of the runs of one program with a failing call, each begins at another number: so each is once the last that fits
 * into some table. */
static int first_fd(const struct sim *sim)
{
    return SIM_FD_FIRST + (int)(sim->plan.failing_call % SIM_FD_FIRSTS);
}

int sim_open(struct sim *sim)
{
    for (int fd = first_fd(sim); fd < SIM_FDS_MAX; fd++)
        if (!sim->fds[fd].is_open) {
            sim->fds[fd].is_open = true; /* the rest is 0 in what is closed */
            sim->fds[fd].opening = ++sim->openings;
            sim->fds[fd].peer = -1;
            sim->fds_end = fd < sim->fds_end ? sim->fds_end : fd + 1;
            return fd;
        }
    return -EMFILE;
}

int sim_close(struct sim *sim, int number, bool is_reset)
{
    struct sim_fd *fd = sim_fd_at(sim, number), *peer;
    if (fd == NULL)
        return -EBADF;
    if (fd->is_udp)
        sim_datagram_close(sim, number);
    if (fd->is_listener)
        sim_close_listener(sim, number);
    if ((peer = sim_fd_at(sim, fd->peer)) != NULL) {
        peer->peer = -1;
        if (fd->unread > 0 || (is_reset && fd->is_tcp)) /* what it sent will never be read; or that was asked for */
            break_connection(peer);
    }
    memset(fd, 0, sizeof *fd);
    return 0;
}

static int kernel_close(void *self, int number, bool is_reset)
{
    return sim_close(self, number, is_reset);
}

static int open_two(struct sim *sim, int fds[2])
{
    fds[0] = sim_open(sim);
    fds[1] = sim_open(sim);
    if (fds[1] < 0) {
        sim_close(sim, fds[0], false);
        return -EMFILE;
    }
    for (int i = 0; i < 2; i++)
        sim->fds[fds[i]].peer = fds[1 - i];
    return 0;
}

static int kernel_pair(void *self, int fds[2], bool is_tcp)
{
    struct sim *sim = self;
    int result = open_two(sim, fds);
    if (result == 0)
        sim->fds[fds[0]].is_tcp = sim->fds[fds[1]].is_tcp = is_tcp;
    return result;
}

static int kernel_udp(void *self, int fds[2])
{
    struct sim *sim = self;
    int result = open_two(sim, fds);
    if (result < 0)
        return result;
    sim->fds[fds[0]].is_udp = sim->fds[fds[1]].is_udp = true;
    return SIM_DATAGRAM_ROOM_BYTES;
}

bool sim_is_udp(struct sim *sim, int number)
{
    const struct sim_fd *fd = sim_fd_at(sim, number);
    return fd != NULL && fd->is_udp;
}

static int64_t kernel_write(void *self, int number, const void *bytes, size_t size)
{
    if (sim_is_udp(self, number)) {
        int error = sim_datagram_send(self, number, bytes, size);
        return error < 0 ? error : (int64_t)size;
    }
    int64_t wrote = sim_write_bytes(self, number, bytes, size);
    return wrote == -EAGAIN ? 0 : wrote;
}

static int64_t kernel_read(void *self, int number, void *bytes, size_t size)
{
    return sim_is_udp(self, number) ? sim_datagram_receive(self, number, bytes, size)
                                    : sim_read_bytes(self, number, bytes, size);
}

static int kernel_fault(void *self, enum lc_fault fault, unsigned calls)
{
    struct sim *sim = self;
    sim->fault = fault;
    sim->fault_calls = calls;
    if (calls == 0) { /* none any more */
        sim->is_calm = true;
        sim->buffer_bytes = SIM_BUFFER_BYTES;
        sim->datagrams_max = 0;
    }
    return 0;
}

int sim_shut(void *self, int number)
{
    struct sim_fd *fd = sim_fd_at(self, number);
    if (fd == NULL)
        return -EBADF;
    fd->is_shut = true;
    return 0;
}

static unsigned kernel_ready(void *self, int fd)
{
    return sim_readiness(self, fd);
}

static uint64_t kernel_identity(void *self, int number)
{
    const struct sim_fd *fd = sim_fd_at(self, number);
    return fd == NULL ? 0 : fd->opening;
}

static int kernel_open_fds(void *self)
{
    struct sim *sim = self;
    int count = sim->backends_open;
    for (int i = 0; i < sim->fds_end; i++)
        count += sim->fds[i].is_open;
    return count;
}

static int kernel_post(void *self, uint64_t delay_ns, void (*work)(void *), void *arg)
{
    struct sim *sim = self;
    struct sim_post post = {.due_ns = sim_later(sim, delay_ns), .work = work, .arg = arg};
    if (delay_ns == 0) {
        work(arg);
        return 0;
    }
    if (sim->posts_count == SIM_POSTS_MAX)
        return -EAGAIN;
    size_t at = sim->posts_count++;
    for (; at > 0 && sim->posts[at - 1].due_ns > post.due_ns; at--)
        sim->posts[at] = sim->posts[at - 1];
    sim->posts[at] = post;
    return 0;
}

void sim_post_first(struct sim *sim)
{
    struct sim_post post = sim->posts[0];
    memmove(sim->posts, sim->posts + 1, --sim->posts_count * sizeof post);
    if (post.due_ns > sim->now_ns)
        sim->now_ns = post.due_ns;
    post.work(post.arg);
}

static void kernel_join(void *self)
{
    struct sim *sim = self;
    while (sim->posts_count > 0)
        sim_post_first(sim);
}

struct lc_kernel sim_kernel(struct sim *sim)
{
    return (struct lc_kernel){.now_ns = kernel_now_ns,
                              .advance = kernel_advance,
                              .pair = kernel_pair,
                              .udp = kernel_udp,
                              .listen = sim_listen,
                              .connect = sim_connect,
                              .accept = sim_accept,
                              .close = kernel_close,
                              .write = kernel_write,
                              .read = kernel_read,
                              .shut = sim_shut,
                              .ready = kernel_ready,
                              .identity = kernel_identity,
                              .open_fds = kernel_open_fds,
                              .fault = kernel_fault,
                              .post = kernel_post,
                              .join = kernel_join,
                              .self = sim};
}
