/* Random programs. */
#include <string.h>

#include "names.h"
#include "program_recipe.h"
#include "program_scenes.h"

uint64_t lc_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static unsigned below(uint64_t *seed, unsigned bound)
{
    return (unsigned)(lc_random(seed) % bound);
}

static uint8_t handle(unsigned kind, unsigned index)
{
    return (uint8_t)(kind << 4 | index);
}

/* Few handles of a kind, so that ops meet on the same ones. */
enum { HANDLES_USED = 4, OPS_MIN = 4, OPS_SPREAD = 20, CANARIES = 3, EDGES = 2 };
#define FAMILY_SEED UINT64_C(0x66616d696c79) /* the families draw numbers of their own, */
#define CANARY_SEED UINT64_C(0x63616e617279) /* and so do the canaries, */
#define EDGE_SEED UINT64_C(0x65646765)       /* and the edges of numbers, */
#define SCENE_SEED UINT64_C(0x7363656e65)    /* and the scenes */

static uint8_t any_handle(uint64_t *seed, unsigned kind)
{
    return handle(kind, 1 + below(seed, HANDLES_USED));
}

static bool has(const struct lc_recipe *recipe, uint32_t capability)
{
    return (recipe->profile->capabilities & capability) != 0;
}

/* May a callback end by anything but itself? */
static bool can_raise(const struct lc_recipe *recipe)
{
    return has(recipe, LC_CAP_RAISE) || recipe->has_exits;
}

static bool has_stream(const struct lc_recipe *recipe, unsigned index)
{
    return recipe->streams >> index & 1;
}

/* Stream i owns f<i> of the pairs f1 f2, f3 f4 ...: so generated programs have it. */
static unsigned peer_of(unsigned index)
{
    return ((index - 1) ^ 1) + 1;
}

/* The index of a stream that is there, mostly. */
static unsigned any_stream(uint64_t *seed, const struct lc_recipe *recipe)
{
    unsigned index = 1 + below(seed, HANDLES_USED);
    for (unsigned tries = below(seed, 8) ? HANDLES_USED : 0; tries > 0 && !has_stream(recipe, index); tries--)
        index = index % HANDLES_USED + 1;
    return index;
}

/* The index of an end that is not a stream's, opposite to one that is, mostly. */
static unsigned any_end(uint64_t *seed, const struct lc_recipe *recipe)
{
    unsigned index = 1 + below(seed, HANDLES_USED);
    for (unsigned tries = below(seed, 8) ? HANDLES_USED : 0; tries > 0; tries--) {
        if (has_stream(recipe, peer_of(index)) && !has_stream(recipe, index))
            break;
        index = index % HANDLES_USED + 1;
    }
    return index;
}

/* A handle of a kind for an op. */
static uint8_t any_object(uint64_t *seed, unsigned kind, const struct lc_recipe *recipe)
{
    if (recipe->streams != 0 && kind == LC_KIND_STREAM)
        return handle(kind, any_stream(seed, recipe));
    if (recipe->streams != 0 && kind == LC_KIND_FD)
        return handle(kind, any_end(seed, recipe));
    return any_handle(seed, kind);
}

uint8_t lc_recipe_any_source(uint64_t *seed, const struct lc_recipe *recipe)
{
    if (recipe->streams != 0 && below(seed, 6) != 0)
        return handle(LC_KIND_STREAM, any_stream(seed, recipe));
    return any_handle(seed, LC_KIND_SOON + below(seed, LC_KIND_WAKER));
}

static uint8_t any_event(uint64_t *seed, uint8_t source)
{
    static const uint8_t of_streams[] = {LC_EVENT_DATA,          LC_EVENT_DATA,           LC_EVENT_PAUSE_WRITING,
                                         LC_EVENT_PAUSE_WRITING, LC_EVENT_RESUME_WRITING, LC_EVENT_EOF,
                                         LC_EVENT_LOST,          LC_EVENT_MADE,           LC_EVENT_GET_BUFFER};
    if (below(seed, 2))
        return LC_EVENT_ANY;
    return (uint8_t)(source >> 4 == LC_KIND_STREAM ? of_streams[below(seed, sizeof of_streams)] : source >> 4);
}

