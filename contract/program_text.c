/* Programs as text: one op a line, both ways. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "program.h"

/* ---- writing ------------------------------------------------------------------------------- */

void lc_handle_format(uint8_t handle, char text[8])
{
    unsigned kind = handle >> 4;
    if (handle == 0 || kind >= LC_KIND_COUNT)
        strcpy(text, "-");
    else
        snprintf(text, 8, "%c%u", lc_kind_letters[kind], handle & 15u);
}

static void duration_format(uint64_t ns, char *text, size_t size)
{
    if (ns != 0 && ns % 1000000 == 0)
        snprintf(text, size, " %" PRIu64 "ms", ns / 1000000);
    else if (ns != 0 && ns % 1000 == 0)
        snprintf(text, size, " %" PRIu64 "us", ns / 1000);
    else
        snprintf(text, size, " %" PRIu64 "ns", ns);
}

int lc_op_format(const struct lc_op *op, char *text, size_t size)
{
    if (!lc_op_is_known(op))
        return snprintf(text, size, "nop");

    const struct lc_op_form *form = &lc_op_forms[op->op];
    char on[32] = "", a[9] = "", b[9] = "", number[32] = "", name[16] = "";
    const char *bits = "";

    if (op->on != 0) {
        char handle[8];
        lc_handle_format(op->on, handle);
        snprintf(on, sizeof on, "on %s%s%s: ", handle, op->event ? "." : "",
                 op->event ? lc_event_names[op->event] : "");
    }
    if (form->fields & LC_FIELD_A)
        a[0] = ' ', lc_handle_format(op->a, a + 1);
    if (form->fields & LC_FIELD_B)
        b[0] = ' ', lc_handle_format(op->b, b + 1);
    if (form->fields & LC_FIELD_BITS)
        bits = (op->flags & LC_IN) && (op->flags & LC_OUT) ? " in+out" : op->flags & LC_IN ? " in" : " out";
    if (form->fields & LC_FIELD_POLL)
        bits = op->flags & LC_WAIT ? "" : " poll";
    if (form->fields & LC_FIELD_BUFFERED)
        bits = op->flags & LC_BUFFERED ? " buffered" : "";
    if (form->fields & (LC_FIELD_FAULT | LC_FIELD_EDGE))
        snprintf(name, sizeof name, " %s",
                 form->fields & LC_FIELD_FAULT ? lc_fault_names[op->flags] : lc_edge_names[op->flags]);
    if (form->fields & LC_FIELD_DURATION)
        duration_format(op->arg, number, sizeof number);
    if (form->fields & LC_FIELD_DELAY_US && op->n != 0)
        duration_format(op->n * UINT64_C(1000), number, sizeof number);
    if (form->fields & LC_FIELD_COUNT && op->n != 0)
        snprintf(number, sizeof number, " %u", op->n);
    return snprintf(text, size, "%s%s%s%s%s%s%s", on, form->name, a, b, bits, name, number);
}

size_t lc_program_format(const struct lc_program *program, char *text, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; i < program->count; i++) {
        char line[LC_TEXT_LINE_MAX];
        lc_op_format(&program->ops[i], line, sizeof line);
        int wrote = snprintf(length < size ? text + length : NULL, length < size ? size - length : 0, "%s\n", line);
        length += (size_t)wrote;
    }
    if (program->count == 0 && size > 0)
        text[0] = '\0';
    return length;
}

/* ---- reading ------------------------------------------------------------------------------- */

static bool read_handle(const char *word, uint8_t *handle)
{
    char *end;
    if (word == NULL || word[0] == '\0')
        return false;
    for (unsigned kind = 1; kind < LC_KIND_COUNT; kind++)
        if (word[0] == lc_kind_letters[kind]) {
            unsigned long index = strtoul(word + 1, &end, 10);
            *handle = (uint8_t)(kind << 4 | (index & 15));
            return word[1] >= '1' && word[1] <= '9' && *end == '\0' && index <= 15;
        }
    return false;
}

