/* What the files of the drivers refloop_sim and refloop_epoll share. */
#ifndef FUZZ_REFLOOP_DRIVER_H
#define FUZZ_REFLOOP_DRIVER_H

#include "driver.h"
#include "kernels/sim.h"
#include "refloop.h"

struct refloop_driver;

struct slot {
    struct refloop_driver *driver;
    uint8_t handle;
    bool is_destroyed;  /* a stream: what is to come of it is CLOSED */
    bool is_connecting; /* a stream */
    bool was_cancelled; /* meanwhile */
    uint8_t next;       /* of a server: the stream that the next client becomes, */
    uint8_t left;       /* and how many may */
    int fd;             /* of a stream that connects */
    union {
        rl_soon *soon;
        rl_timer *timer;
        rl_watch *watch;
        rl_waker *waker;
        rl_stream *stream;     /* NULL once it was lost */
        rl_datagram *endpoint; /* likewise */
        rl_server *server;     /* NULL once it was destroyed */
    };
};

struct refloop_driver {
    struct lc_driver base;
    rl_loop *loop;
    struct sim *sim;     /* NULL: epoll */
    bool was_rescued;    /* the simulated kernel found the loop asleep for ever in this step */
    bool has_left;       /* a callback has ended this step or run */
    bool is_in_run;      /* and not in a step */
    struct slot *untold; /* connected when has_left: it was not told that it is done */
    struct slot slots[256];
};

void refloop_report_seen(const struct slot *slot, struct lc_seen seen);
extern const struct rl_stream_callbacks refloop_stream_callbacks;
/* DONE of a stream that the loop has connected. */
void refloop_tell_done(struct slot *slot);
/* MADE of it. */
void refloop_report_made(const struct slot *slot);
/* Opens a stream over the fd for the slot of this handle; 0 or -errno. */
int refloop_open_stream(struct refloop_driver *driver, uint8_t handle, int fd);
/* Ends a stream or an endpoint: it is closed when its lost has come. */
int refloop_destroy_stream(struct slot *slot);
/* Executes an op on streams, endpoints, servers or connects; any other is -ENOSYS. */
int64_t refloop_use_streams(struct refloop_driver *driver, const struct lc_op *op);
/* Executes an op on servers or connects; any other is -ENOSYS. */
int64_t refloop_use_sockets(struct refloop_driver *driver, const struct lc_op *op);

#endif
