/* Property: a program survives the way through text, and any text gives a program or the number of one of its lines,
 * with a sentence.
 *
 * Targets: lc_program_decode, lc_program_encode, lc_program_canonical, lc_program_format, lc_program_parse,
 * lc_op_format, lc_op_is_known.
 */
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "program.h"

static struct lc_program before, after;
static char text[LC_PROGRAM_OPS_MAX * LC_TEXT_LINE_MAX];

static bool is_same(const struct lc_program *a, const struct lc_program *b)
{
    static uint8_t left[LC_PROGRAM_OPS_MAX * LC_OP_BYTES], right[LC_PROGRAM_OPS_MAX * LC_OP_BYTES];
    size_t size = lc_program_encode(a, left);
    return size == lc_program_encode(b, right) && memcmp(left, right, size) == 0;
}

/* The program is canonical. */
static void go_through_text(const struct lc_program *program)
{
    const char *why = NULL;
    size_t length = lc_program_format(program, text, sizeof text);
    input_check(length < sizeof text && strlen(text) == length, "a text is not as long as it says");
    input_check(lc_program_parse(&after, text, &why) == 0, "what was written cannot be read");
    lc_program_canonical(&after);
    input_check(is_same(program, &after), "another program is read than was written");
    for (size_t i = 0; i < program->count; i++)
        input_check(lc_op_is_known(&program->ops[i]), "a canonical program has an op that does nothing");
}

static void as_bytes(const uint8_t *data, size_t size)
{
    static struct lc_program again;
    lc_program_decode(&before, data, size);
    lc_program_canonical(&before);
    again = before;
    lc_program_canonical(&again);
    input_check(is_same(&before, &again), "a canonical program is not stable");
    go_through_text(&before);
}

static void as_text(const uint8_t *data, size_t size)
{
    const char *why = NULL;
    char *copy = malloc(size + 1);
    int lines = 1;
    input_check(copy != NULL, "no memory");
    memcpy(copy, data, size);
    copy[size] = '\0';
    for (const char *end = strchr(copy, '\n'); end != NULL; end = strchr(end + 1, '\n'))
        lines++;
    int line = lc_program_parse(&before, copy, &why);
    input_check(line >= 0 && line <= lines, "the number of a line that the text does not have");
    input_check(line == 0 || (why != NULL && strlen(why) > 0), "a line cannot be read, and nobody says why");
    free(copy);
    if (line != 0)
        return;
    lc_program_canonical(&before);
    go_through_text(&before);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_bytes(data, size);
    as_text(data, size);
    return 0;
}
