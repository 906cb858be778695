/* Writes core/stream.md from the table of core/stream.c to stdout. With a file: says whether it holds just that. */
#include "core/stream.h"

#include <stdio.h>
#include <string.h>

enum { PAGE_BYTES_MAX = 32768 };

static char page[PAGE_BYTES_MAX];
static char held[PAGE_BYTES_MAX];
static FILE *out;

/* "drop, end", or nothing. */
static void put_effects(unsigned effects)
{
    const char *before = "";
    for (unsigned effect = RL_STREAM_REFUSE; effect <= RL_STREAM_TELL_LOST; effect *= 2) {
        if ((effects & effect) == 0)
            continue;
        (void)fprintf(out, "%s%s", before, rl_stream_effect_name(effect));
        before = ", ";
    }
}

static bool is_same(struct rl_stream_step a, struct rl_stream_step b)
{
    return a.next == b.next && a.effects == b.effects;
}

/* The first event of those that have the same step in this state. */
static unsigned first_like(enum rl_stream_state state, unsigned event)
{
    unsigned first = 0;
    while (!is_same(rl_stream_life_step(state, first), rl_stream_life_step(state, event)))
        first++;
    return first;
}

/* Only what changes the state; what leaves it as it is stands in the table. Events of one step share an arrow. */
static void put_arrows(enum rl_stream_state state)
{
    for (unsigned event = 0; event < RL_STREAM_EVENTS; event++) {
        struct rl_stream_step step = rl_stream_life_step(state, event);
        if (step.next == RL_STREAM_NO_STATE || step.next == state || first_like(state, event) != event)
            continue;
        (void)fprintf(out, "    %s --> %s: %s", rl_stream_state_name(state), rl_stream_state_name(step.next),
                      rl_stream_event_name(event));
        for (unsigned other = event + 1; other < RL_STREAM_EVENTS; other++)
            if (first_like(state, other) == event)
                (void)fprintf(out, ", %s", rl_stream_event_name(other));
        (void)fputs(step.effects == 0 ? "" : " / ", out);
        put_effects(step.effects);
        (void)fputs("\n", out);
    }
}

static void put_cell(enum rl_stream_state state, struct rl_stream_step step)
{
    (void)fputs(" | ", out);
    if (step.next == RL_STREAM_NO_STATE)
        (void)fputs("-", out);
    else if (step.next == state && step.effects == 0)
        (void)fputs("stays", out);
    else if (step.next != state)
        (void)fprintf(out, "**%s**%s", rl_stream_state_name(step.next), step.effects == 0 ? "" : " ");
    put_effects(step.effects);
}

static void put_row(enum rl_stream_state state)
{
    (void)fprintf(out, "| **%s**", rl_stream_state_name(state));
    for (unsigned event = 0; event < RL_STREAM_EVENTS; event++)
        put_cell(state, rl_stream_life_step(state, event));
    (void)fputs(" |\n", out);
}

static void put_page(void)
{
    (void)fputs("# The life of a stream\n\n"
                "Generated from the table of stream.c by `ci/check.py docs`; change that file, not this one. stream.h "
                "says what\n"
                "states, events and effects mean. An arrow is labelled events / effects.\n\n"
                "```mermaid\nstateDiagram-v2\n    [*] --> open\n",
                out);
    for (unsigned state = RL_STREAM_CONNECTING; state < RL_STREAM_STATES; state++)
        put_arrows(state);
    (void)fputs("    lost --> [*]\n```\n\nThe whole table: next state and effects; \"-\" cannot come.\n\n| state", out);
    for (unsigned event = 0; event < RL_STREAM_EVENTS; event++)
        (void)fprintf(out, " | %s", rl_stream_event_name(event));
    (void)fputs(" |\n|---", out);
    for (unsigned event = 0; event < RL_STREAM_EVENTS; event++)
        (void)fputs("|---", out);
    (void)fputs("|\n", out);
    for (unsigned state = RL_STREAM_CONNECTING; state < RL_STREAM_STATES; state++)
        put_row(state);
}

static int compare(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        (void)fprintf(stderr, "%s cannot be read; run ci/check.py docs\n", path);
        return 1;
    }
    size_t size = fread(held, 1, sizeof held - 1, file);
    (void)fclose(file);
    if (size == strlen(page) && memcmp(held, page, size) == 0)
        return 0;
    (void)fprintf(stderr, "%s differs from the table of core/stream.c; run ci/check.py docs\n", path);
    return 1;
}

int main(int argc, char **argv)
{
    out = argc > 1 ? fmemopen(page, sizeof page, "w") : stdout;
    if (out == NULL) {
        (void)fprintf(stderr, "no memory for the page\n");
        return 1;
    }
    put_page();
    if (fflush(out) != 0) {
        (void)fprintf(stderr, "the page cannot be written, or is longer than %d bytes\n", PAGE_BYTES_MAX);
        return 1;
    }
    return argc > 1 ? compare(argv[1]) : 0;
}
