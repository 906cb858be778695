/* Every byte string is a program, equal programs are equal bytes and equal text, and bad text is refused by line. */
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "program.h"
#include "testing/test.h"

enum { BYTES_MAX = (LC_PROGRAM_OPS_MAX + 2) * LC_OP_BYTES, TEXT_BYTES = LC_PROGRAM_OPS_MAX * LC_TEXT_LINE_MAX };

static struct lc_program program, again;
static uint8_t bytes[BYTES_MAX], encoded[BYTES_MAX];
static char text[TEXT_BYTES], text_again[TEXT_BYTES];

static bool is_equal(const struct lc_program *a, const struct lc_program *b)
{
    return a->count == b->count && memcmp(a->ops, b->ops, a->count * sizeof *a->ops) == 0;
}

/* ---- bytes --------------------------------------------------------------------------------- */

/* Uniform bytes are hardly ever a known op, so every second op gets small ones. */
static void fill_bytes(uint64_t *seed)
{
    for (size_t i = 0; i < BYTES_MAX; i++)
        bytes[i] = (uint8_t)lc_random(seed);
    for (size_t i = 0; i + LC_OP_BYTES <= BYTES_MAX; i += 2 * LC_OP_BYTES) {
        bytes[i] %= LC_OP_PROGRAM_END + 2;
        bytes[i + 1] &= bytes[i] % 3 == 0 ? 0x51 : 0;
        bytes[i + 2] %= LC_EVENT_COUNT;
        bytes[i + 3] = (uint8_t)((bytes[i + 3] % 7) << 4 | bytes[i + 3] >> 4);
        bytes[i + 4] = (uint8_t)(0x50 | bytes[i + 4] >> 4);
    }
}

/* Any bytes of any length decode; what their canonical form encodes to decodes to the same again. */
static void every_byte_string_is_a_program(void)
{
    uint64_t seed = 1;
    size_t known = 0;
    for (size_t size = 0; size <= BYTES_MAX; size++) {
        size_t ops = size / LC_OP_BYTES;
        fill_bytes(&seed);
        lc_program_decode(&program, bytes, size);
        CHECK(program.count == (ops < LC_PROGRAM_OPS_MAX ? ops : LC_PROGRAM_OPS_MAX));
        lc_program_canonical(&program);
        CHECK(lc_program_encode(&program, encoded) == program.count * LC_OP_BYTES);
        lc_program_decode(&again, encoded, program.count * LC_OP_BYTES);
        CHECK(is_equal(&program, &again));
        lc_program_canonical(&again);
        CHECK(is_equal(&program, &again));
        known += program.count;
    }
    CHECK(known > BYTES_MAX); /* otherwise the above spoke of empty programs only */
}

/* Encoding keeps every field of every op, known or not. */
static void encode_is_the_inverse_of_decode(void)
{
    uint64_t seed = 2;
    const size_t size = LC_PROGRAM_OPS_MAX * LC_OP_BYTES;
    for (int i = 0; i < 100; i++) {
        fill_bytes(&seed);
        lc_program_decode(&program, bytes, size);
        CHECK(lc_program_encode(&program, encoded) == size && memcmp(bytes, encoded, size) == 0);
    }
}

/* Fields stand little-endian in the order of struct lc_op. */
static void layout_is_fixed(void)
{
    const uint8_t op[LC_OP_BYTES] = {1, 2, 3, 4, 5, 6, 0x34, 0x12, 0xef, 0xcd, 0xab, 0x90, 0x78, 0x56, 0x34, 0x12};
    lc_program_decode(&program, op, sizeof op);
    const struct lc_op *first = &program.ops[0];
    CHECK(program.count == 1 && first->op == 1 && first->on == 2 && first->event == 3 && first->a == 4);
    CHECK(first->b == 5 && first->flags == 6 && first->n == 0x1234 && first->arg == UINT64_C(0x1234567890abcdef));
}

