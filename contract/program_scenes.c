/* A scene is a few lines of a program in which {a|b} stands for one of the two, and which may stand inside each other.
 */
#include "program_scenes.h"

#include <assert.h>
#include <string.h>

enum { SCENE_BYTES_MAX = 1024, SCENES_MIN = 3, SCENES_SPREAD = 10 };

#define BYTES "{1|5|100|4096|9000|65535}"
#define STEPS "{|step\n|step\nstep\n|step poll\n|step\nstep\nstep\nstep\n}"

static const char *const of_servers[] = {
#define C "f{1|1|2|2|3|4|5|6}" /* clients: the first ones are there, mostly */
#define S "s{5|5|5|6|6|7|9}"   /* their streams */
    "listen l1 s5{| 1| 3}\n{|listen l2 s9\n}client f1 l1\n{|client f2 l1\n}{|client f3 l{1|2}\n}" STEPS,
    "client f{2|3|4|5|6} l{1|1|1|2}\n" STEPS,
    "client f{4|5|6} l1\n{rst|hangup|shut} f{4|5|6}\nstep\n",
    "put " C " " BYTES "\n{|{shut|rst|hangup} " C "\n}" STEPS,
    "write " S " " BYTES "\nstep\ntake " C "\n",
    "{hangup|rst|shut|take} " C "\n",
    "{close|abort|destroy|pause|resume|write_eof} " S "\n" STEPS,
    "on " S ".{made|made|data|eof|lost}: {close|abort|destroy|pause|write_eof} " S "\n",
    "on " S ".{made|made|data|eof|lost}: {write " S " " BYTES "|raise{| 2| 3}|destroy l1|client f{4|5|6} l1|stop}\n",
    "on l1.factory: raise{| 2}\nclient f{1|2|3|4|5|6} l1\n" STEPS,
    "on l1.factory: {raise{| 2}|destroy l1|client f{4|5|6} l1|close " S "|put f1 5|{rst|hangup} f{1|2}|stop}\n",
    "destroy l{1|1|2}\n{|client f{4|5|6} l1\n}" STEPS,
    "soon c1\non c1: {client f{4|5|6} l1|destroy l1|listen l2 s9|rst f{1|2}}\n",
    "listen l{2|3} s{5|6|9|12}{| 1}\nclient f{4|5|6} l{2|3}\n",
    "run {1|2|3}\n",
    STEPS,
#undef C
#undef S
};

static const char *const of_connects[] = {
#define S "s{1|1|1|2|2|3|4}"
#define F "f{2|2|3|4}"
    "backlog f1\n{|connect s1 f1\n}{|connect s2 f1\n}" STEPS,
    "connect s{1|2|3|4} f1\n" STEPS,
    "accept " F " f1\n{|put " F " " BYTES "\n}" STEPS,
    "connect s{1|2|3|4} f1\n" STEPS "cancel s{1|2|3|4}\n" STEPS,
    "{connect s1 f1\n{|step poll\n}cancel s1|connect s2 f1\n{|step poll\n}cancel s2|connect s3 f1\ncancel s3}\n" STEPS,
    "connect s{1|2|3|4} f1\n{|step poll\n}destroy s{1|2|3|4}\nconnect s{3|4} f1\n" STEPS,
    "hangup f1\nconnect s{1|2|3|4} f1\n{|cancel s{1|2|3|4}\n}" STEPS,
    "write " S " " BYTES "\nstep\ntake " F "\n",
    "put " F " " BYTES "\n" STEPS,
    "{hangup|rst|shut|take} " F "\n" STEPS,
    "{close|abort|destroy|cancel|pause|resume|write_eof} " S "\n" STEPS,
    "on " S ".{made|made|done|done|data|lost}: {close|abort|destroy|cancel|write_eof} " S "\n",
    "on " S ".{made|done|data|lost}: {write " S " " BYTES "|raise{| 2}|connect s{3|4} f1|accept " F
    " f1|hangup f1|stop}\n",
    "soon c1\non c1: {cancel " S "|connect s{3|4} f1|hangup f1|destroy " S "}\n",
    "{backlog f5\nconnect s{5|6} f5\n|hangup f5\n}",
    "run {1|2}\n",
    STEPS,
#undef S
#undef F
};

