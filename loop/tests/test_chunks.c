/* The queue of bytes does what two numbers say: byte i that goes out is byte i that came in, and size is in less out.
 */
#include "core/chunks.h"
#include "testing/test.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

enum { CAPACITY_MIN = 3, SLOTS = 8, SLOT_BYTES = 64, APPENDS = 3, OPS = 2 * APPENDS, LENGTH = 7 };

static const size_t appends[APPENDS] = {1, 2, 5};      /* bytes; 5 never fits into what a small chunk has left */
static const size_t takes[APPENDS] = {1, 2, SIZE_MAX}; /* bytes, at most the front */
static alignas(max_align_t) unsigned char memory[SLOTS][SLOT_BYTES];
static bool is_used[SLOTS];
static struct rl_chunks chunks;
static size_t in, out;

static void reset(void)
{
    rl_chunks_init(&chunks);
    memset(is_used, 0, sizeof is_used);
    in = out = 0;
}

static struct rl_chunk *borrow(size_t size)
{
    size_t slot = 0;
    while (is_used[slot])
        CHECK(++slot < SLOTS);
    is_used[slot] = true;
    struct rl_chunk *chunk = (struct rl_chunk *)(void *)memory[slot];
    rl_chunk_init(chunk, size < CAPACITY_MIN ? CAPACITY_MIN : size);
    return chunk;
}

static void give_back(const struct rl_chunk *chunk)
{
    size_t slot = (size_t)((const unsigned char *)chunk - memory[0]) / SLOT_BYTES;
    CHECK(slot < SLOTS && is_used[slot] && chunk->next == NULL);
    is_used[slot] = false;
}

static unsigned char byte_at(size_t place)
{
    return (unsigned char)(place * 7 + 1);
}

static void append(size_t size)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(in + i);
    size_t room = rl_chunks_room(&chunks);
    rl_chunks_append(&chunks, bytes, size, size > room ? borrow(size - room) : NULL);
    in += size;
}

static void take(size_t size)
{
    size_t front_size;
    const unsigned char *front = rl_chunks_front(&chunks, &front_size);
    CHECK((front != NULL) == (in > out) && (front_size > 0) == (in > out));
    size = size < front_size ? size : front_size;
    for (size_t i = 0; i < size; i++)
        CHECK(front[i] == byte_at(out + i));
    const struct rl_chunk *empty = rl_chunks_take(&chunks, size);
    CHECK((empty != NULL) == (size > 0 && size == front_size));
    if (empty != NULL)
        give_back(empty);
    out += size;
}

static void check_same(void)
{
    CHECK(rl_chunks_check(&chunks) == 0);
    CHECK(chunks.size == in - out);
    CHECK(rl_chunks_is_empty(&chunks) == (in == out));
    CHECK(in > out || rl_chunks_room(&chunks) == 0);
}

/* Every sequence of seven appends and takes, then all that is left, comes out as it came in, and every chunk is back.
 */
static void queue_does_what_two_numbers_do(void)
{
    for (unsigned long code = 0; code < test_sequences(OPS, LENGTH); code++) {
        reset();
        for (unsigned i = 0; i < LENGTH; i++) {
            unsigned op = test_op(code, OPS, i);
            if (op < APPENDS)
                append(appends[op]);
            else
                take(takes[op - APPENDS]);
            check_same();
        }
        while (in > out)
            take(SIZE_MAX);
        check_same();
        for (size_t slot = 0; slot < SLOTS; slot++)
            CHECK(!is_used[slot]);
    }
}

/* What fits into the last chunk asks for no memory. */
static void small_writes_share_a_chunk(void)
{
    reset();
    append(1);
    CHECK(rl_chunks_room(&chunks) == CAPACITY_MIN - 1);
    append(2);
    CHECK(chunks.first == chunks.last && rl_chunks_room(&chunks) == 0);
    append(1);
    CHECK(chunks.first != chunks.last);
}

/* The validator notices an empty chunk, bounds that are passed, a wrong last and a wrong size. */
static void check_sees_damage(void)
{
    reset();
    append(5);
    append(1);
    struct rl_chunk *first = chunks.first;
    first->begin = first->end;
    CHECK(rl_chunks_check(&chunks) == -1);
    first->begin = 0;
    first->end = first->capacity + 1;
    CHECK(rl_chunks_check(&chunks) == -1);
    first->end = first->capacity;
    chunks.last = first;
    CHECK(rl_chunks_check(&chunks) == -2);
    chunks.last = first->next;
    chunks.size++;
    CHECK(rl_chunks_check(&chunks) == -3);
    chunks.size -= 2;
    CHECK(rl_chunks_check(&chunks) == -3);
    chunks.last->next = first;
    CHECK(rl_chunks_check(&chunks) == -3);
}

static const struct test tests[] = {TEST(queue_does_what_two_numbers_do), TEST(small_writes_share_a_chunk),
                                    TEST(check_sees_damage)};

TEST_MAIN(tests)
