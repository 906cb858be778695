/* The part of the runner that is about servers, listeners and connects. Internal to contract/runner*.c. */
#ifndef LC_RUNNER_SOCKETS_H
#define LC_RUNNER_SOCKETS_H

#include "runner_state.h"

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
