/* The part of a reproducer that is about libuv: streams, servers, connects and datagrams. */

/* ---- streams -------------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    static char memory[BYTES_MAX];
    (void)handle, (void)suggested;
    *buffer = uv_buf_init(memory, sizeof memory);
}

static void on_read(uv_stream_t *native, ssize_t size, const uv_buf_t *buffer)
{
    struct handle *h = native->data;
    if (size == 0)
        return;
    h->is_over |= size < 0;
    if (size > 0) {
        note_data(h, h->socket, (const unsigned char *)buffer->base, (size_t)size);
        back(h, "data");
    } else if (size == UV_EOF) {
        note(h, false, "end of file");
        back(h, "eof");
    } else {
        note(h, false, "lost: %s", error_name((int)size));
        h->state = h->state == ARMED ? IDLE : h->state;
        back(h, "lost");
    }
}

/* A pipe for a socket pair, else TCP. */
static void stream(struct handle *h, struct handle *f)
{
    if (h->state != FREE || !is_held(f) || f->is_listener || f->is_udp)
        return;
#ifdef WATCHES
    cancel_watchers(f);
#endif
    const bool is_pipe = uv_guess_handle(f->fd) == UV_NAMED_PIPE;
    union uv_any_handle *uv = make(h);
    int error = is_pipe ? uv_pipe_init(&loop, &uv->pipe, 0) : uv_tcp_init(&loop, &uv->tcp);
    uv->handle.data = h;
    if (error == 0)
        error = is_pipe ? uv_pipe_open(&uv->pipe, f->fd) : uv_tcp_open(&uv->tcp, f->fd);
    if (error == 0)
        error = uv_read_start(&uv->stream, on_alloc, on_read);
    h->state = tried(h, "stream", error) < 0 ? IDLE : ARMED;
    h->has_ended = f->has_ended;
    h->socket = f;
    f->owner = error < 0 ? NULL : h;
}

static void on_write(uv_write_t *request, int status)
{
    (void)status;
    free(request->data);
    free(request);
}

/* In so many pieces, of which the second is empty. */
static void write_pieces(struct handle *h, unsigned size, unsigned count)
{
    const unsigned cut = count > 1 ? size / 3 : 0;
    if (h->state != ARMED || h->has_ended || h->is_connecting)
        return;
    char *data = malloc(size);
    uv_write_t *request = malloc(sizeof *request);
    request->data = memcpy(data, bytes_at(h->socket->sent), size);
    const uv_buf_t pieces[] = {uv_buf_init(data, cut), uv_buf_init(data, 0), uv_buf_init(data + cut, size - cut)};
    h->socket->sent += size;
    note(h, false, "write %u", size);
    int error = uv_write(request, &of(h)->stream, pieces + (3 - count), count, on_write);
    if (tried(h, "write", error) < 0)
        h->socket->sent -= size;
}

static void write_bytes(struct handle *h, unsigned size)
{
    write_pieces(h, size, 1);
}

static void write_lines(struct handle *h, unsigned size)
{
    write_pieces(h, size, 3);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)status;
    free(request);
}

static void write_eof(struct handle *h)
{
    if (h->state != ARMED || h->has_ended || h->is_connecting)
        return;
    h->has_ended = true;
    note(h, false, "write_eof");
    h->has_ended = tried(h, "write_eof", uv_shutdown(malloc(sizeof(uv_shutdown_t)), &of(h)->stream, on_shutdown)) == 0;
}

static void pause_reading(struct handle *h)
{
    if (h->state != ARMED || h->is_paused || h->is_over || h->is_connecting)
        return;
    h->is_paused = true;
    asked(h, "pause", uv_read_stop(&of(h)->stream));
}

static void resume_reading(struct handle *h)
{
    if (h->state != ARMED || !h->is_paused || h->is_over || h->is_connecting)
        return;
    h->is_paused = false;
    asked(h, "resume", uv_read_start(&of(h)->stream, on_alloc, on_read));
}

/* ---- servers and connects ------------------------------------------------------------------- */

/* A stream that libuv has made; where its connection has the port by which it is known. */
static void begin_stream(struct handle *h, int (*side)(const uv_tcp_t *, struct sockaddr *, int *))
{
    struct sockaddr_in address = loopback(0);
    int size = sizeof address;
    uv_os_fd_t fd = -1;
    const int one = 1;
    h->state = ARMED;
    h->socket = h->owner = h;
    side(&of(h)->tcp, (struct sockaddr *)&address, &size);
    join(h, 'f', ntohs(address.sin_port));
    uv_fileno(&of(h)->handle, &fd);
    h->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    uv_read_start(&of(h)->stream, on_alloc, on_read);
    note(h, false, "made");
    back(h, "made");
}