static const char *const of_requests[] = {
#define Q "q{1|2|3|4|5|6|7|8}"
    "{pair|tcp} f1 f2\n{|recv q1 f1{| 100}\n}" STEPS,
    "recv " Q " f{1|1|1|2} {1|100|9000}\n" STEPS,
    "put f2 " BYTES "\nrecv " Q " f1 {1|100|65535}\n" STEPS,
    "put f{1|2} " BYTES "\n" STEPS,
    "sendall " Q " f{1|2} " BYTES "\n" STEPS "take f{2|2|2|1}{| 5| 4096}\n" STEPS,
    "fill f1\nsendall " Q " f1 " BYTES "\n" STEPS "{take f2\n|cancel " Q "\n|destroy " Q "\n|hangup f2\n}" STEPS,
    "sendall q1 f1 65535\nrecv q2 f1\nput f2 5\n" STEPS "take f2\n" STEPS,
    "task " Q " {1|2|5}\n{|task " Q " {1|3}\n}" STEPS,
    "task " Q " {1|2|5}\n{|step poll\n}{cancel|destroy|drop} " Q "\n{|gc\n}" STEPS,
    "on " Q ".done: {task " Q " 2|drop " Q "|gc|sendall " Q " f1 100}\n",
    "drop " Q "\ngc\n" STEPS,
    "{recv q1 f1\n" STEPS
    "cancel q1\nrecv q2 f1|recv q2 f1\ncancel q2\nrecv q3 f1|recv q4 f1\nstep poll\ncancel q4\nrecv q5 f1}\n"
    "{|put f2 5\n}" STEPS,
    "recv " Q " f1\n{|step poll\n}{cancel|destroy} " Q "\n{|recv " Q " f1\n}{|put f2 5\n}" STEPS,
    "on " Q ".done: {recv " Q " f1 100|cancel " Q "|destroy " Q "|put f2 5|raise{| 2}|watch w1 f1 in|stop}\n",
    "soon c1\non c1: {cancel " Q "|recv " Q " f1|put f2 5}\n",
    "{shut|take} f{1|2}\n" STEPS,
    "{hangup|rst|recycle} f2\n" STEPS,
    "watch w1 f{1|2} {in|out}\nstep\ncancel w1\nrecv " Q " f{1|2}\n",
    "run {1|2}\n",
    STEPS,
#undef Q
};

static const char *const of_datagrams[] = {
#define D "d{1|1|1|2|2|3|4}"
#define E "f{2|2|2|3|4}" /* the runner's own ends, mostly */
#define SIZE "{| 1| 5| 100| 1472| 4096| 9000| 65507| 65508}"
#define SENDS                                                                                                          \
    "{|send " D SIZE "\n|send " D SIZE "\nsend " D SIZE "\n|send d1" SIZE "\nsend d1" SIZE "\nsend d1" SIZE "\n}"
#define PUTS "{put f2" SIZE "\n|put f2" SIZE "\nput f2" SIZE "\n|put f2\nput f2 7\nput f2" SIZE "\n|fill f2\n}"
    "udp f1 f2\n{|||put f2" SIZE "\n}datagram d1 f1\n{|||datagram d2 f2\n}{|udp f3 f4\ndatagram d3 f3\n}" STEPS,
    PUTS STEPS,
    PUTS PUTS "step\n",
    "put " E SIZE "\n" STEPS,
    "send " D SIZE "\n" SENDS STEPS "{|take " E "{| 1}\n}",
    "send d1" SIZE "\n" SENDS "{close|abort|destroy} d1\n" STEPS "take f2\n",
    "hangup " E "\n" STEPS "send " D SIZE "\n" STEPS SENDS,
    "hangup f2\nsend d1 5\n{|step\n}send d1 5\n{|step\n}send d1" SIZE "\n" STEPS,
    "{close|abort|destroy} " D "\n" STEPS,
    "limits " D "{| 1| 100| 65535}\n",
    "datagram d{2|3|4} f{2|3|4}\n" STEPS,
    "on " D ".{made|datagram|datagram|datagram|refused|lost}: {close|abort|destroy} " D "\n",
    "on d1{||.datagram|.datagram|.refused|.lost}: raise{| 2}\n{put f2" SIZE
    "\n|put f2 5\nput f2 7\n|send d1 65508\n|hangup f2\nsend d1 5\n}" STEPS,
    "on " D ".{made|datagram|datagram|datagram|refused|lost}: {send " D SIZE "|put f{2|4}" SIZE "|raise{| 2}|hangup " E
    "|stop}\n",
    "on d1.{made|datagram|refused}: {send d1" SIZE "|close d1|abort d1|raise{| 2}|destroy d1}\n" PUTS STEPS,
    "{pair f5 f6\nwatch w1 f5 in\non w1: {close|abort|destroy} d1\nput f6 4\nput f2 5\nstep\n|soon c1\non c1: {close "
    "d1|abort d1|destroy d1|send d1" SIZE "|hangup f2|put f2" SIZE "}\n}",
    "{watch w2 f{2|4} {in|out|in+out}\n|cancel w2\n|destroy w2\n}" STEPS,
    "run {1|2|3}\n",
    STEPS,
#undef D
#undef E
#undef SIZE
#undef SENDS
#undef PUTS
};

