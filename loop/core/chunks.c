#include "core/chunks.h"

#include <assert.h>
#include <string.h>

void rl_chunks_init(struct rl_chunks *chunks)
{
    *chunks = (struct rl_chunks){.first = NULL};
}

void rl_chunk_init(struct rl_chunk *chunk, size_t capacity)
{
    assert(capacity > 0);
    *chunk = (struct rl_chunk){.capacity = capacity};
}

static void fill(struct rl_chunks *chunks, const unsigned char *bytes, size_t size)
{
    struct rl_chunk *chunk = chunks->last;
    assert(size <= chunk->capacity - chunk->end);
    memcpy(chunk->bytes + chunk->end, bytes, size);
    chunk->end += size;
    chunks->size += size;
}

static void link_last(struct rl_chunks *chunks, struct rl_chunk *chunk)
{
    assert(chunk->next == NULL && chunk->end == 0);
    if (chunks->last == NULL)
        chunks->first = chunk;
    else
        chunks->last->next = chunk;
    chunks->last = chunk;
}

size_t rl_chunks_room(const struct rl_chunks *chunks)
{
    return chunks->last == NULL ? 0 : chunks->last->capacity - chunks->last->end;
}

void rl_chunks_append(struct rl_chunks *chunks, const void *bytes, size_t size, struct rl_chunk *chunk)
{
    assert(size > 0);
    size_t room = rl_chunks_room(chunks);
    size_t fitting = size < room ? size : room;
    assert((chunk == NULL) == (fitting == size));
    if (fitting > 0)
        fill(chunks, bytes, fitting);
    if (chunk == NULL)
        return;
    link_last(chunks, chunk);
    fill(chunks, (const unsigned char *)bytes + fitting, size - fitting);
}

const void *rl_chunks_front(const struct rl_chunks *chunks, size_t *size)
{
    const struct rl_chunk *chunk = chunks->first;
    *size = chunk == NULL ? 0 : chunk->end - chunk->begin;
    return chunk == NULL ? NULL : chunk->bytes + chunk->begin;
}

struct rl_chunk *rl_chunks_take(struct rl_chunks *chunks, size_t size)
{
    struct rl_chunk *chunk = chunks->first;
    if (size == 0)
        return NULL;
    assert(chunk != NULL && size <= chunk->end - chunk->begin);
    chunk->begin += size;
    chunks->size -= size;
    if (chunk->begin < chunk->end)
        return NULL;
    chunks->first = chunk->next;
    if (chunks->first == NULL)
        chunks->last = NULL;
    chunk->next = NULL;
    return chunk;
}

bool rl_chunks_is_empty(const struct rl_chunks *chunks)
{
    return chunks->size == 0;
}

int rl_chunks_check(const struct rl_chunks *chunks)
{
    const struct rl_chunk *last = NULL;
    size_t size = 0;
    for (const struct rl_chunk *chunk = chunks->first; chunk != NULL; chunk = chunk->next) {
        if (chunk->begin >= chunk->end || chunk->end > chunk->capacity)
            return -1;
        size += chunk->end - chunk->begin;
        last = chunk;
        if (size > chunks->size) /* so that the walk ends even if the list runs in a circle */
            return -3;
    }
    if (last != chunks->last)
        return -2;
    return size == chunks->size ? 0 : -3;
}
