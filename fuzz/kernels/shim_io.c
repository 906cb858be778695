/* Calls that move bytes or take connections, and the faults that they may meet. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim_time.h"

enum { PARTS_MAX = 16 /* of a scattered call that is made short */ };

/* What is known of an fd. Another file may have got the number since: then the watch belongs to an epoll that refuses
 * to change it, and the calls are merely counted on. */
static struct {
    _Atomic uint32_t calls;
    _Atomic bool is_spared;
    int epfd; /* that watches its edges; 0: none */
    struct epoll_event edge;
} known[SHIM_FDS_MAX];

static _Atomic uint64_t writers[SHIM_FDS_MAX / 64]; /* a bit for each fd that was written to and may hold bytes back */

static bool is_known(int fd)
{
    return fd >= 0 && fd < SHIM_FDS_MAX;
}

uint32_t shim_call_number(int fd)
{
    return is_known(fd) ? atomic_fetch_add_explicit(&known[fd].calls, 1, memory_order_relaxed) : 0;
}

bool shim_meets_eintr(int fd, uint32_t number)
{
    if (adversary_draw(&shim_page->adversary, ADVERSARY_WAIT, fd, number) != ADVERSARY_EINTR)
        return false;
    shim_count(SHIM_COUNT_FAULT);
    return true;
}

/* No more faults on this fd, or again: for who reads or writes it to test another. */
SHIM_EXPORT void lc_shim_spare(int fd, int is_spared);
SHIM_EXPORT void lc_shim_spare(int fd, int is_spared)
{
    if (is_known(fd))
        atomic_store(&known[fd].is_spared, is_spared != 0);
}

/* ---- what the adversary has to know of a call ------------------------------------------------ */

static enum adversary_file file_of(int fd)
{
    struct stat status;
    int type, domain;
    socklen_t size = sizeof(int);
    if (fstat(fd, &status) != 0)
        return ADVERSARY_OTHER;
    if (S_ISFIFO(status.st_mode))
        return ADVERSARY_PIPE;
    if (!S_ISSOCK(status.st_mode) || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0)
        return ADVERSARY_OTHER;
    if (domain == AF_UNIX)
        return ADVERSARY_UNIX_STREAM;
    return domain == AF_INET || domain == AF_INET6 ? ADVERSARY_INET_STREAM : ADVERSARY_OTHER;
}

static bool is_blocking(int fd, int flags)
{
    return (flags & MSG_DONTWAIT) == 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

static bool has_peer_ended(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLRDHUP};
    return REAL(poll)(&one, 1, 0) > 0;
}

/* A short count tells a reader or writer of an edge-triggered fd that it may stop and wait for the next edge
 * (epoll(7)), as does EAGAIN. Whoever pretends one owes the edge. One-shot watches are set anew by the program itself.
 */
static void owe_edge(int fd)
{
    if (known[fd].epfd > 0)
        epoll_ctl(known[fd].epfd, EPOLL_CTL_MOD, fd, &known[fd].edge);
}

SHIM_EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    shim_count(SHIM_COUNT_CONTROL);
    int result = REAL(epoll_ctl)(epfd, op, fd, event);
    if (shim_page == NULL || result != 0 || !is_known(fd))
        return result;
    const bool is_edge = op != EPOLL_CTL_DEL && (event->events & EPOLLET) && !(event->events & EPOLLONESHOT);
    if (is_edge)
        known[fd].edge = *event;
    if (is_edge || known[fd].epfd == epfd)
        known[fd].epfd = is_edge ? epfd : 0;
    return result;
}

/* ---- faults --------------------------------------------------------------------------------- */

/* One call on an fd: what it asks for, and what becomes of that. */
struct move {
    enum adversary_call call;
    int fd;
    int flags;     /* MSG_*, 0 for read and write */
    size_t size;   /* asked for; then what it may move */
    bool is_plain; /* nothing but bytes is asked for */
    const void *caller;
    struct shim_sleeper *sleeper;
};

