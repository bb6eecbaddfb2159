/* f64_digits_test.c — against printf and reading back, which is slow and right. */
#include "base/f64_digits.h"

#include "base/f64.h"
#include "base/prng.h"
#include "base/test.h"

#include <float.h>
#include <stdio.h>

/* The fewest digits that read back as v. printf rounds to the nearest; below a power of two the
 * neighbour is nearer than above, so where the nearest is not v the next one may be. */
static int digits_by_printf(char *digits, double v, int *point)
{
    char text[48];
    for (int n = 1; n <= 17; n++) {
        snprintf(text, sizeof(text), "%.*e", n - 1, v);
        uint64_t m = 0;
        const char *p = text;
        for (; *p != 'e'; p++)
            if (*p != '.') m = m * 10 + (uint64_t)(*p - '0');
        bool below = *++p == '-';
        int exponent = 0;
        while (*++p) exponent = exponent * 10 + (*p - '0');
        exponent = (below ? -exponent : exponent) - (n - 1);
        for (uint64_t more = 0; more < 2; more++) {
            snprintf(text, sizeof(text), "%" PRIu64 "e%d", m + more, exponent);
            double back = 0;
            if (!f64_parse(str_z(text), &back) || back != v) continue;
            int got = snprintf(digits, F64_DIGITS_ROOM, "%" PRIu64, m + more);
            *point = exponent + got;
            while (got > 1 && digits[got - 1] == '0') got--;
            return got;
        }
    }
    return 0;
}

static void expect_shortest(double v)
{
    char got[F64_DIGITS_ROOM], want[F64_DIGITS_ROOM];
    int point, want_point = 0;
    int n = (int)f64_digits_shortest(got, v, &point);
    int want_n = digits_by_printf(want, v, &want_point);
    if (n != want_n || point != want_point || memcmp(got, want, (size_t)n))
        test_fail(__FILE__, __LINE__, "%a: %.*s at %d, expected %.*s at %d", v, n, got, point,
            want_n, want, want_point);
}

TEST(f64_digits_shortest_borders)
{
    static const double some[] = { 1, 0.1, 0.3, 2.0 / 3, 1e21, 1e22, 1e23, 9007199254740993.0,
        5e-324, 1e-323, DBL_MIN, DBL_MAX, DBL_EPSILON, 123456.789, 299792458.125, 0x1p-1074 };
    for (size_t i = 0; i < ARRAY_LEN(some); i++) expect_shortest(some[i]);
    for (int e = -1074; e < 1024; e++) {
        double power = __builtin_ldexp(1, e);
        expect_shortest(power);
        expect_shortest(f64_of_bits(f64_bits(power) + 1));
        if (e > -1074) expect_shortest(f64_of_bits(f64_bits(power) - 1));
    }
    for (int e = -323; e <= 308; e++) {
        char text[16];
        double v = 0;
        snprintf(text, sizeof(text), "1e%d", e);
        EXPECT(f64_parse(str_z(text), &v));
        expect_shortest(v);
    }
}

TEST(f64_digits_shortest_random)
{
    struct prng r = { test_seed() };
    for (int i = 0; i < 20000; i++) {
        double any = f64_of_bits(prng_u64(&r) >> 1);
        if (any > 0 && any <= DBL_MAX) expect_shortest(any);
        expect_shortest((double)(1 + prng_below(&r, 1000000)) / (double)(1 + prng_below(&r, 1000)));
    }
}

TEST(f64_digits_u64)
{
    struct prng r = { test_seed() };
    for (int i = 0; i < 20000; i++) {
        char got[F64_DIGITS_ROOM], want[32];
        uint64_t v = i == 0 ? UINT64_MAX : i == 1 ? 0 : prng_u64(&r) >> prng_below(&r, 64);
        unsigned n = f64_digits_u64(got, v);
        snprintf(want, sizeof(want), "%" PRIu64, v);
        EXPECT_STR(str_of(got, n), str_z(want));
    }
}

TEST(f64_digits_four)
{
    char got[5] = { 0 }, want[8];
    for (uint32_t v = 0; v < 10000; v++) {
        f64_digits_four(got, v);
        snprintf(want, sizeof(want), "%04u", (unsigned)v);
        EXPECT(!memcmp(got, want, 5));
    }
}
