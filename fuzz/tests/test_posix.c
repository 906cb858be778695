/* What the runner needs of the real system (contract/kernel_posix.c) beyond what test_sim.c compares with the simulated
 * one. Real file descriptors. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contract/kernel.h"
#include "testing/test.h"

static int delay_of(int fd)
{
    int is_off = 0;
    socklen_t size = sizeof is_off;
    return getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &is_off, &size) == 0 && is_off ? 0 : 1;
}

/* An end that a loop made may wait for an acknowledgement before it sends, until it is told not to; the kernel's own
 * ends never do. */
static void ends_send_at_once(void)
{
    const struct lc_kernel *kernel = lc_kernel_posix();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint16_t port, peer_port;
    int listener = kernel->listen(kernel->self, &port);
    CHECK(listener >= 0);
    address.sin_port = htons(port);
    int of_loop = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(of_loop, (const struct sockaddr *)&address, sizeof address) == 0);
    int of_kernel = kernel->accept(kernel->self, listener, &peer_port);
    CHECK(of_kernel >= 0);
    CHECK(delay_of(of_loop) && !delay_of(of_kernel));
    kernel->send_at_once(kernel->self, of_loop);
    CHECK(!delay_of(of_loop));
    close(of_loop);
    kernel->close(kernel->self, of_kernel, false);
    kernel->close(kernel->self, listener, false);
}

int main(void)
{
    static const struct test tests[] = {TEST(ends_send_at_once)};
    return test_main(tests, sizeof tests / sizeof *tests);
}
