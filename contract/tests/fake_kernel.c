#include "fake_kernel.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { FIRST_FD = 3, FIRST_NS = 1000000000 };

static struct fake_fd *fd_at(struct fake_kernel *k, int fd)
{
    return fd >= 0 && fd < FAKE_FDS_MAX && k->fds[fd].is_open ? &k->fds[fd] : NULL;
}

int fake_kernel_open(struct fake_kernel *k)
{
    for (int i = FIRST_FD; i < FAKE_FDS_MAX; i++)
        if (!k->fds[i].is_open) {
            k->fds[i] = (struct fake_fd){.is_open = true, .peer = -1, .opened = k->fds[i].opened + 1};
            return i;
        }
    return -EMFILE;
}

static int close_fd(void *self, int number, bool is_reset)
{
    struct fake_kernel *k = self;
    struct fake_fd *fd = fd_at(k, number);
    if (fd == NULL)
        return -EBADF;
    fd->is_open = false;
    while (fd->backlog_count > 0)
        close_fd(k, fd->backlog[--fd->backlog_count], true);
    if (fd_at(k, fd->peer) != NULL) {
        k->fds[fd->peer].peer = -1;
        k->fds[fd->peer].is_reset = is_reset || fd->unread > 0;
    }
    return 0;
}

static int make_pair(void *self, int fds[2], bool is_tcp)
{
    (void)is_tcp;
    struct fake_kernel *k = self;
    fds[0] = fake_kernel_open(k);
    fds[1] = fake_kernel_open(k);
    if (fds[1] < 0) {
        close_fd(k, fds[0], false);
        return -EMFILE;
    }
    k->fds[fds[0]].peer = fds[1];
    k->fds[fds[1]].peer = fds[0];
    return 0;
}

int fake_kernel_listen(struct fake_kernel *k, uint16_t *port)
{
    int fd = fake_kernel_open(k);
    if (fd < 0)
        return fd;
    k->fds[fd].is_listener = true;
    *port = k->fds[fd].port = ++k->ports;
    return fd;
}

int fake_kernel_connect(struct fake_kernel *k, uint16_t port, uint16_t *own_port)
{
    int fds[2];
    for (int i = 0; i < FAKE_FDS_MAX; i++) {
        struct fake_fd *listener = fd_at(k, i);
        if (listener == NULL || !listener->is_listener || listener->port != port)
            continue;
        if (listener->backlog_count == FAKE_BACKLOG_MAX || make_pair(k, fds, true) < 0)
            return -EAGAIN;
        listener->backlog[listener->backlog_count++] = fds[1];
        *own_port = k->fds[fds[0]].port = k->fds[fds[1]].port = ++k->ports;
        return fds[0];
    }
    return -ECONNREFUSED;
}

int fake_kernel_accept(struct fake_kernel *k, int number, uint16_t *peer_port)
{
    struct fake_fd *listener = fd_at(k, number);
    if (listener == NULL || listener->backlog_count == 0)
        return -EAGAIN;
    const int fd = listener->backlog[0];
    memmove(listener->backlog, listener->backlog + 1, (size_t)--listener->backlog_count * sizeof fd);
    *peer_port = k->fds[fd].port;
    return fd;
}

static int listen_on(void *self, uint16_t *port)
{
    return fake_kernel_listen(self, port);
}

static int connect_to(void *self, uint16_t port, uint16_t *own_port)
{
    return fake_kernel_connect(self, port, own_port);
}

static int accept_from(void *self, int listener, uint16_t *peer_port)
{
    return fake_kernel_accept(self, listener, peer_port);
}

/* ---- datagrams: what goes to nobody is refused by the next call, as Linux does it ---------------- */

enum {
    ROOM_BYTES = 9800,
    DATAGRAM_BYTES_MAX = 65507
}; /* the runner's own books let no more come than there is room for */

static int make_udp(void *self, int fds[2])
{
    struct fake_kernel *k = self;
    int error = make_pair(k, fds, false);
    if (error < 0)
        return error;
    k->fds[fds[0]].is_udp = k->fds[fds[1]].is_udp = true;
    return ROOM_BYTES;
}

