/* Which byte stands where is known to everybody, and any lost, doubled, swapped or foreign chunk is seen. */
#include <string.h>

#include "bytes.h"
#include "testing/test.h"

enum { SENDER = 0x51, LARGE = 3 * LC_BYTES_RUN + 7, SEEN_WITHIN = 8 };

/* Around the begin, the powers of two that buffers have, and where the bytes repeat. */
static const uint64_t positions[] = {0, 1, 4095, 4096, 65520, 65521, 65522, 65536, 1000000007, UINT64_C(1) << 40};
enum { POSITIONS = sizeof positions / sizeof *positions };

static uint8_t sent[LARGE];

/* What a sender sends from a position on, in chunks of this size. */
static void send_all(uint64_t position, size_t chunk)
{
    for (size_t done = 0, part; done < LARGE; done += part) {
        part = LARGE - done < chunk ? LARGE - done : chunk;
        memcpy(sent + done, lc_bytes_at(SENDER, position + done), part);
    }
}

/* A position has its byte, in whatever chunks the bytes before it went: as many at once as may be read. */
static void chunks_make_no_difference(void)
{
    static const size_t chunks[] = {1, 7, 4096, LC_BYTES_RUN};
    for (size_t i = 0; i < POSITIONS; i++)
        for (size_t j = 0; j < sizeof chunks / sizeof *chunks; j++) {
            send_all(positions[i], chunks[j]);
            CHECK(lc_bytes_right(SENDER, positions[i], sent, LARGE) == LARGE);
            for (size_t at = 0; at < LARGE; at += 997)
                CHECK(sent[at] == *lc_bytes_at(SENDER, positions[i] + at));
        }
}

/* Of no bytes, none is wrong. */
static void nothing_is_right(void)
{
    CHECK(lc_bytes_right(SENDER, 5, NULL, 0) == 0);
}

/* One wrong byte is found where it stands, wherever that is; the first one if there are two. */
static void wrong_byte_is_found(void)
{
    for (size_t i = 0; i < POSITIONS; i++) {
        send_all(positions[i], LC_BYTES_RUN);
        for (size_t at = LARGE; at-- > 0; at -= at < 1009 ? at : 1009) {
            sent[at] ^= 0x80;
            CHECK(lc_bytes_right(SENDER, positions[i], sent, LARGE) == at);
            CHECK(lc_bytes_right(SENDER, positions[i], sent, at) == at);
        }
    }
}

/* After a gap, or after a part that comes twice, of any length below the period, it takes a few bytes to be sure. */
static void gaps_are_seen(void)
{
    for (uint64_t gap = 1; gap < 65521; gap++) {
        const uint8_t *behind = lc_bytes_at(SENDER, 1000 + gap);
        CHECK(lc_bytes_right(SENDER, 1000, behind, SEEN_WITHIN) < SEEN_WITHIN);
        CHECK(lc_bytes_right(SENDER, 1000 + gap, lc_bytes_at(SENDER, 1000), SEEN_WITHIN) < SEEN_WITHIN);
    }
    for (unsigned bits = 0; bits < 40; bits++)
        CHECK(lc_bytes_right(SENDER, 0, lc_bytes_at(SENDER, UINT64_C(1) << bits), SEEN_WITHIN) < SEEN_WITHIN);
}

/* The bytes of any other sender are foreign ones. */
static void senders_are_told_apart(void)
{
    for (uint8_t sender = 0x51; sender <= 0x5f; sender++)
        for (uint8_t other = 0x51; other <= 0x5f; other++)
            for (size_t i = 0; i < POSITIONS; i++) {
                size_t right = lc_bytes_right(sender, positions[i], lc_bytes_at(other, positions[i]), SEEN_WITHIN);
                CHECK((right == SEEN_WITHIN) == (sender == other));
            }
}

static const struct test tests[] = {
    TEST(chunks_make_no_difference), TEST(nothing_is_right), TEST(wrong_byte_is_found), TEST(gaps_are_seen),
    TEST(senders_are_told_apart),
};
TEST_MAIN(tests)
