/* The datagrams of the simulated kernel: UDP sockets of the loopback interface, connected in pairs. What is sent to who
 * is closed is answered by ECONNREFUSED, which the sender's next call is told, once. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "sim_files.h"

enum { UDP_BYTES_MAX = 65507 }; /* of a datagram over IPv4 */

/* The first of the datagrams to this socket, and where its bytes begin; NULL: there is none. */
static const struct sim_datagram *first_to(const struct sim *sim, int fd, size_t *begin)
{
    *begin = 0;
    for (size_t i = 0; i < sim->datagrams_count; i++) {
        if (sim->datagrams[i].to == fd)
            return &sim->datagrams[i];
        *begin += sim->datagrams[i].size;
    }
    return NULL;
}

static void take_out(struct sim *sim, const struct sim_datagram *datagram, size_t begin)
{
    const size_t at = (size_t)(datagram - sim->datagrams), end = begin + datagram->size;
    sim->fds[datagram->to].unread--;
    memmove(sim->datagram_bytes + begin, sim->datagram_bytes + end, sim->datagrams_size - end);
    sim->datagrams_size -= datagram->size;
    sim->datagrams_count--;
    memmove(&sim->datagrams[at], &sim->datagrams[at + 1], (sim->datagrams_count - at) * sizeof *sim->datagrams);
}

static bool is_full(const struct sim *sim, const struct sim_fd *fd)
{
    return sim->datagrams_max > 0 && fd->unread >= sim->datagrams_max;
}

unsigned sim_datagram_readiness(const struct sim *sim, const struct sim_fd *fd)
{
    const unsigned in = fd->unread > 0 ? LC_IN : 0, error = fd->error != 0 ? LC_ERR : 0;
    return in | error | (fd->peer >= 0 && is_full(sim, &sim->fds[fd->peer]) ? 0u : LC_OUT);
}

int64_t sim_datagram_receive(struct sim *sim, int fd, void *bytes, size_t size)
{
    size_t begin;
    const int error = sim->fds[fd].error;
    sim->fds[fd].error = 0;
    if (error != 0)
        return -error;
    const struct sim_datagram *datagram = first_to(sim, fd, &begin);
    if (datagram == NULL)
        return -EAGAIN;
    const size_t whole = datagram->size;
    memcpy(bytes, sim->datagram_bytes + begin, whole < size ? whole : size);
    take_out(sim, datagram, begin);
    return (int64_t)whole;
}

int sim_datagram_send(struct sim *sim, int number, const void *bytes, size_t size)
{
    struct sim_fd *fd = &sim->fds[number];
    const int error = fd->error;
    if (size > UDP_BYTES_MAX)
        return -EMSGSIZE;
    fd->error = 0;
    if (error != 0)
        return -error;
    if (fd->peer < 0) {
        fd->error = ECONNREFUSED; /* it is on its way when the answer comes that nobody is there */
        return 0;
    }
    if (is_full(sim, &sim->fds[fd->peer]))
        return -EAGAIN;
    if (sim->datagrams_count == SIM_DATAGRAMS_MAX || size > SIM_DATAGRAMS_BYTES - sim->datagrams_size)
        return -ENOBUFS;
    sim->datagrams[sim->datagrams_count++] = (struct sim_datagram){.to = fd->peer, .size = size};
    memcpy(sim->datagram_bytes + sim->datagrams_size, bytes, size);
    sim->datagrams_size += size;
    sim->fds[fd->peer].unread++;
    return 0;
}

void sim_datagram_close(struct sim *sim, int fd)
{
    size_t begin;
    const struct sim_datagram *datagram;
    while ((datagram = first_to(sim, fd, &begin)) != NULL)
        take_out(sim, datagram, begin);
    assert(sim->fds[fd].unread == 0);
}

void sim_datagram_drop_last(struct sim *sim)
{
    assert(sim->datagrams_count > 0);
    const struct sim_datagram *last = &sim->datagrams[sim->datagrams_count - 1];
    take_out(sim, last, sim->datagrams_size - last->size);
}
