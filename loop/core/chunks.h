/* The bytes that wait to be written, first in, first out: a list of chunks of memory that the caller brings and takes
 * back. Its model is two numbers: how many bytes came in, how many went out. */
#ifndef RL_CHUNKS_H
#define RL_CHUNKS_H

#include <stdbool.h>
#include <stddef.h>

struct rl_chunk {
    struct rl_chunk *next; /* holds the bytes that follow; NULL for the last and for one in no queue */
    size_t capacity;       /* how many bytes there is memory for; more than 0 */
    size_t begin;          /* its first byte that still waits; below end in a queue */
    size_t end;            /* after its last byte; at most capacity */
    unsigned char bytes[];
};

struct rl_chunks {
    struct rl_chunk *first; /* NULL if and only if size is 0 */
    struct rl_chunk *last;  /* the last of the list that begins with first; NULL if and only if first is */
    size_t size;            /* bytes that wait: the sum over the chunks of end - begin */
};

void rl_chunks_init(struct rl_chunks *chunks);
/* The chunk has memory for capacity bytes, more than 0; it holds none. */
void rl_chunk_init(struct rl_chunk *chunk, size_t capacity);

/* How many bytes fit without a new chunk. */
size_t rl_chunks_room(const struct rl_chunks *chunks);
/* Copies size bytes, more than 0, to the end. What does not fit goes into chunk, which has room for it; NULL if and
 * only if everything fits. */
void rl_chunks_append(struct rl_chunks *chunks, const void *bytes, size_t size, struct rl_chunk *chunk);

/* The first bytes, as many as lie side by side: *size of them; NULL and 0 if nothing waits. */
const void *rl_chunks_front(const struct rl_chunks *chunks, size_t *size);
/* Takes away size bytes, at most those of rl_chunks_front. Returns the chunk that became empty, which is the caller's
 * again, or NULL. */
struct rl_chunk *rl_chunks_take(struct rl_chunks *chunks, size_t size);

bool rl_chunks_is_empty(const struct rl_chunks *chunks);

/* 0 when sound; -1: a chunk is empty or out of its bounds; -2: last is not the last; -3: size is not the sum. */
int rl_chunks_check(const struct rl_chunks *chunks);

#endif