/* Bytes: few, around what a small buffer holds, as many as fit. None is one, or all that there are. */
static uint16_t any_size(uint8_t code, uint64_t *seed)
{
    static const uint16_t limits[] = {0, 0, 1, 4, 100, 1000, 4096, UINT16_MAX};
    static const uint16_t taken[] = {0, 0, 0, 1, 100, 1000, 4096, UINT16_MAX};
    static const uint16_t sent[] = {1, 5, 100, 1000, 4096, 4097, 9000, UINT16_MAX};
    return (code == LC_OP_LIMITS ? limits : code == LC_OP_TAKE ? taken : sent)[below(seed, 8)];
}

static uint64_t any_delay_ns(uint64_t *seed, const struct lc_profile *profile)
{
    static const uint64_t far[] = {0, 1, 999999, 1000000, 1000001, UINT64_C(1) << 40, UINT64_MAX};
    uint64_t ticks_max = profile->delay_ns_max / profile->tick_ns, ticks;

    switch (below(seed, 4)) {
    case 0:
        return 0;
    case 1: /* few values, so that deadlines tie */
        ticks = 1 + below(seed, 3);
        break;
    case 2:
        if (profile->delay_ns_max > UINT32_MAX)
            return far[below(seed, sizeof far / sizeof *far)];
        ticks = ticks_max;
        break;
    default:
        ticks = lc_random(seed) % (ticks_max == UINT64_MAX ? UINT64_MAX : ticks_max + 1);
    }
    return (ticks < ticks_max ? ticks : ticks_max) * profile->tick_ns;
}

/* How often each op is drawn: creation and callbacks' verbs more often than the rest. */
static const uint8_t weights[LC_OP_PROGRAM_END] = {
    [LC_OP_SOON] = 8,  [LC_OP_TIMER] = 8,  [LC_OP_AT] = 3,      [LC_OP_WATCH] = 6,   [LC_OP_WAKER] = 3,
    [LC_OP_POST] = 10, [LC_OP_CANCEL] = 7, [LC_OP_REARM] = 7,   [LC_OP_DESTROY] = 5, [LC_OP_STOP] = 3,
    [LC_OP_RUN] = 3,   [LC_OP_STEP] = 12,  [LC_OP_PAIR] = 3,    [LC_OP_PUT] = 7,     [LC_OP_TAKE] = 5,
    [LC_OP_FILL] = 1,  [LC_OP_SHUT] = 2,   [LC_OP_RECYCLE] = 3, [LC_OP_ADVANCE] = 4, [LC_OP_RAISE] = 3,
    [LC_OP_TCP] = 1,   [LC_OP_HANGUP] = 1, [LC_OP_RST] = 1,     [LC_OP_DROP] = 2,    [LC_OP_GC] = 1,
};

/* The same in a program of streams. */
static const uint8_t stream_weights[LC_OP_PROGRAM_END] = {
    [LC_OP_SOON] = 2,       [LC_OP_TIMER] = 2,  [LC_OP_CANCEL] = 1, [LC_OP_DESTROY] = 2, [LC_OP_RUN] = 1,
    [LC_OP_STOP] = 1,       [LC_OP_STEP] = 18,  [LC_OP_PAIR] = 1,   [LC_OP_TCP] = 1,     [LC_OP_PUT] = 12,
    [LC_OP_TAKE] = 8,       [LC_OP_FILL] = 1,   [LC_OP_SHUT] = 2,   [LC_OP_HANGUP] = 1,  [LC_OP_RST] = 1,
    [LC_OP_STREAM] = 2,     [LC_OP_WRITE] = 16, [LC_OP_PAUSE] = 5,  [LC_OP_RESUME] = 7,  [LC_OP_LIMITS] = 4,
    [LC_OP_WRITE_EOF] = 3,  [LC_OP_FLUSH] = 3,  [LC_OP_ABORT] = 2,  [LC_OP_FAULT] = 4,   [LC_OP_ADVANCE] = 1,
    [LC_OP_WRITELINES] = 4, [LC_OP_SWITCH] = 2, [LC_OP_GC] = 1,
};

