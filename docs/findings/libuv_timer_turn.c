/* libuv: a timer of 0 that is started in a timer's callback runs in the same iteration, and before what is ready.
 *
 *   cc libuv_timer_turn.c -luv -o libuv_timer_turn && ./libuv_timer_turn
 *
 * Exit status 0: one callback an iteration, as uv_timer_start() is documented; 1: more than one.
 */
#include <stdio.h>
#include <uv.h>

static int calls;

static void on_timer(uv_timer_t *timer)
{
    if (++calls < 1000)
        uv_timer_start(timer, on_timer, 0, 0);
}

int main(void)
{
    uv_timer_t timer;
    uv_timer_init(uv_default_loop(), &timer);
    uv_timer_start(&timer, on_timer, 0, 0);
    uv_run(uv_default_loop(), UV_RUN_NOWAIT);
    printf("libuv %s: %d callbacks in one iteration\n", uv_version_string(), calls);
    return calls > 1;
}
