#include "promql/quantile.h"

#include "base/f64.h"
#include "base/test.h"
#include "base/kahan.h"

#include <math.h>
#include <stdlib.h>

static bool same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

TEST(quantile_of_values)
{
    static const struct { const char *name; double q, want; size_t n; double v[4];
    } cases[] = {
        { "none", 0.5, NAN, 0, { 0 } },
        { "q is NaN", NAN, NAN, 1, { 1 } },
        { "below 0", -1, -INFINITY, 1, { 1 } },
        { "above 1", 2, INFINITY, 1, { 1 } },
        { "median", 0.5, 2.5, 4, { 4, 1, 3, 2 } },
        { "least", 0, 1, 4, { 4, 1, 3, 2 } },
        { "greatest", 1, 4, 4, { 4, 1, 3, 2 } },
        { "a NaN comes first", 1, 3, 3, { 3, NAN, 1 } },
        { "infinite neighbour", 0, NAN, 2, { INFINITY, 1 } },
    };
    TEST_EACH(c, cases) {
        double v[4];
        memcpy(v, c->v, sizeof(v));
        EXPECT(same(quantile_of(c->q, v, c->n, NULL), c->want));
    }
}

static int value_order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y)) return isnan(y) - isnan(x);
    return (x > y) - (x < y);
}

/* Deviations out of an ordered row are those that each value has, to the bit. */
TEST(quantile_mad_of_ordered)
{
    static const double odd[] = { INFINITY, -INFINITY, 1.7e308, -1.7e308, 5e-324, 0, 1, 1 };
    struct prng r = { test_seed() };
    for (int round = 0; round < 20000; round++) {
        double v[100], room[100];
        size_t n = prng_below(&r, ARRAY_LEN(v) + 1);
        uint64_t kinds = 1 + prng_below(&r, 40), shape = prng_below(&r, 5);
        for (size_t i = 0; i < n; i++) {
            v[i] = shape == 0 ? prng_unit(&r) * 10 - 5 : (double)prng_below(&r, kinds);
            if (shape == 1) v[i] = exp(v[i]);
            if (shape == 2 && prng_below(&r, 4) == 0) v[i] = odd[2 + prng_below(&r, 6)];
            if (shape == 3 && prng_below(&r, 4) == 0) v[i] = odd[prng_below(&r, ARRAY_LEN(odd))];
        }
        if (n) qsort(v, n, sizeof(*v), value_order);
        double got = quantile_mad_of_sorted(v, n, room), want = quantile_mad(v, n, NULL);
        EXPECT(f64_bits(got) == f64_bits(want) || (isnan(got) && isnan(want)));
    }
}

/* Selecting gives what sorting gives. */
TEST(quantile_selects)
{
    struct prng r = { test_seed() };
    for (int round = 0; round < 20000; round++) {
        double v[200], w[200];
        size_t n = 1 + prng_below(&r, ARRAY_LEN(v));
        uint64_t kinds = 1 + prng_below(&r, 40), shape = prng_below(&r, 4);
        for (size_t i = 0; i < n; i++) {
            v[i] = shape == 0   ? (double)i
                   : shape == 1 ? -(double)i
                                : (double)prng_below(&r, kinds) + 1;
            if (shape == 3 && prng_below(&r, 4) == 0) v[i] = NAN;
        }
        memcpy(w, v, sizeof(v));
        qsort(w, n, sizeof(*w), value_order);
        double q = prng_unit(&r), rank = q * ((double)n - 1), weight = rank - floor(rank);
        size_t lower = (size_t)rank, upper = MIN(n - 1, lower + 1);
        EXPECT(same(quantile_of(q, v, n, NULL), w[lower] * (1 - weight) + w[upper] * weight));
    }
}

TEST(quantile_of_buckets)
{
    static const struct bucket good[] = { { 1, 10 }, { 2, 20 }, { INFINITY, 20 } },
                               unsorted[] = { { INFINITY, 20 }, { 2, 20 }, { 1, 10 } };
    static const struct bucket falling[] = { { 1, 10 }, { 2, 5 }, { INFINITY, 20 } },
                               open[] = { { 1, 10 }, { 2, 20 } };
    static const struct {
        const char *name;
        const struct bucket *b;
        size_t n;
        double q, want;
        bool forced;
    } cases[] = {
        { "half of the second", good, 3, 0.75, 1.5, false },
        { "any order", unsorted, 3, 0.75, 1.5, false },
        { "highest bound", good, 3, 1, 2, false },
        { "made monotonic", falling, 3, 0.5, 1, true },
        { "no +Inf", open, 2, 0.5, NAN, false },
    };
    TEST_EACH(c, cases) {
        struct bucket b[3];
        struct bucket_fix fix;
        memcpy(b, c->b, c->n * sizeof(*b));
        EXPECT(same(bucket_quantile(c->q, b, c->n, &fix), c->want));
        EXPECT_EQ(fix.forced, c->forced);
    }
}

TEST(fraction_of_buckets)
{
    static const struct { const char *name; double lower, upper, want;
    } cases[] = {
        { "all", -INFINITY, INFINITY, 1 },
        { "first", 0, 1, 0.5 },
        { "middle halves", 0.5, 1.5, 0.5 },
        { "upside down", 2, 1, 0 },
        { "unknown border", NAN, 1, NAN },
    };
    TEST_EACH(c, cases) {
        struct bucket b[] = { { 1, 10 }, { 2, 20 }, { INFINITY, 20 } };
        EXPECT(same(bucket_fraction(c->lower, c->upper, b, 3), c->want));
    }
}

/* What makes compensated sums worth their cost. */
TEST(kahan_keeps_what_plain_sums_lose)
{
    static const double v[] = { 1e100, 1, -1e100 };
    struct kahan k = { 0, 0 };
    for (size_t i = 0; i < ARRAY_LEN(v); i++) kahan_add(&k, v[i]);
    EXPECT(k.s + k.c == 1);
    struct kahan_mean m;
    kahan_mean_start(&m, 1.7e308);
    kahan_mean_add(&m, 1.7e308);
    kahan_mean_add(&m, 1.7e308);
    EXPECT(m.incremental);
    EXPECT(fabs(kahan_mean_result(&m) - 1.7e308) <= 1e293);
}
