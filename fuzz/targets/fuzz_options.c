/* Property: any text is settings of the kernel shim or has a word that is refused, as a table of words says; any number
 * of seconds but NaN is a deadline of refloop's extension: not before it, and at most 1 ns behind it while a double
 * holds ns, in the same order.
 *
 * That is all that C code parses of what a user writes: addresses are asyncio's own, in Python.
 *
 * Targets: settings_read, rlpy_deadline_ns, rlpy_seconds, rlpy_loop_ns.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "kernels/settings.h"
#include "python/refloop/_time.h"

enum { WORDS_MAX = 12, TEXT_BYTES = 512 };
#define EXACT_S 9007199.0 /* 2^53 ns: up to there a double holds them */

static const char *const words[] = {"time",  "faults=linux", "faults=posix",      "loud", "spare-main", "counts",
                                    "times", "faults=",      "faults=posix,loud", "",     "seed=",      "seed=-1"};
enum { GOOD = 6, EMPTY = 9, WORDS = 12 };

/* Words of the table, or a seed; true: all are good. *model is what they say. */
static bool invent(struct input *input, char *text, struct settings *model)
{
    bool is_good = true;
    *model = (struct settings){.has_time = false};
    for (unsigned count = input_byte(input) % WORDS_MAX; is_good && count > 0; count--) {
        const unsigned word = input_byte(input) % (WORDS + 3);
        const uint64_t seed = input_short(input) * UINT64_C(281479271743489); /* up to the last */
        text += strlen(text);
        if (word >= WORDS)
            snprintf(text, 40, " seed=%" PRIu64, model->adversary.seed = seed);
        else
            snprintf(text, 40, " %s", words[word]);
        model->has_time |= word == 0;
        model->adversary.level = word == 1 ? ADVERSARY_LINUX : word == 2 ? ADVERSARY_POSIX : model->adversary.level;
        model->adversary.is_loud |= word == 3;
        model->spares_main |= word == 4;
        model->has_counts |= word == 5;
        is_good = word < GOOD || word == EMPTY || word >= WORDS;
    }
    return is_good;
}

static void read_settings(struct input *input)
{
    char text[TEXT_BYTES] = "";
    struct settings model, read;
    const char *word = NULL;
    size_t size = 0;
    bool is_good = invent(input, text, &model);
    const char *why = settings_read(&read, text, &word, &size);
    input_check((why == NULL) == is_good, "good settings are refused, or bad ones taken");
    input_check(is_good || (size > 0 && strncmp(text + strlen(text) - size, word, size) == 0), "another word is named");
    if (!is_good)
        return;
    input_check(read.has_time == model.has_time && read.has_counts == model.has_counts, "time or counts");
    input_check(read.spares_main == model.spares_main && read.adversary.is_loud == model.adversary.is_loud, "a flag");
    input_check(read.adversary.level == model.adversary.level, "the level of faults");
    input_check(read.adversary.seed == model.adversary.seed, "the seed");
}

static double seconds(struct input *input)
{
    uint64_t bits = 0;
    double value = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | input_byte(input);
    memcpy(&value, &bits, sizeof value);
    return bits % 4 == 0 ? (double)(int64_t)bits / 1e10 : isnan(value) ? 0 : value;
}

static void read_deadlines(double when_s, double other_s)
{
    const uint64_t zero_ns = rlpy_loop_ns(0), deadline_ns = rlpy_deadline_ns(when_s),
                   other_ns = rlpy_deadline_ns(other_s);
    input_check(when_s > other_s || deadline_ns <= other_ns, "the later of two deadlines is the earlier one");
    if (deadline_ns < zero_ns + 2 || when_s >= 4e9) /* before the clock began, or never */
        return;
    input_check(rlpy_seconds(deadline_ns - zero_ns) >= when_s, "a deadline before its time");
    input_check(when_s >= EXACT_S || rlpy_seconds(deadline_ns - zero_ns - 2) < when_s,
                "a deadline more than 1 ns behind its time");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.bytes = data, .left = size};
    while (input.left > 0) {
        read_settings(&input);
        double when_s = seconds(&input);
        read_deadlines(when_s, seconds(&input));
    }
    return 0;
}
