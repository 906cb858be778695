/* The vocabulary of programs, drivers and traces: kinds of handles, and operations. callback.h has the events. */
#ifndef LC_OP_H
#define LC_OP_H

#include <stdint.h>

#include "callback.h"

/* A handle: kind in the high four bits, index 1..15 in the low four; 0 is "no handle". */
enum lc_kind {
    LC_KIND_NONE = 0,
    LC_KIND_SOON = 1,      /* c: a callback for the next turn */
    LC_KIND_TIMER = 2,     /* t */
    LC_KIND_WATCH = 3,     /* w: a watcher of one file descriptor */
    LC_KIND_WAKER = 4,     /* p: the mailbox other threads post to */
    LC_KIND_FD = 5,        /* f: one end of a connected pair, owned by the runner until a stream takes it */
    LC_KIND_STREAM = 6,    /* s: a stream of bytes over an fd that the loop owns */
    LC_KIND_END = 7,       /* e: the end of stream s<i> that the loop made itself; traces alone name it */
    LC_KIND_SERVER = 8,    /* l: listens, and makes streams of those who connect */
    LC_KIND_REQUEST = 9,   /* q: a call that ends by itself: a task, or one on an fd that stays the runner's */
    LC_KIND_DATAGRAM = 10, /* d: an endpoint of datagrams over an fd that the loop owns */
    LC_KIND_COUNT
};

/* What can be asked. Numbers are append-only. "R" marks what the runner does by itself. */
enum lc_op_code {
    LC_OP_NOP = 0,
    LC_OP_SOON = 1,       /* a: call back once, no earlier than the next turn (promise TURN) */
    LC_OP_TIMER = 2,      /* a, arg = delay in ns: call back once, never before now() + delay - tick */
    LC_OP_AT = 3,         /* a, arg = deadline in ns on the clock of LC_OP_NOW */
    LC_OP_WATCH = 4,      /* a, flags = LC_IN|LC_OUT, arg = fd number: READY whenever poll(2) would show one */
    LC_OP_WAKER = 5,      /* a: makes a waker; nothing comes before the first post */
    LC_OP_POST = 6,       /* a: the only op called on ANY thread. POSTED at least once after it returned */
    LC_OP_CANCEL = 7,     /* a: armed -> idle. No callback after it returned, even if already due */
    LC_OP_REARM = 8,      /* a: idle -> armed with the same parameters; a timer counts from now() */
    LC_OP_DESTROY = 9,    /* a: any state -> closing; CLOSED exactly once, within LC_CLOSE_STEPS_MAX steps */
    LC_OP_STOP = 10,      /* inside a callback of run: run returns after the current batch */
    LC_OP_RUN = 11,       /* the loop's run-forever; returns only after stop */
    LC_OP_STEP = 12,      /* a turn (LC_CAP_TURNS) or a few; sleeps at most when flags = LC_WAIT */
    LC_OP_PAIR = 13,      /* R a, b: makes two connected, non-blocking stream ends */
    LC_OP_PUT = 14,       /* R a, n: writes n bytes into end a, so that its peer becomes readable */
    LC_OP_TAKE = 15,      /* R a, n: reads at most n bytes from end a (0: all there are) */
    LC_OP_FILL = 16,      /* R a: writes until end a is not writable any more */
    LC_OP_SHUT = 17,      /* R a: end a sends no more, so that its peer sees end of file */
    LC_OP_RECYCLE = 18,   /* R a: cancels a's watchers, closes a, and opens a new pair until the number returns */
    LC_OP_ADVANCE = 19,   /* R arg: lets arg ns pass while the loop does not run */
    LC_OP_RAISE = 20,     /* R inside a callback, n = enum lc_raise: it ends by raising that [RAISE, EXIT] */
    LC_OP_STREAM = 21,    /* a, b, arg = fd number: takes the fd over, and reads from it until paused */
    LC_OP_WRITE = 22,     /* a, n: sends n bytes; to a driver arg is their address, good during the call */
    LC_OP_WRITE_EOF = 23, /* a: after what was written the peer sees end of file; reading goes on */
    LC_OP_PAUSE = 24,     /* a: no DATA and no EOF after it returned */
    LC_OP_RESUME = 25,    /* a: reads again */
    LC_OP_LIMITS = 26,    /* a, n: PAUSE_WRITING when more than n bytes wait in the loop, RESUME_WRITING at n / 4 */
    LC_OP_FLUSH = 27,     /* a: no more DATA or EOF; sends what was written, then LOST ("close" in a program) */
    LC_OP_ABORT = 28,     /* a: no more DATA or EOF; drops what was written and not sent, then LOST */
    LC_OP_TCP = 29,       /* R a, b: as PAIR, but connected over TCP */
    LC_OP_HANGUP = 30,    /* R a: closes end a */
    LC_OP_RST = 31,       /* R a: closes end a so that its peer finds the connection reset */
    LC_OP_FAULT = 32,     /* R flags, n: the next n reads or writes of streams meet this enum lc_fault */
    LC_OP_LISTEN = 33,    /* a, b = stream, n: listens; b and n - 1 behind it take who connects. Returns its port */
    LC_OP_CLIENT = 34,    /* R a, b = server: connects a to it */
    LC_OP_BACKLOG = 35,   /* R a: listens; it is accepted only by ACCEPT */
    LC_OP_CONNECT = 36,   /* a, arg = port (in a program b, a BACKLOG): connects: MADE, then DONE; ends in one DONE */
    LC_OP_ACCEPT = 37,    /* R a, b: a becomes the end of the first who connected to b */
    LC_OP_RECV = 38, /* a, b, n, arg = fd number: reads once, at most n bytes, when there are some: DONE with them */
    LC_OP_UDP = 39,  /* R a, b: two UDP sockets, connected to each other; PUT, TAKE n and FILL mean datagrams there */
    LC_OP_DATAGRAM = 40,   /* a, b, arg = fd number: takes the fd over, and receives from it */
    LC_OP_SEND = 41,       /* a, n: sends a datagram of n bytes; 0: an empty one. arg as that of WRITE */
    LC_OP_SENDALL = 42,    /* a, b, n, arg = address of a struct lc_send: sends n bytes of it: DONE when all are sent */
    LC_OP_WRITELINES = 43, /* a, n: as WRITE, but handed over in several pieces, one of them empty */
    LC_OP_SWITCH = 44,     /* a: another object gets the callbacks of the stream from now on ("set_protocol") */
    LC_OP_TASK = 45,       /* a, n: lets the others run n times: DONE */
    LC_OP_DROP = 46,       /* a soon, timer or task: nobody but the loop holds it any more; no op of it will come */
    LC_OP_GC = 47,         /* collects garbage */
    LC_OP_PROGRAM_END,     /* the ops below cannot be written in a program */

