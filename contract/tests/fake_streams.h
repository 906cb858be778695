/* The streams of the fake loop: the simplest that keep every rule. */
#ifndef FAKE_STREAMS_H
#define FAKE_STREAMS_H

#include "driver.h"

struct fake_loop;

/* A stream's state; its slot says whether it lives. */
struct fake_stream {
    int fd;     /* -1: closed */
    int number; /* that its fd had, once it is closed */
    bool is_made, is_paused, is_flushing, is_aborted, is_ended, is_shut, has_seen_eof, is_writing_paused;
    bool is_connecting, was_cancelled, is_buffered;
    uint16_t port; /* that it connects to */
    int error;     /* with which it will be lost */
    size_t limit;  /* bytes held: the high-water mark */
    uint8_t *held;
    size_t held_size;
    unsigned reads;    /* DATA given */
    size_t seen;       /* unread bytes when it last read, for FAKE_STREAM_READS_EDGE */
    uint64_t reads_ns; /* the next time at which it reads, for FAKE_STREAM_READS_LATE; 0: nothing has arrived */
};

/* An op on a stream, but DESTROY. */
int64_t fake_stream_apply(struct fake_loop *loop, const struct lc_op *op);
/* A stream on an fd, which was told that it is made or need not be. */
void fake_stream_begin(struct fake_loop *loop, uint8_t handle, int fd);
/* Sends what streams hold, as far as the kernel takes it. */
void fake_streams_send(struct fake_loop *loop);
bool fake_stream_is_due(struct fake_loop *loop, uint8_t handle);
/* The one callback that is due. */
void fake_stream_run(struct fake_loop *loop, uint8_t handle);
/* Closes the fd, and forgets what is held. */
void fake_stream_drop(struct fake_loop *loop, uint8_t handle);

#endif
