/* The replayer of the targets on bytes: inputs from files, or random ones. It shares all but main with the fuzzer, so
 * that any compiler suffices to replay what libFuzzer found.
 *
 *   TARGET_replay FILE...
 *   TARGET_replay --random COUNT [--seed FIRST]
 *   TARGET_replay --write OUT [--seed SEED]      the random input of this seed, as a file
 *
 * Exit status: 0 nothing found, 1 an input crashed or hung (10 s), 2 bad arguments. A seed gives the same input always.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "input.h"
#include "program.h"

enum { FILE_BYTES_MAX = 1 << 20, RANDOM_BYTES_MAX = 600, HANG_SECONDS_MAX = 10 };

static uint8_t data[FILE_BYTES_MAX];
static char running[256]; /* what crashes, if it crashes */

static void on_signal(int number)
{
    const char *what = number == SIGALRM ? ": HANG\n" : ": CRASH\n";
    if (write(STDOUT_FILENO, running, strlen(running)) < 0 || write(STDOUT_FILENO, what, strlen(what)) < 0)
        _exit(3);
    _exit(1);
}

static _Noreturn void refuse(const char *what, const char *why)
{
    fprintf(stderr, "replay: %s: %s\n", what, why);
    exit(2);
}

static size_t read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        refuse(path, "cannot be opened");
    size_t size = fread(data, 1, sizeof data, file);
    if (ferror(file))
        refuse(path, "cannot be read");
    fclose(file);
    return size;
}

static size_t make_random(uint64_t seed)
{
    size_t size = lc_random(&seed) % RANDOM_BYTES_MAX;
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)lc_random(&seed);
    return size;
}

static void replay(const char *name, size_t size)
{
    uint8_t *exact = malloc(size + 1); /* so that a sanitizer sees the byte behind the end */
    if (exact == NULL)
        refuse(name, "no memory");
    memcpy(exact, data, size);
    snprintf(running, sizeof running, "%s", name);
    alarm(HANG_SECONDS_MAX);
    LLVMFuzzerTestOneInput(exact, size);
    alarm(0);
    free(exact);
}

static int write_input(const char *path, uint64_t seed)
{
    size_t size = make_random(seed);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0)
        refuse(path, "cannot be written");
    return 0;
}

static unsigned long long read_number(const char *option, const char *value)
{
    unsigned long long number;
    if (!argument_is_number(value, &number))
        refuse(option, "needs a number");
    return number;
}

int main(int count, char **arguments)
{
    unsigned long long seed = 1, random = 0;
    const char *out = NULL;
    int i = 1;
    for (; i < count && strncmp(arguments[i], "--", 2) == 0; i += 2) { /* each has a value */
        const char *value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(arguments[i], "--random") == 0)
            random = read_number(arguments[i], value);
        else if (strcmp(arguments[i], "--seed") == 0)
            seed = read_number(arguments[i], value);
        else if (strcmp(arguments[i], "--write") == 0)
            out = value;
        else
            refuse(arguments[i], "no such option (see the first comment of fuzz/targets/replay_bytes.c)");
    }
    if (out != NULL)
        return write_input(out, seed);
    if (random == 0 && i >= count)
        refuse("nothing to do", "name files, or --random COUNT");
    signal(SIGALRM, on_signal);
    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    for (unsigned long long done = 0; done < random; done++) {
        char name[64];
        snprintf(name, sizeof name, "seed %llu", seed + done);
        replay(name, make_random(seed + done));
    }
    for (; i < count; i++)
        replay(arguments[i], read_file(arguments[i]));
    printf("all passed\n");
    return 0;
}
