#include "_time.h"

#define NS_PER_S 1000000000
/* The loop's time at asyncio's time 0. Deadlines before 0 are legal in asyncio. */
#define ZERO_NS (UINT64_C(1) << 62)
/* Times further than this from 0, about 146 years, are "long ago" and "never". */
#define TIME_S_MAX ((double)(UINT64_C(1) << 62) / NS_PER_S)

double rlpy_seconds(uint64_t monotonic_ns)
{
    /* In two parts, as below: a double holds ns exactly only for the first 104 days. */
    return (double)(monotonic_ns / NS_PER_S) + (double)(monotonic_ns % NS_PER_S) / NS_PER_S;
}

uint64_t rlpy_loop_ns(uint64_t monotonic_ns)
{
    return ZERO_NS + monotonic_ns;
}

uint64_t rlpy_deadline_ns(double when_s)
{
    if (when_s >= TIME_S_MAX)
        return UINT64_MAX;
    if (when_s <= -TIME_S_MAX)
        return 0;
    int64_t whole_s = (int64_t)when_s;
    if ((double)whole_s > when_s)
        whole_s--;
    double rest_s = when_s - (double)whole_s; /* exact */
    int64_t rest_ns = (int64_t)(rest_s * NS_PER_S);
    if ((double)rest_ns / NS_PER_S < rest_s)
        rest_ns++;
    return ZERO_NS + (uint64_t)(whole_s * NS_PER_S + rest_ns);
}
