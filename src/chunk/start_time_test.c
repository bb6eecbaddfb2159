/* start_time_test.c — start timestamps as they are written and read. */
#include "chunk/start_time.h"

#include "base/test.h"

enum { N = 300 };
static int64_t t[N], st[N];
static uint8_t bytes[N * 10 + BITS_SLACK];

static uint64_t write_all(size_t n, uint8_t *header)
{
    struct start_time s = { 0 };
    struct bits b = bits_resume(bytes, 0);
    for (size_t i = 0; i < n; i++)
        start_time_put(&s, &b, (uint32_t)i, t[i], i ? t[i - 1] : INT64_MIN, st[i]);
    *header = s.header;
    return bits_count(&b, bytes);
}

static void expect_read(size_t n, uint64_t bits, uint8_t header)
{
    struct bit_reader r = bit_reader_of(str_of(bytes, (size_t)((bits + 7) / 8)));
    struct start_time s = { .header = header };
    for (size_t i = 0; i < n; i++) {
        start_time_take(&s, &r, (uint32_t)i, t[i], i ? t[i - 1] : INT64_MIN);
        EXPECT_EQ(s.st, st[i]);
    }
    EXPECT(!r.bad && r.bit == bits);
}

TEST(start_time_headers)
{
    static const struct {
        const char *name;
        size_t n;
        int64_t first, second;
        size_t change;
        int64_t to;
        uint8_t header;
    } cases[] = {
        { "none", 100, 0, 0, 0, 0, 0 },
        { "none, but the 127th is due", 128, 0, 0, 0, 0, 127 },
        { "one for all", 100, 5, 5, 0, 0, 0x80 },
        { "from the second on", 100, 0, 7, 0, 0, 0x01 },
        { "another second", 2, 5, 7, 0, 0, 0x81 },
        { "a change at 50", 100, 5, 5, 50, 60, 0x80 + 50 },
        { "a change behind 127", 250, 5, 5, 200, 60, 0xff },
        { "gone at 3", 10, 5, 5, 3, 0, 0x83 },
    };
    TEST_EACH(c, cases) {
        uint8_t header;
        for (size_t i = 0; i < c->n; i++) {
            t[i] = 1000 + (int64_t)i * 15;
            st[i] = i == 0 ? c->first : c->change && i >= c->change ? c->to : c->second;
        }
        uint64_t bits = write_all(c->n, &header);
        EXPECT_EQ(header, c->header);
        expect_read(c->n, bits, header);
    }
}

TEST(start_time_round_trip)
{
    struct prng r = { test_seed() };
    for (int round = 0; round < 500; round++) {
        size_t n = 1 + prng_below(&r, N);
        uint64_t seldom = 1 + prng_below(&r, 200), wide = prng_below(&r, 64);
        uint8_t header;
        for (size_t i = 0; i < n; i++) {
            t[i] = (int64_t)(prng_u64(&r) >> wide);
            bool same = i && prng_below(&r, seldom);
            st[i] = same ? st[i - 1] : (int64_t)(prng_u64(&r) >> wide);
        }
        uint64_t bits = write_all(n, &header);
        expect_read(n, bits, header);
    }
}
