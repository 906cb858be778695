/* Property: of the bytes that are appended in any portions and taken in any others, each comes out once and in order,
 * and who writes is told to pause and to go on by the marks alone: as two numbers say, how many came and how many went.
 *
 * Targets: rl_chunk_init, rl_chunks_append, rl_chunks_front, rl_chunks_take, rl_chunks_room, rl_chunks_is_empty,
 * rl_chunks_check, rl_flow_set_limits, rl_flow_must_pause, rl_flow_must_resume, rl_flow_check.
 */
#include <stdlib.h>

#include "core/chunks.h"
#include "core/flow.h"
#include "input.h"

enum { BYTES_MAX = 512 }; /* of one append */

static struct rl_chunks chunks;
static struct rl_flow flow;
static size_t came, went, high, low; /* the model */
static bool is_paused;

static unsigned char byte_at(size_t position)
{
    return (unsigned char)(position * 31 + position / 256);
}

static void bytes_came_in(size_t waiting)
{
    input_check(rl_flow_must_pause(&flow, waiting) == (!is_paused && waiting > high), "pause, against the marks");
    is_paused |= waiting > high;
}

static void bytes_went_out(size_t waiting)
{
    input_check(rl_flow_must_resume(&flow, waiting) == (is_paused && waiting <= low), "resume, against the marks");
    is_paused &= waiting > low;
}

static void append(size_t size, size_t spare)
{
    unsigned char bytes[BYTES_MAX];
    struct rl_chunk *chunk = NULL;
    size_t room = rl_chunks_room(&chunks);
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(came + i);
    if (size > room) {
        chunk = malloc(sizeof *chunk + size - room + spare);
        input_check(chunk != NULL, "no memory");
        rl_chunk_init(chunk, size - room + spare);
    }
    rl_chunks_append(&chunks, bytes, size, chunk);
    came += size;
    input_check(rl_chunks_room(&chunks) == (chunk == NULL ? room - size : spare), "not the room that there must be");
    bytes_came_in(came - went);
}

static void take(size_t wanted)
{
    size_t size;
    const unsigned char *bytes = rl_chunks_front(&chunks, &size);
    input_check((bytes == NULL) == (came == went) && (size == 0) == (came == went), "bytes wait, or they do not");
    for (size_t i = 0; i < size; i++)
        input_check(bytes[i] == byte_at(went + i), "another byte comes out than went in");
    size_t taken = wanted < size ? wanted : size;
    struct rl_chunk *emptied = rl_chunks_take(&chunks, taken);
    input_check((emptied != NULL) == (taken == size && size > 0), "a chunk is given back before it is empty, or not");
    input_check(emptied == NULL || emptied->next == NULL, "a chunk that was given back leads into the queue");
    free(emptied);
    went += taken;
    bytes_went_out(came - went);
}

static void limit(size_t new_high, size_t new_low)
{
    high = new_high;
    low = new_low < new_high ? new_low : new_high;
    rl_flow_set_limits(&flow, high, low);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_begin(data, size, 4);
    came = went = is_paused = 0;
    rl_chunks_init(&chunks);
    rl_flow_init(&flow, high = 64, low = 16);
    while (input.left > 0) {
        unsigned op = input_op(&input), number = input_short(&input);
        if (op % 4 < 2)
            append(1 + number % BYTES_MAX, op / 4);
        else if (op % 4 == 2)
            take(op & 4 ? number % BYTES_MAX : BYTES_MAX * 2);
        else if (op & 4)
            limit(number & 255, number >> 8);
        else /* as if there were memory for so much */
            bytes_came_in((size_t)1 << number % 64), bytes_went_out((size_t)1 << op / 8);
        input_check(chunks.size == came - went && rl_chunks_is_empty(&chunks) == (came == went), "a wrong size");
        input_check(rl_chunks_check(&chunks) == 0 && rl_flow_check(&flow) == 0, "an invariant is broken");
        input_check(flow.is_paused == is_paused, "the marks are not as they were told");
    }
    while (came > went)
        take(BYTES_MAX * 2);
    return 0;
}
