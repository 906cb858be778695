/* The backend on Linux: epoll, level-triggered, and an eventfd for wakes. Needs no memory but struct rl_epoll. */
#ifndef RL_EPOLL_H
#define RL_EPOLL_H

#include "backend/backend.h"

#include <stdbool.h>
#include <sys/epoll.h>

struct rl_epoll {
    int epoll_fd;    /* the set; open between open and close; replaced when is_suspect */
    int wake_fd;     /* an eventfd in the set; readable from a wake until the wait that saw it */
    bool has_pwait2; /* the kernel has epoll_pwait2: a sleep in ns; otherwise in ms, rounded up */
    bool is_suspect; /* an fd was closed before it was forgotten: the set may hold an entry that can no longer be
                        removed, and must be replaced before the next wait */
    struct epoll_event raw[RL_EVENTS_MAX]; /* scratch memory of one wait */
};

/* Opens the two fds and fills in the table; epoll must stay where it is until backend->close. 0 or -errno. */
int rl_epoll_open(struct rl_epoll *epoll, struct rl_backend *backend);

/* The least whole number of ms that is not shorter than timeout_ns, as epoll_wait takes it (-1 stays -1, at most
 * INT_MAX). */
int rl_epoll_timeout_ms(int64_t timeout_ns);

#endif