/* What belongs together on one stream and the other end of its connection. */
enum { SCENE_OPS_MAX = 6 };
static const uint8_t scenes[][SCENE_OPS_MAX] = {
    {LC_OP_PUT, LC_OP_STEP},
    {LC_OP_PUT, LC_OP_SHUT, LC_OP_STEP, LC_OP_STEP},
    {LC_OP_PAUSE, LC_OP_PUT, LC_OP_STEP, LC_OP_RESUME, LC_OP_STEP},
    {LC_OP_WRITE, LC_OP_STEP, LC_OP_TAKE},
    {LC_OP_LIMITS, LC_OP_WRITE, LC_OP_WRITE, LC_OP_STEP, LC_OP_TAKE, LC_OP_STEP},
    {LC_OP_WRITE, LC_OP_WRITE_EOF, LC_OP_STEP, LC_OP_TAKE},
    {LC_OP_WRITE, LC_OP_WRITE, LC_OP_FLUSH, LC_OP_STEP},
    {LC_OP_WRITE, LC_OP_WRITE, LC_OP_ABORT, LC_OP_STEP},
    {LC_OP_WRITE, LC_OP_DESTROY},
    {LC_OP_HANGUP, LC_OP_WRITE, LC_OP_STEP},
    {LC_OP_PUT, LC_OP_RST, LC_OP_STEP},
    {LC_OP_FAULT, LC_OP_PUT, LC_OP_WRITE, LC_OP_STEP},
    /* Where callbacks can raise: */
    {LC_OP_RAISE, LC_OP_PUT, LC_OP_STEP, LC_OP_PUT, LC_OP_STEP},
    {LC_OP_RAISE, LC_OP_PUT, LC_OP_SHUT, LC_OP_STEP, LC_OP_STEP},
    {LC_OP_RAISE, LC_OP_LIMITS, LC_OP_WRITE, LC_OP_STEP, LC_OP_TAKE, LC_OP_STEP},
};
enum { SCENES = sizeof scenes / sizeof *scenes, SCENES_OF_RAISE = 3 };

/* What can be asked of this loop instead of this op, if it has to be another. */
static uint8_t permitted(uint8_t code, const struct lc_recipe *recipe)
{
    static const struct {
        uint8_t code, instead;
        uint32_t capability;
    } needs[] = {
        {LC_OP_RUN, LC_OP_STEP, LC_CAP_STOP},
        {LC_OP_STOP, LC_OP_STEP, LC_CAP_STOP},
        {LC_OP_DROP, LC_OP_STEP, LC_CAP_GC},
        {LC_OP_GC, LC_OP_STEP, LC_CAP_GC},
        {LC_OP_FLUSH, LC_OP_DESTROY, LC_CAP_FLUSH},
        {LC_OP_ABORT, LC_OP_DESTROY, LC_CAP_FLUSH},
        {LC_OP_SWITCH, LC_OP_RESUME, LC_CAP_SWITCH},
        {LC_OP_LIMITS, LC_OP_WRITE, LC_CAP_FLOW},
        {LC_OP_WRITE_EOF, LC_OP_WRITE, LC_CAP_WRITE_EOF},
    };
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (needs[i].code == code && !has(recipe, needs[i].capability))
            return needs[i].instead;
    return code == LC_OP_RAISE && !can_raise(recipe) ? LC_OP_CANCEL : code;
}

