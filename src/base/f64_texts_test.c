/* f64_texts_test.c — eight at once are what they are one by one. */
#include "base/f64_texts.h"

#include "base/f64.h"
#include "base/f64_digits.h"
#include "base/prng.h"
#include "base/test.h"

#include <float.h>
#include <math.h>

static void expect_texts(const double v[F64_TEXTS])
{
    struct f64_texts got;
    f64_texts_api(&got, v);
    for (size_t i = 0; i < F64_TEXTS; i++) {
        char want[F64_TEXT_MAX];
        size_t n = f64_text_api(want, v[i]);
        if (got.n[i] != n || memcmp(got.at[i], want, n))
            test_fail(__FILE__, __LINE__, "%a: %.*s, expected %.*s", v[i], got.n[i], got.at[i],
                (int)n, want);
    }
}

static double some(struct prng *r)
{
    static const double odd[] = { 0, -0.0, NAN, INFINITY, -INFINITY, 1e-6, 0x1p53, 0x1p53 - 1,
        0.5, -0.25, DBL_MIN, -DBL_MAX, 5e-324, 1e21, 123456789012345680000.0, 0.1, 0.3, 1.5 };
    double range[] = { 1e-6, 1, 0x1p53, 0x1p52, 1e15, 1e-5 };
    switch (prng_below(r, 8)) {
    case 0: return odd[prng_below(r, ARRAY_LEN(odd))];
    case 1: return f64_of_bits(prng_u64(r));
    case 2: return (double)prng_below(r, 1000000);
    case 3: return (double)prng_below(r, 1000000000) / (double)(1 + prng_below(r, 1000));
    case 4: return -(double)prng_below(r, 100000) / 1000;
    /* the neighbours of a power of two, and of where the lanes end */
    case 5: return f64_of_bits(((1003 + prng_below(r, 75)) << 52) + prng_below(r, 5) - 2);
    case 6: return f64_of_bits(f64_bits(range[prng_below(r, ARRAY_LEN(range))]) +
                               prng_below(r, 9) - 4);
    default: return f64_of_bits((1003 + prng_below(r, 75)) << 52 | prng_u64(r) >> 12);
    }
}

static void expect_some(struct prng *r, int turns)
{
    for (int i = 0; i < turns; i++) {
        double v[F64_TEXTS];
        for (size_t k = 0; k < F64_TEXTS; k++) v[k] = some(r);
        expect_texts(v);
    }
}

static void expect_seconds(struct prng *r, int turns)
{
    for (int i = 0; i < turns; i++) {
        struct seconds_texts got;
        int64_t ms[F64_TEXTS], step = 1000 * (int64_t)prng_below(r, 100000);
        ms[0] = (int64_t)(prng_u64(r) >> (11 + prng_below(r, 52)));
        if (prng_below(r, 10)) ms[0] -= ms[0] % 1000;
        for (size_t k = 1; k < F64_TEXTS; k++) ms[k] = ms[k - 1] + step;
        if (!f64_texts_seconds(&got, ms)) continue;
        for (size_t k = 0; k < F64_TEXTS; k++) {
            char want[F64_DIGITS_ROOM];
            unsigned n = f64_digits_u64(want, (uint64_t)ms[k] / 1000);
            EXPECT_EQ(ms[k] % 1000, 0);
            EXPECT_STR(str_of(got.at[k] + got.from, got.n), str_of(want, n));
        }
    }
}

/* As the machine does it best, and as one without wide registers does it. */
TEST(f64_texts)
{
    struct prng r = { test_seed() };
    expect_some(&r, 50000);
    expect_seconds(&r, 50000);
    f64_texts_use_plain(true);
    expect_some(&r, 1000);
    expect_seconds(&r, 100);
    f64_texts_use_plain(false);
}
