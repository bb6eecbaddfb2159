#include "model/size.h"
#include "base/test.h"

TEST(size_parse)
{
    static const struct { const char *name; str in; int64_t bytes; const char *error; } cases[] = {
        { "bytes", S("100B"), 100, NULL },
        { "zero", S("0"), 0, NULL },
        { "zero bytes", S("0B"), 0, NULL },
        { "MB", S("512MB"), 512 << 20, NULL },
        { "MiB", S("512MiB"), 512 << 20, NULL },
        { "a fraction", S("1.5GiB"), 3ll << 29, NULL },
        { "a point first", S(".5KB"), 512, NULL },
        { "a sum", S("1GB512MB"), 3ll << 29, NULL },
        { "a sign", S("-1KB"), -1024, NULL },
        { "EB", S("7EB"), 7ll << 60, NULL },
        { "too much", S("8EB"), 0, "units: overflow parsing unit" },
        { "no unit", S("100"), 0, "units: unknown unit  in 100" },
        { "unknown unit", S("10XB"), 0, "units: unknown unit XB in 10XB" },
        { "both forms", S("1GiB5MB"), 0, "units: unknown unit GiB in 1GiB5MB" },
        { "small letters", S("1kB"), 0, "units: unknown unit kB in 1kB" },
        { "empty", S(""), 0, "units: invalid " },
        { "only a sign", S("-"), 0, "units: invalid -" },
        { "no digits", S("MB"), 0, "units: invalid MB" },
        { "only a point", S(".MB"), 0, "units: invalid .MB" },
        { "a huge number", S("99999999999999999999B"), 0, "units: invalid 99999999999999999999B" },
    };
    TEST_EACH(c, cases) {
        struct err e = { 0 };
        int64_t bytes = 0;
        EXPECT_EQ(size_parse(c->in, &bytes, &e), c->error ? ERR_BAD_INPUT : OK);
        EXPECT_EQ(bytes, c->bytes);
        if (c->error) EXPECT_STR(err_str(&e), str_z(c->error));
    }
}

TEST(size_text)
{
    static const struct { const char *name; int64_t bytes; str want;
    } cases[] = {
        { "zero", 0, S("0B") },
        { "bytes", 1023, S("1023B") },
        { "KiB", 1024, S("1KiB") },
        { "mixed", 1536 << 20, S("1GiB512MiB") },
        { "with bytes", 1025, S("1KiB1B") },
        { "the most", INT64_MAX, S("7EiB1023PiB1023TiB1023GiB1023MiB1023KiB1023B") },
    };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        buf_size(&b, c->bytes);
        EXPECT_STR(buf_view(&b), c->want);
    }
}

TEST(size_round_trip)
{
    struct prng r = { test_seed() };
    for (int i = 0; i < 5000; i++) {
        SCOPED(buf_fini) struct buf b = { 0 };
        int64_t bytes = (int64_t)(prng_u64(&r) >> (11 + prng_below(&r, 50))), back = -1;
        buf_size(&b, bytes);
        EXPECT_OK(size_parse(buf_view(&b), &back, NULL));
        EXPECT_EQ(back, bytes);
    }
}
