/* Which of the waiters asks whether the tree is asleep. */
#include "shim_time.h"

enum { ABSENT_NS = 25 * 1000 * 1000 }; /* real; who has not asked for so long has died, or lacks a processor */

bool shim_may_probe(struct shim_page *page, int tid, int64_t real_ns)
{
    if (atomic_load(&page->prober) != tid && atomic_load(&page->probed_ns) + ABSENT_NS > real_ns)
        return false;
    atomic_store(&page->prober, tid);
    atomic_store(&page->probed_ns, real_ns);
    return true;
}

void shim_leave_probing(struct shim_page *page, int tid)
{
    if (atomic_compare_exchange_strong(&page->prober, &tid, 0))
        atomic_store(&page->probed_ns, 0);
}
