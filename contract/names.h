/* The words of programs and traces: one table, used by the reader, the writer and the printer. */
#ifndef LC_NAMES_H
#define LC_NAMES_H

#include "program.h"

/* Which fields an op has, in the order in which its text shows them. */
enum lc_field {
    LC_FIELD_A = 1 << 0,
    LC_FIELD_B = 1 << 1,
    LC_FIELD_BITS = 1 << 2,     /* in, out, in+out */
    LC_FIELD_DURATION = 1 << 3, /* arg: 5ms, 0ns */
    LC_FIELD_COUNT = 1 << 4,    /* n */
    LC_FIELD_DELAY_US = 1 << 5, /* n as a duration, left out when 0 */
    LC_FIELD_POLL = 1 << 6,     /* the word "poll" when LC_WAIT is not set */
    LC_FIELD_FAULT = 1 << 7,    /* flags as the name of a fault */
    LC_FIELD_EDGE = 1 << 9,     /* flags as the name of an edge */
    LC_FIELD_BUFFERED = 1 << 8  /* the word "buffered" when LC_BUFFERED is set */
};

struct lc_op_form {
    const char *name;  /* NULL: no such op in programs */
    uint16_t fields;   /* enum lc_field */
    uint8_t kind_a;    /* enum lc_kind of a; LC_KIND_NONE: any that is the loop's */
    uint8_t kind_b;    /* of b; LC_KIND_NONE: an fd */
    uint8_t kind_also; /* a may be of this kind too; LC_KIND_NONE: of no other */
};

extern const struct lc_op_form lc_op_forms[LC_OP_PROGRAM_END];
extern const char *const lc_event_names[LC_EVENT_COUNT];
extern const char *const lc_family_names[LC_FAMILY_COUNT];
extern const char *const lc_fault_names[LC_FAULT_COUNT];
extern const char *const lc_edge_names[LC_EDGE_COUNT];
extern const char lc_kind_letters[LC_KIND_COUNT];

#endif