/* Of programs of the loop itself; with handles of their own, so that they can stand anywhere. */
static const char *const of_loop[] = {
#define WATCHED "pair f5 f6\nwatch w5 f5 in\n{|watch w6 f5 in\n}"
#define POST "post p5{| 300us}\n" /* before a sleep, or in it */
    WATCHED "waker p5\non w5: take f5\nput f6 5\nstep\n" POST "step\n" STEPS,
    WATCHED "waker p5\nput f6 5\nstep\n{cancel|destroy|rearm} w5\n" POST "step\n{take f5\nrearm w5\nstep\n|}",
    WATCHED "on w5: {take f5|cancel w6|destroy w6|rearm w6}\nput f6 {1|100}\nstep\n{take f5\n|}" STEPS,
    "waker p5\nwaker p6\non p5: {post p6|post p5|destroy p6|timer t5 0ns|soon c5}\n{|post p6 300us\n}" POST STEPS,
    "soon c5\non c5: timer t5 3ms\nstep{| poll}\n{|advance 1ms\n|advance 2ms\n}step\n" STEPS,
    "timer t5 3ms\nwaker p5\n" POST "step\n{|cancel t5\n|rearm t5\n}advance 2ms\n" STEPS,
#undef WATCHED
#undef POST
};

/* The first scene of each begins its programs. */
static const struct {
    uint32_t capability;
    const char *const *scenes;
    unsigned count;
} families[LC_FAMILY_COUNT] = {
    [LC_FAMILY_SERVERS] = {LC_CAP_SERVER, of_servers, sizeof of_servers / sizeof *of_servers},
    [LC_FAMILY_CONNECTS] = {LC_CAP_CONNECT, of_connects, sizeof of_connects / sizeof *of_connects},
    [LC_FAMILY_REQUESTS] = {LC_CAP_REQUEST, of_requests, sizeof of_requests / sizeof *of_requests},
    [LC_FAMILY_DATAGRAMS] = {LC_CAP_DATAGRAM, of_datagrams, sizeof of_datagrams / sizeof *of_datagrams},
};

static unsigned below(uint64_t *seed, unsigned bound)
{
    return (unsigned)(lc_random(seed) % bound);
}

/* ---- text ------------------------------------------------------------------------------------- */

/* Behind the alternative that begins here: at its '|' or '}'. */
static const char *end_of_alternative(const char *at)
{
    for (int depth = 0; depth > 0 || (*at != '|' && *at != '}'); at++)
        depth += (*at == '{') - (*at == '}');
    return at;
}

