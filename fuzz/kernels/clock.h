/* The clock that a program of fuzz/targets runs its loops on. Each links one of these: clock_real.c, clock_virtual.c.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include "driver.h"

/* Puts the driver on this clock; before it is used. A driver with a simulated kernel keeps its own. */
void clock_use(struct lc_driver *driver);
/* Before each program: time begins anew, if it can. */
void clock_reset(void);

#endif
