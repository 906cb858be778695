/* Property: datagrams, empty ones among them, come out whole, once and in the order in which they went in, and what
 * waits is counted with a header for each: as an array of sizes says.
 *
 * Targets: rl_packets_init, rl_packets_add, rl_packets_first, rl_packets_take, rl_packets_is_empty, rl_packets_check.
 */
#include <stdlib.h>
#include <string.h>

#include "core/packets.h"
#include "input.h"

enum { BYTES_MAX = 300, WAITING_MAX = 64 };

static struct rl_packets packets;
static struct {
    struct rl_packet *packet;
    size_t size;
} model[WAITING_MAX];
static unsigned came, went; /* datagrams; the model keeps the n-th at n % WAITING_MAX */

static unsigned char byte_at(unsigned datagram, size_t position)
{
    return (unsigned char)(datagram * 31 + position);
}

static void add(size_t size)
{
    unsigned char bytes[BYTES_MAX];
    struct rl_packet *packet = malloc(sizeof *packet + size);
    input_check(packet != NULL, "no memory");
    memset(packet, 0xff, sizeof *packet + size); /* memory that was used before */
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(came, i);
    rl_packets_add(&packets, packet, size > 0 ? bytes : NULL, size);
    memset(bytes, 0xff, size); /* the queue has a copy */
    model[came % WAITING_MAX].packet = packet;
    model[came++ % WAITING_MAX].size = size;
}

static void take(void)
{
    const unsigned at = went % WAITING_MAX;
    struct rl_packet *packet = rl_packets_take(&packets);
    input_check(packet == model[at].packet && !rl_list_is_linked(&packet->node), "another datagram comes out, or not");
    input_check(packet->size == model[at].size, "a datagram is longer or shorter than it was");
    for (size_t i = 0; i < packet->size; i++)
        input_check(packet->bytes[i] == byte_at(went, i), "another byte comes out than went in");
    free(packet);
    went++;
}

static void compare(void)
{
    const struct rl_packet *first = rl_packets_first(&packets);
    size_t size = 0;
    for (unsigned i = went; i < came; i++)
        size += model[i % WAITING_MAX].size + RL_PACKET_HEADER_BYTES;
    input_check(first == (came == went ? NULL : model[went % WAITING_MAX].packet), "another datagram is the first");
    input_check(packets.size == size && rl_packets_is_empty(&packets) == (came == went), "a wrong size");
    input_check(rl_packets_check(&packets) == 0, "an invariant is broken");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_begin(data, size, 3);
    came = went = 0;
    memset(&packets, 0xff, sizeof packets);
    rl_packets_init(&packets);
    for (compare(); input.left > 0; compare()) {
        const unsigned op = input_op(&input);
        if (op % 3 == 2 ? came > went : came - went == WAITING_MAX)
            take();
        else if (op % 3 < 2)
            add(op % 3 == 0 ? op / 3 % 4 : input_short(&input) % BYTES_MAX);
    }
    while (came > went)
        take();
    return 0;
}
