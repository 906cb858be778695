/* The readiness bits that a program, the core and every backend share. */
#ifndef RL_EVENTS_H
#define RL_EVENTS_H

enum {
    RL_IN = 1,  /* a read would not block; may be asked for */
    RL_OUT = 2, /* a write would not block; may be asked for */
    RL_HUP = 4, /* the other side is gone; comes unasked */
    RL_ERR = 8  /* the fd is in an error state; comes unasked */
};

#endif
