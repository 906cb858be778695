/* An echo server on refloop.h: a listening fd is watched, every client is a stream, an idle client is sent away by a
 * timer.
 *
 *   echo [PORT]    serves 127.0.0.1:PORT (0 or none: a free one, which it prints) until Ctrl-C
 *   echo --demo    serves one client of its own, prints what came back, and ends
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "refloop.h"

#define IDLE_NS UINT64_C(30000000000)

struct server {
    rl_loop *loop;
    rl_watch *watch;
    int fd;
    bool is_demo; /* ends with its first client */
};

struct client {
    struct server *server;
    rl_stream *stream;
    rl_timer *idle;
};

static void fail(const char *what, int error)
{
    fprintf(stderr, "echo: %s: %s\n", what, strerror(-error));
    exit(1);
}

/* ---- the server's side ----------------------------------------------------------------------- */

static void on_idle(rl_timer *timer, void *arg)
{
    struct client *client = arg;
    (void)timer;
    rl_stream_abort(client->stream);
}

static void on_data(rl_stream *stream, void *arg, const void *bytes, size_t size)
{
    struct client *client = arg;
    rl_timer_start(client->idle, IDLE_NS);
    if (rl_stream_write(stream, bytes, size) < 0)
        rl_stream_abort(stream);
}

/* Backpressure: who does not take what is echoed is not read from any more. */
static void on_pause_writing(rl_stream *stream, void *arg)
{
    (void)arg;
    rl_stream_pause(stream);
}

static void on_resume_writing(rl_stream *stream, void *arg)
{
    (void)arg;
    rl_stream_resume(stream);
}

static void on_eof(rl_stream *stream, void *arg)
{
    (void)arg;
    rl_stream_close(stream); /* sends what is still to be echoed first */
}

static void on_lost(rl_stream *stream, void *arg, int error)
{
    struct client *client = arg;
    (void)stream;
    if (error < 0)
        fprintf(stderr, "echo: a client was lost: %s\n", strerror(-error));
    if (client->server->is_demo)
        rl_watch_close(client->server->watch);
    rl_timer_close(client->idle);
    free(client);
}

static void serve(struct server *server, int fd)
{
    static const struct rl_stream_callbacks callbacks = {.data = on_data,
                                                         .eof = on_eof,
                                                         .pause_writing = on_pause_writing,
                                                         .resume_writing = on_resume_writing,
                                                         .lost = on_lost};
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        fail("client", -ENOMEM);
    client->server = server;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    int error = rl_timer_open(server->loop, on_idle, client, &client->idle);
    if (error == 0)
        error = rl_stream_open(server->loop, fd, &callbacks, client, &client->stream);
    if (error < 0)
        fail("client", error);
    rl_timer_start(client->idle, IDLE_NS);
}

static void on_client(rl_watch *watch, void *arg, unsigned events)
{
    struct server *server = arg;
    (void)watch, (void)events;
    int fd = accept(server->fd, NULL, NULL);
    if (fd >= 0)
        serve(server, fd);
}

static void listen_on(struct server *server, struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (server->fd < 0 || bind(server->fd, (struct sockaddr *)address, size) != 0 || listen(server->fd, 16) != 0 ||
        getsockname(server->fd, (struct sockaddr *)address, &size) != 0)
        fail("listen", -errno);
    fcntl(server->fd, F_SETFL, O_NONBLOCK);
    int error = rl_watch_open(server->loop, on_client, server, &server->watch);
    if (error == 0)
        error = rl_watch_start(server->watch, server->fd, RL_IN);
    if (error < 0)
        fail("watch", error);
}

/* ---- the demo's own client --------------------------------------------------------------------- */

static void on_echo(rl_stream *stream, void *arg, const void *bytes, size_t size)
{
    (void)stream, (void)arg;
    printf("%.*s", (int)size, (const char *)bytes);
}

static void on_end(rl_stream *stream, void *arg)
{
    (void)arg;
    rl_stream_close(stream);
}

static void on_gone(rl_stream *stream, void *arg, int error)
{
    (void)stream, (void)arg;
    printf("closed%s\n", error < 0 ? " by an error" : "");
}

static void start_client(rl_loop *loop, const struct sockaddr_in *address)
{
    static const struct rl_stream_callbacks callbacks = {.data = on_echo, .eof = on_end, .lost = on_gone};
    static const char words[] = "hello, loop\n";
    rl_stream *stream;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) != 0)
        fail("connect", -errno);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    int error = rl_stream_open(loop, fd, &callbacks, NULL, &stream);
    if (error == 0)
        error = rl_stream_write(stream, words, sizeof words - 1);
    if (error == 0)
        error = rl_stream_write_eof(stream);
    if (error < 0)
        fail("client", error);
}

int main(int count, char **arguments)
{
    struct server server = {.is_demo = count > 1 && strcmp(arguments[1], "--demo") == 0};
    long port = count > 1 && !server.is_demo ? strtol(arguments[1], NULL, 10) : 0;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int error = rl_loop_open(&server.loop);
    if (error < 0)
        fail("loop", error);
    listen_on(&server, &address);
    if (server.is_demo)
        start_client(server.loop, &address);
    else
        printf("echo on 127.0.0.1:%d\n", ntohs(address.sin_port));
    error = rl_loop_run(server.loop); /* until nothing is alive: the demo's end */
    if (error < 0)
        fail("run", error);
    close(server.fd);
    return rl_loop_close(server.loop) == 0 ? 0 : 1;
}
