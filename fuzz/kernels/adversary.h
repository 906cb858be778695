/* What a kernel that we control may do to a program: which fault, when, and whether it is lawful there.
 *
 * Pure: no call, no clock, no state. A fault is lawful when some real history of the kernel explains all that the
 * program can see before and after it. An unlawful one makes a sound loop look broken.
 */
#ifndef ADVERSARY_H
#define ADVERSARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum adversary_level {
    ADVERSARY_OFF = 0,
    ADVERSARY_LINUX = 1, /* this kernel can do it */
    ADVERSARY_POSIX = 2  /* the standard allows it, this kernel does not do it */
};

struct adversary {
    enum adversary_level level;
    bool is_loud; /* also what a correct loop has to tell its user: resets, and accept without a free fd */
    uint64_t seed;
};

enum adversary_call { ADVERSARY_READ, ADVERSARY_WRITE, ADVERSARY_ACCEPT, ADVERSARY_WAIT, ADVERSARY_CALLS };

enum adversary_fault {
    ADVERSARY_NONE,
    ADVERSARY_SHORT,   /* fewer bytes than asked for */
    ADVERSARY_EAGAIN,  /* not now, though a wait had shown readiness */
    ADVERSARY_EINTR,   /* a signal came */
    ADVERSARY_ABORTED, /* accept: the client was gone already (ECONNABORTED) */
    ADVERSARY_EMFILE,  /* accept: no fd is free; loud */
    ADVERSARY_RESET,   /* the connection is reset; loud */
    ADVERSARY_NOBUFS,  /* write of a datagram: no memory for it now (ENOBUFS) */
    ADVERSARY_DROPPED, /* write of a datagram: it is lost on its way; loud */
    ADVERSARY_CUT,     /* read of a datagram: it is larger than the memory for it; loud */
    ADVERSARY_FAULTS
};

/* What the adversary is on: the kinds of file for which the rules differ. */
enum adversary_file {
    ADVERSARY_OTHER,
    ADVERSARY_PIPE,
    ADVERSARY_UNIX_STREAM,
    ADVERSARY_INET_STREAM,
    ADVERSARY_DATAGRAM /* where whoever judges is told of what is lost */
};

struct adversary_situation {
    enum adversary_file file;
    bool is_blocking;
    bool has_peer_ended; /* a wait would show HUP or RDHUP: all bytes are here */
    size_t size;         /* bytes that the call asks for */
};

/* The same for the same arguments, always: `number` is the how manieth call this is on this fd, so that the order of
 * threads does not matter. Never a fault that the level excludes, and never two refusals in a row; the situation is
 * still to be asked. */
enum adversary_fault adversary_draw(const struct adversary *adversary, enum adversary_call call, int fd,
                                    uint32_t number);

/* Is this fault lawful here? */
bool adversary_allows(const struct adversary *adversary, enum adversary_call call, enum adversary_fault fault,
                      const struct adversary_situation *situation);

/* How many bytes a short call may move: 1 to size - 1, most often few. size is at least 2. */
size_t adversary_size(const struct adversary *adversary, int fd, uint32_t number, size_t size);

/* How many events a wait may give out: 1 to count. count is at least 1. */
int adversary_batch(const struct adversary *adversary, int fd, uint32_t number, int count);

/* A number below `bound` for the n-th choice within a call, e.g. to shuffle. */
uint32_t adversary_choice(const struct adversary *adversary, int fd, uint32_t number, uint32_t n, uint32_t bound);

#endif
