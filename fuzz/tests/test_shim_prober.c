/* Of all who wait under the shim one asks whether the tree is asleep, until it stops waiting or is not heard of for
 * long. */
#include <stdlib.h>

#include "kernels/shim_time.h"
#include "testing/test.h"

enum { MS = 1000 * 1000, WAITERS = 8 };

static struct shim_page *page;

static void begin(void)
{
    free(page);
    page = calloc(1, sizeof *page);
}

/* How many of the waiters may ask when all of them try, one behind the other. */
static int probers(int64_t real_ns)
{
    int count = 0;
    for (int tid = 1; tid <= WAITERS; tid++)
        count += shim_may_probe(page, tid, real_ns);
    return count;
}

/* However often and in whichever order they try, it is the same one that may. */
static void only_one_waiter_probes(void)
{
    begin();
    CHECK(shim_may_probe(page, 5, 1000 * MS));
    for (int64_t real_ns = 1001 * MS; real_ns < 1100 * MS; real_ns += MS)
        CHECK(probers(real_ns) == 1 && atomic_load(&page->prober) == 5);
}

/* Who stops waiting leaves it to the next; of another that stops nothing changes. */
static void next_one_follows(void)
{
    begin();
    CHECK(shim_may_probe(page, 5, 1000 * MS));
    shim_leave_probing(page, 4);
    CHECK(!shim_may_probe(page, 6, 1001 * MS));
    shim_leave_probing(page, 5);
    CHECK(shim_may_probe(page, 6, 1001 * MS) && probers(1002 * MS) == 1 && atomic_load(&page->prober) == 6);
}

/* One that died, or has no processor, is followed by another, though not at once; if it comes back it is not the one.
 */
static void absent_one_is_replaced(void)
{
    begin();
    CHECK(shim_may_probe(page, 5, 1000 * MS));
    CHECK(!shim_may_probe(page, 6, 1001 * MS));
    CHECK(shim_may_probe(page, 6, 2000 * MS));
    CHECK(!shim_may_probe(page, 5, 2001 * MS));
}

static const struct test tests[] = {
    TEST(only_one_waiter_probes),
    TEST(next_one_follows),
    TEST(absent_one_is_replaced),
};

int main(void)
{
    const int status = test_main(tests, sizeof tests / sizeof *tests);
    free(page);
    return status;
}
