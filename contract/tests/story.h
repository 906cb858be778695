/* Traces written by hand, so that they read like a story: what was asked of a loop, and what it did. */
#ifndef STORY_H
#define STORY_H

#include "monitor.h"

enum { STORY_RECORDS_MAX = 4096 };

/* Handles: soons, timers, watchers, wakers, fds, streams. */
enum {
    C1 = LC_KIND_SOON << 12 | 1,
    C2,
    C3,
    T1 = LC_KIND_TIMER << 12 | 1,
    T2,
    T3,
    W1 = LC_KIND_WATCH << 12 | 1,
    W2,
    P1 = LC_KIND_WAKER << 12 | 1,
    P2,
    F1 = LC_KIND_FD << 12 | 1,
    F2,
    F3,
    F4,
    S1 = LC_KIND_STREAM << 12 | 1,
    S2
};

/* The story so far: copies its records and returns how many there are. */
size_t told(struct lc_obs records[STORY_RECORDS_MAX]);

/* The last judgement. */
extern struct lc_judgement verdict;

/* Any record, at the present time and on the present thread. */
void tell(struct lc_obs obs);

/* ---- the loop -------------------------------------------------------------------------------- */

/* What follows happens at this time, or on this thread. */
void at(uint64_t time_ns);
void on_thread(uint16_t thread);
void opens_again(uint32_t capabilities, uint32_t promises);
/* A story begins: a fresh loop at time 0. */
void opens(uint32_t capabilities, uint32_t promises);
void terms(uint64_t tick_ns, bool is_exact);
void fds(uint64_t count);
void step(void);
void stepped(int result);
/* Steps in which nothing happens. */
void steps_pass(int count);
void run(void);
void ran(int result);
void loop_closes(int result);
void handler_is_called(void);
void rescue(void);

/* ---- what is asked for ------------------------------------------------------------------------ */

void asks(enum lc_op_code code, uint16_t handle, uint64_t arg, uint8_t bits, int result);
void soon(uint16_t c);
void timer(uint16_t t, uint64_t deadline_ns);
/* A watcher is told the fd's handle as a program writes it. */
void watch(uint16_t w, uint16_t f, uint8_t bits);
void waker(uint16_t p);
void cancel(uint16_t h);
void rearm(uint16_t h, uint64_t deadline_ns);
void destroy(uint16_t h);
void stop(void);
void raises(void);
void raises_in(uint16_t h, enum lc_event event, enum lc_raise raise);
void recycle(uint16_t f);
void post(uint16_t p);
/* The kernel shows this readiness of an fd; 0: of none, or closed. */
void fd_is(uint16_t f, uint8_t bits);

/* ---- streams, and the ends of their connections (story_streams.c) ------------------------------ */

void pair(uint16_t f, uint16_t other);
void tcp(uint16_t f, uint16_t other);
/* The runner's end: bytes into it, bytes out of it, these and the end of file behind them, no more bytes. */
void sends(uint16_t f, uint64_t bytes);
void fills(uint16_t f, uint64_t bytes);
void takes(uint16_t f, uint64_t bytes);
void takes_end(uint16_t f, uint64_t bytes);
void shuts(uint16_t f);
void hangs_up(uint16_t f);
void resets(uint16_t f);
void faults(unsigned calls);
void drained(void);
void stream(uint16_t s, uint16_t f);
void writes(uint16_t s, uint64_t bytes);
void write_eof(uint16_t s);
void pauses(uint16_t s);
void resumes(uint16_t s);
void limits(uint16_t s, uint64_t bytes);
void closes(uint16_t s);
void aborts(uint16_t s);
/* A callback of a stream. */
void sees(uint16_t s, enum lc_event event);
void sees_data(uint16_t s, uint64_t bytes);
void lost(uint16_t s, int error);

/* ---- what the loop does ----------------------------------------------------------------------- */

void ends(uint16_t h);
/* The handle's callback, of the event of its kind: what stands before `ends` happens inside it. */
void begins(uint16_t h);
void called(uint16_t h);
/* A watcher's callback: what the loop reported, and what the kernel showed at that time. */
void ready(uint16_t w, uint8_t reported, uint8_t actual);
void closed(uint16_t h);

/* ---- the verdict ------------------------------------------------------------------------------ */

/* Judges the story up to here. */
void judge(void);
/* Judges; are these exactly the rules that the story breaks, in this order, a space between two? "" for none. */
bool breaks(const char *rules);

#endif
