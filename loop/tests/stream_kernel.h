/* A kernel made for the tests of streams: fds with a peer that the test plays, and faults wherever it wants them. */
#ifndef STREAM_KERNEL_H
#define STREAM_KERNEL_H

#include "fake_backend.h"

#include <stdbool.h>

enum { KERNEL_FDS = 4, KERNEL_BYTES_MAX = 1 << 20 };

struct kernel_fd {
    bool is_open;
    uint32_t interest;   /* as the loop applied it */
    uint32_t unasked;    /* RL_HUP | RL_ERR that a wait reports */
    size_t sent;         /* bytes that the peer sent; byte i is kernel_byte(i) */
    size_t read;         /* of these, those that the loop read */
    bool has_peer_ended; /* the peer sends no more */
    int read_error;      /* what a read answers that finds nothing else; 0: -EAGAIN */
    size_t written;      /* bytes that the loop wrote; each was checked to be kernel_byte(i) */
    size_t room;         /* bytes that it can still write */
    int write_error;     /* what every write answers; 0: none */
    int shut_error;      /* what a shut answers */
    int apply_error;     /* what an apply of more than RL_IN answers */
    int shuts, closes;   /* how often each came */
    size_t written_shut; /* how many bytes were written when the shut came */
};

extern struct kernel {
    struct kernel_fd fds[KERNEL_FDS];
    size_t call_bytes_max;  /* a read or a write moves no more */
    unsigned long calls;    /* reads and writes */
    unsigned long fault_at; /* the call, counted from 1, that answers fault_error and does nothing; 0: none */
    int fault_error;
    int applies;
} kernel;

/* The peers have sent nothing and take everything. */
void kernel_reset(void);
unsigned char kernel_byte(size_t place);
struct rl_backend kernel_backend(void);

#endif
