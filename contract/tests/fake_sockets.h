/* The servers, connects and calls of the fake loop: the simplest that keep every rule. */
#ifndef FAKE_SOCKETS_H
#define FAKE_SOCKETS_H

#include "fake_loop.h"

int64_t fake_server_listen(struct fake_loop *loop, const struct lc_op *op);
bool fake_server_is_due(struct fake_loop *loop, uint8_t handle);
/* Lets one client in. */
void fake_server_run(struct fake_loop *loop, uint8_t handle);
int64_t fake_connect(struct fake_loop *loop, const struct lc_op *op);
void fake_connect_cancel(struct fake_loop *loop, uint8_t handle);
/* Connects, or tells why not. */
void fake_connect_run(struct fake_loop *loop, uint8_t handle);

/* ---- fake_calls.c ---- */

/* RECV, SENDALL and TASK. */
int64_t fake_call_begin(struct fake_loop *loop, const struct lc_op *op);
void fake_call_cancel(struct fake_loop *loop, uint8_t handle);
bool fake_call_is_due(struct fake_loop *loop, uint8_t handle);
/* Goes on with the call, and ends it if it can. */
void fake_call_run(struct fake_loop *loop, uint8_t handle);

#endif