/* For real, so that later calls agree: this end is told once, here; the peer will see it, too. */
static int reset(int fd, enum adversary_call call)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    shutdown(fd, SHUT_RDWR);
    return call == ADVERSARY_WRITE ? EPIPE : ECONNRESET;
}

/* The error that the call meets, or 0; may make the call shorter. */
static int meet(struct move *move)
{
    const struct adversary *adversary = &shim_page->adversary;
    if (adversary->level == ADVERSARY_OFF || !is_known(move->fd) || atomic_load(&known[move->fd].is_spared) ||
        shim_is_in(&shim_kit, move->caller))
        return 0;
    const uint32_t number = shim_call_number(move->fd);
    enum adversary_fault fault = adversary_draw(adversary, move->call, move->fd, number);
    if (fault == ADVERSARY_NONE || !move->is_plain)
        return 0;
    const struct adversary_situation situation = {.file = file_of(move->fd),
                                                  .is_blocking = is_blocking(move->fd, move->flags),
                                                  .has_peer_ended = has_peer_ended(move->fd),
                                                  .size = move->size};
    if (!adversary_allows(adversary, move->call, fault, &situation))
        return 0;
    shim_count(SHIM_COUNT_FAULT);
    if (fault == ADVERSARY_SHORT)
        move->size = adversary_size(adversary, move->fd, number, move->size);
    if (fault == ADVERSARY_RESET)
        return reset(move->fd, move->call);
    owe_edge(move->fd);
    switch (fault) {
    case ADVERSARY_EAGAIN:
        return EAGAIN;
    case ADVERSARY_EINTR:
        return EINTR;
    case ADVERSARY_ABORTED:
        return ECONNABORTED;
    case ADVERSARY_EMFILE:
        return EMFILE;
    default:
        return 0;
    }
}

static int probe_readable(void *arg)
{
    struct pollfd one = {.fd = *(int *)arg, .events = POLLIN};
    return REAL(poll)(&one, 1, 0);
}

static int slice_readable(void *arg, const struct timespec *length, const sigset_t *mask)
{
    struct pollfd one = {.fd = *(int *)arg, .events = POLLIN};
    return REAL(ppoll)(&one, 1, length, mask) < 0 ? -1 : 0;
}

/* Before a call: true if it may go on, with move->size bytes; else errno says why not. Who blocks in it is known to be
 * asleep; a timerfd that is read is one of ours, which only a wait of ours makes fire. */
static bool begin(struct move *move)
{
    static const enum shim_count counts[] = {SHIM_COUNT_READ, SHIM_COUNT_WRITE, SHIM_COUNT_ACCEPT};
    if (!shim_is_armed)
        return true;
    shim_count(counts[move->call]);
    const int saved = errno, error = meet(move);
    errno = error != 0 ? error : saved;
    if (error != 0 || !shim_page->has_time)
        return error == 0;
    const bool blocks = is_blocking(move->fd, move->flags);
    if (move->call == ADVERSARY_READ && shim_is_timer(move->fd)) {
        shim_timers_fire();
        const struct shim_wait wait = {probe_readable, slice_readable, &move->fd, NULL, shim_signals_handled};
        return !blocks || shim_wait(&wait, SHIM_NEVER_NS) >= 0;
    }
    if (blocks)
        move->sleeper = shim_sleep_begin(SHIM_NEVER_NS);
    errno = saved;
    return true;
}

static ssize_t end(struct move *move, ssize_t result)
{
    shim_sleep_end(move->sleeper);
    if (move->call == ADVERSARY_WRITE && result > 0 && shim_has_time() && is_known(move->fd))
        atomic_fetch_or(&writers[move->fd / 64], UINT64_C(1) << (move->fd % 64));
    return result;
}

/* Does the kernel hold bytes on this fd that it will send by itself? TCP does until those before them are acknowledged,
 * which may take 40 ms of real time (Nagle's algorithm, and an acknowledgement that is delayed). When all that was sent
 * is acknowledged and more is left, the peer's buffer is full, and the peer may sleep on it. */
