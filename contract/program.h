/* A program: a flat list of 16-byte operations on small-integer handles.
 *
 * The same program is a fuzzer's input, a Hypothesis counterexample, a corpus entry, a bug report
 * and a regression test. It holds no pointers, and EVERY byte string is a program: a tail of fewer
 * than 16 bytes is ignored, an unknown op does nothing, an op on an unknown handle does nothing.
 *
 * As text a program is one op a line ("#" begins a comment; the lines before the first op are the
 * header and are kept):
 *
 *     # found: libuv#2162     rule: FD-4     effect: spin
 *     pair f1 f2
 *     watch w1 f1 in
 *     put f2 4
 *     on w1.ready: cancel w1
 *     step
 */
#ifndef LC_PROGRAM_H
#define LC_PROGRAM_H

#include <stddef.h>

#include "driver.h"

enum {
    LC_OP_BYTES = 16,
    LC_PROGRAM_OPS_MAX = 256, /* ops beyond are ignored */
    LC_TEXT_LINE_MAX = 96     /* bytes of one op's line, with its newline and NUL */
};

struct lc_program {
    size_t count;
    struct lc_op ops[LC_PROGRAM_OPS_MAX];
};

/* What a generated program is about. */
enum lc_family {
    LC_FAMILY_ANY = 0,  /* as the seed has it */
    LC_FAMILY_LOOP = 1, /* scheduling and watchers, or streams */
    LC_FAMILY_SERVERS = 2,
    LC_FAMILY_CONNECTS = 3,
    LC_FAMILY_REQUESTS = 4,
    LC_FAMILY_EXITS = 5, /* as LC_FAMILY_LOOP, and callbacks may end by SystemExit or KeyboardInterrupt */
    LC_FAMILY_DATAGRAMS = 6,
    LC_FAMILY_COUNT
};

/* What a generated program may use. */
struct lc_profile {
    uint32_t capabilities; /* of the driver it is for */
    uint64_t delay_ns_max; /* timers and pauses: small for a real clock; beyond UINT32_MAX: simulated, any may come */
    uint64_t tick_ns;      /* delays are multiples of it, but for some of a simulated clock; at least 1 */
    enum lc_family family; /* one that the capabilities do not allow is as LC_FAMILY_LOOP */
};

/* bytes -> ops. Never fails. Little-endian fields in the order of struct lc_op. */
void lc_program_decode(struct lc_program *program, const uint8_t *bytes, size_t size);
/* ops -> bytes. Returns count * LC_OP_BYTES; `bytes` must hold that many. */
size_t lc_program_encode(const struct lc_program *program, uint8_t *bytes);
/* Brings fields that an op does not use to 0 and drops unknown ops, so that equal programs are equal
 * bytes. decode -> canonical -> encode is stable after one pass, and so is the way through text. */
void lc_program_canonical(struct lc_program *program);
/* May an op wait for this event of a handle of this kind? LC_EVENT_ANY and LC_EVENT_CLOSED of every kind that has any.
 */
bool lc_event_is_of(unsigned event, unsigned kind);
/* Is this an op with handles of the kinds it asks for? Any other does nothing. */
bool lc_op_is_known(const struct lc_op *op);

/* One op as text with no newline; unknown ops give "nop". Returns the length. */
int lc_op_format(const struct lc_op *op, char *text, size_t size);
/* The whole program as text; returns the length it needs, as snprintf does. */
size_t lc_program_format(const struct lc_program *program, char *text, size_t size);
/* text -> ops. Returns 0, or the number (from 1) of the first line that cannot be read; *why then
 * points to a sentence. Comments and empty lines are passed over. */
int lc_program_parse(struct lc_program *program, const char *text, const char **why);
/* "f2" for 0x52; "-" for 0. */
void lc_handle_format(uint8_t handle, char text[8]);

/* splitmix64; the whole state is *seed. */
uint64_t lc_random(uint64_t *seed);
/* A program that begins with the handles it needs, so that most of its ops find their object. */
void lc_program_generate(struct lc_program *program, uint64_t seed, const struct lc_profile *profile);
/* One random change of whole ops: insert, delete, duplicate, swap, move into a callback, or alter a
 * field. */
void lc_program_mutate(struct lc_program *program, uint64_t *seed, const struct lc_profile *profile);
/* A prefix of one and a suffix of the other. */
void lc_program_cross(struct lc_program *out, const struct lc_program *first, const struct lc_program *second,
                      uint64_t *seed);

/* Makes the program smaller while `fails` stays true of it: drops runs of ops, then lifts ops out
 * of callbacks and makes numbers small. At most `tries_max` calls of `fails`. Returns the calls made. */
size_t lc_program_shrink(struct lc_program *program, bool (*fails)(void *arg, const struct lc_program *), void *arg,
                         size_t tries_max);

#endif