static int take_refusal(struct fake_fd *fd)
{
    const int error = fd->is_refused ? -ECONNREFUSED : 0;
    fd->is_refused = false;
    return error;
}

static int64_t send_datagram(struct fake_fd *fd, struct fake_fd *peer, const void *bytes, size_t size)
{
    const int error = size > DATAGRAM_BYTES_MAX ? -EMSGSIZE : take_refusal(fd);
    if (error < 0)
        return error;
    fd->is_refused = peer == NULL;
    if (peer == NULL)
        return (int64_t)size;
    assert(peer->count < FAKE_DATAGRAMS_MAX && peer->unread + size <= FAKE_BUFFER_BYTES);
    memcpy(peer->buffer + peer->unread, bytes, size);
    peer->unread += size;
    peer->sizes[peer->count++] = (uint16_t)size;
    return (int64_t)size;
}

static int64_t receive_datagram(struct fake_fd *fd, void *bytes, size_t room)
{
    const int error = take_refusal(fd);
    if (error < 0 || fd->count == 0)
        return error < 0 ? error : -EAGAIN;
    const size_t size = fd->sizes[0];
    memcpy(bytes, fd->buffer, size < room ? size : room);
    memmove(fd->sizes, fd->sizes + 1, (size_t)--fd->count * sizeof *fd->sizes);
    fd->unread -= size;
    memmove(fd->buffer, fd->buffer + size, fd->unread);
    return (int64_t)(size < room ? size : room);
}

static int64_t write_some(void *self, int number, const void *bytes, size_t size)
{
    struct fake_fd *fd = fd_at(self, number), *peer = fd == NULL ? NULL : fd_at(self, fd->peer);
    if (fd != NULL && fd->is_udp)
        return send_datagram(fd, peer, bytes, size);
    if (fd != NULL && fd->is_reset)
        return -ECONNRESET;
    if (peer == NULL || fd->is_shut)
        return -EPIPE;
    size_t room = FAKE_BUFFER_BYTES - peer->unread, sent = size < room ? size : room;
    memcpy(peer->buffer + peer->unread, bytes, sent);
    peer->unread += sent;
    return (int64_t)sent;
}

static int64_t read_some(void *self, int number, void *bytes, size_t size)
{
    struct fake_fd *fd = fd_at(self, number), *peer = fd == NULL ? NULL : fd_at(self, fd->peer);
    if (fd == NULL)
        return -EBADF;
    if (fd->is_udp)
        return receive_datagram(fd, bytes, size);
    if (fd->is_reset)
        return -ECONNRESET;
    if (fd->unread == 0)
        return peer == NULL || peer->is_shut ? 0 : -EAGAIN;
    size_t got = size < fd->unread ? size : fd->unread;
    memcpy(bytes, fd->buffer, got);
    memmove(fd->buffer, fd->buffer + got, fd->unread - got);
    fd->unread -= got;
    return (int64_t)got;
}

static int set_fault(void *self, enum lc_fault fault, unsigned calls)
{
    struct fake_kernel *k = self;
    k->fault = fault;
    k->fault_calls = calls;
    return 0;
}

/* Does a call of this direction meet a fault? Then its error, or the size that is left of its own. */
static bool meets_fault(struct fake_kernel *k, enum lc_fault shortening, size_t *size, int *error)
{
    const enum lc_fault fault = k->fault_calls > 0 ? k->fault : LC_FAULT_NONE;
    *error = fault == LC_FAULT_EINTR ? -EINTR : fault == LC_FAULT_EAGAIN ? -EAGAIN : 0;
    if (*error == 0 && fault != shortening)
        return false;
    k->fault_calls--;
    *size = 1;
    return *error != 0;
}

int64_t fake_kernel_read(struct fake_kernel *k, int fd, void *bytes, size_t size)
{
    int error;
    return meets_fault(k, LC_FAULT_SHORT_READ, &size, &error) ? error : read_some(k, fd, bytes, size);
}

int64_t fake_kernel_write(struct fake_kernel *k, int fd, const void *bytes, size_t size)
{
    int error;
    return meets_fault(k, LC_FAULT_SHORT_WRITE, &size, &error) ? error : write_some(k, fd, bytes, size);
}

