/* The drivers that this build has. */
#ifndef DRIVERS_H
#define DRIVERS_H

#include "driver.h"

/* The reference loop on the simulated kernel, and on epoll. */
struct lc_driver *driver_refloop_sim(void);
struct lc_driver *driver_refloop_epoll(void);
/* Other people's loops, on the real kernel. */
struct lc_driver *driver_glib(void);
struct lc_driver *driver_libev(void);
struct lc_driver *driver_libevent(void);
struct lc_driver *driver_libuv(void);
struct lc_driver *driver_sdevent(void);

/* The driver of this name, or NULL; with a name of NULL the first one. */
struct lc_driver *driver_find(const char *name);
/* The driver in a shared object, which stays loaded; or NULL, and why it cannot be used. */
struct lc_driver *driver_load(const char *path, const char **why);
/* The name of the driver at this place, counted from 0; NULL behind the last. */
const char *driver_name(size_t i);

#endif
