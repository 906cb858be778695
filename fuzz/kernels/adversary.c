#include "adversary.h"

enum {
    FEW_BYTES = 7,           /* half of the short calls move no more */
    FEW_EVENTS = 3,          /* half of the waits give out no more: loops ask for hundreds */
    ATOMIC_PIPE_BYTES = 4096 /* PIPE_BUF on Linux: a pipe takes so many at once or none (libuv asserts that, rightly) */
};

/* Of 256 calls, how many meet a fault. */
static const uint8_t share[ADVERSARY_CALLS][ADVERSARY_FAULTS] = {
    [ADVERSARY_READ] = {[ADVERSARY_SHORT] = 64,
                        [ADVERSARY_EAGAIN] = 24,
                        [ADVERSARY_EINTR] = 24,
                        [ADVERSARY_RESET] = 4,
                        [ADVERSARY_CUT] = 8},
    [ADVERSARY_WRITE] = {[ADVERSARY_SHORT] = 64,
                         [ADVERSARY_EAGAIN] = 32,
                         [ADVERSARY_EINTR] = 24,
                         [ADVERSARY_RESET] = 4,
                         [ADVERSARY_NOBUFS] = 24,
                         [ADVERSARY_DROPPED] = 12},
    [ADVERSARY_ACCEPT] = {[ADVERSARY_EINTR] = 24, [ADVERSARY_ABORTED] = 48, [ADVERSARY_EMFILE] = 24},
    [ADVERSARY_WAIT] = {[ADVERSARY_EINTR] = 64},
};

/* splitmix64: one step. */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t random_at(const struct adversary *adversary, int fd, uint32_t number, uint32_t what)
{
    return mix(mix(adversary->seed ^ (uint64_t)(uint32_t)fd << 32) ^ (uint64_t)what << 32 ^ number);
}

/* The level that a fault needs. Linux never sleeps in a non-blocking call, so no signal can end one; and what a wait
 * has shown to be readable stays so, unless another reader took it. It may refuse memory to an inet stream, though. */
static enum adversary_level level_of(enum adversary_call call, enum adversary_fault fault)
{
    if (fault == ADVERSARY_EINTR && call != ADVERSARY_WAIT)
        return ADVERSARY_POSIX;
    if (fault == ADVERSARY_EAGAIN && call == ADVERSARY_READ)
        return ADVERSARY_POSIX;
    return ADVERSARY_LINUX;
}

static bool is_in_reach(const struct adversary *adversary, enum adversary_call call, enum adversary_fault fault)
{
    const bool is_told =
        fault == ADVERSARY_EMFILE || fault == ADVERSARY_RESET || fault == ADVERSARY_DROPPED || fault == ADVERSARY_CUT;
    if (is_told && !adversary->is_loud)
        return false;
    return level_of(call, fault) <= adversary->level;
}

static enum adversary_fault draw(const struct adversary *adversary, enum adversary_call call, int fd, uint32_t number)
{
    unsigned drawn = (unsigned)(random_at(adversary, fd, number, call) & 255);
    for (int i = 0; i < ADVERSARY_FAULTS; i++) {
        enum adversary_fault fault = (enum adversary_fault)i;
        if (drawn < share[call][i])
            return is_in_reach(adversary, call, fault) ? fault : ADVERSARY_NONE;
        drawn -= share[call][i];
    }
    return ADVERSARY_NONE;
}

static bool is_refusal(enum adversary_fault fault)
{
    return fault != ADVERSARY_NONE && fault != ADVERSARY_SHORT && fault != ADVERSARY_DROPPED && fault != ADVERSARY_CUT;
}

enum adversary_fault adversary_draw(const struct adversary *adversary, enum adversary_call call, int fd,
                                    uint32_t number)
{
    if (adversary->level == ADVERSARY_OFF)
        return ADVERSARY_NONE;
    enum adversary_fault fault = draw(adversary, call, fd, number);
    if (number > 0 && is_refusal(fault) && is_refusal(draw(adversary, call, fd, number - 1)))
        return ADVERSARY_NONE;
    return fault;
}

