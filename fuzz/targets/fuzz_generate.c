/* Property: of any seed and profile a program comes that is the same again, that goes through text unchanged, mutated
 * and crossed as well; that shrinks to something no larger which still fails; and whose text, with some characters
 * changed, is read or refused by the line and a sentence.
 *
 * Targets: lc_program_generate, lc_program_mutate, lc_program_cross, lc_program_shrink, lc_program_canonical,
 * lc_program_format, lc_program_parse, lc_program_encode, lc_op_is_known, lc_random.
 */
#include <string.h>

#include "input.h"
#include "program.h"

enum { MUTATIONS = 4, DAMAGES = 3, TRIES_MAX = 300 };

static struct lc_program program, other, copy;
static char text[LC_PROGRAM_OPS_MAX * LC_TEXT_LINE_MAX];

static bool is_same(const struct lc_program *a, const struct lc_program *b)
{
    static uint8_t left[LC_PROGRAM_OPS_MAX * LC_OP_BYTES], right[LC_PROGRAM_OPS_MAX * LC_OP_BYTES];
    size_t size = lc_program_encode(a, left);
    return size == lc_program_encode(b, right) && memcmp(left, right, size) == 0;
}

static void check_text(const struct lc_program *of)
{
    const char *why = NULL;
    input_check(of->count <= LC_PROGRAM_OPS_MAX, "a program has more ops than it can have");
    copy = *of;
    lc_program_canonical(&copy);
    static struct lc_program read;
    input_check(lc_program_format(&copy, text, sizeof text) < sizeof text, "a text is too long");
    input_check(lc_program_parse(&read, text, &why) == 0, "what was written cannot be read");
    lc_program_canonical(&read);
    input_check(is_same(&copy, &read), "another program is read than was written");
}

/* What a typing error, or an editor, makes of a text. */
static void damage(uint64_t *seed)
{
    static const char wrong[] = "\n #:.0189fstwpcelqdkonusm+-x\t\x01\xff";
    const char *why = NULL;
    size_t size = strlen(text);
    for (int i = 0; size > 0 && i < DAMAGES; i++) {
        char *at = text + lc_random(seed) % size;
        if (lc_random(seed) % 4 == 0) { /* a character is missing */
            memmove(at, at + 1, strlen(at));
            size--;
        } else {
            *at = wrong[lc_random(seed) % (sizeof wrong - 1)];
        }
    }
    int line = lc_program_parse(&copy, text, &why);
    input_check(line >= 0, "a line before the first");
    input_check(line == 0 || (why != NULL && strlen(why) > 0), "a line cannot be read, and nobody says why");
}

static bool has_op(void *op, const struct lc_program *of)
{
    for (size_t i = 0; i < of->count; i++)
        if (of->ops[i].op == *(const uint8_t *)op)
            return true;
    return false;
}

static void shrink(uint64_t *seed)
{
    uint8_t op = program.count == 0 ? LC_OP_NOP : program.ops[lc_random(seed) % program.count].op;
    copy = program;
    size_t tries = lc_program_shrink(&copy, has_op, &op, TRIES_MAX);
    input_check(tries <= TRIES_MAX, "more tries than were allowed");
    input_check(copy.count <= program.count, "a shrunk program is larger");
    input_check(program.count == 0 || has_op(&op, &copy), "a shrunk program does not fail");
    input_check(tries == TRIES_MAX || copy.count <= 1, "one op would fail alone");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.bytes = data, .left = size};
    struct lc_profile profile = {.capabilities = input_short(&input) | input_short(&input) << 16,
                                 .delay_ns_max = UINT64_C(1) << input_byte(&input) % 64,
                                 .tick_ns = 1 + input_short(&input),
                                 .family = (enum lc_family)(input_byte(&input) % LC_FAMILY_COUNT)};
    uint64_t seed = (uint64_t)input_short(&input) << 16 | input_short(&input);
    lc_program_generate(&program, seed, &profile);
    lc_program_generate(&other, seed, &profile);
    input_check(is_same(&program, &other), "a seed gives two programs");
    check_text(&program);
    shrink(&seed);
    lc_program_generate(&other, seed, &profile);
    for (int i = 0; i < MUTATIONS; i++)
        lc_program_mutate(&program, &seed, &profile);
    check_text(&program);
    damage(&seed);
    lc_program_cross(&copy, &program, &other, &seed);
    other = copy;
    check_text(&other);
    return 0;
}
