#include "input.h"

#include <stdio.h>
#include <stdlib.h>

unsigned input_byte(struct input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->bytes++;
}

unsigned input_short(struct input *input)
{
    unsigned low = input_byte(input);
    return low | input_byte(input) << 8;
}

struct input input_begin(const uint8_t *data, size_t size, unsigned kinds)
{
    struct input input = {.bytes = data, .left = size, .kinds = kinds};
    input_check(kinds <= INPUT_KINDS_MAX, "a target uses more than it said");
    for (unsigned i = 0; i < kinds; i++) {
        unsigned drawn = input_byte(&input) % 8;
        input.weight += input.weights[i] = drawn < 2 ? 0 : drawn;
    }
    return input;
}

unsigned input_op(struct input *input)
{
    unsigned drawn = input_byte(input), number = input_byte(input) % 32, kind = 0;
    if (input->weight == 0)
        return drawn % input->kinds + input->kinds * number;
    drawn %= input->weight;
    for (; drawn >= input->weights[kind]; kind++)
        drawn -= input->weights[kind];
    return kind + input->kinds * number;
}

void input_check(bool condition, const char *sentence)
{
    if (condition)
        return;
    fprintf(stderr, "found: %s\n", sentence);
    abort();
}

static void put(struct row *row, size_t at, int item, uint64_t key)
{
    row->items[at] = item;
    row->keys[at] = key;
}

void row_add(struct row *row, int item, uint64_t key)
{
    input_check(row->count < ROW_MAX, "a target uses more than it said");
    size_t at = row->count++;
    for (; at > 0 && row->keys[at - 1] > key; at--)
        put(row, at, row->items[at - 1], row->keys[at - 1]);
    put(row, at, item, key);
}

void row_remove(struct row *row, int item)
{
    size_t kept = 0;
    for (size_t i = 0; i < row->count; i++)
        if (row->items[i] != item)
            put(row, kept++, row->items[i], row->keys[i]);
    row->count = kept;
}

int row_first(const struct row *row)
{
    return row->count == 0 ? ROW_NONE : row->items[0];
}

bool row_has(const struct row *row, int item)
{
    for (size_t i = 0; i < row->count; i++)
        if (row->items[i] == item)
            return true;
    return false;
}
