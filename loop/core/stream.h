/* The life of a byte stream: one table that says for each state and event which state follows and what has to be done.
 * stream.md shows it. Whether reading is paused is no part of it: that can change at any time and changes nothing else.
 *
 * The owner hands in what happened, in the order in which it happened, and does what comes back before it hands in
 * the next event. Whenever no bytes wait to be written it may say so (RL_STREAM_DRAINED), and must after each event. */
#ifndef RL_STREAM_LIFE_H
#define RL_STREAM_LIFE_H

#include <stdbool.h>

enum rl_stream_state {
    RL_STREAM_NO_STATE,          /* of a cell of the table that is impossible */
    RL_STREAM_CONNECTING,        /* nothing goes yet */
    RL_STREAM_OPEN,              /* bytes go both ways */
    RL_STREAM_ENDING,            /* write_eof was called; bytes still wait */
    RL_STREAM_ENDED,             /* the peer was told that no more comes */
    RL_STREAM_PEER_ENDED,        /* the peer sends no more */
    RL_STREAM_PEER_ENDED_ENDING, /* the peer sends no more; write_eof was called; bytes still wait */
    RL_STREAM_BOTH_ENDED,        /* neither sends any more */
    RL_STREAM_CLOSING,           /* close was called; bytes still wait */
    RL_STREAM_LOSING,            /* nothing but lost will come */
    RL_STREAM_LOST,              /* lost was called */
    RL_STREAM_STATES
};

enum rl_stream_event {
    RL_STREAM_CONNECTED, /* the connection is there */
    RL_STREAM_WRITE,     /* the user writes */
    RL_STREAM_WRITE_EOF, /* the user will write no more */
    RL_STREAM_DRAINED,   /* no bytes wait */
    RL_STREAM_PEER_EOF,  /* a read found that the peer sends no more */
    RL_STREAM_CLOSE,     /* the user closes */
    RL_STREAM_ABORT,     /* the user aborts */
    RL_STREAM_FAIL,      /* the kernel refused */
    RL_STREAM_REPORT,    /* the turn of lost has come */
    RL_STREAM_EVENTS
};

/* What has to be done, in this order. */
enum rl_stream_effect {
    RL_STREAM_REFUSE = 1,          /* answer the user's verb with an error; nothing changes */
    RL_STREAM_DROP = 2,            /* drop the bytes that wait */
    RL_STREAM_SHUT = 4,            /* tell the kernel that no more is sent */
    RL_STREAM_TELL_EOF = 8,        /* call eof */
    RL_STREAM_END = 16,            /* watch the fd no more; call lost in a later turn */
    RL_STREAM_TELL_CONNECTED = 32, /* call connected */
    RL_STREAM_TELL_LOST = 64       /* close the fd and call lost */
};

struct rl_stream_step {
    enum rl_stream_state next; /* RL_STREAM_NO_STATE: this event cannot come in this state */
    unsigned effects;          /* of enum rl_stream_effect */
};

struct rl_stream_life {
    enum rl_stream_state state; /* any but RL_STREAM_NO_STATE */
    bool is_paused;             /* the user wants no data and no eof */
};

void rl_stream_life_init(struct rl_stream_life *life);
/* Of a stream that is not connected yet. */
void rl_stream_life_init_connecting(struct rl_stream_life *life);
/* The cell of the table; both are in range. */
struct rl_stream_step rl_stream_life_step(enum rl_stream_state state, enum rl_stream_event event);
/* Goes to the next state, which must not be RL_STREAM_NO_STATE. Returns the effects. */
unsigned rl_stream_life_take(struct rl_stream_life *life, enum rl_stream_event event);
void rl_stream_life_set_paused(struct rl_stream_life *life, bool is_paused);

/* May data and eof come now? */
bool rl_stream_life_is_reading(const struct rl_stream_life *life);
/* Must it be connected first? */
bool rl_stream_life_is_connecting(const struct rl_stream_life *life);
/* Is there nothing left but to call lost? */
bool rl_stream_life_is_losing(const struct rl_stream_life *life);

/* As stream.md writes them. */
const char *rl_stream_state_name(enum rl_stream_state state);
const char *rl_stream_event_name(enum rl_stream_event event);
const char *rl_stream_effect_name(enum rl_stream_effect effect);

/* 0 when sound; -1: no state. */
int rl_stream_life_check(const struct rl_stream_life *life);

#endif
