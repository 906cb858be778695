/* The replayer: programs from files, or random ones, on any driver of this build. It shares all but
 * main with the fuzzer, so that gcc suffices to replay what libFuzzer found.
 *
 *   fuzz_program_replay [--driver NAME] [--verbose] [--repeat COUNT] FILE...
 *   fuzz_program_replay [--driver NAME] --random COUNT [--seed FIRST] [--family NAME]
 *   fuzz_program_replay --to-bytes FILE.loop OUT
 *
 * NAME is a driver of this build, or the path (with a slash) of one in a shared object. FILE.loop is text, any other
 * file is bytes. A family: loop, servers, connects, requests, exits, datagrams. Exit status: 0 no rule broken, 1 a rule
 * broken, 2 bad arguments. A hang ends after 10 s, or 20, a failed assertion at once, with the program's name.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "drivers/drivers.h"
#include "fuzz_program.h"
#include "names.h"

enum { FILE_BYTES_MAX = 1 << 16, HANG_SECONDS_MAX = 10, SHRINK_TRIES_MAX = 2000 };

static struct {
    const char *driver;
    bool is_verbose;
    unsigned long long random;
    unsigned long long repeat; /* how often each file's program runs */
    unsigned long long seed;
    enum lc_family family;
} options;

static const char *running = "";                 /* what hangs, if it hangs */
static const struct lc_program *running_program; /* to be shown then: a random one, not one from a file */
static volatile unsigned programs_begun;         /* the one that runs is this */

static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        _exit(3);
}

/* Names the program that ended the process; the one way to tell, since the process is not to be trusted. */
static void on_signal(int number)
{
    static char text[LC_PROGRAM_OPS_MAX * LC_TEXT_LINE_MAX];
    static unsigned programs_seen;
    if (number == SIGALRM && fuzz_program_driver()->is_exact && programs_begun != programs_seen) {
        programs_seen = programs_begun;
        signal(SIGALRM, on_signal); /* some systems have forgotten it by now */
        alarm(HANG_SECONDS_MAX);
        return;
    }
    say(running);
    say(number == SIGALRM ? ": HANG\n" : ": CRASH by a failed assertion\n");
    if (running_program != NULL) {
        lc_program_format(running_program, text, sizeof text);
        say(text);
    }
    _exit(1);
}

static _Noreturn void refuse(const char *what, const char *why)
{
    fprintf(stderr, "fuzz_program_replay: %s: %s\n", what, why);
    exit(2);
}

static void read_program(const char *path, struct lc_program *program)
{
    static char data[FILE_BYTES_MAX + 1];
    const char *suffix = strrchr(path, '.'), *why;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        refuse(path, "cannot be opened");
    size_t size = fread(data, 1, sizeof data, file);
    if (ferror(file))
        refuse(path, "cannot be read");
    fclose(file);
    if (suffix != NULL && strcmp(suffix, ".loop") == 0) {
        if (size > FILE_BYTES_MAX || memchr(data, '\0', size) != NULL)
            refuse(path, size > FILE_BYTES_MAX ? "is longer than 64 KiB" : "has a byte 0: it is no text");
        data[size] = '\0';
        int line = lc_program_parse(program, data, &why);
        char where[300];
        snprintf(where, sizeof where, "%s:%d", path, line);
        if (line != 0)
            refuse(where, why);
    } else {
        lc_program_decode(program, (const uint8_t *)data, size);
    }
    lc_program_canonical(program);
}

/* Of simulated programs only the handler looks whether another one runs by now: a system call a program would be a
 * tenth of all time. No alarm may come into a real one's waits. */
static void watch_for_hang(void)
{
    programs_begun++;
    if (!fuzz_program_driver()->is_exact)
        alarm(HANG_SECONDS_MAX); /* in place of the last program's */
}

static bool replay(const char *name, const struct lc_program *program)
{
    static struct lc_judgement judgement;
    running = name;
    watch_for_hang();
    fuzz_program_judge(program, &judgement);
    if (options.is_verbose)
        fuzz_program_print(program, &judgement);
    for (size_t i = 0; i < judgement.count; i++)
        printf("%s: %s %s\n", name, judgement.violations[i].rule, judgement.violations[i].text);
    return judgement.count == 0;
}

static bool breaks_rule(void *rule, const struct lc_program *program)
{
    struct lc_judgement judgement;
    watch_for_hang();
    fuzz_program_judge(program, &judgement);
    for (size_t i = 0; i < judgement.count; i++)
        if (strcmp(judgement.violations[i].rule, rule) == 0)
            return true;
    return false;
}

