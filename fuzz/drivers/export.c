/* Makes a shared object of one driver of this folder: DRIVER is the function that gives it. */
#include "drivers.h"

__attribute__((visibility("default"))) struct lc_driver *lc_driver_get(void)
{
    return DRIVER();
}