uint8_t lc_recipe_any_code(uint64_t *seed, const struct lc_recipe *recipe)
{
    const uint8_t *table = recipe->streams != 0 ? stream_weights : weights;
    unsigned total = 0, drawn;
    uint8_t code = 0;
    for (unsigned i = 0; i < LC_OP_PROGRAM_END; i++)
        total += table[i];
    drawn = below(seed, total);
    while (drawn >= table[code])
        drawn -= table[code++];
    return permitted(code, recipe);
}

static void any_attachment(struct lc_op *op, uint64_t *seed, const struct lc_recipe *recipe)
{
    bool is_for_callbacks = op->op == LC_OP_RAISE || op->op == LC_OP_STOP;
    bool is_ending = op->op == LC_OP_CANCEL || op->op == LC_OP_DESTROY || op->op == LC_OP_FLUSH ||
                     op->op == LC_OP_ABORT; /* telling when another handle is due already */
    if (op->op == LC_OP_STEP || op->op == LC_OP_RUN || (!is_for_callbacks && below(seed, is_ending ? 2 : 3) != 0))
        return;
    op->on = lc_recipe_any_source(seed, recipe);
    if (op->a != 0 && op->a >> 4 != LC_KIND_FD && op->a >> 4 != LC_KIND_CANARY &&
        below(seed, 2)) /* handles of one kind are due in one batch */
        op->on = any_object(seed, op->a >> 4, recipe);
    op->event = any_event(seed, op->on);
}

static uint16_t any_count(uint8_t code, uint64_t *seed, const struct lc_recipe *recipe)
{
    static const uint8_t raises[] = {
        0, 0, 0, 0, LC_RAISE_CANCELLED, LC_RAISE_CANCELLED, LC_RAISE_EXIT, LC_RAISE_INTERRUPT};
    if (code == LC_OP_RAISE && !has(recipe, LC_CAP_RAISE))
        return (uint16_t)(LC_RAISE_EXIT + below(seed, 2));
    if (code == LC_OP_RAISE) /* an exit ends its turn: where loops cannot do it, it would only be ignored */
        return raises[below(seed, recipe->has_exits ? 8 : 6)];
    bool is_of_bytes = code == LC_OP_WRITE || code == LC_OP_WRITELINES || code == LC_OP_PUT || code == LC_OP_TAKE ||
                       code == LC_OP_LIMITS;
    if (is_of_bytes && recipe->streams != 0)
        return any_size(code, seed);
    return (uint16_t)below(seed, 5);
}

/* Not NaN: with it a heap is in no order, and CPython 3.13's own loop cannot wait. Stored programs have it. */
static uint8_t edge(uint64_t *seed)
{
    return (uint8_t)(LC_EDGE_INF + below(seed, LC_EDGE_COUNT - LC_EDGE_INF));
}

struct lc_op lc_recipe_any_op_of(uint8_t code, uint64_t *seed, const struct lc_recipe *recipe)
{
    struct lc_op op = {.op = code};
    const struct lc_op_form *form = &lc_op_forms[op.op];

    if (form->fields & LC_FIELD_A)
        op.a = form->kind_a ? any_object(seed, form->kind_a, recipe) : lc_recipe_any_source(seed, recipe);
    if (form->fields & LC_FIELD_B)
        do
            op.b = any_object(seed, form->kind_b ? form->kind_b : LC_KIND_FD, recipe);
        while (op.b == op.a);
    if (form->fields & LC_FIELD_BITS)
        op.flags = (uint8_t)(1 + below(seed, 3));
    if (form->fields & LC_FIELD_POLL)
        op.flags = below(seed, 3) ? LC_WAIT : 0;
    if (form->fields & LC_FIELD_DURATION)
        op.arg = any_delay_ns(seed, recipe->profile);
    if (form->fields & LC_FIELD_BUFFERED)
        op.flags = below(seed, 3) ? 0 : LC_BUFFERED;
    if (form->fields & LC_FIELD_FAULT)
        op.flags = (uint8_t)(1 + below(seed, LC_FAULT_COUNT - 1));
    if (form->fields & LC_FIELD_EDGE)
        op.flags = edge(seed);
    if (form->fields & LC_FIELD_COUNT)
        op.n = any_count(code, seed, recipe);
    if (form->fields & LC_FIELD_DELAY_US)
        op.n = (uint16_t)(below(seed, 2) ? 0 : 200 + 100 * below(seed, 8));
    any_attachment(&op, seed, recipe);
    return op;
}