/* Writes the text up to `end` with an alternative chosen for each choice; returns where the next byte goes. */
static char *expand(const char *at, const char *end, char *out, const char *out_end, uint64_t *seed)
{
    while (at < end) {
        if (*at != '{') {
            assert(out < out_end);
            *out++ = *at++;
            continue;
        }
        const char *begin = ++at, *stop;
        unsigned count = 1, chosen;
        for (stop = end_of_alternative(begin); *stop == '|'; stop = end_of_alternative(stop + 1))
            count++;
        for (chosen = below(seed, count); chosen > 0; chosen--)
            begin = end_of_alternative(begin) + 1;
        out = expand(begin, end_of_alternative(begin), out, out_end, seed);
        at = stop + 1;
    }
    return out;
}

static void play(struct lc_program *scene, const char *from, uint64_t *seed)
{
    char text[SCENE_BYTES_MAX] = "";
    const char *why = NULL;
    *expand(from, from + strlen(from), text, text + sizeof text - 1, seed) = '\0';
    int line = lc_program_parse(scene, text, &why);
    assert(line == 0); /* the scenes are ours */
    (void)line;
}

/* ---- programs --------------------------------------------------------------------------------- */

bool lc_scenes_fit(enum lc_family family, const struct lc_profile *profile)
{
    return families[family].count > 0 && (families[family].capability & profile->capabilities) != 0;
}

enum lc_family lc_scenes_choose(uint64_t *seed, const struct lc_profile *profile)
{
    enum lc_family fitting[LC_FAMILY_COUNT];
    unsigned count = 0;
    for (enum lc_family family = LC_FAMILY_LOOP + 1; family < LC_FAMILY_COUNT; family++)
        if (lc_scenes_fit(family, profile))
            fitting[count++] = family;
    if (profile->capabilities & LC_CAP_EXIT)
        fitting[count++] = LC_FAMILY_EXITS;
    return count > 0 && below(seed, 2) ? fitting[below(seed, count)] : LC_FAMILY_LOOP;
}

enum lc_family lc_scenes_family_of(const struct lc_program *program)
{
    for (size_t i = 0; i < program->count; i++)
        switch (program->ops[i].op) {
        case LC_OP_LISTEN:
        case LC_OP_CLIENT:
            return LC_FAMILY_SERVERS;
        case LC_OP_BACKLOG:
        case LC_OP_CONNECT:
            return LC_FAMILY_CONNECTS;
        case LC_OP_RECV:
        case LC_OP_SENDALL:
        case LC_OP_TASK:
            return LC_FAMILY_REQUESTS;
        case LC_OP_UDP:
        case LC_OP_DATAGRAM:
            return LC_FAMILY_DATAGRAMS;
        default:
            break;
        }
    return LC_FAMILY_LOOP;
}

void lc_scenes_generate(struct lc_program *program, uint64_t *seed, enum lc_family family)
{
    struct lc_program scene;
    play(program, families[family].scenes[0], seed);
    for (unsigned scenes = SCENES_MIN + below(seed, SCENES_SPREAD); scenes > 0; scenes--) {
        play(&scene, families[family].scenes[1 + below(seed, families[family].count - 1)], seed);
        memcpy(program->ops + program->count, scene.ops, scene.count * sizeof *scene.ops);
        program->count += scene.count;
    }
}

void lc_scenes_of_loop(struct lc_program *scene, uint64_t *seed, const struct lc_profile *profile)
{
    play(scene, of_loop[below(seed, sizeof of_loop / sizeof *of_loop)], seed);
    for (size_t i = 0; i < scene->count; i++)
        if (scene->ops[i].arg > profile->delay_ns_max || scene->ops[i].arg % profile->tick_ns != 0)
            scene->ops[i].arg = profile->delay_ns_max / profile->tick_ns * profile->tick_ns;
}

struct lc_op lc_scenes_any_op(uint64_t *seed, enum lc_family family)
{
    struct lc_program scene;
    play(&scene, families[family].scenes[below(seed, families[family].count)], seed);
    return scene.count > 0 ? scene.ops[below(seed, (unsigned)scene.count)]
                           : (struct lc_op){.op = LC_OP_STEP, .flags = LC_WAIT};
}
