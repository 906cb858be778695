/* Each function canary_NAME has the defect NAME. The report has to name the function, so none may be inlined; what it
 * does goes through volatile, so that the compiler cannot see the defect and remove it. */
#include "canaries.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CANARY __attribute__((noinline)) static void

enum { BYTES = 64, LEAKS = 32, RACE_WRITES = 1000 };

static volatile int sink;
static volatile int zero; /* the compiler does not know that it is */

/* Several, since a forgotten register or stack slot may still hold the last pointer. */
CANARY canary_leak(void)
{
    for (int i = 0; i < LEAKS; i++) {
        char *volatile lost = malloc(BYTES);
        lost = NULL;
        (void)lost;
    }
}

CANARY canary_heap_overflow(void)
{
    char *volatile bytes = calloc(1, BYTES);
    if (bytes != NULL)
        sink = bytes[BYTES + zero];
    free(bytes);
}

CANARY canary_use_after_free(void)
{
    char *volatile bytes = calloc(1, BYTES);
    free(bytes);
    sink = bytes[zero];
}

CANARY canary_undefined_shift(void)
{
    sink = 1 << (32 + zero);
}

CANARY canary_uninitialised(void)
{
    char *volatile bytes = malloc(BYTES);
    if (bytes != NULL && bytes[zero] == 'x')
        sink = 1;
    free(bytes);
}

static int raced; /* plain, and written by two threads */

static void *canary_data_race_thread(void *arg)
{
    for (int i = 0; i < RACE_WRITES; i++)
        *(volatile int *)arg += 1;
    return NULL;
}

CANARY canary_data_race(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, canary_data_race_thread, &raced) != 0)
            abort();
    for (int i = 0; i < 2; i++)
        (void)pthread_join(threads[i], NULL);
}

/* No defect: what must not be reported. */
CANARY canary_none(void)
{
    sink = zero;
}

static const struct {
    const char *name;
    void (*run)(void);
} canaries[] = {
#define C(name) {#name, canary_##name}
    C(leak), C(heap_overflow), C(use_after_free), C(undefined_shift), C(uninitialised), C(data_race), C(none),
#undef C
};

int canary_run(const char *name)
{
    for (size_t i = 0; i < sizeof canaries / sizeof *canaries; i++) {
        if (strcmp(canaries[i].name, name) == 0) {
            canaries[i].run();
            return 0;
        }
    }
    return -1;
}
