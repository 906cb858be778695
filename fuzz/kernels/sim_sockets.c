/* Listeners of the simulated kernel, and who connects to them. A connection is there at once, with an end that has no
 * number until it is accepted. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "sim_files.h"

static uint16_t new_port(struct sim *sim)
{
    return (uint16_t)(SIM_PORT_FIRST + sim->ports++);
}

int sim_listen(void *self, uint16_t *port)
{
    struct sim *sim = self;
    const int fd = sim_open(sim);
    if (fd < 0)
        return fd;
    sim->fds[fd].is_listener = true;
    *port = sim->fds[fd].port = new_port(sim);
    return fd;
}

static int find_listener(const struct sim *sim, uint16_t port)
{
    for (int fd = 0; fd < sim->fds_end; fd++)
        if (sim->fds[fd].is_open && sim->fds[fd].is_listener && sim->fds[fd].port == port)
            return fd;
    return -1;
}

/* A file without a number. */
static int open_pending(struct sim *sim, int listener)
{
    for (int place = SIM_FDS_MAX; place < SIM_FILES_MAX; place++)
        if (!sim->fds[place].is_open) {
            sim->fds[place] =
                (struct sim_fd){.is_open = true, .is_tcp = true, .listener = listener, .turn = sim->connects++};
            return place;
        }
    return -ENOBUFS;
}

int sim_socket(struct sim *sim)
{
    const int fd = sim_open(sim);
    if (fd >= 0)
        sim->fds[fd].is_tcp = sim->fds[fd].is_new = true;
    return fd;
}

int sim_connect_to(struct sim *sim, int fd, uint16_t port)
{
    struct sim_fd *end = sim_fd_at(sim, fd);
    const int listener = find_listener(sim, port);
    if (end == NULL || !end->is_new)
        return end == NULL ? -EBADF : -EISCONN;
    const int pending = listener < 0 ? -ECONNREFUSED : open_pending(sim, listener);
    if (pending < 0)
        return pending;
    end->is_new = false;
    end->peer = pending;
    sim->fds[pending].peer = fd;
    end->port = sim->fds[pending].port = new_port(sim);
    return 0;
}

int sim_connect_by_address(void *self, int fd, const void *address, size_t size)
{
    struct sockaddr_in to;
    ((struct sim *)self)->is_told = false;
    assert(size == sizeof to);
    memcpy(&to, address, sizeof to);
    return sim_connect_to(self, fd, ntohs(to.sin_port));
}

int sim_finish_connect(void *self, int number)
{
    struct sim *sim = self;
    struct sim_fd *fd = sim_fd_at(sim, number);
    sim->is_told = false;
    if (fd == NULL)
        return -EBADF;
    const int error = fd->error;
    fd->error = 0;
    return error != 0 ? -error : fd->is_new ? -EINPROGRESS : 0;
}

int sim_connect(void *self, uint16_t port, uint16_t *own_port)
{
    struct sim *sim = self;
    const int fd = sim_socket(sim), error = fd < 0 ? fd : sim_connect_to(sim, fd, port);
    if (error < 0 && fd >= 0)
        sim_close(sim, fd, false);
    *own_port = error < 0 ? 0 : sim->fds[fd].port;
    return error < 0 ? error : fd;
}

/* The place of who connected first to this listener and is not accepted; -1: nobody. */
static int first_pending(const struct sim *sim, int listener)
{
    int first = -1;
    for (int place = SIM_FDS_MAX; place < SIM_FILES_MAX; place++)
        if (sim->fds[place].is_open && sim->fds[place].listener == listener &&
            (first < 0 || sim->fds[place].turn < sim->fds[first].turn))
            first = place;
    return first;
}

bool sim_is_anybody_waiting(const struct sim *sim, int listener)
{
    return first_pending(sim, listener) >= 0;
}

int sim_accept(void *self, int listener, uint16_t *peer_port)
{
    struct sim *sim = self;
    const struct sim_fd *from = sim_fd_at(sim, listener);
    if (from == NULL || !from->is_listener)
        return from == NULL ? -EBADF : -EINVAL;
    const int pending = first_pending(sim, listener);
    if (pending < 0)
        return -EAGAIN;
    const int fd = sim_open(sim);
    if (fd < 0)
        return fd;
    sim->fds[fd] = sim->fds[pending];
    sim->fds[fd].listener = 0;
    memcpy(sim->rings[fd], sim->rings[pending], sizeof sim->rings[fd]);
    sim->fds[pending].is_open = false;
    if (sim->fds[fd].peer >= 0)
        sim->fds[sim->fds[fd].peer].peer = fd;
    if (peer_port != NULL)
        *peer_port = sim->fds[fd].port;
    return fd;
}

void sim_close_listener(struct sim *sim, int listener)
{
    int pending;
    while ((pending = first_pending(sim, listener)) >= 0)
        sim_close(sim, pending, true);
}
