/* The reader of programs takes what people write, and refuses the rest with its line number and a sentence. */
#include <stdio.h>
#include <string.h>

#include "program.h"
#include "testing/test.h"

static struct lc_program program;
static char text[(LC_PROGRAM_OPS_MAX + 1) * LC_TEXT_LINE_MAX];

struct bad_line {
    const char *line;
    const char *sentence; /* a part of it */
};

static bool is_refused(const struct bad_line *bad, int number, const char *source)
{
    const char *why = NULL;
    int refused = lc_program_parse(&program, source, &why);
    if (refused == number && why != NULL && strstr(why, bad->sentence) != NULL)
        return true;
    printf("\"%s\" gave line %d: %s\n", bad->line, refused, why != NULL ? why : "no sentence");
    return false;
}

/* Each line is refused where it stands: alone, and as the fourth line behind a comment, an op and an empty line. */
static void check_refused(const struct bad_line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CHECK(is_refused(&lines[i], 1, lines[i].line));
        snprintf(text, sizeof text, "# found: nowhere\nstep\r\n\n%s\nstep\n", lines[i].line);
        CHECK(is_refused(&lines[i], 4, text));
    }
}

#define CHECK_REFUSED(lines) check_refused(lines, sizeof(lines) / sizeof *(lines))

/* Ops that do not exist, and words too many. */
static void bad_ops_are_refused(void)
{
    static const struct bad_line lines[] = {
        {"jump", "unknown op"},           {"Step", "unknown op"},          {"steps", "unknown op"},
        {"soon\001 c1", "unknown op"},    {"open", "unknown op"},          {"on", "unknown op"},
        {"soon c1 c2", "words too many"}, {"stop now", "words too many"},  {"step poll 5", "words too many"},
        {"nop t1", "words too many"},     {"raise 1 2", "words too many"}, {"step now", "\"step\" or \"step poll\""},
    };
    CHECK_REFUSED(lines);
}

/* Handles that are missing, out of range, or of the wrong kind. */
static void bad_handles_are_refused(void)
{
    static const struct bad_line lines[] = {
        {"soon", "handle is missing"},       {"soon c", "handle is missing"},
        {"soon c0", "handle is missing"},    {"soon c16", "handle is missing"},
        {"soon c01", "handle is missing"},   {"soon c1x", "handle is missing"},
        {"soon x1", "handle is missing"},    {"soon -", "handle is missing"},
        {"soon c-1", "handle is missing"},   {"soon c18446744073709551617", "handle is missing"},
        {"soon t1", "wrong kind"},           {"timer c1 5ms", "wrong kind"},
        {"cancel f1", "wrong kind"},         {"post t1", "wrong kind"},
        {"put w1 4", "wrong kind"},          {"pair f1", "second handle is missing"},
        {"pair f1 4", "second handle"},      {"pair f1 t1", "wrong kind"},
        {"pair f1 f1", "wrong kind"},        {"watch w1 in", "second handle is missing"},
        {"watch w1 f1", "direction"},        {"watch w1 f1 up", "direction"},
        {"watch w1 f1 out+in", "direction"}, {"watch w1 t1 in", "wrong kind"},
    };
    CHECK_REFUSED(lines);
}

/* Durations and counts that are missing, have no unit, or do not fit their field. */
static void bad_numbers_are_refused(void)
{
    static const struct bad_line lines[] = {
        {"timer t1", "duration is missing"},      {"timer t1 5", "duration is missing"},
        {"timer t1 ms", "duration is missing"},   {"timer t1 5s", "duration is missing"},
        {"timer t1 -5ms", "duration is missing"}, {"timer t1 5 ms", "duration is missing"},
        {"at t1 +5ms", "duration is missing"},    {"advance", "duration is missing"},
        {"advance 1e3ns", "duration is missing"}, {"put f1 four", "a count is a number"},
        {"put f1 -1", "a count is a number"},     {"run 4.", "a count is a number"},
        {"run 0x4", "a count is a number"},       {"post p1 1500ns", "delay of a post"},
        {"post p1 20", "delay of a post"},        {"post p1 later", "delay of a post"},
    };
    CHECK_REFUSED(lines);
}

/* The first number that does not fit its field is refused, whatever the unit. */
static void overflow_is_refused(void)
{
    static const struct bad_line lines[] = {
        {"advance 18446744073709551616ns", "duration is missing"},
        {"advance 18446744073709552us", "duration is missing"},
        {"advance 18446744073710ms", "duration is missing"},
        {"timer t1 99999999999999999999999ns", "duration is missing"},
        {"timer t1 99999999999999999999999ms", "duration is missing"},
        {"put f1 65536", "a count is a number"},
        {"run 18446744073709551617", "a count is a number"},
        {"post p1 65536us", "delay of a post"},
        {"post p1 66ms", "delay of a post"},
        {"post p1 18446744073709551616ns", "delay of a post"},
    };
    CHECK_REFUSED(lines);
}

/* Attachments without a colon, handle, event or op. */
static void bad_attachments_are_refused(void)
{
    static const struct bad_line lines[] = {
        {"on t1 cancel t2", "an attachment is written"},
        {"on t1.timer", "an attachment is written"},
        {"on : step", "names no handle"},
        {"on t: step", "names no handle"},
        {"on t16.timer: cancel t2", "names no handle"},
        {"on t1 .timer: cancel t2", "names no handle"},
        {"on t1.: cancel t2", "unknown event"},
        {"on t1.tick: cancel t2", "unknown event"},
        {"on t1.any: cancel t2", "unknown event"},
        {"on t1.error: cancel t2", "unknown event"},
        {"on t1.timer:", "no op after the attachment"},
        {"on t1.timer: on t2.timer: stop", "unknown op"},
        {"on t1.timer: cancel", "handle is missing"},
    };
    CHECK_REFUSED(lines);
}

