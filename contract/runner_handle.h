/* What the runner knows of one handle. Internal to contract/runner*.c. */
#ifndef LC_RUNNER_HANDLE_H
#define LC_RUNNER_HANDLE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LC_DATAGRAM_BYTES_MAX = 65507, /* that the kernel takes */
    LC_DATAGRAMS_MAX = 1024        /* of one program; more are not sent */
};

enum state { FREE, IDLE, ARMED, CLOSING, CLOSED };

struct handle {
    enum state state;
    bool is_used; /* stands in runner.used */
    /* watch, stream, datagram */
    uint8_t fd_handle;
    /* watch */
    uint8_t bits;
    bool is_stale; /* its fd was recycled: it may only be destroyed */
    /* timer */
    bool is_edge; /* made by EDGE */
    bool is_absolute;
    uint64_t delay_ns;    /* as asked: a delay, or an absolute deadline */
    uint64_t deadline_ns; /* of the present arming */
    /* waker */
    uint32_t posts_pending; /* posted, no callback begun since */
    uint32_t posts_late;    /* given to a helper or waiting for one */
    /* fd: one end of a pair */
    int fd;
    uint64_t identity; /* of the file, when a stream took it over */
    uint8_t peer;
    uint8_t stream;    /* the stream or endpoint that owns it; 0: the runner */
    bool is_tcp;       /* it was made by TCP */
    bool is_shut;      /* it sends no more */
    unsigned ready;    /* its readiness, as the kernel last showed it, while runner.has_looked */
    unsigned recorded; /* the same, as the trace last has it */
    uint64_t sent;     /* bytes that this end was given to send, by the runner or its stream */
    uint64_t got;      /* bytes that arrived here and were taken, by the runner or its stream */
    uint16_t port; /* server, listener: its own; end of a connection over a network: that of the side that connected */
    bool is_listener;    /* fd: made by BACKLOG */
    uint8_t via;         /* end of a connection over a network: the server or listener it was made through */
    bool is_udp;         /* fd: made by UDP; sent and got count datagrams then, */
    uint32_t room_bytes; /* so many bytes wait for its reader at most, */
    uint64_t bytes_sent; /* and so many it was given to send */
    unsigned sending;    /* datagram: calls of SEND that we are inside of */
    bool is_unsure;      /* fd: a cancelled call may have read from it */
    bool is_called;      /* fd: a SENDALL has sent from it */
    bool is_cut;         /* fd: a call that did not end well may have sent a part of its bytes: no others can follow */
    uint8_t server;      /* fd: a client's; stream: kept for those who connect to it. 0: none */
    uint8_t room;        /* server: how many clients may still come */
    uint8_t refused;     /* server: connections whose FACTORY raised, of whichever client */
    /* request */
    uint8_t call;    /* enum lc_op_code: RECV, SENDALL or TASK */
    bool is_dropped; /* soon, timer, task: no op of it comes any more */
    /* stream, datagram: ARMED until LOST or destroy */
    bool is_made;           /* ops may come; always without LC_CAP_MADE */
    bool is_connecting;     /* by CONNECT, and DONE has not come */
    bool was_cancelled;     /* while it was connecting; request: at all */
    bool is_paused;         /* reading */
    uint32_t turns_unread;  /* that began with something to read, none of which has come since */
    bool is_ended;          /* write_eof, flush or abort was asked for */
    bool is_flushing;       /* flush or abort was asked for */
    bool is_aborted;        /* abort was asked for */
    bool has_seen_eof;      /* EOF came; fd: the runner has read the end of file here */
    bool is_writing_paused; /* between PAUSE_WRITING and RESUME_WRITING */
};

/* A datagram that some end was given to send; its number is its place among those of its sender. */
struct datagram {
    uint64_t position; /* of its first byte in what the sender sends */
    uint16_t bytes;
    uint8_t sender; /* the fd's handle */
};

#endif
