#include "stream_kernel.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

struct kernel kernel;

void kernel_reset(void)
{
    memset(&kernel, 0, sizeof kernel);
    kernel.call_bytes_max = KERNEL_BYTES_MAX;
    for (int fd = 0; fd < KERNEL_FDS; fd++)
        kernel.fds[fd] = (struct kernel_fd){.is_open = true, .room = KERNEL_BYTES_MAX};
}

unsigned char kernel_byte(size_t place)
{
    return (unsigned char)(place * 31 + (place >> 8) + 5);
}

static struct kernel_fd *fd_at(int fd)
{
    assert(fd >= 0 && fd < KERNEL_FDS && kernel.fds[fd].is_open);
    return &kernel.fds[fd];
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool is_faulty(void)
{
    return ++kernel.calls == kernel.fault_at;
}

static int apply(void *self, int fd, uint32_t interest)
{
    (void)self;
    struct kernel_fd *file = fd_at(fd);
    kernel.applies++;
    if (file->apply_error != 0 && (interest & ~file->interest) != 0)
        return file->apply_error;
    file->interest = interest;
    return 0;
}

static uint32_t ready_bits(const struct kernel_fd *file)
{
    uint32_t bits = file->unasked;
    if (file->read < file->sent || file->has_peer_ended || file->read_error != 0)
        bits |= RL_IN;
    if (file->room > 0 || file->write_error != 0)
        bits |= RL_OUT;
    return file->interest == 0 ? 0 : bits & (file->interest | RL_HUP | RL_ERR);
}

/* Never sleeps: what is not there now comes from the test, between two turns. */
static int wait_events(void *self, int64_t timeout_ns, struct rl_event *events, int events_max)
{
    (void)self, (void)timeout_ns, (void)events_max;
    int count = 0;
    for (int fd = 0; fd < KERNEL_FDS; fd++) {
        uint32_t bits = kernel.fds[fd].is_open ? ready_bits(&kernel.fds[fd]) : 0;
        if (bits != 0)
            events[count++] = (struct rl_event){.fd = fd, .events = bits};
    }
    return count;
}

static int64_t read_bytes(void *self, int fd, void *bytes, size_t size)
{
    (void)self;
    struct kernel_fd *file = fd_at(fd);
    assert(size > 0);
    if (is_faulty())
        return kernel.fault_error;
    size_t count = least(least(size, kernel.call_bytes_max), file->sent - file->read);
    for (size_t i = 0; i < count; i++)
        ((unsigned char *)bytes)[i] = kernel_byte(file->read + i);
    file->read += count;
    if (count > 0)
        return (int64_t)count;
    if (file->read_error != 0)
        return file->read_error;
    return file->has_peer_ended ? 0 : -EAGAIN;
}

static int64_t write_bytes(void *self, int fd, const void *bytes, size_t size)
{
    (void)self;
    struct kernel_fd *file = fd_at(fd);
    assert(size > 0 && file->shuts == 0);
    if (is_faulty())
        return kernel.fault_error;
    if (file->write_error != 0)
        return file->write_error;
    size_t count = least(least(size, kernel.call_bytes_max), file->room);
    for (size_t i = 0; i < count; i++)
        assert(((const unsigned char *)bytes)[i] == kernel_byte(file->written + i));
    file->written += count;
    file->room -= count;
    return count > 0 ? (int64_t)count : -EAGAIN;
}

static int shut(void *self, int fd)
{
    (void)self;
    struct kernel_fd *file = fd_at(fd);
    file->shuts++;
    file->written_shut = file->written;
    return file->shut_error;
}

static void close_fd(void *self, int fd)
{
    (void)self;
    struct kernel_fd *file = fd_at(fd);
    assert(file->interest == 0);
    file->is_open = false;
    file->closes++;
}

struct rl_backend kernel_backend(void)
{
    struct rl_backend backend = fake_backend(NULL);
    backend.apply = apply;
    backend.wait = wait_events;
    backend.read = read_bytes;
    backend.write = write_bytes;
    backend.shut = shut;
    backend.close_fd = close_fd;
    return backend;
}
