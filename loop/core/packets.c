#include "core/packets.h"

#include <assert.h>
#include <string.h>

void rl_packets_init(struct rl_packets *packets)
{
    rl_list_init(&packets->list);
    packets->size = 0;
}

void rl_packets_add(struct rl_packets *packets, struct rl_packet *packet, const void *bytes, size_t size)
{
    rl_list_node_init(&packet->node);
    packet->size = size;
    if (size > 0)
        memcpy(packet->bytes, bytes, size);
    rl_list_push_back(&packets->list, &packet->node);
    packets->size += size + RL_PACKET_HEADER_BYTES;
}

struct rl_packet *rl_packets_first(const struct rl_packets *packets)
{
    struct rl_node *node = rl_list_first(&packets->list);
    return node == NULL ? NULL : RL_CONTAINER_OF(node, struct rl_packet, node);
}

struct rl_packet *rl_packets_take(struct rl_packets *packets)
{
    struct rl_packet *packet = rl_packets_first(packets);
    assert(packet != NULL && packets->size >= packet->size + RL_PACKET_HEADER_BYTES);
    rl_list_remove(&packet->node);
    packets->size -= packet->size + RL_PACKET_HEADER_BYTES;
    return packet;
}

bool rl_packets_is_empty(const struct rl_packets *packets)
{
    return rl_list_is_empty(&packets->list);
}

int rl_packets_check(const struct rl_packets *packets)
{
    if (rl_list_check(&packets->list) != 0)
        return -1;
    size_t size = 0;
    const struct rl_node *head = &packets->list.head;
    for (const struct rl_node *node = head->next; node != head; node = node->next)
        size += RL_CONTAINER_OF(node, const struct rl_packet, node)->size + RL_PACKET_HEADER_BYTES;
    return size == packets->size ? 0 : -2;
}
