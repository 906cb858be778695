/* A canary takes the numbers that the loop has closed; what the loop then does to them is seen, and nothing else is. */
#include <string.h>

#include "rig.h"
#include "testing/test.h"

enum { STREAMS = RIG_CAPABILITIES | RIG_STREAMS };

static const char closed_early[] =
    "pair f1 f2\nstream s1 f1\nstep\nabort s1\nstep\nstep\ncanary k1\ndestroy s1\nstep\n";

/* Nothing is said of a canary on a correct loop; it is made once, and gone when the run ends. */
static void canaries_are_left_alone(void)
{
    rig_init(FAKE_CORRECT, STREAMS);
    CHECK(rig_counts(closed_early, 9, 0, 0));
    CHECK(rig_counts("canary k1\ncanary k1\ncanary k15\nstep\n", 3, 1, 0));
    CHECK(rig_counts("pair f1 f2\nput f1 5\ncanary k1\ntake f2\nhangup f1\nstep\n", 6, 0, 0));
    CHECK(rig.loop.kernel.base.open_fds(&rig.loop.kernel) == 0);
}

/* It is no handle of the loop's: nothing can be asked of it, and nothing waits for it. */
static void canaries_are_nobodys(void)
{
    struct lc_program program;
    const char *why;
    CHECK(lc_program_parse(&program, "destroy k1\n", &why) == 1);
    CHECK(lc_program_parse(&program, "cancel k1\n", &why) == 1);
    CHECK(lc_program_parse(&program, "canary f1\n", &why) == 1);
    CHECK(lc_program_parse(&program, "on k1: step\n", &why) == 1);
    rig_init(FAKE_CORRECT, STREAMS);
    CHECK(rig_counts("canary k1\nstep\n", 2, 0, 0));
}

/* Its sentence in the verdict of a program. */
static bool is_told(int defect, const char *text, const char *sentence)
{
    rig_init(defect, STREAMS);
    rig_run_text(text);
    return rig_is_broken("LIFE-13") && strcmp(rig.judgement.violations[0].text, sentence) == 0;
}

/* Each thing that a loop does to a number which is not its own any more is told as what it is. */
static void harm_is_told(void)
{
    CHECK(is_told(FAKE_STREAM_FD_CLOSED_TWICE, closed_early, "k1 was never the loop's, and the loop has closed it"));
    CHECK(is_told(FAKE_STREAM_FD_READ_LATE, closed_early, "k1 was never the loop's, and the loop has read from it"));
    CHECK(is_told(FAKE_STREAM_FD_SHUT_LATE, closed_early,
                  "k1 was never the loop's, and the loop has written to it or shut it"));
}

/* A canary that was closed is not closed again by the runner: the number is another file's by then. */
static void closed_canaries_are_let_go(void)
{
    static const char reused[] = "pair f1 f2\nstream s1 f1\nstep\nabort s1\nstep\nstep\ncanary k1\ndestroy s1\nstep\n"
                                 "pair f3 f4\nput f3 5\nstep\ntake f4\n";
    CHECK(is_told(FAKE_STREAM_FD_CLOSED_TWICE, reused, "k1 was never the loop's, and the loop has closed it"));
    CHECK(rig.judgement.count == 1 && rig.loop.kernel.base.open_fds(&rig.loop.kernel) == 0);
}

static const struct test tests[] = {
    TEST(canaries_are_left_alone),
    TEST(canaries_are_nobodys),
    TEST(harm_is_told),
    TEST(closed_canaries_are_let_go),
};
TEST_MAIN(tests)
