/* Servers of refloop: a listening socket from which the loop accepts who connects.
 *
 *   [SERVER-1] after close returned, nobody is accepted, and the port is free.
 *   [SERVER-2] when no fd can be had, or no memory, the server rests and tries again by itself: nobody who has
 * connected is lost, and the loop does not spin. [SERVER-4] each client is handed over once.
 *
 * All verbs are legal inside the callbacks. A server keeps the loop alive until it is closed. */
#ifndef RL_SERVER_H
#define RL_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { RL_SERVER_ACCEPTS_MAX = 16 }; /* of one server a turn, those that fail counted */

#define RL_SERVER_REST_NS UINT64_C(1000000000) /* how long a server rests that cannot accept */

typedef struct rl_loop rl_loop;
typedef struct rl_server rl_server;

struct rl_server_callbacks {
    /* A client: a connected socket, non-blocking and close-on-exec. True: the user has taken it, or closed it; false:
     * the loop closes it. */
    bool (*accepted)(rl_server *server, void *arg, int fd);
    /* The server rests for RL_SERVER_REST_NS, because of this -errno: -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM ... May be
     * NULL. */
    void (*resting)(rl_server *server, void *arg, int error);
};

/* The fd is a listening socket and non-blocking. On success it is the server's, which closes it; on failure it is still
 * the caller's. -EINVAL without an accepted callback; -EBADF and -EPERM as rl_watch_start; -ENOTSUP if the loop's
 * backend has no servers. */
int rl_server_open(rl_loop *loop, int fd, const struct rl_server_callbacks *callbacks, void *arg, rl_server **out);
/* Closes the fd and frees the server: the pointer is dead when this returns. Who has connected and was not accepted is
 * reset by the kernel. */
void rl_server_close(rl_server *server);

#ifdef __cplusplus
}
#endif

#endif
