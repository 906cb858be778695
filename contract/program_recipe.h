/* What a random program is made of, for those who make and mutate them. Internal to contract/program*.c. */
#ifndef LC_PROGRAM_RECIPE_H
#define LC_PROGRAM_RECIPE_H

#include "program.h"

/* What one program is made of. Streams and the rest get programs of their own, mostly: what breaks is what meets. */
struct lc_recipe {
    const struct lc_profile *profile;
    bool has_exits;
    uint16_t streams; /* a bit for each index that a stream has; in a program without streams 0 */
};

/* A program that has streams already is gone on with as one. */
struct lc_recipe lc_recipe_of(const struct lc_program *program, const struct lc_profile *profile);
uint8_t lc_recipe_any_code(uint64_t *seed, const struct lc_recipe *recipe);
struct lc_op lc_recipe_any_op_of(uint8_t code, uint64_t *seed, const struct lc_recipe *recipe);
/* A handle with callbacks. */
uint8_t lc_recipe_any_source(uint64_t *seed, const struct lc_recipe *recipe);

#endif
