/* Programs of one family, made of scenes that are written as text. Internal to contract/program*.c. */
#ifndef LC_PROGRAM_SCENES_H
#define LC_PROGRAM_SCENES_H

#include "program.h"

/* Can a loop of this profile do what the family is about? Never of LC_FAMILY_LOOP and _EXITS, which have no scenes. */
bool lc_scenes_fit(enum lc_family family, const struct lc_profile *profile);
/* Chooses a family for a program that may be of any. */
enum lc_family lc_scenes_choose(uint64_t *seed, const struct lc_profile *profile);
/* The family that a program is of: that of its first op that belongs to one. */
enum lc_family lc_scenes_family_of(const struct lc_program *program);
/* Makes a whole program of a family that fits. */
void lc_scenes_generate(struct lc_program *program, uint64_t *seed, enum lc_family family);
/* A scene of the loop itself, of which no family is made; no delay is longer than the profile's. */
void lc_scenes_of_loop(struct lc_program *scene, uint64_t *seed, const struct lc_profile *profile);
/* One op out of a random scene of the family. */
struct lc_op lc_scenes_any_op(uint64_t *seed, enum lc_family family);

#endif