/* So that "nothing broken" cannot hide "nothing done". */
static void print_share(void)
{
    const struct lc_stats *totals = fuzz_program_totals();
    printf("%u of %u ops executed, %u callbacks\n", totals->executed, totals->ops, totals->callbacks);
}

/* Stops at the first program that breaks a rule and shows it shrunk. */
static int replay_random(void)
{
    static struct lc_program program;
    struct lc_profile profile = fuzz_program_profile();
    profile.family = options.family;
    running_program = &program;
    for (unsigned long long i = 0; i < options.random; i++) {
        char name[64];
        struct lc_judgement judgement;
        snprintf(name, sizeof name, "seed %llu", options.seed + i);
        lc_program_generate(&program, options.seed + i, &profile);
        if (replay(name, &program))
            continue;
        fuzz_program_judge(&program, &judgement);
        if (judgement.count > 0)
            lc_program_shrink(&program, breaks_rule, judgement.violations[0].rule, SHRINK_TRIES_MAX);
        fuzz_program_judge(&program, &judgement);
        fuzz_program_print(&program, &judgement);
        return 1;
    }
    print_share();
    printf("%llu passed, 0 failed\n", options.random);
    return 0;
}

static int convert(const char *from, const char *to)
{
    static struct lc_program program;
    static uint8_t bytes[LC_PROGRAM_OPS_MAX * LC_OP_BYTES];
    read_program(from, &program);
    size_t size = lc_program_encode(&program, bytes);
    FILE *file = fopen(to, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
        refuse(to, "cannot be written");
    return 0;
}

static enum lc_family read_family(const char *name)
{
    for (enum lc_family family = LC_FAMILY_ANY; family < LC_FAMILY_COUNT; family++)
        if (strcmp(name, lc_family_names[family]) == 0)
            return family;
    refuse(name, "no such family of programs");
}

static unsigned long long read_number(const char *option, const char *value)
{
    unsigned long long number;
    if (!argument_is_number(value, &number))
        refuse(option, "needs a number");
    return number;
}

/* Returns where the files begin. */
static int read_options(int count, char **arguments)
{
    int i = 1;
    options.seed = options.repeat = 1;
    for (; i < count && strncmp(arguments[i], "--", 2) == 0; i++) {
        const char *option = arguments[i], *value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(option, "--verbose") == 0) {
            options.is_verbose = true;
            continue;
        }
        if (strcmp(option, "--driver") == 0)
            options.driver = value;
        else if (strcmp(option, "--random") == 0)
            options.random = read_number(option, value);
        else if (strcmp(option, "--repeat") == 0)
            options.repeat = read_number(option, value);
        else if (strcmp(option, "--seed") == 0)
            options.seed = read_number(option, value);
        else if (strcmp(option, "--family") == 0)
            options.family = read_family(value);
        else if (strcmp(option, "--to-bytes") == 0 && i + 2 < count)
            exit(convert(value, arguments[i + 2]));
        else
            refuse(option, "no such option (see the first comment of fuzz/targets/replay.c)");
        i++;
    }
    return i;
}

/* A name with a slash is a shared object, as for the dynamic linker. */
static struct lc_driver *chosen_driver(void)
{
    const char *why = "no such driver";
    const bool is_path = options.driver != NULL && strchr(options.driver, '/') != NULL;
    struct lc_driver *driver = is_path
                                   ? driver_load(options.driver, &why)
                                   : driver_find(options.driver != NULL ? options.driver : fuzz_program_driver_name);
    if (driver != NULL)
        return driver;
    for (size_t i = 0; !is_path && driver_name(i) != NULL; i++)
        fprintf(stderr, "driver of this build: %s\n", driver_name(i));
    refuse(options.driver != NULL && *options.driver != '\0' ? options.driver : "--driver", why);
}

int main(int count, char **arguments)
{
    static struct lc_program program;
    int first = read_options(count, arguments);
    unsigned long passed = 0, failed = 0;
    struct lc_driver *driver = chosen_driver();

    if (options.random == 0 && (first >= count || options.repeat == 0))
        refuse("nothing to do", "name programs, or --random COUNT");
    /* signal() would do it once only: as C11 and POSIX are asked for, the handler is gone with its first call. */
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGABRT, &action, NULL);
    alarm(HANG_SECONDS_MAX);
    fuzz_program_use(driver);
    if (options.random > 0)
        return replay_random();
    for (int i = first; i < count; i++) {
        read_program(arguments[i], &program);
        for (unsigned long long run = 0; run < options.repeat; run++)
            *(replay(arguments[i], &program) ? &passed : &failed) += 1;
    }
    print_share();
    printf("%lu passed, %lu failed\n", passed, failed);
    return failed > 0;
}
