/* The datagrams that wait to be sent, first in, first out, in memory that the caller brings and takes back. A datagram
 * may be empty, so what waits is counted with a header for each. */
#ifndef RL_PACKETS_H
#define RL_PACKETS_H

#include "core/list.h"

enum { RL_PACKET_HEADER_BYTES = 8 }; /* as UDP has */

struct rl_packet {
    struct rl_node node; /* in the queue, or in none */
    size_t size;         /* of bytes; stays while it is in a queue */
    unsigned char bytes[];
};

struct rl_packets {
    struct rl_list list; /* in the order in which they were added */
    size_t size;         /* the sum over the list of size + RL_PACKET_HEADER_BYTES */
};

void rl_packets_init(struct rl_packets *packets);
/* Copies the bytes into memory that has room for them, and makes that the last. */
void rl_packets_add(struct rl_packets *packets, struct rl_packet *packet, const void *bytes, size_t size);
/* The first, or NULL. */
struct rl_packet *rl_packets_first(const struct rl_packets *packets);
/* Takes the first one out, which is the caller's again. There is one. */
struct rl_packet *rl_packets_take(struct rl_packets *packets);
bool rl_packets_is_empty(const struct rl_packets *packets);

/* 0 when sound; -1: a damaged list; -2: size is not the sum. */
int rl_packets_check(const struct rl_packets *packets);

#endif
