/* libevent: an event with the longest timeout there is fires at once.
 *
 *   cc libevent_long_timeout.c -levent_core -o libevent_long_timeout && ./libevent_long_timeout
 *
 * Exit status 0: it is still pending after a turn; 1: it has fired.
 */
#include <event2/event.h>
#include <limits.h>
#include <stdio.h>

static int fired;

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
    fired = 1;
}

int main(void)
{
    const struct timeval longest = {.tv_sec = LONG_MAX};
    struct event_base *base = event_base_new();
    struct event *event = event_new(base, -1, 0, on_timeout, NULL);
    if (event_add(event, &longest) != 0) {
        puts("refused");
        return 0;
    }
    event_base_loop(base, EVLOOP_NONBLOCK);
    printf("%s: %s\n", event_get_version(), fired ? "it fired at once" : "it waits");
    return fired;
}
