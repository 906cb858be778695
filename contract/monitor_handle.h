/* What the monitor knows of one handle. Only contract/monitor_model*.c change it, and monitor_liveness.c what it
 * counts. */
#ifndef LC_MONITOR_HANDLE_H
#define LC_MONITOR_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

enum lc_state { LC_FREE, LC_IDLE, LC_ARMED, LC_CLOSING, LC_CLOSED };

struct lc_model_handle {
    uint32_t generation; /* of the model for which all this holds; of another one it has no content */
    uint16_t wide;       /* its wide handle number */
    enum lc_state state;
    bool was_cancelled;      /* idle because of a cancel, not because its callback ran */
    bool began_early;        /* its callback began before the op that made it returned */
    bool is_owed;            /* liveness: a callback was due when the present step began, and had had its time */
    uint64_t arrived_ns;     /* liveness: when a step first began with something to read; 0: it did not */
    uint32_t steps_unpaid;   /* liveness: steps that ended without the callback that was due when they began */
    uint32_t live_max;       /* liveness: most handles armed at the end of one of those steps */
    uint32_t armed_seq;      /* record of the present arming */
    uint32_t armed_turn;     /* turns counted when it was armed; 0: outside any */
    uint64_t deadline_ns;    /* timer: at the earliest */
    uint64_t latest_ns;      /* timer: the deadline, if the loop read its clock as late as it can have */
    uint8_t edge;            /* timer: enum lc_edge, if it was made by EDGE */
    bool was_past;           /* timer: its deadline had passed when it was armed, on a real clock */
    uint32_t found_seq;      /* timer: the begin of a turn that an exit left, and that may have found it due; 0: none */
    uint16_t fd;             /* watch, stream, datagram: its fd's handle, 0 unknown */
    uint8_t asked;           /* watch: the bits it was armed for */
    uint8_t ready_since;     /* watch: bits that were ready at any time since its last callback */
    uint64_t asked_bytes;    /* request: so many, at most; of a task, turns */
    bool was_unstarted;      /* request: when it was cancelled no turn had begun since it was asked for */
    uint8_t call;            /* request: enum lc_op_code: RECV, SENDALL or TASK */
    uint32_t posts;          /* waker: posts begun */
    uint32_t posted;         /* waker: callbacks begun */
    uint32_t post_seq;       /* waker: when the last post began, */
    uint32_t post_before;    /* and the one before it */
    uint64_t post_ns;        /* waker: when the first post began that no callback has seen */
    uint32_t begin_seq;      /* when its last callback began */
    uint8_t readiness;       /* fd: as the kernel last showed it */
    bool is_known;           /* fd: its readiness has been shown */
    bool is_reused;          /* fd: its number was closed and opened again */
    uint32_t reused_turn;    /* fd: turns counted when that happened */
    uint16_t peer;           /* fd: the other end, 0 unknown */
    uint16_t owner;          /* fd: the stream that took it over, 0 none */
    bool is_udp;             /* fd: sends datagrams, which sent and got count then */
    uint64_t sent;           /* fd: bytes that this end was given to send */
    uint64_t got;            /* fd: bytes that were taken here */
    bool is_shut;            /* fd: nothing more will be given to send */
    bool is_called;          /* fd: a SENDALL has sent from it */
    bool is_cut;             /* fd: a SENDALL did not end well and may have sent a part of its bytes */
    bool is_unsure;          /* fd: a RECV that was cancelled or destroyed may have taken bytes that nobody has seen */
    bool may_grow;           /* fd: a real TCP may find room though nobody read */
    bool is_full;            /* fd: it takes no more, until the other end has taken some */
    uint64_t dropped;        /* fd: bytes sent last that an abort has to drop, since the kernel took none of them */
    uint16_t server;         /* fd: of a client the server, of either end of what CONNECT made the listener; 0 none */
    uint32_t refused;        /* server: connections whose FACTORY raised, of whichever client */
    bool has_seen_end;       /* fd: the runner read the end of file here */
    bool is_closed;          /* fd: closed by the runner or with its stream */
    bool is_broken;          /* fd: the connection may have been reset, so that bytes on their way are lost */
    uint64_t lost;           /* fd: faults that may have lost a datagram from or to here */
    uint64_t missed;         /* fd: datagrams of the other end that never came, as a later one has shown */
    uint32_t too_large;      /* datagram: sends of more than a datagram can be, */
    uint32_t told;           /* and how often it was told of one */
    struct lc_model_stream { /* and of a datagram: made, flushing, aborted, lost, writing paused */
        bool is_made, is_paused, has_ended, is_flushing, is_aborted, has_seen_eof, is_lost, is_writing_paused;
        uint8_t endings;     /* what was asked for of WRITE_EOF, FLUSH, ABORT; the flags above follow from it */
        bool is_connecting;  /* asked to CONNECT and not told that it is DONE */
        bool was_cancelled;  /* while it was connecting */
        bool is_done;        /* DONE has come */
        bool may_fail;       /* nobody listened when it was asked to connect */
        uint32_t asked_turn; /* when it was asked for a buffer, into which it may be read whatever it says meanwhile */
        bool has_raised;     /* its DATA or EOF ends by an exception */
        bool has_failed;     /* so it did: the loop has to end it */
        bool must_tell;      /* and nobody had closed it before: LOST has to tell the exception */
        bool has_limit;      /* LIMITS was asked for */
        uint64_t limit;      /* bytes: the high-water mark, if has_limit */
        uint64_t held;       /* bytes written since the limit was set while its fd took none */
    } stream;
};

#endif
