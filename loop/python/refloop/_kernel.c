/* The backend of a Python loop: epoll, with three additions. The GIL is released while it sleeps; what other threads
 * posted by then runs in this turn; and a forked child gets a set of its own, for an epoll set is shared over fork, so
 * that a child that forgot an fd would make its parent forget it. */
#include "_core.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

/* A loop that never sleeps lets other threads run once in so many turns. (Python code in callbacks does so by itself,
 * every switch interval; callbacks that are all C code would not.) */
#define POLLS_PER_RELEASE 64

/* Of this process, from the first loop on. The only state that interpreters share. */
static atomic_uint forks_count;
static pthread_once_t forks_once = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
    atomic_fetch_add_explicit(&forks_count, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, count_fork);
}

/* In a child, opens a new set. 0 or -errno; then the next call tries again. */
static int renew_after_fork(struct rlpy_kernel *kernel)
{
    unsigned forks_now = atomic_load_explicit(&forks_count, memory_order_relaxed);
    if (kernel->forks_seen == forks_now)
        return 0;
    struct rl_epoll old = kernel->epoll;
    int error = rl_epoll_open(&kernel->epoll, &kernel->inner);
    if (error < 0) {
        kernel->epoll = old;
        return error;
    }
    kernel->inner.close(&old); /* the child's fds; the parent's set stays as it is */
    kernel->forks_seen = forks_now;
    kernel->must_tell = true;
    return 0;
}

static uint64_t kernel_now_ns(void *self)
{
    const struct rlpy_kernel *kernel = self;
    return rlpy_loop_ns(kernel->inner.now_ns(kernel->inner.self));
}

static int kernel_apply(void *self, int fd, uint32_t interest)
{
    struct rlpy_kernel *kernel = self;
    int error = renew_after_fork(kernel);
    return error < 0 ? error : kernel->inner.apply(kernel->inner.self, fd, interest);
}

static int sleep_without_gil(struct rlpy_kernel *kernel, int64_t timeout_ns, struct rl_event *events, int events_max)
{
    int count;
    kernel->polls_count = 0;
    Py_BEGIN_ALLOW_THREADS count = kernel->inner.wait(kernel->inner.self, timeout_ns, events, events_max);
    Py_END_ALLOW_THREADS return count;
}

static int kernel_wait(void *self, int64_t timeout_ns, struct rl_event *events, int events_max)
{
    struct rlpy_kernel *kernel = self;
    int count = renew_after_fork(kernel);
    if (count < 0)
        return count;
    if (kernel->must_tell) {
        kernel->must_tell = false;
        return -ESTALE;
    }
    if (timeout_ns != 0 || ++kernel->polls_count >= POLLS_PER_RELEASE)
        count = sleep_without_gil(kernel, timeout_ns, events, events_max);
    else
        count = kernel->inner.wait(kernel->inner.self, 0, events, events_max);
    rlpy_loop_take_posts(kernel->loop);
    return count;
}

static int kernel_wake(void *self)
{
    struct rlpy_kernel *kernel = self;
    return kernel->inner.wake(kernel->inner.self);
}

static void kernel_close(void *self)
{
    struct rlpy_kernel *kernel = self;
    kernel->inner.close(kernel->inner.self);
}

int rlpy_kernel_open(struct rlpy_kernel *kernel, struct rl_backend *backend)
{
    int failed = pthread_once(&forks_once, watch_forks);
    if (failed != 0)
        return -failed;
    kernel->forks_seen = atomic_load_explicit(&forks_count, memory_order_relaxed);
    kernel->polls_count = 0;
    kernel->must_tell = false;
    int error = rl_epoll_open(&kernel->epoll, &kernel->inner);
    if (error < 0)
        return error;
    *backend = (struct rl_backend){.self = kernel,
                                   .now_ns = kernel_now_ns,
                                   .apply = kernel_apply,
                                   .wait = kernel_wait,
                                   .wake = kernel_wake,
                                   .close = kernel_close};
    return 0;
}
