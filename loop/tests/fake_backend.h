/* What the backends made for tests share: a clock that the test moves, waits that never sleep, and one fd of which the
 * test says how ready it is. Each test fills in the calls that it is about. */
#ifndef FAKE_BACKEND_H
#define FAKE_BACKEND_H

#include "backend/backend.h"

enum { FAKE_FD = 3 };

extern struct fake {
    uint64_t now_ns;         /* 1 until the test moves it */
    uint32_t (*ready)(void); /* the bits of FAKE_FD; called once in each wait */
    uint32_t interest;       /* in FAKE_FD, as the loop applied it */
    int apply_error;         /* what an apply of more than that is told; 0: it is taken */
    unsigned closes;         /* of FAKE_FD, */
    unsigned others_closed;  /* of other fds, */
    unsigned backends_closed;
} fake;

/* Clears fake. The backend does all but move bytes, connect and accept. */
struct rl_backend fake_backend(uint32_t (*ready)(void));

#endif
