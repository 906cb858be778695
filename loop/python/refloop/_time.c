/* asyncio's clock is CLOCK_MONOTONIC in seconds, as a double; the loop's is in ns, unsigned. */
#include "_core.h"

/* The loop's time at asyncio's time 0. Deadlines before 0 are legal in asyncio, and keep their order. */
#define ZERO_NS (UINT64_C(1) << 62)
/* Times further than this from 0, about 146 years, are "long ago" and "never". */
#define TIME_S_MAX ((double)(UINT64_C(1) << 62) / 1e9)

uint64_t rlpy_now_biased_ns(uint64_t now_ns)
{
    return ZERO_NS + now_ns;
}

double rlpy_now_s(struct rlpy_loop *loop)
{
    return (double)loop->kernel.inner.now_ns(loop->kernel.inner.self) / 1e9;
}

uint64_t rlpy_deadline_ns(double when_s)
{
    if (when_s >= TIME_S_MAX)
        return UINT64_MAX;
    if (when_s <= -TIME_S_MAX)
        return 0;
    /* In two parts, since a double holds ns exactly only for the first 104 days. The time in doubles reaches when_s no
     * later than the time in ns reaches the next whole ns: a callback never sees a time before its deadline. */
    int64_t whole_s = (int64_t)when_s;
    if ((double)whole_s > when_s)
        whole_s--;
    double rest_ns = (when_s - (double)whole_s) * 1e9;
    int64_t whole_ns = (int64_t)rest_ns;
    if ((double)whole_ns < rest_ns)
        whole_ns++;
    return ZERO_NS + (uint64_t)(whole_s * 1000000000 + whole_ns);
}