static struct lc_op any_op(uint64_t *seed, const struct lc_recipe *recipe)
{
    return lc_recipe_any_op_of(lc_recipe_any_code(seed, recipe), seed, recipe);
}

static size_t append(struct lc_program *program, size_t count, struct lc_op op)
{
    program->ops[count] = op;
    return count + 1;
}

/* What a stream at the other end is asked for instead of what the runner would do there. */
static uint8_t by_stream(uint8_t code)
{
    switch (code) {
    case LC_OP_PUT:
        return LC_OP_WRITE;
    case LC_OP_TAKE:
        return LC_OP_RESUME;
    case LC_OP_SHUT:
        return LC_OP_WRITE_EOF;
    case LC_OP_HANGUP:
        return LC_OP_FLUSH;
    default:
        return LC_OP_ABORT;
    }
}

static struct lc_op op_of_scene(uint8_t code, uint64_t *seed, const struct lc_recipe *recipe, unsigned stream)
{
    const unsigned peer = peer_of(stream);
    const bool is_of_peer = lc_op_forms[code].kind_a == LC_KIND_FD, is_stream = has_stream(recipe, peer);
    struct lc_op op =
        lc_recipe_any_op_of(permitted(is_of_peer && is_stream ? by_stream(code) : code, recipe), seed, recipe);
    if (is_of_peer)
        op.a = handle(is_stream ? LC_KIND_STREAM : LC_KIND_FD, peer);
    else if (op.op == LC_OP_DESTROY || lc_op_forms[code].kind_a == LC_KIND_STREAM)
        op.a = handle(LC_KIND_STREAM, stream);
    if (op.op == LC_OP_RAISE) {
        op.on = handle(LC_KIND_STREAM, stream);
        op.event = any_event(seed, op.on);
    } else if (op.on != 0 && below(seed, 2)) /* the scene is complete, mostly */
        op.on = op.event = 0;
    return op;
}

/* A scene, with other ops in between; returns how long the program is then. */
static size_t generate_scene(struct lc_program *program, size_t count, uint64_t *seed, const struct lc_recipe *recipe)
{
    const uint8_t *scene = scenes[below(seed, can_raise(recipe) ? SCENES : SCENES - SCENES_OF_RAISE)];
    const unsigned stream = any_stream(seed, recipe);
    for (unsigned i = 0; i < SCENE_OPS_MAX && scene[i] != LC_OP_NOP; i++) {
        if (below(seed, 6) == 0)
            count = append(program, count, any_op(seed, recipe));
        count = append(program, count, op_of_scene(scene[i], seed, recipe, stream));
    }
    return count;
}

/* Pairs with a stream on one end or on both, and the steps in which they come to life. */
static size_t generate_streams(struct lc_program *program, uint64_t *seed, struct lc_recipe *recipe)
{
    size_t count = 0;
    for (unsigned i = 1; i <= HANDLES_USED; i += 2) {
        uint8_t code = below(seed, 3) ? LC_OP_PAIR : LC_OP_TCP, first = handle(LC_KIND_FD, i);
        if (i > 1 && below(seed, 2))
            break;
        count = append(program, count, (struct lc_op){.op = code, .a = first, .b = (uint8_t)(first + 1)});
        if (below(seed, 3) == 0) /* what is written will have to wait */
            count = append(program, count, (struct lc_op){.op = LC_OP_FILL, .a = first});
        for (unsigned end = i, last = i + (below(seed, 3) == 0); end <= last; end++) {
            recipe->streams |= (uint16_t)(1u << end);
            count = append(program, count,
                           (struct lc_op){.op = LC_OP_STREAM,
                                          .a = handle(LC_KIND_STREAM, end),
                                          .b = handle(LC_KIND_FD, end),
                                          .flags = below(seed, 3) ? 0 : LC_BUFFERED});
        }
    }
    for (unsigned steps = below(seed, 4) ? 2 : 0; steps > 0; steps--)
        count = append(program, count, (struct lc_op){.op = LC_OP_STEP, .flags = LC_WAIT});
    return count;
}

