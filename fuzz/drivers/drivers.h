/* The drivers that this build has. */
#ifndef DRIVERS_H
#define DRIVERS_H

#include "driver.h"

/* The reference loop on the simulated kernel, and on epoll. */
struct lc_driver *driver_refloop_sim(void);
struct lc_driver *driver_refloop_epoll(void);
/* libuv on the real kernel. */
struct lc_driver *driver_libuv(void);

/* The driver of this name, or NULL; with a name of NULL the first one. */
struct lc_driver *driver_find(const char *name);
/* The names, NULL at the end. */
const char *const *driver_names(void);

#endif