static int shut(void *self, int number)
{
    struct fake_fd *fd = fd_at(self, number);
    if (fd == NULL)
        return -EBADF;
    fd->is_shut = true;
    return 0;
}

static unsigned ready(void *self, int number)
{
    const struct fake_fd *fd = fd_at(self, number), *peer = fd == NULL ? NULL : fd_at(self, fd->peer);
    if (fd == NULL)
        return 0;
    if (fd->is_udp)
        return (fd->count > 0 ? LC_IN : 0u) | LC_OUT | (fd->is_refused ? LC_ERR : 0u);
    if (fd->is_listener)
        return fd->backlog_count > 0 ? LC_IN : 0;
    if (peer == NULL)
        return LC_IN | LC_OUT | LC_HUP | (fd->is_reset ? LC_ERR : 0u);
    return (fd->unread > 0 || peer->is_shut ? LC_IN : 0u) | (peer->unread < FAKE_BUFFER_BYTES ? LC_OUT : 0u);
}

static uint64_t identity(void *self, int number)
{
    const struct fake_fd *fd = fd_at(self, number);
    return fd == NULL ? 0 : fd->opened;
}

static int open_fds(void *self)
{
    int count = 0;
    for (int i = 0; i < FAKE_FDS_MAX; i++)
        count += fd_at(self, i) != NULL;
    return count;
}

static uint64_t now_ns(void *self)
{
    return ((struct fake_kernel *)self)->now_ns;
}

static void advance(void *self, uint64_t duration_ns)
{
    struct fake_kernel *k = self;
    k->now_ns = duration_ns > LC_TIME_NS_MAX - k->now_ns ? LC_TIME_NS_MAX : k->now_ns + duration_ns;
}

static void *on_helper(void *post)
{
    ((struct fake_post *)post)->work(((struct fake_post *)post)->arg);
    return NULL;
}

static void make_post(struct fake_kernel *k, struct fake_post *post)
{
    pthread_t helper;
    if (!k->is_threaded) {
        on_helper(post);
        return;
    }
    int error = pthread_create(&helper, NULL, on_helper, post);
    error |= error == 0 ? pthread_join(helper, NULL) : 0;
    assert(error == 0);
}

static int post(void *self, uint64_t delay_ns, void (*work)(void *), void *arg)
{
    struct fake_kernel *k = self;
    uint64_t due_ns = k->now_ns + delay_ns < LC_TIME_NS_MAX ? k->now_ns + delay_ns : LC_TIME_NS_MAX;
    struct fake_post new_post = {.due_ns = due_ns, .work = work, .arg = arg};
    if (delay_ns == 0)
        make_post(k, &new_post);
    else
        k->late[k->late_count++] = new_post;
    return 0;
}

bool fake_kernel_sleep(struct fake_kernel *k, uint64_t until_ns)
{
    int first = -1;
    for (int i = 0; i < k->late_count; i++)
        if (k->late[i].due_ns <= until_ns) {
            until_ns = k->late[i].due_ns;
            first = i;
        }
    if (until_ns > LC_TIME_NS_MAX)
        return false;
    k->now_ns = until_ns > k->now_ns ? until_ns : k->now_ns;
    if (first < 0)
        return true;
    struct fake_post made = k->late[first];
    k->late[first] = k->late[--k->late_count];
    make_post(k, &made);
    return true;
}

static void join(void *self)
{
    struct fake_kernel *k = self;
    while (k->late_count > 0)
        fake_kernel_sleep(k, UINT64_MAX);
}

void fake_kernel_init(struct fake_kernel *k)
{
    memset(k, 0, sizeof *k);
    k->now_ns = FIRST_NS;
    k->base = (struct lc_kernel){.now_ns = now_ns,
                                 .advance = advance,
                                 .pair = make_pair,
                                 .udp = make_udp,
                                 .listen = listen_on,
                                 .connect = connect_to,
                                 .accept = accept_from,
                                 .close = close_fd,
                                 .write = write_some,
                                 .read = read_some,
                                 .shut = shut,
                                 .ready = ready,
                                 .identity = identity,
                                 .open_fds = open_fds,
                                 .fault = set_fault,
                                 .post = post,
                                 .join = join,
                                 .self = k};
}
