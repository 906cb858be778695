/* A fault of a call on an fd is noted on the handle that has its number now, not on one that had it before. */
#include "drivers/drivers.h"
#include "targets/fuzz_program.h"
#include "testing/test.h"

const char *const fuzz_program_driver_name = "refloop_sim";

enum { F1 = LC_KIND_FD << 12 | 1, F2, F3, S1 = LC_KIND_STREAM << 12 | 1 };

/* Nothing is judged here: what the records say stays in the trace. */
void fuzz_program_judge(const struct lc_program *program, struct lc_judgement *judgement)
{
    (void)program;
    *judgement = (struct lc_judgement){0};
}

static void is_shown(uint16_t handle, uint64_t number, uint8_t bits)
{
    fuzz_program_note((struct lc_obs){.what = LC_WHAT_FD, .handle = handle, .arg = number, .bits = bits});
}

/* The first handle of a number has it until another is made; one whose fd is closed is shown with it once more. */
static void latest_owner_is_found(void)
{
    is_shown(F1, 3, LC_OUT);
    is_shown(F2, 4, LC_OUT);
    CHECK(fuzz_program_handle(3) == F1);
    is_shown(F3, 3, LC_OUT);
    CHECK(fuzz_program_handle(3) == F3);
    is_shown(F1, 3, 0);
    CHECK(fuzz_program_handle(3) == F3);
    is_shown(F3, 3, LC_IN | LC_OUT);
    CHECK(fuzz_program_handle(3) == F3 && fuzz_program_handle(4) == F2);
}

/* What no handle has is none's; other records of the number do not count. */
static void strangers_have_no_owner(void)
{
    fuzz_program_note((struct lc_obs){.what = LC_WHAT_OP, .handle = S1, .arg = 9});
    CHECK(fuzz_program_handle(9) == 0 && fuzz_program_handle(-1) == 0);
}

static const struct test tests[] = {
    TEST(latest_owner_is_found),
    TEST(strangers_have_no_owner),
};

int main(void)
{
    fuzz_program_use(driver_find(fuzz_program_driver_name));
    return test_main(tests, sizeof tests / sizeof *tests);
}
