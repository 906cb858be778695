/* The sockets of a reproducer in C: pairs, listeners and clients that the program has in its own hands. */

/* ---- sockets -------------------------------------------------------------------------------- */

static unsigned char bytes[BYTES_MAX + PERIOD]; /* what is sent: at each position stands a byte that is known */

static unsigned char *bytes_at(uint64_t position)
{
    for (size_t i = 0; bytes[sizeof bytes - 2] == 0 && i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i % PERIOD);
    return bytes + position % PERIOD;
}

/* One side of a connection over a network, known by the port of the side that connected; and the other, if it is there.
 */
static void join(struct handle *side, char other, uint16_t port)
{
    side->port = port;
    for (size_t i = 0; all[i] != NULL; i++) {
        struct handle *h = all[i];
        if (h->name[0] != other || h->is_listener || h->port != port || h->peer != NULL)
            continue;
        side->peer = h;
        h->peer = side;
    }
}

static void make_socket(struct handle *f, int fd, struct handle *peer)
{
    const int one = 1;
    f->state = ARMED;
    f->fd = fd;
    f->peer = peer;
    f->sent = f->got = 0;
    f->has_ended = false;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/* In the program's own hands, not closed and not a stream's? */
static bool is_held(const struct handle *f)
{
    return f->state == ARMED && f->owner == NULL;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

/* A socket with an address of its own. */
static int bound(int type, struct sockaddr_in *address)
{
    const int one = 1, room = UDP_ROOM_BYTES;
    socklen_t size = sizeof *address;
    int fd = socket(AF_INET, type, 0);
    *address = loopback(0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (type == SOCK_DGRAM)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(fd, (struct sockaddr *)address, sizeof *address) != 0 ||
        getsockname(fd, (struct sockaddr *)address, &size) != 0)
        abort();
    return fd;
}

static int connected(uint16_t port)
{
    const struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

static void pair(struct handle *a, struct handle *b)
{
    int fds[2];
    if (a->state != FREE || b->state != FREE || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
        return;
    make_socket(a, fds[0], b);
    make_socket(b, fds[1], a);
}

/* As pair, but over TCP. */
static void tcp(struct handle *a, struct handle *b)
{
    struct sockaddr_in address;
    if (a->state != FREE || b->state != FREE)
        return;
    int listener = bound(SOCK_STREAM, &address);
    listen(listener, 1);
    make_socket(a, connected(ntohs(address.sin_port)), b);
    make_socket(b, accept(listener, NULL, NULL), a);
    close(listener);
}

/* Two UDP sockets that are connected to each other. */
static void udp(struct handle *a, struct handle *b)
{
    struct sockaddr_in addresses[2];
    if (a->state != FREE || b->state != FREE)
        return;
    make_socket(a, bound(SOCK_DGRAM, &addresses[0]), b);
    make_socket(b, bound(SOCK_DGRAM, &addresses[1]), a);
    a->is_udp = b->is_udp = true;
    if (connect(a->fd, (struct sockaddr *)&addresses[1], sizeof *addresses) != 0 ||
        connect(b->fd, (struct sockaddr *)&addresses[0], sizeof *addresses) != 0)
        abort();
}

/* May a datagram of so many bytes be sent? No more may be on its way than the kernel holds. */
static bool has_room(const struct handle *f, size_t size)
{
    const bool has_reader = f->peer->state == ARMED;
    return size > DATAGRAM_BYTES_MAX || !has_reader || f->sent - f->peer->got < DATAGRAMS_WAITING_MAX;
}

/* The bytes of the next datagram: all of them are its number. */
static unsigned char *next_datagram(const struct handle *f, size_t size)
{
    static unsigned char datagram[BYTES_MAX];
    memset(datagram, (int)(f->sent & 255), size);
    return datagram;
}

/* What is sent to nobody, or never is on its way, is not counted. */
static void count_datagram(struct handle *f, size_t size)
{
    f->sent += size <= DATAGRAM_BYTES_MAX && f->peer->state == ARMED;
}

static bool put_datagram(struct handle *f, size_t size)
{
    if (!has_room(f, size))
        return false;
    const ssize_t sent = send(f->fd, next_datagram(f, size), size, 0);
    asked(f, "put", sent < 0 ? -errno : 0);
    if (sent >= 0)
        count_datagram(f, size);
    return sent >= 0;
}

/* Sends so many bytes, or as many as there is room for. */
static void put(struct handle *f, uint64_t size)
{
    uint64_t done = 0;
    ssize_t sent = 1;
    if (!is_held(f) || f->is_listener)
        return;
#ifdef DATAGRAMS
    if (f->is_udp) {
        put_datagram(f, size);
        return;
    }
#endif
    while (sent > 0 && done < size) {
        const uint64_t left = size - done;
        sent = send(f->fd, bytes_at(f->sent), left < BYTES_MAX ? (size_t)left : BYTES_MAX, MSG_NOSIGNAL);
        done += sent > 0 ? (uint64_t)sent : 0;
        f->sent += sent > 0 ? (uint64_t)sent : 0;
    }
    asked(f, "put", done == 0 && sent < 0 && errno != EAGAIN ? -errno : 0);
}

/* Sends until there is no room any more. */
static void fill(struct handle *f)
{
#ifdef DATAGRAMS
    for (int i = 0; i < DATAGRAMS_WAITING_MAX && is_held(f) && f->is_udp; i++)
        if (!put_datagram(f, DATAGRAM_OF_A_FILL))
            return;
    if (f->is_udp)
        return;
#endif
    put(f, 64 << 20);
}

static uint64_t take_datagrams(struct handle *f, uint64_t count)
{
    static unsigned char buffer[BYTES_MAX];
    uint64_t taken = 0;
    for (int reads = 0; reads < 64 && taken < count; reads++) {
        const ssize_t got = recv(f->fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN)
            break;
        if (got < 0)
            note(f, false, "refused: %s", error_name(-errno));
        else
            note_datagram(f, f, buffer, (size_t)got);
        taken += got >= 0;
    }
    return taken;
}

/* Reads so many bytes, or all there are. Returns how many there were. */
static uint64_t take(struct handle *f, uint64_t size)
{
    static unsigned char buffer[BYTES_MAX];
    uint64_t done = 0;
    ssize_t got = 1;
    if (!is_held(f) || f->is_listener)
        return 0;
#ifdef DATAGRAMS
    if (f->is_udp)
        return take_datagrams(f, size);
#endif
    while (done < size && got > 0) {
        const uint64_t left = size - done;
        got = recv(f->fd, buffer, left < sizeof buffer ? (size_t)left : sizeof buffer, 0);
        if (got > 0)
            note_data(f, f, buffer, (size_t)got);
        done += got > 0 ? (uint64_t)got : 0;
    }
    if (got == 0)
        note(f, true, "end of file");
    return done;
}

/* Sends no more, so that the other end sees end of file. */
static void shut(struct handle *f)
{
    if (is_held(f) && !f->is_listener && !f->is_udp)
        f->has_ended |= asked(f, "shut", shutdown(f->fd, SHUT_WR) == 0 ? 0 : -errno) == 0;
}

#ifdef WATCHES
/* Who watches a socket must not any more when it is closed or taken over. */
static void cancel(struct handle *h);

static void cancel_watchers(struct handle *f)
{
    for (size_t i = 0; all[i] != NULL; i++) {
        struct handle *h = all[i];
        if (h->name[0] != 'w' || h->socket != f || h->state == FREE)
            continue;
        if (h->state == ARMED)
            cancel(h);
        h->is_stale = true;
    }
}
#endif

static void hang_up(struct handle *f)
{
    if (!is_held(f))
        return;
#ifdef WATCHES
    cancel_watchers(f);
#endif
    f->state = CLOSED;
    asked(f, "hangup", close(f->fd) == 0 ? 0 : -errno);
}

/* Closes it so that the other end finds the connection reset. */
static void reset(struct handle *f)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (!is_held(f) || f->is_udp)
        return;
#ifdef WATCHES
    cancel_watchers(f);
#endif
    setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    f->state = CLOSED;
    asked(f, "rst", close(f->fd) == 0 ? 0 : -errno);
}

/* Closes both ends and opens a new pair, of which this end has the old number. */
static void recycle(struct handle *f)
{
    struct handle *peer = f->peer;
    int wanted = f->fd, spare[8][2], tries = 0, fds[2];
    if (!is_held(f) || peer == NULL || !is_held(peer) || f->is_udp)
        return;
#ifdef WATCHES
    cancel_watchers(f);
    cancel_watchers(peer);
#endif
    close(f->fd);
    close(peer->fd);
    while (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0 && fds[0] != wanted && fds[1] != wanted && tries < 8)
        memcpy(spare[tries++], fds, sizeof fds);
    while (tries-- > 0) {
        close(spare[tries][0]);
        close(spare[tries][1]);
    }
    make_socket(f, fds[1] == wanted ? fds[1] : fds[0], peer);
    make_socket(peer, fds[1] == wanted ? fds[0] : fds[1], f);
    asked(f, "recycle", 0);
    asked(peer, "recycle", 0);
}

/* A socket that listens, and is accepted from by hand. */
static void backlog(struct handle *f)
{
    struct sockaddr_in address;
    if (f->state != FREE)
        return;
    make_socket(f, bound(SOCK_STREAM, &address), NULL);
    listen(f->fd, 128);
    f->is_listener = true;
    f->port = ntohs(address.sin_port);
}

static void accept_from(struct handle *f, struct handle *listener)
{
    if (f->state != FREE || !is_held(listener) || !listener->is_listener)
        return;
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    const int fd = accept(listener->fd, (struct sockaddr *)&address, &size);
    if (fd < 0)
        return;
    make_socket(f, fd, NULL);
    join(f, 's', ntohs(address.sin_port));
}

/* Connects to a server of the loop. */
static void client(struct handle *f, struct handle *server)
{
    if (f->state != FREE || server->port == 0 || server->state == CLOSING ||
        (server->state == ARMED && server->room == 0))
        return;
    const int fd = connected(server->port);
    if (tried(f, "client", fd) < 0)
        return;
    server->room -= server->room > 0;
    server->waiting += server->state == ARMED;
    make_socket(f, fd, NULL);
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &size);
    f->port = ntohs(address.sin_port);
}

/* Takes what streams send, until no more comes. */
static void drain(void)
{
    bool has_to_send = false;
    for (size_t i = 0; all[i] != NULL; i++)
        has_to_send |= strchr("sld", all[i]->name[0]) != NULL && (all[i]->state == ARMED || all[i]->state == IDLE);
    for (int rounds = 0, quiet = 0; has_to_send && rounds < 64 && quiet < 5; rounds++) {
        const unsigned before = callbacks;
        uint64_t taken = 0;
        poll_once();
        for (size_t i = 0; all[i] != NULL; i++)
            if (all[i]->name[0] == 'f' && all[i]->peer != NULL && all[i]->peer->owner != NULL)
                taken += take(all[i], UINT64_MAX);
        quiet = taken == 0 && callbacks == before ? quiet + 1 : 0;
        if (quiet > 0)
            pass(1000 * 1000);
    }
}

static void close_sockets(void)
{
    for (size_t i = 0; all[i] != NULL; i++)
        if (all[i]->name[0] == 'f' && is_held(all[i]))
            close(all[i]->fd);
}
