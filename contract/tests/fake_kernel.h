/* A kernel of a few arrays: a clock that only moves when told to, socket pairs that are numbers, posts in a list. */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include "kernel.h"

enum { FAKE_FDS_MAX = 64, FAKE_LATE_MAX = 16, FAKE_BUFFER_BYTES = 1024 };

struct fake_fd {
    bool is_open;
    bool is_shut;  /* sends no more */
    bool is_reset; /* the peer was closed by a reset */
    int peer;      /* -1: closed */
    size_t unread; /* bytes of `buffer` */
    uint8_t buffer[FAKE_BUFFER_BYTES];
    unsigned opened; /* how often this number was given out */
};

struct fake_kernel {
    struct lc_kernel base;
    uint64_t now_ns;
    bool is_threaded; /* posts come from a helper thread, which is joined at once: deterministic too */
    struct fake_fd fds[FAKE_FDS_MAX];
    struct fake_post {
        uint64_t due_ns;
        void (*work)(void *arg);
        void *arg;
    } late[FAKE_LATE_MAX];
    int late_count;
};

void fake_kernel_init(struct fake_kernel *kernel);
/* A lone fd, as a loop has for itself; returns its number. */
int fake_kernel_open(struct fake_kernel *kernel);
/* Lets time pass until `until_ns` or until the first late post is made, whichever comes first. Returns false, and
 * nothing happens, when neither ever comes. */
bool fake_kernel_sleep(struct fake_kernel *kernel, uint64_t until_ns);

#endif
