/* refloop: the reference event loop, for C programs.
 *
 * A function returns 0 (or a count) on success and -errno on failure. A call that failed has no callback.
 * Everything except rl_waker_post belongs to the loop's thread: the one thread that calls the loop at a time.
 * All verbs of all handles are legal inside any callback, also on the handle whose callback runs.
 *
 * A turn: sleep until something is due; note which fds are ready, which wakers were posted and which timers are due;
 * then run what was ready at that moment.
 *
 *   [FIFO]  soon callbacks run in the order in which they were started.
 *   [TURN]  what becomes ready while a turn runs its callbacks does not run in that turn.
 *   [ORDER] timers run in the order of their deadlines; one that is started after another was found due runs after it.
 *   [TIES]  timers with equal deadlines run in the order in which they were started.
 *   [ONCE]  a soon or a timer runs once for each start.
 *   [AFTER] after stop or close of a handle returned, no callback of it runs, even if it was due already.
 *   [IDLE]  a loop with nothing due sleeps; it does not poll.
 */
#ifndef REFLOOP_H
#define REFLOOP_H

#include "rl_events.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rl_backend; /* backend/backend.h */

typedef struct rl_loop rl_loop;
typedef struct rl_soon rl_soon;
typedef struct rl_timer rl_timer;
typedef struct rl_watch rl_watch;
typedef struct rl_waker rl_waker;

/* The loop. */

/* Opens a loop on epoll. */
int rl_loop_open(rl_loop **loop);
/* Opens a loop on any backend. The table is copied. On success the loop owns the backend and closes it; on failure the
 * backend stays the caller's. */
int rl_loop_open_on(rl_loop **loop, const struct rl_backend *backend);
/* Closes the handles that are still open, then the loop; runs no callback. -EBUSY inside a callback. No other thread
 * may be in rl_waker_post on one of its wakers. */
int rl_loop_close(rl_loop *loop);
/* Runs one turn. Sleeps only if may_wait, and only while nothing is due and something is alive. Returns the number of
 * callbacks run; 0 after a sleep is possible (a signal, a wake whose post was taken back). -EBUSY inside a callback.
 * After a failure of the backend nothing has run and nothing is lost. */
int rl_loop_turn(rl_loop *loop, bool may_wait);
/* Runs turns until rl_loop_stop or until nothing is alive, and returns 0; or -errno of the turn that failed. */
int rl_loop_run(rl_loop *loop);
/* [STOP] rl_loop_run returns after the current batch of callbacks. Before a run: that run runs one turn without
 * waiting. One stop ends one run; the loop can run again. */
void rl_loop_stop(rl_loop *loop);
/* [STOP] As rl_loop_stop, and moreover the turn ends with the current callback. What was ready and did not run stays
 * queued, in order, and comes first in the next turn; a watcher among it is called only if its fd is still ready then.
 * Without effect outside a callback, except that of rl_loop_stop. */
void rl_loop_break(rl_loop *loop);
/* The loop's clock in ns, which never goes back: inside a turn the time at which the sleep ended, else the time now. */
uint64_t rl_loop_now_ns(rl_loop *loop);
/* Is there a started soon, timer or watch, an open waker or server, or a stream or endpoint that waits for its fd or
 * for lost? */
bool rl_loop_is_alive(const rl_loop *loop);
/* Examines every part; 0 when sound, else a negative number that names the broken invariant. */
int rl_loop_check(const rl_loop *loop);

/* Soon: fn runs once, in the next turn that begins. */

int rl_soon_open(rl_loop *loop, void (*fn)(rl_soon *soon, void *arg), void *arg, rl_soon **out);
/* If it is started already, it moves to the end of the queue (as stop, then start). Returns 0. */
int rl_soon_start(rl_soon *soon);
void rl_soon_stop(rl_soon *soon);
/* Stops it and frees it: the pointer is dead when this returns. */
void rl_soon_close(rl_soon *soon);

/* Timer: fn runs once, in the first turn that finds rl_loop_now_ns() >= deadline; never earlier [TIMER-1]. */

int rl_timer_open(rl_loop *loop, void (*fn)(rl_timer *timer, void *arg), void *arg, rl_timer **out);
/* Deadline = rl_loop_now_ns() + delay_ns, or the largest uint64_t if that does not fit. Restarts a started timer.
 * Returns 0. */
int rl_timer_start(rl_timer *timer, uint64_t delay_ns);
/* A deadline in the past is due at once. Restarts a started timer. Returns 0. */
int rl_timer_start_at(rl_timer *timer, uint64_t deadline_ns);
void rl_timer_stop(rl_timer *timer);
/* Stops it and frees it. */
void rl_timer_close(rl_timer *timer);

/* Watch: fn runs once a turn for as long as the fd is ready [FD-1], with the bits that were found: some of those asked
 * for, or RL_HUP and RL_ERR, which come unasked. Several watches may watch one fd. The fd stays the caller's. */

int rl_watch_open(rl_loop *loop, void (*fn)(rl_watch *watch, void *arg, unsigned events), void *arg, rl_watch **out);
/* interest is RL_IN, RL_OUT or both, else -EINVAL. -EBADF for no open fd, -EPERM for a file that cannot be waited for
 * (a regular file). Restarts a started watch. When it fails, the watch is stopped. */
int rl_watch_start(rl_watch *watch, int fd, unsigned interest);
/* [FD-3] [FD-4] The fd may be closed, and its number used again, as soon as this returns. Stop first, then close: in
 * the other order the watch may in between see a new file of the same number. */
void rl_watch_stop(rl_watch *watch);
/* Stops it and frees it. */
void rl_watch_close(rl_watch *watch);

/* Waker: any thread posts, fn runs on the loop's thread. */

int rl_waker_open(rl_loop *loop, void (*fn)(rl_waker *waker, void *arg), void *arg, rl_waker **out);
/* Any thread, and signal handlers.
 * - [WAKE-1] At least one callback begins after the last post returned 0; there are never more callbacks than posts.
 *   What the poster wrote before the post, the callback sees.
 * - [WAKE-2] Posts of one thread to different wakers run in post order; a post to a waker that is posted already takes
 *   the place of the earlier post.
 * - -ECANCELED once the waker is closed; if the backend cannot be woken its -errno, and the callback runs when the loop
 *   takes its next turn. */
int rl_waker_post(rl_waker *waker);
/* Drops every post that has returned. A post that overlaps this call may run after it. The waker stays open. */
void rl_waker_stop(rl_waker *waker);
/* Drops the posts and closes. A post that overlaps this call is dropped or refused; posting once this has returned is
 * the caller's error. (It is answered by -ECANCELED: the memory, about 80 bytes, is kept until rl_loop_close.) */
void rl_waker_close(rl_waker *waker);

#ifdef __cplusplus
}
#endif

#include "rl_datagram.h"
#include "rl_server.h"
#include "rl_stream.h"

#endif