static bool read_number(const char *word, uint64_t max, uint64_t *value, const char **unit)
{
    char *end;
    if (word == NULL || word[0] < '0' || word[0] > '9')
        return false;
    errno = 0; /* strtoull tells an overflow by errno alone */
    *value = strtoull(word, &end, 10);
    *unit = end;
    return errno == 0 && *value <= max;
}

static bool read_duration(const char *word, uint64_t *ns)
{
    const char *unit;
    uint64_t factor;
    if (!read_number(word, UINT64_MAX, ns, &unit))
        return false;
    if (strcmp(unit, "ms") == 0)
        factor = 1000000;
    else if (strcmp(unit, "us") == 0)
        factor = 1000;
    else if (strcmp(unit, "ns") == 0)
        factor = 1;
    else
        return false;
    if (*ns > UINT64_MAX / factor)
        return false;
    *ns *= factor;
    return true;
}

static bool read_bits(const char *word, uint8_t *bits)
{
    if (word == NULL)
        return false;
    *bits = strcmp(word, "in") == 0 ? LC_IN : strcmp(word, "out") == 0 ? LC_OUT : LC_IN | LC_OUT;
    return *bits != (LC_IN | LC_OUT) || strcmp(word, "in+out") == 0;
}

/* One of the names but the first, which is that of none. */
static bool read_name(const char *word, const char *const *names, uint8_t count, uint8_t *number)
{
    for (*number = 1; word != NULL && *number < count; ++*number)
        if (strcmp(word, names[*number]) == 0)
            return true;
    return false;
}

static bool is_of_callbacks(uint8_t event)
{
    return lc_event_is_of(event, LC_KIND_SOON) || lc_event_is_of(event, LC_KIND_STREAM) ||
           lc_event_is_of(event, LC_KIND_SERVER) || lc_event_is_of(event, LC_KIND_DATAGRAM);
}

/* The event of this name, or LC_EVENT_ANY. */
static uint8_t find_event(const char *name)
{
    for (uint8_t event = LC_EVENT_ANY + 1; event < LC_EVENT_COUNT; event++)
        if (is_of_callbacks(event) && strcmp(name, lc_event_names[event]) == 0)
            return event;
    return LC_EVENT_ANY;
}

/* Reads "on h.event:" when the line begins with it. Returns a sentence on failure. */
static const char *read_attachment(char **rest, struct lc_op *op)
{
    char *colon, *dot;
    if (strncmp(*rest, "on ", 3) != 0)
        return NULL;
    if ((colon = strchr(*rest, ':')) == NULL)
        return "an attachment is written \"on t1.timer: cancel t2\"";
    *colon = '\0';
    if ((dot = strchr(*rest, '.')) != NULL) {
        *dot = '\0';
        op->event = find_event(dot + 1);
        if (op->event == LC_EVENT_ANY)
            return "unknown event: soon, timer, ready, posted, closed; made, data, eof, lost, pause_writing, "
                   "resume_writing, get_buffer, done; factory; datagram, refused";
    }
    if (!read_handle(*rest + 3, &op->on))
        return "\"on\" names no handle";
    if (!lc_event_is_of(op->event, op->on >> 4))
        return "this handle has no such event";
    *rest = colon + 1;
    return NULL;
}

