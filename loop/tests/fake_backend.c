#include "fake_backend.h"

#include <assert.h>
#include <stddef.h>

struct fake fake;

static uint64_t now_ns(void *self)
{
    (void)self;
    return fake.now_ns;
}

static int apply(void *self, int fd, uint32_t interest)
{
    (void)self;
    assert(fd == FAKE_FD && fake.closes == 0);
    if (fake.apply_error != 0 && (interest & ~fake.interest) != 0)
        return fake.apply_error;
    fake.interest = interest;
    return 0;
}

static int wait_events(void *self, int64_t timeout_ns, struct rl_event *events, int events_max)
{
    (void)self, (void)timeout_ns, (void)events_max;
    const uint32_t bits = fake.ready() & (fake.interest | RL_HUP | RL_ERR);
    events[0] = (struct rl_event){.fd = FAKE_FD, .events = bits};
    return fake.interest != 0 && bits != 0;
}

static int wake(void *self)
{
    (void)self;
    return 0;
}

static void close_fd(void *self, int fd)
{
    (void)self;
    assert(fd != FAKE_FD || (fake.interest == 0 && fake.closes == 0));
    fake.closes += fd == FAKE_FD;
    fake.others_closed += fd != FAKE_FD;
}

static void close_backend(void *self)
{
    (void)self;
    fake.backends_closed++;
}

struct rl_backend fake_backend(uint32_t (*ready)(void))
{
    fake = (struct fake){.now_ns = 1, .ready = ready};
    return (struct rl_backend){.now_ns = now_ns,
                               .apply = apply,
                               .wait = wait_events,
                               .wake = wake,
                               .close_fd = close_fd,
                               .close = close_backend};
}
