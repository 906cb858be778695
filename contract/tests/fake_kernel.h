/* A kernel of a few arrays: a clock that only moves when told to, socket pairs that are numbers, posts in a list. */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include "kernel.h"

enum { FAKE_FDS_MAX = 64, FAKE_LATE_MAX = 16, FAKE_BUFFER_BYTES = 4096, FAKE_BACKLOG_MAX = 16, FAKE_DATAGRAMS_MAX = 8 };

struct fake_fd {
    bool is_open;
    bool is_shut;  /* sends no more */
    bool is_reset; /* the peer was closed by a reset, or with bytes unread */
    int peer;      /* -1: closed */
    size_t unread; /* bytes of `buffer` */
    uint8_t buffer[FAKE_BUFFER_BYTES];
    bool is_udp; /* its buffer holds datagrams, of these sizes */
    uint16_t sizes[FAKE_DATAGRAMS_MAX];
    int count;
    bool is_refused; /* one that it sent came back */
    uint16_t port;   /* it listens on this one, or reached its peer through it; 0: neither */
    bool is_listener;
    int backlog[FAKE_BACKLOG_MAX]; /* the server's ends of connections that nobody has accepted */
    int backlog_count;
    unsigned opened; /* how often this number was given out */
};

struct fake_kernel {
    struct lc_kernel base;
    uint64_t now_ns;
    uint16_t ports;   /* given out */
    bool is_threaded; /* posts come from a helper thread, which is joined at once: deterministic too */
    struct fake_fd fds[FAKE_FDS_MAX];
    struct fake_post {
        uint64_t due_ns;
        void (*work)(void *arg);
        void *arg;
    } late[FAKE_LATE_MAX];
    int late_count;
    enum lc_fault fault;  /* what the next reads or writes of the loop meet */
    unsigned fault_calls; /* how many of them still will */
};

void fake_kernel_init(struct fake_kernel *kernel);
/* A lone fd, as a loop has for itself; returns its number. */
int fake_kernel_open(struct fake_kernel *kernel);
/* The loop's own sockets. Results as of the runner's. */
int fake_kernel_listen(struct fake_kernel *kernel, uint16_t *port);
int fake_kernel_connect(struct fake_kernel *kernel, uint16_t port, uint16_t *own_port);
int fake_kernel_accept(struct fake_kernel *kernel, int listener, uint16_t *peer_port);
/* The loop's own reads and writes: as the kernel's, but they meet its faults. */
int64_t fake_kernel_read(struct fake_kernel *kernel, int fd, void *bytes, size_t size);
int64_t fake_kernel_write(struct fake_kernel *kernel, int fd, const void *bytes, size_t size);
/* Lets time pass until `until_ns` or until the first late post is made, whichever comes first. Returns false, and
 * nothing happens, when neither ever comes. */
bool fake_kernel_sleep(struct fake_kernel *kernel, uint64_t until_ns);

#endif
