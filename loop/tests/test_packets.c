/* Every short sequence of adding and taking datagrams, empty ones among them, does what a naive queue does. */
#include "core/packets.h"
#include "testing/test.h"

#include <stdlib.h>
#include <string.h>

enum { ADD_EMPTY, ADD, TAKE, OPS, LENGTH = 7, BYTES = 3 };

static struct rl_packets packets;
static struct {
    size_t size;
    unsigned char byte; /* each of its bytes */
} model[LENGTH];
static unsigned begin, end;

static void add(size_t size)
{
    struct rl_packet *packet = malloc(sizeof *packet + size);
    unsigned char bytes[BYTES];
    CHECK(packet != NULL);
    memset(bytes, (int)end, sizeof bytes);
    rl_packets_add(&packets, packet, size > 0 ? bytes : NULL, size);
    model[end].size = size;
    model[end].byte = (unsigned char)end;
    end++;
}

static void take(void)
{
    struct rl_packet *packet = rl_packets_first(&packets);
    CHECK((packet == NULL) == (begin == end));
    if (packet == NULL)
        return;
    CHECK(rl_packets_take(&packets) == packet && packet->size == model[begin].size);
    for (size_t i = 0; i < packet->size; i++)
        CHECK(packet->bytes[i] == model[begin].byte);
    begin++;
    free(packet);
}

static void datagrams_come_out_whole_and_in_order(void)
{
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
        rl_packets_init(&packets);
        begin = end = 0;
        for (unsigned i = 0; i < LENGTH; i++) {
            const unsigned op = test_op(code, OPS, i);
            size_t size = 0;
            if (op == TAKE)
                take();
            else
                add(op == ADD ? BYTES : 0);
            for (unsigned left = begin; left < end; left++)
                size += model[left].size + RL_PACKET_HEADER_BYTES;
            CHECK(packets.size == size && rl_packets_is_empty(&packets) == (begin == end));
            CHECK(rl_packets_check(&packets) == 0);
        }
        while (begin < end)
            take();
    }
}

static void damage_is_found(void)
{
    rl_packets_init(&packets);
    begin = end = 0;
    add(BYTES);
    packets.size++;
    CHECK(rl_packets_check(&packets) == -2);
    packets.size--;
    struct rl_node *next = packets.list.head.next;
    packets.list.head.prev = &packets.list.head;
    CHECK(rl_packets_check(&packets) == -1);
    packets.list.head.prev = next;
    take();
}

static const struct test tests[] = {TEST(datagrams_come_out_whole_and_in_order), TEST(damage_is_found)};

TEST_MAIN(tests)
