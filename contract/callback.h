/* The vocabulary of what comes back: events, readiness, and how a callback ends. Depends on nothing. */
#ifndef LC_CALLBACK_H
#define LC_CALLBACK_H

/* What a callback saw. */
enum lc_event {
    LC_EVENT_ANY = 0,
    LC_EVENT_SOON = 1,
    LC_EVENT_TIMER = 2,
    LC_EVENT_READY = 3, /* bits = what the loop reported; error < 0: the watcher stopped itself */
    LC_EVENT_POSTED = 4,
    LC_EVENT_CLOSED = 5, /* the handle is gone and the loop will not name it again */
    LC_EVENT_ERROR = 6,  /* not a callback of a handle: the loop's exception handler was called */
    LC_EVENT_RESCUE = 7, /* not a callback: the driver had to end a step that the loop slept through */
    LC_EVENT_MADE = 8,   /* with LC_CAP_MADE, or by LISTEN or CONNECT: a stream's first callback */
    LC_EVENT_DATA = 9,   /* data, size */
    LC_EVENT_EOF = 10,   /* at most once, after all data; writing goes on */
    LC_EVENT_LOST = 11,  /* a stream's or an endpoint's last but CLOSED; error = -errno, or 0 after FLUSH or ABORT */
    LC_EVENT_PAUSE_WRITING = 12,
    LC_EVENT_RESUME_WRITING = 13,
    LC_EVENT_FACTORY = 14, /* of a server, before a connection's stream; what it raises refuses it, told or not */
    LC_EVENT_DONE = 15,    /* an operation is over: error = 0, -errno, or -ECANCELED after CANCEL; of RECV data, size */
    LC_EVENT_DATAGRAM = 16,   /* data, size: one whole datagram */
    LC_EVENT_REFUSED = 17,    /* error = -errno: something went wrong with a datagram, and the endpoint goes on */
    LC_EVENT_GET_BUFFER = 18, /* of a stream with LC_BUFFERED: asks where to put what it reads */
    LC_EVENT_STALE = 19,      /* of a stream: a callback has come to the object that SWITCH has replaced */
    LC_EVENT_HELD = 20,       /* not a callback: the loop, closed, still holds what belonged to the handle */
    LC_EVENT_COUNT
};

enum { LC_IN = 1, LC_OUT = 2, LC_HUP = 4, LC_ERR = 8 }; /* readiness bits; of a watcher's op, too */

/* By what a callback ends. */
enum lc_raise {
    LC_RAISE_NONE = 0, /* in a program as LC_RAISE_EXCEPTION, and so is any number from LC_RAISE_COUNT on */
    LC_RAISE_EXCEPTION = 1,
    LC_RAISE_CANCELLED = 2, /* asyncio.CancelledError: one more exception, though no Exception */
    LC_RAISE_EXIT = 3,      /* SystemExit: it leaves the step or run */
    LC_RAISE_INTERRUPT = 4, /* KeyboardInterrupt: so does it */
    LC_RAISE_COUNT
};
enum { LC_LEFT = 1 }; /* result of LC_OP_STEP and LC_OP_RUN: an exception of a callback has left it [EXIT] */

#endif