static bool is_in_flight(int fd)
{
    int unsent, unacknowledged;
    if (ioctl(fd, SIOCOUTQNSD, &unsent) == 0 && unsent > 0 && ioctl(fd, SIOCOUTQ, &unacknowledged) == 0)
        return unacknowledged > unsent;
    atomic_fetch_and(&writers[fd / 64], ~(UINT64_C(1) << (fd % 64)));
    return false;
}

bool shim_is_data_in_flight(void)
{
    for (int i = 0; i < SHIM_FDS_MAX / 64; i++)
        for (uint64_t left = atomic_load(&writers[i]); left != 0; left &= left - 1)
            if (is_in_flight(i * 64 + __builtin_ctzll(left)))
                return true;
    return false;
}

#define MOVE(kind, number, options, bytes, plain)                                                                      \
    {.call = (kind),                                                                                                   \
     .fd = (number),                                                                                                   \
     .flags = (options),                                                                                               \
     .size = (bytes),                                                                                                  \
     .is_plain = (plain),                                                                                              \
     .caller = __builtin_return_address(0)}

/* Peeking, waiting for all, errors and addresses: no history of a stream explains a fault there. */
static bool is_plain(int flags)
{
    return (flags & ~(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC)) == 0;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

SHIM_EXPORT ssize_t read(int fd, void *bytes, size_t size)
{
    struct move move = MOVE(ADVERSARY_READ, fd, 0, size, true);
    return begin(&move) ? end(&move, REAL(read)(fd, bytes, move.size)) : -1;
}

SHIM_EXPORT ssize_t write(int fd, const void *bytes, size_t size)
{
    struct move move = MOVE(ADVERSARY_WRITE, fd, 0, size, true);
    return begin(&move) ? end(&move, REAL(write)(fd, bytes, move.size)) : -1;
}

SHIM_EXPORT ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    struct move move = MOVE(ADVERSARY_READ, fd, flags, size, is_plain(flags));
    return begin(&move) ? end(&move, REAL(recv)(fd, bytes, move.size, flags)) : -1;
}

SHIM_EXPORT ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    struct move move = MOVE(ADVERSARY_WRITE, fd, flags, size, is_plain(flags));
    return begin(&move) ? end(&move, REAL(send)(fd, bytes, move.size, flags)) : -1;
}

SHIM_EXPORT ssize_t recvfrom(int fd, void *bytes, size_t size, int flags, __SOCKADDR_ARG from, socklen_t *length)
{
    struct move move = MOVE(ADVERSARY_READ, fd, flags, size, is_plain(flags));
    return begin(&move) ? end(&move, REAL(recvfrom)(fd, bytes, move.size, flags, from, length)) : -1;
}

SHIM_EXPORT ssize_t sendto(int fd, const void *bytes, size_t size, int flags, __CONST_SOCKADDR_ARG to, socklen_t length)
{
    struct move move = MOVE(ADVERSARY_WRITE, fd, flags, size, is_plain(flags) && to.__sockaddr__ == NULL);
    return begin(&move) ? end(&move, REAL(sendto)(fd, bytes, move.size, flags, to, length)) : -1;
}

/* What programs that were compiled with _FORTIFY_SOURCE call. */
SHIM_EXPORT ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room);
SHIM_EXPORT ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room)
{
    return read(fd, bytes, size < room ? size : room);
}

SHIM_EXPORT ssize_t __recv_chk(int fd, void *bytes, size_t size, size_t room, int flags);
SHIM_EXPORT ssize_t __recv_chk(int fd, void *bytes, size_t size, size_t room, int flags)
{
    return recv(fd, bytes, size < room ? size : room, flags);
}

/* ---- scattered bytes ------------------------------------------------------------------------ */

/* All bytes of the parts; saturates. */
static size_t size_of(const struct iovec *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size = parts[i].iov_len > SIZE_MAX - size ? SIZE_MAX : size + parts[i].iov_len;
    return size;
}

