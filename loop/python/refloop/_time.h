/* Seconds as asyncio counts them, in doubles, and ns as the C loop does. Pure. */
#ifndef RLPY_TIME_H
#define RLPY_TIME_H

#include <stdint.h>

/* CLOCK_MONOTONIC in seconds: loop.time(). */
double rlpy_seconds(uint64_t monotonic_ns);
/* The C loop's time at a time of CLOCK_MONOTONIC. */
uint64_t rlpy_loop_ns(uint64_t monotonic_ns);
/* [TIMER-1] The C loop's deadline for a time of asyncio's, which is not NaN: the first ns at which rlpy_seconds has
 * reached it, or the one after that. Times before zero keep their order; infinities and the like are the ends. */
uint64_t rlpy_deadline_ns(double when_s);

#endif
