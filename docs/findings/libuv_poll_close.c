/* libuv: closing a stopped uv_poll_t makes another handle deaf, if that has the same fd number by now.
 *
 *   cc libuv_poll_close.c -luv -o libuv_poll_close && ./libuv_poll_close
 *
 * Exit status 0: the second handle was called, as it must be; 1: it was not.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

static int calls;

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    calls++;
    uv_poll_stop(poll);
}

int main(void)
{
    uv_loop_t *loop = uv_default_loop();
    uv_poll_t first, second;
    int old[2], new[2];

    socketpair(AF_UNIX, SOCK_STREAM, 0, old);
    uv_poll_init(loop, &first, old[0]);
    uv_poll_start(&first, UV_READABLE, on_ready);
    uv_run(loop, UV_RUN_NOWAIT);
    uv_poll_stop(&first);
    close(old[0]); /* poll.rst: "the fd can be safely closed immediately after a call to uv_poll_stop()" */
    close(old[1]);

    socketpair(AF_UNIX, SOCK_STREAM, 0, new);
    printf("the first fd was %d, the second is %d\n", old[0], new[0]);
    uv_poll_init(loop, &second, new[0]);
    uv_poll_start(&second, UV_READABLE, on_ready);
    uv_run(loop, UV_RUN_NOWAIT);

    uv_close((uv_handle_t *)&first, NULL); /* takes the fd of `second` out of epoll, and nothing puts it back */
    if (write(new[1], "x", 1) != 1)
        return 2;
    for (int i = 0; i < 100; i++)
        uv_run(loop, UV_RUN_NOWAIT);
    printf("libuv %s: the readable fd was reported %d times\n", uv_version_string(), calls);
    return calls == 0;
}
