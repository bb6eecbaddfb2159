#include "model/bucket_adds.h"

#include "base/f64.h"
#include "base/kahan.h"
#include "base/prng.h"
#include "base/test.h"

enum { MOST = 21 };

static double number_of(struct prng *r)
{
    static const double specials[] = { 0, -0.0, INFINITY, -INFINITY, NAN, 1e308, -1e308, 5e-324, 1,
        0x1p60, -0x1p60 };
    if (prng_below(r, 3) == 0) return specials[prng_below(r, ARRAY_LEN(specials))];
    return (prng_unit(r) - 0.5) * (prng_below(r, 2) ? 1e3 : 1e20);
}

static bool same(double a, double b)
{
    return f64_bits(a) == f64_bits(b) || (isnan(a) && isnan(b));
}

/* Several at a time is one by one. */
TEST(bucket_adds_as_one_by_one)
{
    struct prng r = { test_seed() };
    for (int round = 0; round < 20000; round++) {
        double at[MOST], c[MOST], v[MOST], vc[MOST];
        size_t n = prng_below(&r, MOST + 1);
        bool with_c = prng_below(&r, 3), with_vc = prng_below(&r, 2);
        double sign = prng_below(&r, 2) ? 1 : -1;
        for (size_t i = 0; i < MOST; i++) {
            at[i] = number_of(&r), c[i] = number_of(&r);
            v[i] = number_of(&r), vc[i] = number_of(&r);
        }
        struct kahan want[MOST];
        for (size_t i = 0; i < MOST; i++) {
            want[i] = (struct kahan){ at[i], c[i] };
            if (i >= n) continue;
            if (!with_c) want[i].s += sign * v[i];
            else kahan_add(&want[i], sign * v[i]);
            if (with_c && with_vc && vc[i] != 0) kahan_add(&want[i], sign * vc[i]);
        }
        bucket_adds(at, with_c ? c : NULL, v, with_vc ? vc : NULL, n, sign);
        for (size_t i = 0; i < MOST; i++) {
            EXPECT(same(at[i], want[i].s));
            EXPECT(same(c[i], want[i].c));
        }
    }
}
