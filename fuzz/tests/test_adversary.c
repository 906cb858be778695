/* The adversary repeats itself, keeps to its level, and does nothing that no history of a kernel explains. */
#include "kernels/adversary.h"
#include "testing/test.h"

enum { FDS = 8, NUMBERS = 500 };

static const struct adversary linux_level = {.level = ADVERSARY_LINUX, .is_loud = true, .seed = 7};
static const struct adversary posix_level = {.level = ADVERSARY_POSIX, .is_loud = true, .seed = 7};
static const struct adversary quiet_level = {.level = ADVERSARY_POSIX, .seed = 7};

/* How often a fault is drawn for a call. */
static unsigned drawn(const struct adversary *adversary, enum adversary_call call, enum adversary_fault fault)
{
    unsigned count = 0;
    for (int fd = 0; fd < FDS; fd++)
        for (uint32_t number = 0; number < NUMBERS; number++)
            count += adversary_draw(adversary, call, fd, number) == fault;
    return count;
}

static void test_same_arguments_same_fault(void)
{
    const struct adversary other_seed = {.level = ADVERSARY_POSIX, .is_loud = true, .seed = 8};
    unsigned differ = 0;
    for (uint32_t number = 0; number < NUMBERS; number++) {
        enum adversary_fault fault = adversary_draw(&posix_level, ADVERSARY_READ, 3, number);
        CHECK(fault == adversary_draw(&posix_level, ADVERSARY_READ, 3, number));
        differ += fault != adversary_draw(&other_seed, ADVERSARY_READ, 3, number);
    }
    CHECK(differ > NUMBERS / 10);
}

static void test_off_is_off(void)
{
    const struct adversary off = {.seed = 7};
    for (int call = 0; call < ADVERSARY_CALLS; call++)
        CHECK(drawn(&off, (enum adversary_call)call, ADVERSARY_NONE) == FDS * NUMBERS);
}

/* Linux never sleeps in a non-blocking call, so that no signal ends it, and does not take back what is readable. */
static void test_levels(void)
{
    CHECK(drawn(&linux_level, ADVERSARY_READ, ADVERSARY_EINTR) == 0);
    CHECK(drawn(&linux_level, ADVERSARY_WRITE, ADVERSARY_EINTR) == 0);
    CHECK(drawn(&linux_level, ADVERSARY_READ, ADVERSARY_EAGAIN) == 0);
    CHECK(drawn(&posix_level, ADVERSARY_READ, ADVERSARY_EINTR) > 0);
    CHECK(drawn(&posix_level, ADVERSARY_READ, ADVERSARY_EAGAIN) > 0);
    CHECK(drawn(&linux_level, ADVERSARY_READ, ADVERSARY_SHORT) > 0);
    CHECK(drawn(&linux_level, ADVERSARY_WAIT, ADVERSARY_EINTR) > 0);
    CHECK(drawn(&linux_level, ADVERSARY_ACCEPT, ADVERSARY_ABORTED) > 0);
}

static void test_loud_faults_only_on_request(void)
{
    CHECK(drawn(&quiet_level, ADVERSARY_ACCEPT, ADVERSARY_EMFILE) == 0);
    CHECK(drawn(&quiet_level, ADVERSARY_READ, ADVERSARY_RESET) == 0);
    CHECK(drawn(&quiet_level, ADVERSARY_WRITE, ADVERSARY_DROPPED) == 0);
    CHECK(drawn(&quiet_level, ADVERSARY_READ, ADVERSARY_CUT) == 0);
    CHECK(drawn(&linux_level, ADVERSARY_WRITE, ADVERSARY_DROPPED) > 0);
    CHECK(drawn(&linux_level, ADVERSARY_READ, ADVERSARY_CUT) > 0);
    CHECK(drawn(&linux_level, ADVERSARY_ACCEPT, ADVERSARY_EMFILE) > 0);
    CHECK(drawn(&linux_level, ADVERSARY_READ, ADVERSARY_RESET) > 0);
}

/* Whoever repeats a call that was refused gets on. */
static void test_nobody_is_refused_twice_in_a_row(void)
{
    for (int call = 0; call < ADVERSARY_CALLS; call++)
        for (int fd = 0; fd < FDS; fd++)
            for (uint32_t number = 0, row = 0; number < NUMBERS; number++) {
                enum adversary_fault fault = adversary_draw(&posix_level, (enum adversary_call)call, fd, number);
                const bool is_taken = fault == ADVERSARY_SHORT || fault == ADVERSARY_DROPPED || fault == ADVERSARY_CUT;
                row = fault == ADVERSARY_NONE || is_taken ? 0 : row + 1;
                CHECK(row <= 1);
            }
}

static bool allows(enum adversary_call call, enum adversary_fault fault, struct adversary_situation situation)
{
    return adversary_allows(&posix_level, call, fault, &situation);
}

/* libuv asserts it, rightly. */
static void test_small_writes_to_pipes_are_whole(void)
{
    CHECK(
        !allows(ADVERSARY_WRITE, ADVERSARY_SHORT, (struct adversary_situation){.file = ADVERSARY_PIPE, .size = 4096}));
    CHECK(allows(ADVERSARY_WRITE, ADVERSARY_SHORT, (struct adversary_situation){.file = ADVERSARY_PIPE, .size = 4097}));
}

