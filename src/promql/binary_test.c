/* Remainders against the C library's, powers against the way that takes exponents apart. */
#include "promql/eval.h"

#include "base/prng.h"
#include "base/test.h"

#include <math.h>

static double any_number(struct prng *r)
{
    static const double some[] = { 0, -0.0, 1, -1, 2, 0.5, -0.5, 3, 7, 10, 1e300, 1e-300, 5e-324,
        0x1p53, INFINITY, -INFINITY, NAN };
    uint64_t kind = prng_below(r, 6);
    if (kind == 0) return some[prng_below(r, ARRAY_LEN(some))];
    if (kind == 1) return f64_of_bits(prng_u64(r));
    double v = (double)(int64_t)prng_below(r, 2000000) - 1e6;
    if (kind == 2) return v;
    if (kind == 3) return v / 8;
    return ldexp(v / 3, (int)prng_below(r, 80) - 40);
}

static void expect_bits(double got, double want, double a, double b)
{
    if (isnan(got) && isnan(want)) return;
    if (f64_bits(got) != f64_bits(want))
        test_fail(__FILE__, __LINE__, "%a, %a: %a, not %a", a, b, got, want);
}

TEST(remainders_are_exact)
{
    struct prng r = { test_seed() };
    for (int i = 0; i < 300000; i++) {
        double b = any_number(&r), a = any_number(&r);
        if (i % 4 == 0) a = b * (double)prng_below(&r, 1000);
        if (i % 8 == 0) a = nextafter(a, i % 16 ? INFINITY : -INFINITY);
        expect_bits(binary_op(OP_MOD, a, b), fmod(a, b), a, b);
    }
}

/* By squares, of a number between 1/2 and 1, its exponent apart. */
static double power(double x, int64_t n)
{
    int e, exponent = 0;
    double result = 1, square = frexp(x, &e);
    for (uint64_t i = (uint64_t)(n < 0 ? -n : n); i; i >>= 1) {
        if (i & 1) {
            result *= square;
            exponent += e;
        }
        square *= square;
        e *= 2;
        if (square < 0.5) {
            square *= 2;
            e--;
        }
    }
    return n < 0 ? ldexp(1 / result, -exponent) : ldexp(result, exponent);
}

TEST(integer_powers_are_products)
{
    struct prng r = { test_seed() };
    for (int i = 0; i < 300000; i++) {
        double a = any_number(&r);
        int64_t n = (int64_t)prng_below(&r, 41) - 20;
        double want = isfinite(a) && a != 0 ? power(a, n) : pow(a, (double)n);
        expect_bits(binary_op(OP_POW, a, (double)n), want, a, (double)n);
    }
    expect_bits(binary_op(OP_POW, 1.5, 1 << 20), INFINITY, 1.5, 1 << 20);
    expect_bits(binary_op(OP_POW, 1.5, -(1 << 20)), 0, 1.5, -(1 << 20));
    expect_bits(binary_op(OP_POW, -1.5, (1 << 20) + 1), -INFINITY, -1.5, (1 << 20) + 1);
    expect_bits(binary_op(OP_POW, 2, 0.5), sqrt(2), 2, 0.5);
    expect_bits(binary_op(OP_POW, 2, -0.5), 1 / sqrt(2), 2, -0.5);
    expect_bits(binary_op(OP_POW, -0.0, 0.5), 0, -0.0, 0.5);
    expect_bits(binary_op(OP_POW, -INFINITY, 0.5), INFINITY, -INFINITY, 0.5);
    expect_bits(binary_op(OP_POW, -8, 3), -512, -8, 3);
    expect_bits(binary_op(OP_POW, -8, 0.3), NAN, -8, 0.3);
}