/* A read may be short while the rest "is still on its way": no more once the peer has ended, because what a wait shows
 * then (HUP) says that all is here, and loops stop reading after a short read with HUP. Between processes of one
 * machine nothing is on its way: Linux passes on what one write gave as a whole, as far as it fits, where POSIX
 * promises that of no read. (libuv loses part of a signal's message to a short read of its own pipe.) */
static bool allows_short(const struct adversary *adversary, enum adversary_call call,
                         const struct adversary_situation *situation)
{
    if (situation->size < 2 || (situation->file != ADVERSARY_INET_STREAM && adversary->level < ADVERSARY_POSIX))
        return false;
    if (call == ADVERSARY_READ)
        return !situation->has_peer_ended;
    return situation->file != ADVERSARY_PIPE || situation->size > ATOMIC_PIPE_BYTES;
}

/* A socket pair or a pipe that says "full" proves that a wake-up is pending; an inet stream may lack memory. */
static bool allows_eagain(enum adversary_call call, const struct adversary_situation *situation)
{
    if (call == ADVERSARY_READ)
        return !situation->has_peer_ended; /* another reader can take bytes, but no end of file */
    return situation->file == ADVERSARY_INET_STREAM;
}

/* One that was bad on its way is found out, and thrown away, only when it is read: there was nothing after all. */
static bool allows_datagram(enum adversary_fault fault)
{
    return fault == ADVERSARY_EAGAIN || fault == ADVERSARY_EINTR || fault == ADVERSARY_NOBUFS ||
           fault == ADVERSARY_DROPPED || fault == ADVERSARY_CUT;
}

bool adversary_allows(const struct adversary *adversary, enum adversary_call call, enum adversary_fault fault,
                      const struct adversary_situation *situation)
{
    if (fault == ADVERSARY_NONE || !is_in_reach(adversary, call, fault))
        return false;
    if (call == ADVERSARY_WAIT)
        return fault == ADVERSARY_EINTR;
    if (situation->is_blocking)
        return false;
    if (call == ADVERSARY_ACCEPT)
        return fault == ADVERSARY_EINTR || fault == ADVERSARY_ABORTED || fault == ADVERSARY_EMFILE;
    if (situation->file == ADVERSARY_OTHER) /* eventfds, terminals: no history explains a fault */
        return false;
    if (situation->file == ADVERSARY_DATAGRAM)
        return allows_datagram(fault);
    if (fault == ADVERSARY_SHORT)
        return allows_short(adversary, call, situation);
    if (fault == ADVERSARY_EAGAIN)
        return allows_eagain(call, situation);
    if (fault == ADVERSARY_RESET)
        return situation->file == ADVERSARY_INET_STREAM && !situation->has_peer_ended;
    return fault == ADVERSARY_EINTR;
}

uint32_t adversary_choice(const struct adversary *adversary, int fd, uint32_t number, uint32_t n, uint32_t bound)
{
    return (uint32_t)(random_at(adversary, fd, number, ADVERSARY_CALLS + n) % bound);
}

size_t adversary_size(const struct adversary *adversary, int fd, uint32_t number, size_t size)
{
    uint64_t random = random_at(adversary, fd, number, UINT32_MAX);
    size_t most = size - 1;
    if ((random & 1) != 0 && most > FEW_BYTES)
        most = FEW_BYTES;
    return 1 + (size_t)((random >> 1) % most);
}

int adversary_batch(const struct adversary *adversary, int fd, uint32_t number, int count)
{
    if (adversary->level == ADVERSARY_OFF || adversary_choice(adversary, fd, number, 0, 2) == 0)
        return count;
    return 1 + (int)adversary_choice(adversary, fd, number, 1, (uint32_t)(count < FEW_EVENTS ? count : FEW_EVENTS));
}
