#include "program.h"

#include <string.h>

#include "names.h"

static uint64_t little_endian(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

void lc_program_decode(struct lc_program *program, const uint8_t *bytes, size_t size)
{
    program->count = size / LC_OP_BYTES;
    if (program->count > LC_PROGRAM_OPS_MAX)
        program->count = LC_PROGRAM_OPS_MAX;
    for (size_t i = 0; i < program->count; i++, bytes += LC_OP_BYTES)
        program->ops[i] = (struct lc_op){.op = bytes[0],
                                         .on = bytes[1],
                                         .event = bytes[2],
                                         .a = bytes[3],
                                         .b = bytes[4],
                                         .flags = bytes[5],
                                         .n = (uint16_t)little_endian(bytes + 6, 2),
                                         .arg = little_endian(bytes + 8, 8)};
}

size_t lc_program_encode(const struct lc_program *program, uint8_t *bytes)
{
    for (size_t i = 0; i < program->count; i++, bytes += LC_OP_BYTES) {
        const struct lc_op *op = &program->ops[i];
        const uint8_t head[6] = {op->op, op->on, op->event, op->a, op->b, op->flags};
        memcpy(bytes, head, sizeof head);
        for (unsigned j = 0; j < 2; j++)
            bytes[6 + j] = (uint8_t)(op->n >> 8 * j);
        for (unsigned j = 0; j < 8; j++)
            bytes[8 + j] = (uint8_t)(op->arg >> 8 * j);
    }
    return program->count * LC_OP_BYTES;
}

static bool names_a_handle(uint8_t handle)
{
    unsigned kind = handle >> 4;
    return kind != LC_KIND_NONE && kind != LC_KIND_END && kind < LC_KIND_COUNT && (handle & 15) != 0;
}

bool lc_event_is_of(unsigned event, unsigned kind)
{
    if (event == LC_EVENT_ANY || event == LC_EVENT_CLOSED)
        return kind != LC_KIND_CANARY;
    if (event == LC_EVENT_FACTORY)
        return kind == LC_KIND_SERVER;
    if (event == LC_EVENT_DONE)
        return kind == LC_KIND_STREAM || kind == LC_KIND_REQUEST;
    if (event == LC_EVENT_DATAGRAM || event == LC_EVENT_REFUSED)
        return kind == LC_KIND_DATAGRAM;
    if (event == LC_EVENT_MADE || (event >= LC_EVENT_LOST && event <= LC_EVENT_RESUME_WRITING))
        return kind == LC_KIND_STREAM || kind == LC_KIND_DATAGRAM;
    if (event == LC_EVENT_DATA || event == LC_EVENT_EOF || event == LC_EVENT_GET_BUFFER)
        return kind == LC_KIND_STREAM;
    return event <= LC_EVENT_POSTED && kind != LC_KIND_CANARY;
}

static bool is_a_of(uint8_t handle, const struct lc_op_form *form)
{
    const unsigned kind = handle >> 4;
    return form->kind_a == LC_KIND_NONE || kind == form->kind_a || (kind == form->kind_also && form->kind_also != 0);
}

bool lc_op_is_known(const struct lc_op *op)
{
    if (op->op == LC_OP_NOP || op->op >= LC_OP_PROGRAM_END)
        return false;
    const struct lc_op_form *form = &lc_op_forms[op->op];

    if (form->name == NULL)
        return false;
    if (op->on != 0 && (!names_a_handle(op->on) || !lc_event_is_of(op->event, op->on >> 4)))
        return false;
    if (form->fields & LC_FIELD_A) {
        if (!names_a_handle(op->a) || !is_a_of(op->a, form))
            return false;
        if (form->kind_a == LC_KIND_NONE && (op->a >> 4 == LC_KIND_FD || op->a >> 4 == LC_KIND_CANARY))
            return false;
    }
    if (form->fields & LC_FIELD_B)
        if (!names_a_handle(op->b) || op->b >> 4 != (form->kind_b ? form->kind_b : LC_KIND_FD) || op->b == op->a)
            return false;
    if (form->fields & LC_FIELD_FAULT && (op->flags == LC_FAULT_NONE || op->flags >= LC_FAULT_COUNT))
        return false;
    if (form->fields & LC_FIELD_EDGE && (op->flags == LC_EDGE_NONE || op->flags >= LC_EDGE_COUNT))
        return false;
    return !(form->fields & LC_FIELD_BITS) || (op->flags & (LC_IN | LC_OUT)) != 0;
}

static struct lc_op canonical(const struct lc_op *op)
{
    const unsigned fields = lc_op_forms[op->op].fields;
    struct lc_op plain = {.op = op->op, .on = op->on};

    if (op->on != 0)
        plain.event = op->event;
    if (fields & LC_FIELD_A)
        plain.a = op->a;
    if (fields & LC_FIELD_B)
        plain.b = op->b;
    if (fields & LC_FIELD_BITS)
        plain.flags = op->flags & (LC_IN | LC_OUT);
    if (fields & (LC_FIELD_FAULT | LC_FIELD_EDGE))
        plain.flags = op->flags;
    if (fields & LC_FIELD_POLL)
        plain.flags = op->flags & LC_WAIT;
    if (fields & LC_FIELD_BUFFERED)
        plain.flags = op->flags & LC_BUFFERED;
    if (fields & (LC_FIELD_COUNT | LC_FIELD_DELAY_US))
        plain.n = op->n;
    if (fields & LC_FIELD_DURATION)
        plain.arg = op->arg;
    return plain;
}

void lc_program_canonical(struct lc_program *program)
{
    size_t kept = 0;
    for (size_t i = 0; i < program->count; i++)
        if (lc_op_is_known(&program->ops[i]))
            program->ops[kept++] = canonical(&program->ops[i]);
    program->count = kept;
}
