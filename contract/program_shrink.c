/* Makes a failing program small: fewer ops first, then simpler ones. */
#include <string.h>

#include "program.h"

struct search {
    struct lc_program *best;
    bool (*fails)(void *arg, const struct lc_program *);
    void *arg;
    size_t tries, tries_max;
};

/* Takes the candidate over when it fails too. */
static bool try(struct search *search, const struct lc_program *candidate)
{
    if (search->tries >= search->tries_max)
        return false;
    search->tries++;
    if (!search->fails(search->arg, candidate))
        return false;
    *search->best = *candidate;
    return true;
}

static bool drop_runs(struct search *search, size_t length)
{
    bool is_smaller = false;
    for (size_t at = 0; at + length <= search->best->count;) {
        struct lc_program candidate = *search->best;
        candidate.count -= length;
        memmove(&candidate.ops[at], &candidate.ops[at + length], (candidate.count - at) * sizeof *candidate.ops);
        if (try(search, &candidate))
            is_smaller = true; /* the op now at `at` is another one */
        else
            at++;
    }
    return is_smaller;
}

static bool replace(struct search *search, size_t at, struct lc_op op)
{
    struct lc_program candidate = *search->best;
    if (memcmp(&candidate.ops[at], &op, sizeof op) == 0)
        return false;
    candidate.ops[at] = op;
    return try(search, &candidate);
}

/* Only towards less: nothing here can undo what another step did. */
static bool simplify(struct search *search, size_t at)
{
    bool is_simpler = false;
    struct lc_op op = search->best->ops[at];

    op.on = op.event = 0;
    is_simpler |= replace(search, at, op);
    op = search->best->ops[at];
    op.n = 0;
    is_simpler |= replace(search, at, op);
    op = search->best->ops[at];
    op.event = 0;
    is_simpler |= replace(search, at, op);
    for (op = search->best->ops[at]; op.arg > 1; op = search->best->ops[at]) {
        op.arg /= 2;
        if (!replace(search, at, op))
            break;
        is_simpler = true;
    }
    return is_simpler;
}

size_t lc_program_shrink(struct lc_program *program, bool (*fails)(void *, const struct lc_program *), void *arg,
                         size_t tries_max)
{
    struct search search = {.best = program, .fails = fails, .arg = arg, .tries_max = tries_max};
    bool is_smaller = true;

    while (is_smaller && search.tries < tries_max) {
        is_smaller = false;
        for (size_t length = program->count / 2 + 1; length > 0; length /= 2)
            is_smaller |= drop_runs(&search, length);
        for (size_t at = 0; at < program->count; at++)
            is_smaller |= simplify(&search, at);
    }
    return search.tries;
}
