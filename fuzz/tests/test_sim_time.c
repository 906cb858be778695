/* However far programs move the simulated clock, there is time left for what the loop waits for: a wait takes as long
 * as it was asked for, and ends. */
#include "kernels/sim_files.h"
#include "testing/test.h"

#define SECOND_NS UINT64_C(1000000000)
#define LAST_NS (LC_TIME_NS_MAX / 2) /* what an advance ends at */

static const uint64_t durations_ns[] = {0,           1,       SECOND_NS,      LAST_NS / 2 + 1,
                                        LAST_NS - 1, LAST_NS, LC_TIME_NS_MAX, UINT64_MAX};
enum { DURATIONS = sizeof durations_ns / sizeof *durations_ns };

static struct sim sim;
static struct rl_backend backend;
static struct lc_kernel kernel;
static unsigned deadlocks;

static void on_deadlock(void *arg)
{
    (void)arg;
    deadlocks++;
}

static void open_world(void)
{
    sim.on_deadlock = on_deadlock;
    sim_reset(&sim);
    backend = sim_backend(&sim);
    kernel = sim_kernel(&sim);
    deadlocks = 0;
}

static void wait_a_second(void)
{
    struct rl_event event;
    const uint64_t before_ns = backend.now_ns(&sim);
    CHECK(backend.wait(&sim, (int64_t)SECOND_NS, &event, 1) == 0 && deadlocks == 0);
    CHECK(backend.now_ns(&sim) == before_ns + SECOND_NS);
}

static void advances_leave_time(void)
{
    for (unsigned code = 0; code < DURATIONS * DURATIONS; code++) {
        const uint64_t first_ns = durations_ns[code % DURATIONS], second_ns = durations_ns[code / DURATIONS];
        open_world();
        const uint64_t start_ns = backend.now_ns(&sim), left_ns = LAST_NS - start_ns;
        const bool is_far = first_ns > left_ns || second_ns > left_ns - first_ns;
        kernel.advance(&sim, first_ns);
        kernel.advance(&sim, second_ns);
        CHECK(backend.now_ns(&sim) == (is_far ? LAST_NS : start_ns + first_ns + second_ns));
        wait_a_second();
        backend.close(&sim);
    }
}

/* Waits go on from where advances end, and an advance after them from there. */
static void time_never_goes_back(void)
{
    open_world();
    kernel.advance(&sim, UINT64_MAX);
    for (uint64_t seconds = 1; seconds < 100; seconds++) {
        wait_a_second();
        kernel.advance(&sim, SECOND_NS);
        CHECK(backend.now_ns(&sim) == LAST_NS + 2 * seconds * SECOND_NS);
    }
    backend.close(&sim);
}

static const struct test tests[] = {TEST(advances_leave_time), TEST(time_never_goes_back)};

TEST_MAIN(tests)