static void on_connection(uv_stream_t *native, int status)
{
    struct handle *server = native->data;
    if (status < 0 || server->left == 0)
        return;
    note(server, false, "client");
    back(server, "factory");
    if (server->state != ARMED)
        return;
    struct handle *h = *server->streams++;
    server->left--;
    server->waiting--;
    uv_tcp_init(&loop, &make(h)->tcp);
    of(h)->handle.data = h;
    uv_accept(native, &of(h)->stream);
    begin_stream(h, uv_tcp_getpeername);
}

/* Who connects becomes one of these streams. */
static void listen_for(struct handle *h, struct handle *streams[], int count)
{
    struct sockaddr_in address = loopback(0);
    int size = sizeof address;
    if (h->state != FREE)
        return;
    h->streams = streams;
    h->left = h->room = count;
    int error = uv_tcp_init(&loop, &make(h)->tcp);
    of(h)->handle.data = h;
    if (error == 0)
        error = uv_tcp_bind(&of(h)->tcp, (const struct sockaddr *)&address, 0);
    if (error == 0)
        error = uv_listen(&of(h)->stream, 128, on_connection);
    h->state = tried(h, "listen", error) < 0 ? IDLE : ARMED;
    uv_tcp_getsockname(&of(h)->tcp, (struct sockaddr *)&address, &size);
    h->port = ntohs(address.sin_port);
}

static void on_connect(uv_connect_t *request, int status)
{
    struct handle *h = request->handle->data;
    free(request);
    h->is_connecting = false;
    if (status == 0)
        begin_stream(h, uv_tcp_getsockname);
    if (h->state != ARMED)
        return;
    if (status < 0) {
        h->state = IDLE;
        note(h, false, "not connected: %s", error_name(status));
    } else {
        note(h, false, "connected");
    }
    back(h, "done");
}

static void connect_to(struct handle *h, struct handle *listener)
{
    if (h->state != FREE || !listener->is_listener || listener->port == 0)
        return;
    const struct sockaddr_in address = loopback(listener->port);
    uv_tcp_init(&loop, &make(h)->tcp);
    of(h)->handle.data = h;
    h->state = ARMED;
    h->is_connecting = true;
    int error =
        uv_tcp_connect(malloc(sizeof(uv_connect_t)), &of(h)->tcp, (const struct sockaddr *)&address, on_connect);
    if (tried(h, "connect", error) < 0)
        h->state = IDLE;
}

/* ---- datagrams ------------------------------------------------------------------------------ */

static void on_datagram(uv_udp_t *native, ssize_t size, const uv_buf_t *buffer, const struct sockaddr *from,
                        unsigned flags)
{
    struct handle *h = native->data;
    (void)flags;
    if (size < 0) {
        note(h, false, "refused: %s", error_name((int)size));
        back(h, "refused");
    } else if (from != NULL) {
        note_datagram(h, h->socket, (const unsigned char *)buffer->base, (size_t)size);
        back(h, "datagram");
    }
}

/* The socket is connected, which uv_udp_open() sees. */
static void endpoint(struct handle *h, struct handle *f)
{
    if (h->state != FREE || !is_held(f) || !f->is_udp)
        return;
#ifdef WATCHES
    cancel_watchers(f);
#endif
    int error = uv_udp_init(&loop, &make(h)->udp);
    of(h)->handle.data = h;
    if (error == 0)
        error = uv_udp_open(&of(h)->udp, f->fd);
    if (error == 0)
        error = uv_udp_recv_start(&of(h)->udp, on_alloc, on_datagram);
    h->state = tried(h, "datagram", error) < 0 ? IDLE : ARMED;
    h->socket = f;
    f->owner = error < 0 ? NULL : h;
}

static void on_send(uv_udp_send_t *request, int status)
{
    struct handle *h = request->handle->data;
    if (status < 0 && h->state == ARMED) {
        note(h, false, "refused: %s", error_name(status));
        back(h, "refused");
    }
    free(request->data);
    free(request);
}

static void send_datagram(struct handle *h, unsigned size)
{
    if (h->state != ARMED || !has_room(h->socket, size))
        return;
    char *data = malloc(size + 1);
    uv_udp_send_t *request = malloc(sizeof *request);
    request->data = memcpy(data, next_datagram(h->socket, size), size);
    const uv_buf_t buffer = uv_buf_init(data, size);
    note(h, false, "send %u", size);
    int error = uv_udp_send(request, &of(h)->udp, &buffer, 1, NULL, on_send);
    if (tried(h, "send", error) == 0)
        count_datagram(h->socket, size);
}
