#include "sim_worlds.h"

#include <assert.h>

#include "backend/epoll.h"

struct sim sim;
struct world worlds[2];
static struct rl_epoll epoll;

void worlds_open(void)
{
    sim_reset(&sim);
    worlds[0] = (struct world){.backend = sim_backend(&sim), .kernel = sim_kernel(&sim), .fds = {-1, -1}};
    worlds[1] = (struct world){.kernel = *lc_kernel_posix(), .fds = {-1, -1}};
    const int error = rl_epoll_open(&epoll, &worlds[1].backend);
    assert(error == 0);
    (void)error;
}

void world_close_end(struct world *world, int end)
{
    if (world->fds[end] >= 0)
        world->backend.close_fd(world->backend.self, world->fds[end]);
    world->fds[end] = -1;
}

void worlds_close(void)
{
    for (int i = 0; i < 2; i++) {
        world_close_end(&worlds[i], 0);
        world_close_end(&worlds[i], 1);
        worlds[i].backend.close(worlds[i].backend.self);
    }
    assert(sim.backends_open == 0 && worlds[0].kernel.open_fds(&sim) == 0);
    assert(sim.datagrams_count == 0 && sim.datagrams_size == 0);
}

unsigned world_ready(const struct world *world, int end)
{
    return world->fds[end] < 0 ? 0 : world->kernel.ready(world->kernel.self, world->fds[end]);
}
