/* Generated programs of a family are productive: most of their ops execute, and each sort of thing that can happen to
 * it happens in a fair share of them. */
#include <errno.h>
#include <string.h>

#include "names.h"
#include "rig.h"
#include "testing/test.h"

enum { PROGRAMS = 2000, CAPABILITIES = RIG_CAPABILITIES | RIG_STREAMS | RIG_SOCKETS | RIG_DATAGRAMS };

/* Something that stands in a trace, and in how many of a hundred programs it has to. */
static const struct happening {
    enum lc_family family;
    uint8_t what, code, kind;
    int result; /* less than 0: less; 1: any; of STEPPED: this one */
    unsigned least;
} happenings[] = {
    {LC_FAMILY_SERVERS, LC_WHAT_BEGIN, LC_EVENT_FACTORY, LC_KIND_SERVER, 1, 80},
    {LC_FAMILY_SERVERS, LC_WHAT_BEGIN, LC_EVENT_MADE, LC_KIND_STREAM, 1, 75},
    {LC_FAMILY_SERVERS, LC_WHAT_BEGIN, LC_EVENT_DATA, LC_KIND_STREAM, 1, 12},
    {LC_FAMILY_SERVERS, LC_WHAT_BEGIN, LC_EVENT_EOF, LC_KIND_STREAM, 1, 14},
    {LC_FAMILY_SERVERS, LC_WHAT_BEGIN, LC_EVENT_LOST, LC_KIND_STREAM, -1, 10},
    {LC_FAMILY_SERVERS, LC_WHAT_OP, LC_OP_DESTROY, LC_KIND_SERVER, 0, 90},
    {LC_FAMILY_SERVERS, LC_WHAT_OP, LC_OP_CLIENT, LC_KIND_FD, -1, 12},
    {LC_FAMILY_SERVERS, LC_WHAT_OP, LC_OP_RAISE, LC_KIND_SERVER, 0, 2},
    {LC_FAMILY_CONNECTS, LC_WHAT_BEGIN, LC_EVENT_DONE, LC_KIND_STREAM, 0, 60},
    {LC_FAMILY_CONNECTS, LC_WHAT_BEGIN, LC_EVENT_DONE, LC_KIND_STREAM, -1, 25},
    {LC_FAMILY_CONNECTS, LC_WHAT_BEGIN, LC_EVENT_MADE, LC_KIND_STREAM, 1, 60},
    {LC_FAMILY_CONNECTS, LC_WHAT_BEGIN, LC_EVENT_DATA, LC_KIND_STREAM, 1, 6},
    {LC_FAMILY_CONNECTS, LC_WHAT_OP, LC_OP_CANCEL, LC_KIND_STREAM, 0, 15},
    {LC_FAMILY_CONNECTS, LC_WHAT_OP, LC_OP_ACCEPT, LC_KIND_FD, 0, 18},
    {LC_FAMILY_REQUESTS, LC_WHAT_BEGIN, LC_EVENT_DONE, LC_KIND_REQUEST, 0, 50},
    {LC_FAMILY_REQUESTS, LC_WHAT_BEGIN, LC_EVENT_DONE, LC_KIND_REQUEST, -1, 25},
    {LC_FAMILY_REQUESTS, LC_WHAT_OP, LC_OP_CANCEL, LC_KIND_REQUEST, 0, 20},
    {LC_FAMILY_DATAGRAMS, LC_WHAT_BEGIN, LC_EVENT_MADE, LC_KIND_DATAGRAM, 1, 90},
    {LC_FAMILY_DATAGRAMS, LC_WHAT_BEGIN, LC_EVENT_DATAGRAM, LC_KIND_DATAGRAM, 1, 50},
    {LC_FAMILY_DATAGRAMS, LC_WHAT_BEGIN, LC_EVENT_REFUSED, LC_KIND_DATAGRAM, -1, 30},
    {LC_FAMILY_DATAGRAMS, LC_WHAT_BEGIN, LC_EVENT_LOST, LC_KIND_DATAGRAM, 0, 40},
    {LC_FAMILY_DATAGRAMS, LC_WHAT_OP, LC_OP_SEND, LC_KIND_DATAGRAM, 0, 60},
    {LC_FAMILY_DATAGRAMS, LC_WHAT_OP, LC_OP_RAISE, LC_KIND_DATAGRAM, 0, 8},
    {LC_FAMILY_DATAGRAMS, LC_WHAT_OP, LC_OP_ABORT, LC_KIND_DATAGRAM, 0, 15},
    {LC_FAMILY_EXITS, LC_WHAT_STEPPED, 0, 0, LC_LEFT, 3},
    {LC_FAMILY_CONNECTS, LC_WHAT_OP, LC_OP_TCP, LC_KIND_FD, 0, 18},
};
enum { HAPPENINGS = sizeof happenings / sizeof *happenings };