/* The first parts, with `size` bytes at most; returns their number. */
static size_t take_parts(struct iovec taken[PARTS_MAX], const struct iovec *parts, size_t count, size_t size)
{
    size_t i = 0;
    for (; i < count && i < PARTS_MAX && size > 0; i++) {
        taken[i] = parts[i];
        if (taken[i].iov_len > size)
            taken[i].iov_len = size;
        size -= taken[i].iov_len;
    }
    return i;
}

SHIM_EXPORT ssize_t readv(int fd, const struct iovec *parts, int count)
{
    struct iovec taken[PARTS_MAX];
    const size_t size = count > 0 ? size_of(parts, (size_t)count) : 0;
    struct move move = MOVE(ADVERSARY_READ, fd, 0, size, true);
    if (!begin(&move))
        return -1;
    if (move.size < size)
        return end(&move, REAL(readv)(fd, taken, (int)take_parts(taken, parts, (size_t)count, move.size)));
    return end(&move, REAL(readv)(fd, parts, count));
}

SHIM_EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct iovec taken[PARTS_MAX];
    const size_t size = count > 0 ? size_of(parts, (size_t)count) : 0;
    struct move move = MOVE(ADVERSARY_WRITE, fd, 0, size, true);
    if (!begin(&move))
        return -1;
    if (move.size < size)
        return end(&move, REAL(writev)(fd, taken, (int)take_parts(taken, parts, (size_t)count, move.size)));
    return end(&move, REAL(writev)(fd, parts, count));
}

SHIM_EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    struct move move = MOVE(ADVERSARY_READ, fd, flags, size_of(message->msg_iov, message->msg_iovlen),
                            is_plain(flags) && message->msg_controllen == 0);
    struct iovec taken[PARTS_MAX], *parts = message->msg_iov;
    const size_t count = message->msg_iovlen, size = move.size;
    if (!begin(&move))
        return -1;
    if (move.size < size) {
        message->msg_iovlen = take_parts(taken, parts, count, move.size);
        message->msg_iov = taken;
    }
    ssize_t result = end(&move, REAL(recvmsg)(fd, message, flags));
    message->msg_iov = parts;
    message->msg_iovlen = count;
    return result;
}

SHIM_EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct move move = MOVE(ADVERSARY_WRITE, fd, flags, size_of(message->msg_iov, message->msg_iovlen),
                            is_plain(flags) && message->msg_controllen == 0 && message->msg_name == NULL);
    struct iovec taken[PARTS_MAX];
    struct msghdr shorter = *message;
    const size_t size = move.size;
    if (!begin(&move))
        return -1;
    if (move.size < size) {
        shorter.msg_iovlen = take_parts(taken, message->msg_iov, message->msg_iovlen, move.size);
        shorter.msg_iov = taken;
    }
    return end(&move, REAL(sendmsg)(fd, &shorter, flags));
}

/* ---- connections, and the end of an fd ------------------------------------------------------- */

/* Whoever accepts for himself gets connections that are spared as well. */
static int accepted(const struct move *move, int fd)
{
    if (is_known(fd) && is_known(move->fd) && atomic_load(&known[move->fd].is_spared))
        atomic_store(&known[fd].is_spared, true);
    return fd;
}

SHIM_EXPORT int accept4(int fd, __SOCKADDR_ARG address, socklen_t *length, int flags)
{
    struct move move = MOVE(ADVERSARY_ACCEPT, fd, 0, 1, true);
    return begin(&move) ? accepted(&move, (int)end(&move, REAL(accept4)(fd, address, length, flags))) : -1;
}

SHIM_EXPORT int accept(int fd, __SOCKADDR_ARG address, socklen_t *length)
{
    struct move move = MOVE(ADVERSARY_ACCEPT, fd, 0, 1, true);
    return begin(&move) ? accepted(&move, (int)end(&move, REAL(accept)(fd, address, length))) : -1;
}

SHIM_EXPORT int close(int fd)
{
    if (shim_has_time())
        shim_timers_forget(fd);
    if (shim_page != NULL && is_known(fd))
        atomic_store(&known[fd].is_spared, false);
    return REAL(close)(fd);
}
