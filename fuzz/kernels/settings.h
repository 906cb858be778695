/* What is asked of the kernel shim in a line of words: "time faults=linux seed=1". Pure. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "adversary.h"

struct settings {
    bool has_time;
    bool has_counts;
    bool spares_main;
    struct adversary adversary;
};

/* Reads a line; of a word that comes again the last one counts. Returns NULL; or a sentence, and then *word and *size
 * are the word that it is about. */
const char *settings_read(struct settings *settings, const char *line, const char **word, size_t *size);

#endif