static const char *read_fields(struct lc_op *op, const struct lc_op_form *form, char **words)
{
    char *word = strtok_r(NULL, " \t", words);
    const char *unit;
    uint64_t number = 0;

    if (form->fields & LC_FIELD_A) {
        if (!read_handle(word, &op->a))
            return "a handle is missing, like c1, t1, w1, p1, f1, s1, d1 or l1 (1 to 15)";
        word = strtok_r(NULL, " \t", words);
    }
    if (form->fields & LC_FIELD_B) {
        if (!read_handle(word, &op->b))
            return "the second handle is missing, like f2";
        word = strtok_r(NULL, " \t", words);
    }
    if (form->fields & LC_FIELD_BITS) {
        if (!read_bits(word, &op->flags))
            return "the direction is missing: in, out or in+out";
        word = strtok_r(NULL, " \t", words);
    }
    if (form->fields & (LC_FIELD_POLL | LC_FIELD_BUFFERED)) {
        const bool is_step = form->fields & LC_FIELD_POLL, is_flagged = word != NULL;
        op->flags = is_step ? (is_flagged ? 0 : LC_WAIT) : is_flagged ? LC_BUFFERED : 0;
        if (is_flagged && strcmp(word, is_step ? "poll" : "buffered") != 0)
            return is_step ? "a step is written \"step\" or \"step poll\""
                           : "a stream is written \"stream s1 f1\" or \"stream s1 f1 buffered\"";
        word = is_flagged ? strtok_r(NULL, " \t", words) : NULL;
    }
    if (form->fields & LC_FIELD_FAULT) {
        if (!read_name(word, lc_fault_names, LC_FAULT_COUNT, &op->flags))
            return "the fault is missing: short_read, short_write, eintr or eagain";
        word = strtok_r(NULL, " \t", words);
    }
    if (form->fields & LC_FIELD_EDGE) {
        if (!read_name(word, lc_edge_names, LC_EDGE_COUNT, &op->flags))
            return "the edge is missing: nan, inf, -inf, huge, -1s, -0 or tiny";
        word = strtok_r(NULL, " \t", words);
    }
    if (form->fields & LC_FIELD_DURATION) {
        if (!read_duration(word, &op->arg))
            return "the duration is missing, like 5ms, 20us or 0ns";
        word = strtok_r(NULL, " \t", words);
    }
    if (form->fields & LC_FIELD_DELAY_US && word != NULL) {
        if (!read_duration(word, &number) || number % 1000 != 0 || number > UINT16_MAX * UINT64_C(1000))
            return "the delay of a post is 0 to 65535us";
        op->n = (uint16_t)(number / 1000);
        word = strtok_r(NULL, " \t", words);
    }
    if (form->fields & LC_FIELD_COUNT && word != NULL) {
        if (!read_number(word, UINT16_MAX, &number, &unit) || *unit != '\0')
            return "a count is a number from 0 to 65535";
        op->n = (uint16_t)number;
        word = strtok_r(NULL, " \t", words);
    }
    return word == NULL ? NULL : "there are words too many on this line";
}

static const char *read_op(char *line, struct lc_op *op)
{
    char *words = NULL;
    const char *why = read_attachment(&line, op);
    if (why != NULL)
        return why;

    const char *name = strtok_r(line, " \t", &words);
    if (name == NULL)
        return "there is no op after the attachment";
    for (op->op = LC_OP_NOP; op->op < LC_OP_PROGRAM_END; op->op++)
        if (lc_op_forms[op->op].name != NULL && strcmp(name, lc_op_forms[op->op].name) == 0)
            break;
    if (op->op == LC_OP_PROGRAM_END)
        return "unknown op";
    why = read_fields(op, &lc_op_forms[op->op], &words);
    if (why == NULL && op->op != LC_OP_NOP && !lc_op_is_known(op))
        return "a handle is of the wrong kind for this op";
    return why;
}

int lc_program_parse(struct lc_program *program, const char *text, const char **why)
{
    program->count = 0;
    for (int number = 1; *text != '\0'; number++) {
        char line[LC_TEXT_LINE_MAX];
        size_t length = strcspn(text, "\n"), code = strcspn(text, "#\n");
        const char *start = text;
        text += length + (text[length] == '\n');

        while (code > 0 && (start[code - 1] == ' ' || start[code - 1] == '\t' || start[code - 1] == '\r'))
            code--;
        while (code > 0 && (*start == ' ' || *start == '\t'))
            start++, code--;
        if (code == 0)
            continue;
        *why = "the line is too long";
        if (code >= sizeof line)
            return number;
        *why = "the program has more than 256 ops";
        if (program->count == LC_PROGRAM_OPS_MAX)
            return number;
        memcpy(line, start, code);
        line[code] = '\0';
        struct lc_op op = {0};
        if ((*why = read_op(line, &op)) != NULL)
            return number;
        program->ops[program->count++] = op;
    }
    return 0;
}
