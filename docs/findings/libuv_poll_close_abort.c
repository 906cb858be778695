/* libuv: closing a stopped uv_poll_t ends the process, if another handle has the same fd number by now and changes what
 * it waits for.
 *
 *   cc libuv_poll_close_abort.c -luv -o libuv_poll_close_abort && ./libuv_poll_close_abort
 *
 * Exit status 0: both datagrams were sent; 1: uv_run() called abort(), since epoll_ctl(EPOLL_CTL_MOD) of an fd that
 * uv_close() had taken out of epoll failed with ENOENT.
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

static void on_abort(int number)
{
    (void)number;
    static const char text[] = "uv_run() called abort()\n";
    _exit(write(STDOUT_FILENO, text, sizeof text - 1) < 0 ? 2 : 1);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)poll, (void)status, (void)events;
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    static char bytes[65536];
    (void)handle, (void)size;
    *buffer = uv_buf_init(bytes, sizeof bytes);
}

static void on_datagram(uv_udp_t *udp, ssize_t size, const uv_buf_t *buffer, const struct sockaddr *from,
                        unsigned flags)
{
    (void)udp, (void)size, (void)buffer, (void)from, (void)flags;
}

static void on_sent(uv_udp_send_t *send, int status)
{
    (void)send;
    printf("the datagram was sent: %d\n", status);
}

int main(void)
{
    uv_loop_t *loop = uv_default_loop();
    uv_poll_t poll;
    uv_udp_t udp;
    uv_udp_send_t sends[2];
    int old[2];

    socketpair(AF_UNIX, SOCK_STREAM, 0, old);
    uv_poll_init(loop, &poll, old[0]);
    uv_poll_start(&poll, UV_READABLE, on_ready);
    uv_run(loop, UV_RUN_NOWAIT);
    uv_poll_stop(&poll);
    close(old[0]); /* poll.rst: "the fd can be safely closed immediately after a call to uv_poll_stop()" */

    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    bind(fd, (struct sockaddr *)&address, sizeof address);
    getsockname(fd, (struct sockaddr *)&address, &length);
    connect(fd, (struct sockaddr *)&address, sizeof address);
    printf("libuv %s: the first fd was %d, the second is %d\n", uv_version_string(), old[0], fd);
    uv_udp_init(loop, &udp);
    uv_udp_open(&udp, fd);
    uv_udp_recv_start(&udp, on_alloc, on_datagram);
    uv_run(loop, UV_RUN_NOWAIT);

    uv_close((uv_handle_t *)&poll, NULL); /* takes the fd of `udp` out of epoll */
    uv_buf_t byte = uv_buf_init("x", 1);
    for (int i = 0; i < 2; i++) /* the second waits for the first, so that `udp` waits for the fd to be writable */
        uv_udp_send(&sends[i], &udp, &byte, 1, NULL, on_sent);
    fflush(stdout);
    signal(SIGABRT, on_abort);
    for (int i = 0; i < 100; i++)
        uv_run(loop, UV_RUN_NOWAIT);
    return 0;
}
