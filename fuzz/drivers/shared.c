/* What turns a driver of this folder into a shared object for `loopcheck fuzz --driver`: its one symbol. DRIVER is the
 * driver's function in drivers.h. */
#include "drivers.h"

__attribute__((visibility("default"))) struct lc_driver *lc_driver_get(void)
{
    return DRIVER();
}
