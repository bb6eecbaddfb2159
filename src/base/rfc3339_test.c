#include "base/rfc3339.h"

#include "base/test.h"

TEST(rfc3339_reads)
{
    static const struct { const char *name; str in; bool ok; int64_t ms; } cases[] = {
        { "epoch", S("1970-01-01T00:00:00Z"), true, 0 },
        { "fraction", S("2026-08-01T04:30:00.5Z"), true, 1785558600500 },
        { "offset", S("2026-08-01T06:30:00+02:00"), true, 1785558600000 },
        { "nanoseconds are cut", S("1970-01-01T00:00:00.123999999Z"), true, 123 },
        { "one digit of an hour", S("1970-01-01T1:00:00Z"), true, 3600000 },
        { "one digit of a minute", S("1970-01-01T01:0:00Z"), false, 0 },
        { "leap day", S("2024-02-29T00:00:00Z"), true, 1709164800000 },
        { "before the epoch", S("1969-12-31T23:59:59.999Z"), true, -1 },
        { "year 0", S("0000-01-01T00:00:00Z"), true, -62167219200000 },
        { "no leap day", S("2023-02-29T00:00:00Z"), false, 0 },
        { "no zone", S("2026-08-01T04:30:00"), false, 0 },
        { "month 13", S("2026-13-01T04:30:00Z"), false, 0 },
        { "a dot without digits", S("2026-08-01T04:30:00.Z"), false, 0 },
        { "something behind", S("2026-08-01T04:30:00Zx"), false, 0 },
        { "short", S("2026-08-01T04:3"), false, 0 },
        { "empty", S(""), false, 0 },
    };
    TEST_EACH(c, cases) {
        int64_t ms = 7;
        EXPECT_EQ(rfc3339_parse(c->in, &ms), c->ok);
        EXPECT_EQ(ms, c->ok ? c->ms : 7);
    }
}

TEST(rfc3339_writes)
{
    struct buf b = { 0 };
    buf_rfc3339_ms(&b, 1785558600500);
    buf_u8(&b, ' ');
    buf_rfc3339_ns(&b, 1785558600500000000);
    buf_u8(&b, ' ');
    buf_rfc3339_ns(&b, -1);
    EXPECT_STR(buf_view(&b),
        S("2026-08-01T04:30:00.500Z 2026-08-01T04:30:00.5Z 1969-12-31T23:59:59.999999999Z"));
    buf_fini(&b);
}

TEST(rfc3339_round_trip)
{
    struct prng r = { test_seed() };
    struct buf b = { 0 };
    for (unsigned i = 0; i < 20000; i++) {
        /* the years 0 … 9999 */
        int64_t ms = (int64_t)prng_below(&r, 315569520000000u) - 62167219200000, got;
        buf_reset(&b);
        buf_rfc3339_ms(&b, ms);
        EXPECT(rfc3339_parse(buf_view(&b), &got));
        EXPECT_EQ(got, ms);
    }
    buf_fini(&b);
}

TEST(civil_fields)
{
    struct civil c = civil_of(1709164800);
    EXPECT(c.year == 2024 && c.month == 2 && c.day == 29 && c.weekday == 4 && c.yearday == 60);
    c = civil_of(-1);
    EXPECT(c.year == 1969 && c.month == 12 && c.day == 31 && c.hour == 23 && c.second == 59 &&
           c.weekday == 3 && c.yearday == 365);
    EXPECT_EQ(civil_days_in_month(1900, 2), 28);
    EXPECT_EQ(civil_days_in_month(2000, 2), 29);
}
