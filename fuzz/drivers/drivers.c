#include "drivers.h"

#include <dlfcn.h>
#include <string.h>

static const struct {
    const char *name;
    struct lc_driver *(*get)(void);
} drivers[] = {
    {"refloop_sim", driver_refloop_sim},
    {"refloop_epoll", driver_refloop_epoll},
#ifdef HAVE_GLIB
    {"glib", driver_glib},
#endif
#ifdef HAVE_LIBEV
    {"libev", driver_libev},
#endif
#ifdef HAVE_LIBEVENT
    {"libevent", driver_libevent},
#endif
#ifdef HAVE_LIBUV
    {"libuv", driver_libuv},
#endif
#ifdef HAVE_SDEVENT
    {"sdevent", driver_sdevent},
#endif
    {NULL, NULL},
};

const char *driver_name(size_t i)
{
    return drivers[i].name;
}

struct lc_driver *driver_find(const char *name)
{
    for (size_t i = 0; drivers[i].name != NULL; i++)
        if (name == NULL || strcmp(name, drivers[i].name) == 0)
            return drivers[i].get();
    return NULL;
}

struct lc_driver *driver_load(const char *path, const char **why)
{
    struct lc_driver *(*get)(void);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = library != NULL ? dlsym(library, LC_DRIVER_SYMBOL) : NULL;

    if (symbol == NULL) {
        *why = dlerror();
        return NULL;
    }
    memcpy(&get, &symbol, sizeof get); /* ISO C has no cast from one to the other */
    struct lc_driver *driver = get();
    static char sentence[LC_DRIVER_WHY_MAX];
    *why = sentence;
    return lc_driver_is_usable(driver, sentence) ? driver : NULL;
}
