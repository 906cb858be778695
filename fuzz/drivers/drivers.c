#include "drivers.h"

#include <stddef.h>
#include <string.h>

static const char *const names[] = {"refloop_sim", "refloop_epoll",
#ifdef HAVE_LIBUV
                                    "libuv",
#endif
                                    NULL};

static struct lc_driver *(*const makers[])(void) = {driver_refloop_sim, driver_refloop_epoll,
#ifdef HAVE_LIBUV
                                                    driver_libuv,
#endif
                                                    NULL};

const char *const *driver_names(void)
{
    return names;
}

struct lc_driver *driver_find(const char *name)
{
    for (size_t i = 0; names[i] != NULL; i++)
        if (name == NULL || strcmp(name, names[i]) == 0)
            return makers[i]();
    return NULL;
}
