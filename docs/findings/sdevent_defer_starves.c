/* sd-event: a defer source that is enabled again whenever it has run keeps all others of its priority from running.
 *
 *   cc sdevent_defer_starves.c -lsystemd -o sdevent_defer_starves && ./sdevent_defer_starves
 *
 * Exit status 0: both sources were dispatched; 1: the readable fd never was.
 */
#include <stdio.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <unistd.h>

static unsigned deferred, readable;

static int on_defer(sd_event_source *source, void *data)
{
    (void)data;
    deferred++;
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT); /* the next piece of work, in the next iteration */
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *data)
{
    (void)source, (void)fd, (void)events, (void)data;
    readable++;
    return 0;
}

int main(void)
{
    sd_event *event = NULL;
    int fds[2];

    if (pipe(fds) < 0 || write(fds[1], "x", 1) != 1 || sd_event_new(&event) < 0)
        return 2;
    if (sd_event_add_defer(event, NULL, on_defer, NULL) < 0 ||
        sd_event_add_io(event, NULL, fds[0], EPOLLIN, on_io, NULL) < 0)
        return 2;
    for (int i = 0; i < 100000; i++)
        sd_event_run(event, 0);
    printf("the defer source was dispatched %u times, the readable fd %u times\n", deferred, readable);
    sd_event_unref(event);
    return readable == 0;
}