static struct lc_program program;
static unsigned counts[HAPPENINGS], ops, executed;

static bool happened(const struct happening *h)
{
    for (size_t i = 0; i < rig.trace_count; i++) {
        const struct lc_obs *obs = &rig.trace[i];
        const bool is_so = (h->result > 0 && (h->what != LC_WHAT_STEPPED || obs->result == h->result)) ||
                           (h->result < 0 ? obs->result < 0 : obs->result == 0);
        if (obs->what == h->what && obs->code == h->code && LC_WIDE_KIND(obs->handle) == h->kind && is_so)
            return true;
    }
    return false;
}

static void generate(uint64_t seed, enum lc_family family, uint32_t capabilities)
{
    lc_program_generate(
        &program, seed,
        &(struct lc_profile){.capabilities = capabilities, .delay_ns_max = 1 << 20, .tick_ns = 1, .family = family});
}

static void measure(enum lc_family family)
{
    rig_init(FAKE_CORRECT, CAPABILITIES);
    ops = executed = 0;
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        generate(seed, family, CAPABILITIES);
        rig_run(&program);
        ops += rig.stats.ops;
        executed += rig.stats.executed;
        for (unsigned i = 0; i < HAPPENINGS; i++)
            counts[i] += happenings[i].family == family && happened(&happenings[i]);
    }
    rig_dispose();
}

/* Of each family most ops execute. */
static void ops_execute(void)
{
    for (enum lc_family family = LC_FAMILY_LOOP + 1; family < LC_FAMILY_COUNT; family++) {
        measure(family);
        CHECK(executed * 100 > ops * 55);
    }
}

/* Everything that can happen happens often enough. */
static void everything_happens(void)
{
    for (unsigned i = 0; i < HAPPENINGS; i++) {
        const struct happening *h = &happenings[i];
        const unsigned share = counts[i] * 100 / PROGRAMS;
        if (share < h->least)
            printf("%s, happening %u: %u of 100 programs, not %u\n", lc_family_names[h->family], i, share, h->least);
        CHECK(share >= h->least);
    }
}

/* A loop that cannot do what a family is about gets the programs that it always got. */
static void family_needs_its_capability(void)
{
    static struct lc_program before;
    for (uint64_t seed = 0; seed < 200; seed++) {
        generate(seed, LC_FAMILY_LOOP, RIG_CAPABILITIES | RIG_STREAMS);
        before = program;
        for (enum lc_family family = LC_FAMILY_LOOP; family < LC_FAMILY_COUNT; family++) {
            if (family == LC_FAMILY_EXITS)
                continue;
            generate(seed, family, RIG_CAPABILITIES | RIG_STREAMS);
            CHECK(memcmp(&before, &program, sizeof program) == 0);
        }
        generate(seed, LC_FAMILY_LOOP, CAPABILITIES);
        CHECK(memcmp(&before, &program, sizeof program) == 0);
    }
}

/* A program of a family keeps to it when it is mutated. */
static void mutation_keeps_the_family(void)
{
    const struct lc_profile profile = {
        .capabilities = CAPABILITIES, .delay_ns_max = 1 << 20, .tick_ns = 1, .family = LC_FAMILY_SERVERS};
    unsigned clients = 0;
    uint64_t seed = 1;
    lc_program_generate(&program, 1, &profile);
    const size_t before = program.count;
    for (int i = 0; i < 300 && program.count < LC_PROGRAM_OPS_MAX; i++)
        lc_program_mutate(&program, &seed, &profile);
    for (size_t i = 0; i < program.count; i++)
        clients += program.ops[i].op == LC_OP_CLIENT;
    CHECK(program.count > before && clients > 10);
}

static const struct test tests[] = {
    TEST(ops_execute),
    TEST(everything_happens),
    TEST(family_needs_its_capability),
    TEST(mutation_keeps_the_family),
};
TEST_MAIN(tests)
