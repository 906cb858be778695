/* libuv: a datagram that is too large fails those that were queued behind it.
 *
 *   cc libuv_udp_batch.c -luv -o libuv_udp_batch && ./libuv_udp_batch
 *
 * Exit status 0: only the one that is too large fails; 1: one of the others does.
 */
#include <stdio.h>
#include <uv.h>

enum { TOO_LARGE = 65508, SMALL = 3 };

static char bytes[TOO_LARGE];
static int failed;

static void on_sent(uv_udp_send_t *send, int status)
{
    const size_t size = *(const size_t *)send->data;
    printf("%zu bytes: %s\n", size, status < 0 ? uv_strerror(status) : "sent");
    failed |= status < 0 && size != TOO_LARGE;
}

int main(void)
{
    static const size_t sizes[] = {SMALL, TOO_LARGE, SMALL};
    uv_udp_send_t sends[3];
    struct sockaddr_in address;
    uv_udp_t receiver, sender;
    int length = sizeof address;

    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_udp_init(uv_default_loop(), &receiver);
    uv_udp_bind(&receiver, (const struct sockaddr *)&address, 0);
    uv_udp_getsockname(&receiver, (struct sockaddr *)&address, &length);
    uv_udp_init(uv_default_loop(), &sender);
    for (int i = 0; i < 3; i++) { /* the first is sent at once, the others wait for the loop to turn */
        const uv_buf_t buffer = uv_buf_init(bytes, (unsigned)sizes[i]);
        sends[i].data = (void *)&sizes[i];
        uv_udp_send(&sends[i], &sender, &buffer, 1, (const struct sockaddr *)&address, on_sent);
    }
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    return failed;
}
