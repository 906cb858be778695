/* Calls that are only counted. With a sanitizer preloaded first, its allocator is used and these are not reached. */
#include <pthread.h>
#include <stddef.h>

#include "shim.h"

/* glibc's own, by which it can be reached without looking anything up: that would allocate. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *had, size_t size);

SHIM_EXPORT void *malloc(size_t size)
{
    shim_count(SHIM_COUNT_ALLOCATION);
    return __libc_malloc(size);
}

SHIM_EXPORT void *calloc(size_t count, size_t size)
{
    shim_count(SHIM_COUNT_ALLOCATION);
    return __libc_calloc(count, size);
}

SHIM_EXPORT void *realloc(void *had, size_t size)
{
    shim_count(SHIM_COUNT_ALLOCATION);
    return __libc_realloc(had, size);
}

SHIM_EXPORT int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    shim_count(SHIM_COUNT_LOCK);
    return REAL(pthread_mutex_lock)(mutex);
}

SHIM_EXPORT int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    shim_count(SHIM_COUNT_CONDITION);
    return REAL(pthread_cond_wait)(condition, mutex);
}

/* CPython hands the GIL over here. Seen where the interpreter is a library of its own, or an extension calls. */
SHIM_EXPORT void *PyEval_SaveThread(void);
SHIM_EXPORT void *PyEval_SaveThread(void)
{
    shim_count(SHIM_COUNT_GIL);
    return REAL(PyEval_SaveThread)();
}
