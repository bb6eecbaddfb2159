/* f64_texts_test.c — eight at once are what they are one by one. */
#include "base/f64_texts.h"

#include "base/buf.h"
#include "base/f64.h"
#include "base/prng.h"
#include "base/test.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

enum { F64_TEXTS = 20 };

static void put_want(struct buf *b, int64_t ms, double v)
{
    uint64_t u = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    buf_fmt(b, ",[%s%" PRIu64, ms < 0 ? "-" : "", u / 1000);
    if (u % 1000) buf_fmt(b, ".%03" PRIu64, u % 1000);
    buf_str(b, S(",\""));
    buf_f64_api(b, v);
    buf_str(b, S("\"]"));
}

/* Behind the end nothing but what there is room for is written. */
static void expect_pairs(const int64_t *ms, const double *v, size_t n)
{
    char got[F64_TEXTS * F64_TEXTS_ROOM + 1];
    SCOPED(buf_fini) struct buf want = { 0 };
    memset(got, '#', sizeof(got));
    char *end = f64_texts_pairs(got, ms, v, n);
    for (size_t i = 0; i < n; i++) put_want(&want, ms[i], v[i]);
    EXPECT_STR(str_of(got, (size_t)(end - got)), buf_view(&want));
    for (size_t i = n * F64_TEXTS_ROOM; i < sizeof(got); i++) EXPECT_EQ(got[i], '#');
}

static double some(struct prng *r)
{
    static const double odd[] = { 0, -0.0, NAN, INFINITY, -INFINITY, 1e-6, 0x1p53, 0x1p53 - 1,
        0.5, -0.25, DBL_MIN, -DBL_MAX, 5e-324, 1e21, 123456789012345680000.0, 0.1, 0.3, 1.5 };
    double range[] = { 1e-6, 1, 0x1p53, 0x1p52, 1e15, 1e-5 };
    switch (prng_below(r, 9)) {
    case 0: return odd[prng_below(r, ARRAY_LEN(odd))];
    case 1: return f64_of_bits(prng_u64(r));
    case 2: return (double)prng_below(r, 1000000);
    case 3: return (double)prng_below(r, 1000000000) / (double)(1 + prng_below(r, 1000));
    case 7: return (double)(prng_u64(r) >> (11 + prng_below(r, 52)));
    case 4: return -(double)prng_below(r, 100000) / 1000;
    /* the neighbours of a power of two, and of where the lanes end */
    case 5: return f64_of_bits(((1003 + prng_below(r, 75)) << 52) + prng_below(r, 5) - 2);
    case 6: return f64_of_bits(f64_bits(range[prng_below(r, ARRAY_LEN(range))]) +
                               prng_below(r, 9) - 4);
    default: return f64_of_bits((1003 + prng_below(r, 75)) << 52 | prng_u64(r) >> 12);
    }
}

/* Of a grid, as answers have them, and others. */
static void some_times(struct prng *r, int64_t ms[F64_TEXTS])
{
    static const int64_t steps[] = { 60000, 15000, 1000, 1, 250, 0, 86400000 };
    int64_t step = steps[prng_below(r, ARRAY_LEN(steps))];
    ms[0] = prng_below(r, 2) ? 1700006400000 : (int64_t)(prng_u64(r) >> (8 + prng_below(r, 56)));
    if (!prng_below(r, 4)) ms[0] += (int64_t)prng_below(r, 1000);
    if (!prng_below(r, 8)) ms[0] = -ms[0];
    for (size_t i = 1; i < F64_TEXTS; i++) ms[i] = ms[i - 1] + step;
    if (!prng_below(r, 50)) ms[prng_below(r, F64_TEXTS)] = INT64_MIN;
}

static void expect_some(struct prng *r, int turns)
{
    for (int i = 0; i < turns; i++) {
        int64_t ms[F64_TEXTS];
        double v[F64_TEXTS];
        some_times(r, ms);
        for (size_t k = 0; k < F64_TEXTS; k++) v[k] = some(r);
        expect_pairs(ms, v, prng_below(r, 3) ? F64_TEXTS : 1 + prng_below(r, F64_TEXTS));
    }
}

/* Whole numbers and others on both sides of each power of ten. */
static void expect_powers(void)
{
    static const int64_t ms[F64_TEXTS] = { 0 };
    double p = 1e-8;
    for (int i = 0; i < 32; i++, p *= 10) {
        double v[F64_TEXTS] = { p, nextafter(p, 0), nextafter(p, INFINITY), -p, round(p) - 1,
            round(p), round(p) + 1, p + 0.5 };
        expect_pairs(ms, v, F64_TEXTS);
    }
}

/* As the machine does it best, and as one without wide registers does it. */
TEST(f64_texts)
{
    struct prng r = { test_seed() };
    expect_powers();
    expect_some(&r, 100000);
    f64_texts_use_plain(true);
    expect_powers();
    expect_some(&r, 1000);
    f64_texts_use_plain(false);
}
