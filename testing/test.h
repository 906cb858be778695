/* The smallest test kit that serves: a check that stays on in release builds, and a main that runs a table of tests. */
#ifndef TEST_H
#define TEST_H

#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>

struct test {
    const char *name;
    void (*run)(void);
};

static jmp_buf test_failed;

static inline _Noreturn void test_fail(const char *file, int line, const char *expression)
{
    printf("%s:%d: CHECK(%s) failed\n", file, line, expression);
    (void)fflush(stdout); /* a sanitizer may end the program without doing it */
    longjmp(test_failed, 1);
}

/* Ends the test when the expression is false. On the main thread only. */
#define CHECK(expression) ((expression) ? (void)0 : test_fail(__FILE__, __LINE__, #expression))

#define TEST(function) {#function, function}

/* Op number i of sequence number code, if there are base different ops: lets a test count through all sequences. */
static inline unsigned test_op(unsigned long code, unsigned base, unsigned i)
{
    while (i-- > 0)
        code /= base;
    return (unsigned)(code % base);
}

/* How many sequences of length ops there are. */
static inline unsigned long test_sequences(unsigned base, unsigned length)
{
    unsigned long count = 1;
    while (length-- > 0)
        count *= base;
    return count;
}

static inline int test_main(const struct test *tests, size_t tests_count)
{
    volatile size_t failed_count = 0;
    for (volatile size_t i = 0; i < tests_count; i++) {
        if (setjmp(test_failed) == 0) {
            tests[i].run();
        } else {
            printf("FAILED %s\n", tests[i].name);
            (void)fflush(stdout);
            failed_count++;
        }
    }
    printf("%zu passed, %zu failed\n", tests_count - failed_count, failed_count);
    return failed_count == 0 ? 0 : 1;
}

#define TEST_MAIN(tests)                                                                                               \
    int main(void)                                                                                                     \
    {                                                                                                                  \
        return test_main(tests, sizeof(tests) / sizeof *(tests));                                                      \
    }

#endif
