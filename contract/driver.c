#include "driver.h"

#include <stdio.h>

/* What can be asked only of what another capability makes. */
static const struct {
    uint32_t capability, needs; /* one of these at least */
    const char *sentence;
} dependent[] = {
    {LC_CAP_MADE, LC_CAP_STREAM | LC_CAP_DATAGRAM, "MADE without STREAM or DATAGRAM"},
    {LC_CAP_FLUSH, LC_CAP_STREAM | LC_CAP_DATAGRAM, "FLUSH without STREAM or DATAGRAM"},
    {LC_CAP_FLOW, LC_CAP_STREAM | LC_CAP_DATAGRAM, "FLOW without STREAM or DATAGRAM"},
    {LC_CAP_WRITE_EOF, LC_CAP_STREAM, "WRITE_EOF without STREAM"},
    {LC_CAP_WRITELINES, LC_CAP_STREAM, "WRITELINES without STREAM"},
    {LC_CAP_BUFFERED, LC_CAP_STREAM, "BUFFERED without STREAM"},
    {LC_CAP_SWITCH, LC_CAP_STREAM, "SWITCH without STREAM"},
    {LC_CAP_SERVER, LC_CAP_STREAM, "SERVER without STREAM"},
    {LC_CAP_CONNECT, LC_CAP_STREAM, "CONNECT without STREAM"},
    {LC_CAP_CANCEL, LC_CAP_CONNECT | LC_CAP_REQUEST, "CANCEL without CONNECT or REQUEST"},
    {LC_CAP_TASK, LC_CAP_REQUEST, "TASK without REQUEST"},
};

static const char *why_not(const struct lc_driver *driver)
{
    const uint32_t capabilities = LC_CAP_END - 1, promises = LC_PROMISE_TIES * 2 - 1;
    if (driver->name == NULL || driver->name[0] == 0)
        return "it has no name";
    if (driver->apply == NULL)
        return "its apply is NULL";
    if (driver->tick_ns == 0)
        return "its tick_ns is 0";
    if (driver->tick_ns > LC_TICK_NS_MAX)
        return "its tick_ns is more than a second, by which every timer could be early";
    if ((driver->capabilities & ~capabilities) != 0)
        return "it states a capability that contract/driver.h does not know";
    if ((driver->promises & ~promises) != 0)
        return "it makes a promise that contract/driver.h does not know";
    if (driver->is_exact && driver->kernel == NULL)
        return "it says that its time is simulated, but brings no kernel";
    return NULL;
}

bool lc_driver_is_usable(const struct lc_driver *driver, char why[LC_DRIVER_WHY_MAX])
{
    const char *sentence = NULL;
    if (driver == NULL) {
        snprintf(why, LC_DRIVER_WHY_MAX, "%s() returned NULL", LC_DRIVER_SYMBOL);
        return false;
    }
    if (driver->abi != LC_DRIVER_ABI) { /* nothing else of it can be read */
        snprintf(why, LC_DRIVER_WHY_MAX, "it was built for version %u of contract/driver.h, and this is version %u",
                 driver->abi, (unsigned)LC_DRIVER_ABI);
        return false;
    }
    sentence = why_not(driver);
    if (sentence != NULL)
        snprintf(why, LC_DRIVER_WHY_MAX, "%s", sentence);
    for (size_t i = 0; sentence == NULL && i < sizeof dependent / sizeof *dependent; i++) {
        if ((driver->capabilities & dependent[i].capability) == 0 || (driver->capabilities & dependent[i].needs) != 0)
            continue;
        sentence = dependent[i].sentence;
        snprintf(why, LC_DRIVER_WHY_MAX, "it states the capability %s", sentence);
    }
    return sentence == NULL;
}
