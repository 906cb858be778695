/* What the targets on bytes share: how they read their input, how they say what is wrong, and the sorted array that the
 * pure modules are compared with. */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INPUT_KINDS_MAX = 16 };

/* A fuzzer's input, read from the front. */
struct input {
    const uint8_t *bytes; /* the next one */
    size_t left;
    unsigned kinds; /* of ops, at most INPUT_KINDS_MAX */
    unsigned weights[INPUT_KINDS_MAX], weight;
};

/* An input of so many kinds of ops. At its head stands how often each of them is to come, and which of them never: a
 * run of few kinds reaches what a run of all of them seldom does. */
struct input input_begin(const uint8_t *data, size_t size, unsigned kinds);
/* The next op: its kind + kinds * a number below 32. */
unsigned input_op(struct input *input);

/* The next byte; 0 when there is none left. */
unsigned input_byte(struct input *input);
/* The next two bytes as a number. */
unsigned input_short(struct input *input);

/* Ends the process with the sentence unless the condition holds: the fuzzer, and the replayer, then name the input. */
void input_check(bool condition, const char *sentence);

enum { ROW_MAX = 64, ROW_NONE = -1 };

/* Small numbers in the order of their keys; of one key, in the order in which they came. */
struct row {
    size_t count;
    int items[ROW_MAX];
    uint64_t keys[ROW_MAX];
};

void row_add(struct row *row, int item, uint64_t key);
/* Takes the item out, if it is there. */
void row_remove(struct row *row, int item);
/* The first item, or ROW_NONE. */
int row_first(const struct row *row);
bool row_has(const struct row *row, int item);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
