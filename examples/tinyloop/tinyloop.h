/* tinyloop: an event loop on poll(2) in 150 lines, so that docs/write-a-driver.md has a loop to write a driver for.
 *
 * All functions return 0 or a negative errno. All but tl_post are called on the loop's thread, also inside callbacks.
 */
#ifndef TINYLOOP_H
#define TINYLOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum tl_kind { TL_SOON, TL_TIMER, TL_WATCH, TL_WAKER };

/* One thing to be called for. Its memory is the user's, and free to go as soon as it is stopped. */
struct tl_event {
    enum tl_kind kind;
    void (*call)(struct tl_event *event, short ready);
    uint64_t deadline_ns;         /* timer: on the clock of tl_now */
    int fd;                       /* watch */
    short asked;                  /* watch: POLLIN, POLLOUT */
    short ready;                  /* watch: what poll has shown in this turn */
    atomic_bool posted;           /* waker */
    bool is_armed, is_due;        /* is_due: to be called in this turn */
    struct tl_event *next, *prev; /* armed events, in the order of arming */
};

struct tl_loop {
    struct tl_event armed; /* head of the list */
    uint64_t now_ns;       /* of the present turn */
    int wake[2];           /* a pipe */
    bool is_stopped;
};

int tl_open(struct tl_loop *loop);
void tl_close(struct tl_loop *loop); /* every event is stopped already */
/* Soons, timers and wakers are called once for each arming or batch of posts, watchers in each turn in which fd is
 * ready. */
void tl_start(struct tl_loop *loop, struct tl_event *event);
void tl_stop(struct tl_event *event);
/* On any thread. */
void tl_post(struct tl_loop *loop, struct tl_event *waker);
/* One turn: calls what is due, and nothing that is started meanwhile. Sleeps for that if it may. */
int tl_turn(struct tl_loop *loop, bool may_sleep);
/* Turns until tl_break is called in a callback. */
int tl_run(struct tl_loop *loop);
void tl_break(struct tl_loop *loop);
uint64_t tl_now(const struct tl_loop *loop);

#endif