/* On Linux only the network cuts what one write gave. */
static void test_local_bytes_are_cut_at_the_level_of_posix_alone(void)
{
    for (int file = ADVERSARY_PIPE; file <= ADVERSARY_INET_STREAM; file++) {
        struct adversary_situation here = {.file = (enum adversary_file)file, .size = 9000};
        CHECK(allows(ADVERSARY_READ, ADVERSARY_SHORT, here) && allows(ADVERSARY_WRITE, ADVERSARY_SHORT, here));
        for (int call = ADVERSARY_READ; call <= ADVERSARY_WRITE; call++)
            CHECK(adversary_allows(&linux_level, (enum adversary_call)call, ADVERSARY_SHORT, &here) ==
                  (file == ADVERSARY_INET_STREAM));
    }
}

/* "Full" proves there that a wake-up is to come; only an inet stream may lack memory for a moment. */
static void test_a_local_write_with_room_is_taken(void)
{
    for (int file = 0; file <= ADVERSARY_INET_STREAM; file++) {
        struct adversary_situation here = {.file = (enum adversary_file)file, .size = 9000};
        CHECK(allows(ADVERSARY_WRITE, ADVERSARY_EAGAIN, here) == (file == ADVERSARY_INET_STREAM));
    }
}

/* No part of a datagram is moved, and none is reset; only the network loses one, and only memory is too small for it.
 */
static void test_datagrams_are_whole(void)
{
    struct adversary_situation here = {.file = ADVERSARY_DATAGRAM, .size = 9000};
    for (int call = ADVERSARY_READ; call <= ADVERSARY_WRITE; call++) {
        CHECK(!allows((enum adversary_call)call, ADVERSARY_SHORT, here));
        CHECK(!allows((enum adversary_call)call, ADVERSARY_RESET, here));
    }
    for (int file = ADVERSARY_OTHER; file < ADVERSARY_DATAGRAM; file++) {
        here.file = (enum adversary_file)file;
        CHECK(!allows(ADVERSARY_WRITE, ADVERSARY_DROPPED, here) && !allows(ADVERSARY_WRITE, ADVERSARY_NOBUFS, here));
        CHECK(!allows(ADVERSARY_READ, ADVERSARY_CUT, here));
    }
}

/* A wait has shown HUP: all bytes are here, and a short read would contradict it. */
static void test_reads_are_whole_once_the_peer_has_ended(void)
{
    struct adversary_situation here = {.file = ADVERSARY_UNIX_STREAM, .size = 100};
    CHECK(allows(ADVERSARY_READ, ADVERSARY_SHORT, here));
    here.has_peer_ended = true;
    CHECK(!allows(ADVERSARY_READ, ADVERSARY_SHORT, here));
    CHECK(!allows(ADVERSARY_READ, ADVERSARY_EAGAIN, here));
}

static void test_what_is_left_alone(void)
{
    for (int call = ADVERSARY_READ; call <= ADVERSARY_WRITE; call++)
        for (int i = 0; i < ADVERSARY_FAULTS; i++) {
            enum adversary_fault fault = (enum adversary_fault)i;
            struct adversary_situation datagram = {.file = ADVERSARY_OTHER, .size = 9000};
            struct adversary_situation blocking = {.file = ADVERSARY_INET_STREAM, .size = 9000, .is_blocking = true};
            CHECK(!allows((enum adversary_call)call, fault, datagram));
            CHECK(!allows((enum adversary_call)call, fault, blocking));
        }
}

static void test_short_is_shorter_and_not_nothing(void)
{
    for (uint32_t number = 0; number < NUMBERS; number++)
        for (size_t size = 2; size < 70000; size = size * 3 + 1) {
            size_t got = adversary_size(&linux_level, 3, number, size);
            CHECK(got >= 1 && got < size);
        }
}

static void test_a_wait_gives_at_least_one_event(void)
{
    for (uint32_t number = 0; number < NUMBERS; number++)
        for (int count = 1; count < 2000; count = count * 3 + 1) {
            int got = adversary_batch(&linux_level, 3, number, count);
            CHECK(got >= 1 && got <= count);
        }
}

int main(void)
{
    static const struct test tests[] = {
        TEST(test_same_arguments_same_fault),
        TEST(test_off_is_off),
        TEST(test_levels),
        TEST(test_loud_faults_only_on_request),
        TEST(test_nobody_is_refused_twice_in_a_row),
        TEST(test_small_writes_to_pipes_are_whole),
        TEST(test_local_bytes_are_cut_at_the_level_of_posix_alone),
        TEST(test_a_local_write_with_room_is_taken),
        TEST(test_datagrams_are_whole),
        TEST(test_reads_are_whole_once_the_peer_has_ended),
        TEST(test_what_is_left_alone),
        TEST(test_short_is_shorter_and_not_nothing),
        TEST(test_a_wait_gives_at_least_one_event),
    };
    return test_main(tests, sizeof tests / sizeof *tests);
}
