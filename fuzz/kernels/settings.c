#include "settings.h"

#include <string.h>

static bool is(const char *word, size_t size, const char *name)
{
    return strlen(name) == size && memcmp(word, name, size) == 0;
}

/* A number in decimal digits that fits. */
static bool read_number(const char *digits, size_t size, uint64_t *number)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        const uint64_t digit = (uint64_t)(unsigned char)digits[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return size > 0;
}

static const char *read_word(struct settings *settings, const char *word, size_t size)
{
    static const char SEED[] = "seed=";
    const size_t seed_size = sizeof SEED - 1;
    struct adversary *adversary = &settings->adversary;
    if (size >= seed_size && memcmp(word, SEED, seed_size) == 0)
        return read_number(word + seed_size, size - seed_size, &adversary->seed) ? NULL : "no number below 2^64";
    if (is(word, size, "time"))
        settings->has_time = true;
    else if (is(word, size, "faults=linux"))
        adversary->level = ADVERSARY_LINUX;
    else if (is(word, size, "faults=posix"))
        adversary->level = ADVERSARY_POSIX;
    else if (is(word, size, "loud"))
        adversary->is_loud = true;
    else if (is(word, size, "spare-main"))
        settings->spares_main = true;
    else if (is(word, size, "counts"))
        settings->has_counts = true;
    else
        return "unknown word";
    return NULL;
}

const char *settings_read(struct settings *settings, const char *line, const char **word, size_t *size)
{
    *settings = (struct settings){.adversary.level = ADVERSARY_OFF};
    for (*word = line; *(*word += strspn(*word, " ")) != '\0'; *word += *size) {
        *size = strcspn(*word, " ");
        const char *why = read_word(settings, *word, *size);
        if (why != NULL)
            return why;
    }
    return NULL;
}
