/* The part of the runner that is about streams, servers and connects. Internal to contract/runner*.c. */
#ifndef LC_RUNNER_STREAMS_H
#define LC_RUNNER_STREAMS_H

#include "runner_state.h"

/* ---- runner_streams.c ---- */

/* Executes an op on a stream, or lets lc_runner_execute_sockets do it. */
bool lc_runner_execute_streams(struct runner *r, const struct lc_op *op);
/* What its own exception in this callback means for a stream: the loop has to end it, as after an abort. */
void lc_runner_note_raise(struct runner *r, uint8_t handle, uint8_t event);
/* What a callback of a stream saw, for the record: into arg, bits and result. */
void lc_runner_note_stream(struct runner *r, const struct lc_seen *seen, struct lc_obs *obs);
/* What a callback says of the life of a stream, or of an endpoint of datagrams, and of the fd that it has. */
void lc_runner_note_life(struct handle *h, struct handle *end, enum lc_event event);
/* Has the loop to call this stream back soon? */
bool lc_runner_is_stream_promised(struct runner *r, const struct handle *stream);
/* On a real clock, to be called before each turn: who has not been given for some turns what has arrived is given the
 * time in which whatever reads for the loop can do it. */
void lc_runner_give_time(struct runner *r);
/* Is something that a stream was given to send, or that was sent to one that reads, not yet where it should arrive? */
bool lc_runner_is_outstanding(const struct runner *r);

/* ---- runner_sockets.c ---- */

/* Executes an op on servers, listeners and connections; any other does nothing. */
bool lc_runner_execute_sockets(struct runner *r, const struct lc_op *op);
/* Cancels a connect; false: there is none. */
bool lc_runner_cancel_connect(struct runner *r, uint8_t stream);
/* A server's stream comes into being with its MADE, and so does the end of its connection; that of a CONNECT gets its
 * fd. To be called before the callback is recorded. */
void lc_runner_note_made(struct runner *r, const struct lc_seen *seen);
/* Nobody else gets the port of a listener or a server that was closed: who connects there is refused. */
void lc_runner_hold_port(struct runner *r, struct handle *h);
void lc_runner_note_done(struct runner *r, const struct lc_seen *seen);
/* Has the server of this fd to make a stream for it soon? */
bool lc_runner_is_client_waiting(const struct runner *r, const struct handle *fd);

#endif