    LC_OP_OPEN = 64,  /* a fresh loop; nothing runs */
    LC_OP_CLOSE = 65, /* every handle is CLOSED already; all fds are back when it returns */
    LC_OP_NOW = 66    /* returns the loop's (cached) time in ns; timers count from it */
};

enum { LC_WAIT = 1 };     /* flag of LC_OP_STEP */
enum { LC_BUFFERED = 1 }; /* flag of LC_OP_STREAM: it reads into memory of its owner */

/* What a read or a write of a stream may meet in a kernel that we control. */
enum lc_fault {
    LC_FAULT_NONE = 0,
    LC_FAULT_SHORT_READ = 1,  /* gives one byte, however many there are */
    LC_FAULT_SHORT_WRITE = 2, /* takes one byte, however much room there is */
    LC_FAULT_EINTR = 3,       /* fails with EINTR: a signal came */
    LC_FAULT_EAGAIN = 4,      /* fails with EAGAIN, though the wait had shown readiness */
    LC_FAULT_COUNT
};

/* One operation, 16 bytes, as it stands in a program. In a program `b` names a handle, mostly an fd; when an
 * op reaches a driver, `arg` of LC_OP_WATCH, LC_OP_STREAM and LC_OP_DATAGRAM holds the file descriptor itself. */
struct lc_op {
    uint8_t op;    /* enum lc_op_code; an unknown number does nothing */
    uint8_t on;    /* 0, or the handle in whose next callback the op runs */
    uint8_t event; /* with `on`: enum lc_event, LC_EVENT_ANY for any callback of the handle */
    uint8_t a;     /* first handle */
    uint8_t b;     /* second handle */
    uint8_t flags; /* readiness bits, LC_WAIT, a fault */
    uint16_t n;    /* a count: bytes, callbacks; for post: microseconds */
    uint64_t arg;  /* ns */
};

/* What LC_OP_SENDALL sends, and where. The bytes are good for the whole run. */
struct lc_send {
    int fd;
    const void *bytes;
};

#endif