struct lc_recipe lc_recipe_of(const struct lc_program *program, const struct lc_profile *profile)
{
    struct lc_recipe recipe = {.profile = profile};
    for (size_t i = 0; i < program->count; i++)
        if (program->ops[i].op == LC_OP_STREAM)
            recipe.streams |= (uint16_t)(1u << (program->ops[i].a & 15));
    return recipe;
}

/* The handles that the rest of the program uses; without them most ops would find nothing. Several soons and timers
 * become due together, since most defects show only when one callback of a batch meddles with another. */
static size_t generate_preamble(struct lc_program *program, uint64_t *seed, const struct lc_profile *profile)
{
    size_t count = 0;
    for (unsigned i = 1; i <= HANDLES_USED; i += 2)
        if (below(seed, 3) != 0)
            program->ops[count++] =
                (struct lc_op){.op = LC_OP_PAIR, .a = handle(LC_KIND_FD, i), .b = handle(LC_KIND_FD, i + 1)};
    for (unsigned i = 1; i <= HANDLES_USED && count > 0; i++)
        if (below(seed, 2) != 0)
            program->ops[count++] = (struct lc_op){.op = LC_OP_WATCH,
                                                   .a = handle(LC_KIND_WATCH, i),
                                                   .b = any_handle(seed, LC_KIND_FD),
                                                   .flags = below(seed, 4) ? LC_IN : LC_OUT};
    for (unsigned i = 1; i <= HANDLES_USED; i++)
        if (below(seed, 2) == 0)
            program->ops[count++] = (struct lc_op){.op = LC_OP_WAKER, .a = handle(LC_KIND_WAKER, i)};
    for (unsigned i = 1; i <= HANDLES_USED; i++)
        if (below(seed, 3) == 0)
            program->ops[count++] = (struct lc_op){.op = LC_OP_SOON, .a = handle(LC_KIND_SOON, i)};
    uint64_t delay_ns = below(seed, 2) && profile->delay_ns_max >= profile->tick_ns ? profile->tick_ns : 0;
    for (unsigned i = 1; i <= HANDLES_USED; i++) /* of one deadline */
        if (below(seed, 4) == 0)
            program->ops[count++] = (struct lc_op){.op = LC_OP_TIMER, .a = handle(LC_KIND_TIMER, i), .arg = delay_ns};
    return count;
}

static void insert(struct lc_program *program, size_t at, struct lc_op op)
{
    memmove(&program->ops[at + 1], &program->ops[at], (program->count - at) * sizeof op);
    program->ops[at] = op;
    program->count++;
}

/* Somebody else's files in some programs: behind the steps in which the loop can have closed its own, or when it says
 * so. */
static void add_canaries(struct lc_program *program, uint64_t seed)
{
    uint8_t ended = 0; /* since the last one came */
    unsigned canaries = 0;
    if (below(&seed, 3) != 0)
        return;
    for (size_t i = 0; i < program->count && canaries < CANARIES && program->count < LC_PROGRAM_OPS_MAX; i++) {
        const struct lc_op *op = &program->ops[i];
        const bool is_turn = op->op == LC_OP_STEP || op->op == LC_OP_RUN, is_told = below(&seed, 4) == 0;
        if (op->op == LC_OP_DESTROY || op->op == LC_OP_FLUSH || op->op == LC_OP_ABORT || op->op == LC_OP_HANGUP ||
            op->op == LC_OP_RST || op->op == LC_OP_CANCEL)
            ended = op->a;
        if (ended == 0 || (!is_turn && !is_told) || below(&seed, 2) == 0)
            continue;
        struct lc_op canary = {.op = LC_OP_CANARY, .a = handle(LC_KIND_CANARY, ++canaries)};
        if (is_told && ended >> 4 != LC_KIND_FD) {
            canary.on = ended;
            canary.event = ended >> 4 == LC_KIND_STREAM && below(&seed, 2) ? LC_EVENT_LOST : LC_EVENT_CLOSED;
        }
        insert(program, canary.on != 0 ? i : i + 1, canary);
        ended = 0;
        i++;
    }
}

