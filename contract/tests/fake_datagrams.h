/* The endpoints of datagrams of the fake loop: the simplest that keep every rule. */
#ifndef FAKE_DATAGRAMS_H
#define FAKE_DATAGRAMS_H

#include "driver.h"

struct fake_loop;

/* An endpoint's state; its slot says whether it lives. */
struct fake_endpoint {
    int fd; /* -1: closed */
    bool is_made, is_flushing, is_paused;
    bool has_raised; /* for FAKE_DATAGRAM_RAISE_ENDS */
    unsigned given;  /* datagrams */
    unsigned sent;   /* calls of SEND */
};

/* An op on an endpoint, but DESTROY. */
int64_t fake_endpoint_apply(struct fake_loop *loop, const struct lc_op *op);
bool fake_endpoint_is_due(struct fake_loop *loop, uint8_t handle);
/* The one callback that is due. */
void fake_endpoint_run(struct fake_loop *loop, uint8_t handle);
/* Closes the fd. */
void fake_endpoint_drop(struct fake_loop *loop, uint8_t handle);

#endif
