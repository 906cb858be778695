/* Programs mutated and crossed. */
#include <string.h>

#include "program_recipe.h"
#include "program_scenes.h"

static unsigned below(uint64_t *seed, unsigned bound)
{
    return (unsigned)(lc_random(seed) % bound);
}

static void insert(struct lc_program *program, size_t at, struct lc_op op)
{
    if (program->count == LC_PROGRAM_OPS_MAX)
        return;
    memmove(&program->ops[at + 1], &program->ops[at], (program->count - at) * sizeof op);
    program->ops[at] = op;
    program->count++;
}

/* Gives one field of the op the value that a fresh op of its sort has. */
static void alter(struct lc_op *op, uint64_t *seed, const struct lc_recipe *recipe)
{
    const uint8_t code = lc_op_is_known(op) ? op->op : lc_recipe_any_code(seed, recipe);
    const struct lc_op fresh = lc_recipe_any_op_of(code, seed, recipe);

    switch (below(seed, 5)) {
    case 0:
        op->a = fresh.a;
        break;
    case 1:
        op->b = fresh.b;
        op->flags = fresh.flags;
        break;
    case 2:
        op->n = fresh.n;
        break;
    case 3:
        op->arg = fresh.arg;
        break;
    default:
        op->on = op->on ? 0 : lc_recipe_any_source(seed, recipe);
        op->event = 0;
    }
    if (!lc_op_is_known(op)) /* it was unknown, or both its fds are the same one now */
        *op = fresh;
}

/* A program of a family gets ops of it; a canary or an edge suits all. */
static struct lc_op any_op_like(const struct lc_program *program, uint64_t *seed, const struct lc_recipe *recipe)
{
    if (below(seed, 16) == 0)
        return lc_recipe_any_op_of(below(seed, 2) ? LC_OP_CANARY : LC_OP_EDGE, seed, recipe);
    const enum lc_family family = lc_scenes_family_of(program);
    return lc_scenes_fit(family, recipe->profile) ? lc_scenes_any_op(seed, family)
                                                  : lc_recipe_any_op_of(lc_recipe_any_code(seed, recipe), seed, recipe);
}

void lc_program_mutate(struct lc_program *program, uint64_t *seed, const struct lc_profile *profile)
{
    size_t count = program->count;
    size_t at = count ? lc_random(seed) % count : 0, other = count ? lc_random(seed) % count : 0;
    const struct lc_recipe recipe = lc_recipe_of(program, profile);
    struct lc_op op;

    if (count == 0) {
        lc_program_generate(program, lc_random(seed), profile);
        return;
    }
    switch (below(seed, 6)) {
    case 0:
        insert(program, at, any_op_like(program, seed, &recipe));
        break;
    case 1:
        memmove(&program->ops[at], &program->ops[at + 1], (count - at - 1) * sizeof op);
        program->count--;
        break;
    case 2:
        insert(program, at, program->ops[other]);
        break;
    case 3:
        op = program->ops[at];
        program->ops[at] = program->ops[other];
        program->ops[other] = op;
        break;
    case 4:
        insert(program, count, any_op_like(program, seed, &recipe));
        break;
    default:
        alter(&program->ops[at], seed, &recipe);
    }
}

void lc_program_cross(struct lc_program *out, const struct lc_program *first, const struct lc_program *second,
                      uint64_t *seed)
{
    size_t head = first->count ? lc_random(seed) % (first->count + 1) : 0;
    size_t skip = second->count ? lc_random(seed) % (second->count + 1) : 0;
    size_t tail = second->count - skip;
    if (tail > LC_PROGRAM_OPS_MAX - head)
        tail = LC_PROGRAM_OPS_MAX - head;
    memcpy(out->ops, first->ops, head * sizeof *out->ops);
    memcpy(out->ops + head, second->ops + skip, tail * sizeof *out->ops);
    out->count = head + tail;
}