/* Canonical drops exactly the ops that do nothing, and keeps the others in their order. */
static void canonical_keeps_the_known_ops(void)
{
    uint64_t seed = 3;
    for (int i = 0; i < 500; i++) {
        size_t kept = 0;
        fill_bytes(&seed);
        lc_program_decode(&program, bytes, BYTES_MAX);
        again = program;
        lc_program_canonical(&program);
        for (size_t j = 0; j < again.count; j++) {
            if (!lc_op_is_known(&again.ops[j]))
                continue;
            const struct lc_op *op = &program.ops[kept++];
            CHECK(lc_op_is_known(op) && op->op == again.ops[j].op && op->on == again.ops[j].on);
        }
        CHECK(kept == program.count);
    }
}

/* ---- text ---------------------------------------------------------------------------------- */

static void check_round_trip(const struct lc_op *op)
{
    const char *why = NULL;
    char line[LC_TEXT_LINE_MAX], line_again[LC_TEXT_LINE_MAX];
    int length = lc_op_format(op, line, sizeof line);
    CHECK(length > 0 && length < LC_TEXT_LINE_MAX - 1);
    CHECK(lc_program_parse(&program, line, &why) == 0 && program.count == 1);
    CHECK(memcmp(&program.ops[0], op, sizeof *op) == 0);
    CHECK(lc_op_format(&program.ops[0], line_again, sizeof line_again) == length && strcmp(line, line_again) == 0);
}

static bool is_canonical(const struct lc_op *op)
{
    again.count = 1;
    again.ops[0] = *op;
    lc_program_canonical(&again);
    return again.count == 1 && memcmp(&again.ops[0], op, sizeof *op) == 0;
}

static unsigned long check_numbers(struct lc_op op)
{
    static const uint64_t numbers[] = {
        0, 1, 4, 999, 1000, 65535, 999999, 1000000, 5000000, 1000001000, UINT64_MAX / 1000000 * 1000000, UINT64_MAX};
    unsigned long checked = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        op.arg = numbers[i];
        op.n = (uint16_t)numbers[i];
        if (!(lc_op_forms[op.op].fields & LC_FIELD_DURATION))
            op.arg = 0;
        if (!(lc_op_forms[op.op].fields & (LC_FIELD_COUNT | LC_FIELD_DELAY_US)))
            op.n = 0;
        if (!is_canonical(&op))
            continue;
        check_round_trip(&op);
        checked++;
    }
    return checked;
}

static unsigned long check_handles(struct lc_op op)
{
    const unsigned fields = lc_op_forms[op.op].fields;
    unsigned long checked = 0;
    for (unsigned a = 0; a < (fields & LC_FIELD_A ? 0x60u : 1u); a++)
        for (unsigned b = 0; b < (fields & LC_FIELD_B ? 0x60u : 1u); b++)
            for (uint8_t flags = 0; flags < 4; flags++) {
                op.a = (uint8_t)a;
                op.b = (uint8_t)b;
                op.flags = flags;
                if (is_canonical(&op))
                    checked += check_numbers(op);
            }
    return checked;
}

/* Each op with every handle, direction and kind of number is read back as it was written. */
static void every_field_form_survives_text(void)
{
    unsigned long checked = 0;
    for (uint8_t code = 0; code < LC_OP_PROGRAM_END; code++)
        checked += check_handles((struct lc_op){.op = code});
    CHECK(checked > 10000);
}

/* Each op attached to every handle and every event is read back as it was written. */
static void every_attachment_survives_text(void)
{
    unsigned long checked = 0, ops = 0;
    for (uint8_t code = 1; code < LC_OP_PROGRAM_END; code++) {
        ops += lc_op_forms[code].name != NULL;
        for (unsigned on = 0; on < 0x100; on++)
            for (uint8_t event = 0; event < LC_EVENT_COUNT; event++) {
                const struct lc_op_form *form = &lc_op_forms[code];
                struct lc_op op = {.op = code, .on = (uint8_t)on, .event = event};
                if (form->fields & LC_FIELD_A)
                    op.a = (uint8_t)((form->kind_a ? form->kind_a : LC_KIND_TIMER) << 4 | 15);
                op.b = form->fields & LC_FIELD_B ? (uint8_t)((form->kind_b ? form->kind_b : LC_KIND_FD) << 4 | 1) : 0;
                op.flags = form->fields & LC_FIELD_BITS    ? LC_IN
                           : form->fields & LC_FIELD_FAULT ? LC_FAULT_EINTR
                           : form->fields & LC_FIELD_EDGE  ? LC_EDGE_INF
                                                           : 0;
                if (form->name != NULL && is_canonical(&op)) {
                    check_round_trip(&op);
                    checked++;
                }
            }
    }
    CHECK(checked == ops * (1 + 5 * 15 * 6 + 15 * 14 + 2 * 15 * 7 + 15 * 12)); /* no "on", or a handle and an event */
}

