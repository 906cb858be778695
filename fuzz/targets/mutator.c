/* libFuzzer's mutations on whole ops: a changed byte in the middle of an op is mostly a wasted run. */
#include <string.h>

#include "fuzz_program.h"

enum { MUTATIONS_MAX = 4 }; /* changes made to one input at a time */

static size_t encode(const struct lc_program *program, uint8_t *data, size_t size_max)
{
    static struct lc_program fitting;
    fitting = *program;
    lc_program_canonical(&fitting);
    if (fitting.count > size_max / LC_OP_BYTES)
        fitting.count = size_max / LC_OP_BYTES;
    return lc_program_encode(&fitting, data);
}

/* Named by libFuzzer. Without a driver chosen yet, the profile would be missing: one run chooses it. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned int seed);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned int seed)
{
    static struct lc_program program;
    uint64_t state = seed;
    const struct lc_profile profile = fuzz_program_profile();

    lc_program_decode(&program, data, size);
    for (uint64_t changes = 1 + lc_random(&state) % MUTATIONS_MAX; changes > 0; changes--)
        lc_program_mutate(&program, &state, &profile);
    return encode(&program, data, size_max);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size,
                                 uint8_t *out, size_t size_max, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size,
                                 uint8_t *out, size_t size_max, unsigned int seed)
{
    static struct lc_program a, b, crossed;
    uint64_t state = seed;

    lc_program_decode(&a, first, first_size);
    lc_program_decode(&b, second, second_size);
    lc_program_cross(&crossed, &a, &b, &state);
    return encode(&crossed, out, size_max);
}
