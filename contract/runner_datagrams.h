/* The part of the runner that is about datagrams. Internal to contract/runner*.c. */
#ifndef LC_RUNNER_DATAGRAMS_H
#define LC_RUNNER_DATAGRAMS_H

#include "runner_state.h"

/* Executes an op on UDP sockets and endpoints; any other does nothing. */
bool lc_runner_execute_datagrams(struct runner *r, const struct lc_op *op);
/* PUT, TAKE and FILL of a UDP socket of the runner; anything else cannot be done there. */
bool lc_runner_do_datagrams(struct runner *r, const struct lc_op *op);
/* Takes at most so many datagrams that have arrived; returns how many. */
uint64_t lc_runner_take_datagrams(struct runner *r, uint8_t handle, unsigned count);
/* What a callback of an endpoint saw, for the record. */
void lc_runner_note_datagram(struct runner *r, const struct lc_seen *seen, struct lc_obs *obs);
/* Has the loop to call this endpoint back soon? */
bool lc_runner_is_datagram_promised(struct runner *r, const struct handle *endpoint);

#endif