/* What random ops seldom bring together, in some programs, somewhere. */
static void add_scene(struct lc_program *program, uint64_t seed, const struct lc_profile *profile)
{
    struct lc_program scene;
    if (below(&seed, 3) != 0)
        return;
    lc_scenes_of_loop(&scene, &seed, profile);
    const size_t at = below(&seed, (unsigned)program->count + 1);
    if (scene.count > LC_PROGRAM_OPS_MAX - program->count)
        return;
    memmove(&program->ops[at + scene.count], &program->ops[at], (program->count - at) * sizeof *program->ops);
    memcpy(&program->ops[at], scene.ops, scene.count * sizeof *scene.ops);
    program->count += scene.count;
}

/* Timers of their own at the edges of numbers, in some programs. */
static void add_edges(struct lc_program *program, uint64_t seed, const struct lc_profile *profile)
{
    if (!(profile->capabilities & LC_CAP_EDGE) || below(&seed, 6) != 0)
        return;
    for (unsigned i = 1; i <= EDGES && program->count < LC_PROGRAM_OPS_MAX; i++) {
        const size_t at = program->count == 0 ? 0 : below(&seed, (unsigned)program->count);
        const uint8_t timer = handle(LC_KIND_TIMER, HANDLES_USED + i);
        insert(program, at, (struct lc_op){.op = LC_OP_EDGE, .a = timer, .flags = edge(&seed)});
        if (below(&seed, 3) == 0 && program->count < LC_PROGRAM_OPS_MAX)
            insert(program, at + 1 + below(&seed, (unsigned)(program->count - at)),
                   (struct lc_op){.op = below(&seed, 2) ? LC_OP_CANCEL : LC_OP_DESTROY, .a = timer});
    }
}

void lc_program_generate(struct lc_program *program, uint64_t seed, const struct lc_profile *profile)
{
    uint64_t family_seed = seed ^ FAMILY_SEED, canary_seed = seed ^ CANARY_SEED, edge_seed = seed ^ EDGE_SEED,
             scene_seed = seed ^ SCENE_SEED;
    size_t ops = OPS_MIN + below(&seed, OPS_SPREAD);
    struct lc_recipe recipe = {.profile = profile};
    const enum lc_family family =
        profile->family == LC_FAMILY_ANY ? lc_scenes_choose(&family_seed, profile) : profile->family;
    recipe.has_exits = family == LC_FAMILY_EXITS && has(&recipe, LC_CAP_EXIT);
    memset(program, 0, sizeof *program);
    if (lc_scenes_fit(family, profile)) {
        lc_scenes_generate(program, &family_seed, family);
        lc_program_canonical(program);
        add_canaries(program, canary_seed);
        add_edges(program, edge_seed, profile);
        return;
    }
    if (has(&recipe, LC_CAP_STREAM) && below(&seed, 2))
        program->count = generate_streams(program, &seed, &recipe);
    else
        program->count = generate_preamble(program, &seed, profile);
    for (ops += program->count; program->count < ops;)
        if (recipe.streams != 0 && below(&seed, 3) == 0)
            program->count = generate_scene(program, program->count, &seed, &recipe);
        else
            program->count = append(program, program->count, any_op(&seed, &recipe));
    if (recipe.streams == 0)
        add_scene(program, scene_seed, profile);
    lc_program_canonical(program);
    add_canaries(program, canary_seed);
    add_edges(program, edge_seed, profile);
}
