/* The real system under a loop: socket pairs, the monotonic clock, POSIX threads. */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"

enum { HELPERS_MAX = 32, FDS_COUNTED_MAX = 1024, FDS_FEW = 128, FDS_GAP = 32, BACKLOG = 128, UDP_ROOM_BYTES = 1 << 20 };

static struct helper {
    pthread_t thread;
    uint64_t delay_ns;
    void (*work)(void *);
    void *arg;
} helpers[HELPERS_MAX];
static size_t helpers_count;

static struct timespec to_timespec(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

static uint64_t now_ns(void *self)
{
    struct timespec now;
    (void)self;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void advance(void *self, uint64_t duration_ns)
{
    struct timespec left = to_timespec(duration_ns);
    (void)self;
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

/* For a socket that is made quiet at once, where the kernel can do that. */
#ifdef SOCK_NONBLOCK
enum { BORN_QUIET = SOCK_NONBLOCK | SOCK_CLOEXEC };
#else
enum { BORN_QUIET = 0 };
#endif

static void make_quiet(int fd)
{
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

/* Its port may be bound once more when it is closed, though connections of it are still there. */
static void may_be_held(int listener)
{
    const int one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
}

/* A listener on a free port of the loopback interface; its address comes out. */
static int listen_anywhere(struct sockaddr_in *address, int backlog)
{
    socklen_t size = sizeof *address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0)
        return -errno;
    *address = loopback(0);
    may_be_held(listener);
    if (bind(listener, (struct sockaddr *)address, sizeof *address) == 0 && listen(listener, backlog) == 0 &&
        getsockname(listener, (struct sockaddr *)address, &size) == 0)
        return listener;
    int error = errno;
    close(listener);
    return -error;
}

/* Bytes arrive when they are sent, not when Nagle's algorithm has waited. */
static void send_at_once(void *self, int fd)
{
    const int one = 1;
    (void)self;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int tcp_pair(int fds[2])
{
    struct sockaddr_in address;
    int listener = listen_anywhere(&address, 1), error = 0;
    if (listener < 0)
        return listener;
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    fds[1] = -1;
    if (fds[0] < 0 || connect(fds[0], (struct sockaddr *)&address, sizeof address) != 0 ||
        (fds[1] = accept(listener, NULL, NULL)) < 0)
        error = errno;
    close(listener);
    for (int i = 0; i < 2 && fds[i] >= 0; i++)
        if (error != 0)
            close(fds[i]);
        else
            send_at_once(NULL, fds[i]);
    return -error;
}

static int pair(void *self, int fds[2], bool is_tcp)
{
    (void)self;
    int result = is_tcp ? tcp_pair(fds) : socketpair(AF_UNIX, SOCK_STREAM | BORN_QUIET, 0, fds) == 0 ? 0 : -errno;
    for (int i = 0; i < 2 && result == 0 && (is_tcp || BORN_QUIET == 0); i++)
        make_quiet(fds[i]);
    return result;
}

/* Bound to a free port of the loopback interface; its address comes out. */
static int bind_udp(struct sockaddr_in *address)
{
    socklen_t size = sizeof *address;
    const int room = UDP_ROOM_BYTES;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0)
        return -errno;
    *address = loopback(0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(fd, (struct sockaddr *)address, sizeof *address) == 0 &&
        getsockname(fd, (struct sockaddr *)address, &size) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

/* A stranger may have sent something before the socket was connected. */
static int connect_udp(int fd, const struct sockaddr_in *peer)
{
    char byte;
    if (connect(fd, (const struct sockaddr *)peer, sizeof *peer) != 0)
        return -errno;
    make_quiet(fd);
    while (recv(fd, &byte, sizeof byte, 0) >= 0)
        ;
    return 0;
}

static int udp(void *self, int fds[2])
{
    struct sockaddr_in addresses[2];
    int room = 0, result = fds[0] = bind_udp(&addresses[0]);
    socklen_t size = sizeof room;
    (void)self;
    fds[1] = -1;
    if (result >= 0)
        result = fds[1] = bind_udp(&addresses[1]);
    for (int i = 0; i < 2 && result >= 0; i++)
        result = connect_udp(fds[i], &addresses[1 - i]);
    if (result >= 0 && getsockopt(fds[0], SOL_SOCKET, SO_RCVBUF, &room, &size) != 0)
        result = -errno;
    for (int i = 0; i < 2 && result < 0; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return result < 0 ? result : room;
}

static int listen_tcp(void *self, uint16_t *port)
{
    struct sockaddr_in address;
    (void)self;
    int listener = listen_anywhere(&address, BACKLOG);
    if (listener < 0)
        return listener;
    make_quiet(listener);
    *port = ntohs(address.sin_port);
    return listener;
}

static int connect_tcp(void *self, uint16_t port, uint16_t *own_port)
{
    const struct sockaddr_in to = loopback(port);
    struct sockaddr_in own = {0};
    socklen_t size = sizeof own;
    int fd = socket(AF_INET, SOCK_STREAM, 0), error = 0;
    (void)self;
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0 ||
        getsockname(fd, (struct sockaddr *)&own, &size) != 0)
        error = errno;
    if (error != 0) {
        close(fd);
        return -error;
    }
    make_quiet(fd);
    send_at_once(NULL, fd);
    *own_port = ntohs(own.sin_port);
    return fd;
}

static int hold_port(void *self, uint16_t port)
{
    const struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)self;
    if (fd < 0)
        return -errno;
    may_be_held(fd);
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

static int accept_tcp(void *self, int listener, uint16_t *peer_port)
{
    struct sockaddr_in peer = {0};
    socklen_t size = sizeof peer;
    (void)self;
    int fd = accept(listener, (struct sockaddr *)&peer, &size);
    if (fd < 0)
        return -errno;
    make_quiet(fd);
    send_at_once(NULL, fd);
    *peer_port = ntohs(peer.sin_port);
    return fd;
}

static int close_fd(void *self, int fd, bool is_reset)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    (void)self;
    if (is_reset)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return close(fd) == 0 ? 0 : -errno;
}

static int64_t write_some(void *self, int fd, const void *bytes, size_t size)
{
    (void)self;
    ssize_t wrote = send(fd, bytes, size, MSG_NOSIGNAL);
    return wrote >= 0 ? wrote : errno == EAGAIN ? 0 : -errno;
}

static int64_t read_some(void *self, int fd, void *bytes, size_t size)
{
    (void)self;
    ssize_t got = recv(fd, bytes, size, 0);
    return got >= 0 ? got : -errno;
}

static int shut(void *self, int fd)
{
    (void)self;
    return shutdown(fd, SHUT_WR) == 0 ? 0 : -errno;
}

static unsigned bits_of(short revents)
{
    unsigned bits = 0;
    bits |= revents & POLLIN ? LC_IN : 0;
    bits |= revents & POLLOUT ? LC_OUT : 0;
    bits |= revents & POLLHUP ? LC_HUP : 0;
    bits |= revents & (POLLERR | POLLNVAL) ? LC_ERR : 0;
    return bits;
}

static unsigned ready(void *self, int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN | POLLOUT};
    (void)self;
    return poll(&one, 1, 0) <= 0 ? 0 : bits_of(one.revents);
}

static void look(void *self, const int fds[], unsigned bits[], size_t count)
{
    struct pollfd all[LC_LOOK_MAX];
    (void)self;
    for (size_t i = 0; i < count; i++)
        all[i] = (struct pollfd){.fd = fds[i], .events = POLLIN | POLLOUT};
    const bool is_known = poll(all, count, 0) >= 0;
    for (size_t i = 0; i < count; i++)
        bits[i] = is_known ? bits_of(all[i].revents) : 0;
}

static uint64_t identity(void *self, int fd)
{
    struct stat seen;
    (void)self;
    return fstat(fd, &seen) == 0 ? (uint64_t)seen.st_dev << 48 ^ (uint64_t)seen.st_ino : 0;
}

/* How many of the first `size` fds are open, and how many of the last of these. */
static int count_fds(nfds_t size, int *last)
{
    struct pollfd all[FDS_COUNTED_MAX];
    int count = 0;
    for (nfds_t i = 0; i < size; i++)
        all[i] = (struct pollfd){.fd = (int)i};
    if (poll(all, size, 0) < 0)
        return -errno; /* RLIMIT_NOFILE is smaller than what is counted */
    *last = 0;
    for (nfds_t i = 0; i < size; i++) {
        const bool is_open = (all[i].revents & POLLNVAL) == 0;
        count += is_open;
        *last += is_open && i >= size - FDS_GAP;
    }
    return count;
}

/* Numbers are given out from the lowest on: behind a gap there is nothing that a loop has opened. */
static int open_fds(void *self)
{
    int last = 0, count = count_fds(FDS_FEW, &last);
    (void)self;
    return last > 0 ? count_fds(FDS_COUNTED_MAX, &last) : count;
}

static void *help(void *arg)
{
    const struct helper *helper = arg;
    if (helper->delay_ns > 0)
        advance(NULL, helper->delay_ns);
    helper->work(helper->arg);
    return NULL;
}

static int post(void *self, uint64_t delay_ns, void (*work)(void *), void *arg)
{
    struct helper now = {.delay_ns = delay_ns, .work = work, .arg = arg};
    struct helper *helper = delay_ns == 0 ? &now : &helpers[helpers_count];
    (void)self;
    if (delay_ns > 0 && helpers_count == HELPERS_MAX)
        return -EAGAIN;
    *helper = now;
    int error = pthread_create(&helper->thread, NULL, help, helper);
    if (error != 0)
        return -error;
    if (delay_ns > 0)
        helpers_count++;
    else
        pthread_join(now.thread, NULL);
    return 0;
}

static void join(void *self)
{
    (void)self;
    for (; helpers_count > 0; helpers_count--)
        pthread_join(helpers[helpers_count - 1].thread, NULL);
}

const struct lc_kernel *lc_kernel_posix(void)
{
    static const struct lc_kernel kernel = {.now_ns = now_ns,
                                            .advance = advance,
                                            .pair = pair,
                                            .udp = udp,
                                            .listen = listen_tcp,
                                            .connect = connect_tcp,
                                            .accept = accept_tcp,
                                            .hold = hold_port,
                                            .send_at_once = send_at_once,
                                            .close = close_fd,
                                            .write = write_some,
                                            .read = read_some,
                                            .shut = shut,
                                            .ready = ready,
                                            .identity = identity,
                                            .look = look,
                                            .open_fds = open_fds,
                                            .post = post,
                                            .join = join};
    return &kernel;
}