/* An op that does nothing is written as "nop", which is read as an op that does nothing. */
static void unknown_ops_are_written_as_nop(void)
{
    static const struct lc_op unknown[] = {{.op = LC_OP_NOP},
                                           {.op = LC_OP_PROGRAM_END},
                                           {.op = LC_OP_OPEN},
                                           {.op = 255, .a = 0x21},
                                           {.op = LC_OP_SOON, .a = 0x21},
                                           {.op = LC_OP_CANCEL, .a = 0x51},
                                           {.op = LC_OP_PAIR, .a = 0x51, .b = 0x51},
                                           {.op = LC_OP_STEP, .on = 0x10},
                                           {.op = LC_OP_STEP, .on = 0x11, .event = LC_EVENT_ERROR},
                                           {.op = LC_OP_WATCH, .a = 0x31, .b = 0x51, .flags = LC_HUP}};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        const char *why;
        CHECK(!lc_op_is_known(&unknown[i]));
        CHECK(lc_op_format(&unknown[i], text, sizeof text) == 3 && strcmp(text, "nop") == 0);
        CHECK(lc_program_parse(&program, text, &why) == 0 && program.count == 1 && !lc_op_is_known(&program.ops[0]));
    }
}

static void check_program_round_trip(const struct lc_program *original)
{
    const char *why;
    size_t length = lc_program_format(original, text, sizeof text);
    CHECK(length < sizeof text && strlen(text) == length && lc_program_format(original, NULL, 0) == length);
    CHECK(lc_program_parse(&again, text, &why) == 0 && is_equal(original, &again));
    CHECK(lc_program_format(&again, text_again, sizeof text_again) == length && strcmp(text, text_again) == 0);
}

/* Programs that the generator makes, and the canonical form of any bytes, are the same after a way through text. */
static void whole_programs_survive_text(void)
{
    const struct lc_profile profile = {.capabilities = UINT32_MAX, .delay_ns_max = UINT64_C(1) << 40, .tick_ns = 1};
    static struct lc_program original;
    uint64_t seed = 4;
    for (uint64_t i = 0; i < 5000; i++) {
        lc_program_generate(&original, i, &profile);
        check_program_round_trip(&original);
    }
    for (int i = 0; i < 500; i++) {
        fill_bytes(&seed);
        lc_program_decode(&original, bytes, BYTES_MAX);
        lc_program_canonical(&original);
        check_program_round_trip(&original);
    }
}

/* Text that does not fit is cut, ends in NUL, and its full length is returned. */
static void format_keeps_to_the_buffer(void)
{
    const char *why;
    CHECK(lc_program_parse(&program, "soon c1\nwatch w1 f1 in\nstep\n", &why) == 0);
    const size_t length = lc_program_format(&program, text, sizeof text);
    for (size_t size = 1; size <= length; size++) {
        char *tight = malloc(size);
        CHECK(tight != NULL && lc_program_format(&program, tight, size) == length);
        CHECK(strlen(tight) < size && strncmp(tight, text, strlen(tight)) == 0);
        free(tight);
    }
    CHECK(lc_program_format(&(struct lc_program){.count = 0}, text, sizeof text) == 0 && text[0] == '\0');
}

static const struct test tests[] = {
    TEST(every_byte_string_is_a_program), TEST(encode_is_the_inverse_of_decode), TEST(layout_is_fixed),
    TEST(canonical_keeps_the_known_ops),  TEST(every_field_form_survives_text),  TEST(every_attachment_survives_text),
    TEST(unknown_ops_are_written_as_nop), TEST(whole_programs_survive_text),     TEST(format_keeps_to_the_buffer),
};
TEST_MAIN(tests)