struct good_line {
    const char *line;
    struct lc_op op;
};

/* The last number that fits its field is taken, and what may be left out is. */
static void good_lines_are_taken(void)
{
    static const struct good_line lines[] = {
        {"advance 18446744073709551615ns", {.op = LC_OP_ADVANCE, .arg = UINT64_MAX}},
        {"advance 18446744073709551us", {.op = LC_OP_ADVANCE, .arg = UINT64_C(18446744073709551000)}},
        {"advance 18446744073709ms", {.op = LC_OP_ADVANCE, .arg = UINT64_C(18446744073709000000)}},
        {"at t15 007ns", {.op = LC_OP_AT, .a = 0x2f, .arg = 7}},
        {"put f1 65535", {.op = LC_OP_PUT, .a = 0x51, .n = 65535}},
        {"put f1", {.op = LC_OP_PUT, .a = 0x51}},
        {"post p1 65535us", {.op = LC_OP_POST, .a = 0x41, .n = 65535}},
        {"post p1 2000ns", {.op = LC_OP_POST, .a = 0x41, .n = 2}},
        {"post p1", {.op = LC_OP_POST, .a = 0x41}},
        {"on t1: raise 3", {.op = LC_OP_RAISE, .on = 0x21, .n = 3}},
        {"on f1.ready:step", {.op = LC_OP_STEP, .on = 0x51, .event = LC_EVENT_READY, .flags = LC_WAIT}},
        {" \t watch\tw1   f2 in+out \t # tail", {.op = LC_OP_WATCH, .a = 0x31, .b = 0x52, .flags = LC_IN | LC_OUT}},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *why;
        CHECK(lc_program_parse(&program, lines[i].line, &why) == 0 && program.count == 1);
        CHECK(memcmp(&program.ops[0], &lines[i].op, sizeof lines[i].op) == 0);
    }
}

/* Comments, empty lines, spaces, carriage returns and a missing last newline change nothing. */
static void what_is_no_op_is_passed_over(void)
{
    static const char *const same[] = {
        "soon c1\nstep poll\n",
        "soon c1\r\nstep poll\r\n",
        "soon c1\nstep poll",
        "# found: nowhere\n#\n\n \t\n\r\nsoon c1 # tail: on t1\n   \r\n\tstep   poll#\r\n# end",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const char *why;
        CHECK(lc_program_parse(&program, same[i], &why) == 0 && program.count == 2);
        CHECK(lc_program_format(&program, text, sizeof text) == strlen(same[0]) && strcmp(text, same[0]) == 0);
    }
    static const char *const empty[] = {"", "\n", "\r\n", "# only a comment", "#", " \t ", "\n\n#\n"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        const char *why;
        CHECK(lc_program_parse(&program, empty[i], &why) == 0 && program.count == 0);
    }
}

/* What is read of a line is bounded; spaces and comments around it are not. */
static void long_lines_are_refused(void)
{
    const char *why;
    for (int spaces = 0; spaces < 3 * LC_TEXT_LINE_MAX; spaces++) {
        int read = (int)strlen("soon") + spaces + (int)strlen("c1");
        snprintf(text, sizeof text, "step\nsoon%*sc1\n", spaces, "");
        int refused = lc_program_parse(&program, text, &why);
        CHECK(refused == (spaces == 0 || read >= LC_TEXT_LINE_MAX ? 2 : 0));
        CHECK(refused == 0 || strstr(why, spaces == 0 ? "unknown op" : "too long") != NULL);
        snprintf(text, sizeof text, "%*ssoon c1%*s# %*s.\n", spaces, "", spaces, "", spaces, "");
        CHECK(lc_program_parse(&program, text, &why) == 0 && program.count == 1);
    }
}

/* 256 ops are a program; the line of one more is refused, comments do not count. */
static void one_op_too_many_is_refused(void)
{
    const char *why;
    size_t length = 0;
    for (int i = 0; i < LC_PROGRAM_OPS_MAX; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "# op %d\nnop\n", i);
    CHECK(lc_program_parse(&program, text, &why) == 0 && program.count == LC_PROGRAM_OPS_MAX);
    snprintf(text + length, sizeof text - length, "\n# one more\nstep\n");
    CHECK(lc_program_parse(&program, text, &why) == 2 * LC_PROGRAM_OPS_MAX + 3);
    CHECK(strstr(why, "more than 256 ops") != NULL);
}

/* Any text at all is read or refused; what was read before the refusal is a program. */
static void any_text_is_read_or_refused(void)
{
    static const char alphabet[] = "soonteprcwf12 .:#\n\r\tmu+-\x7f\xff";
    uint64_t seed = 5;
    for (int i = 0; i < 20000; i++) {
        char noise[64];
        const char *why = NULL;
        size_t length = lc_random(&seed) % sizeof noise;
        for (size_t j = 0; j < length; j++)
            noise[j] = alphabet[lc_random(&seed) % (sizeof alphabet - 1)];
        noise[length] = '\0';
        int refused = lc_program_parse(&program, noise, &why);
        CHECK(refused >= 0 && (refused == 0 || (why != NULL && strlen(why) > 0)));
        CHECK(program.count <= sizeof noise);
    }
}

static const struct test tests[] = {
    TEST(bad_ops_are_refused),          TEST(bad_handles_are_refused),     TEST(bad_numbers_are_refused),
    TEST(overflow_is_refused),          TEST(bad_attachments_are_refused), TEST(good_lines_are_taken),
    TEST(what_is_no_op_is_passed_over), TEST(long_lines_are_refused),      TEST(one_op_too_many_is_refused),
    TEST(any_text_is_read_or_refused),
};
TEST_MAIN(tests)
