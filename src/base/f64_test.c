#include "base/f64.h"
#include "base/clock.h"
#include "base/test.h"
#include "base/test_vectors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

TEST_SHARED(f64_parse_golden)
{
    SCOPED(vectors_close) struct vectors v;
    vectors_open(&v, "conformance/misc/float_parse.jsonl");
    for (json_t *o; (o = vectors_next(&v)) != NULL;) {
        double got = 0;
        bool ok = json_is_true(json_object_get(o, "ok"));
        EXPECT_EQ(f64_parse(json_str_of(o, "in"), &got), ok);
        if (ok) EXPECT_EQ(f64_bits(got), json_bits_of(o, "bits"));
    }
    EXPECT(v.n > 0);
}

TEST(f64_parse_forms)
{
    static const struct { const char *name; str in; bool ok; uint64_t bits;
    } cases[] = {
        { "only a point", S("."), false, 0 },
        { "point at the end", S("1."), true, 0x3ff0000000000000 },
        { "point at the start", S(".5"), true, 0x3fe0000000000000 },
        { "two points", S("1.2.3"), false, 0 },
        { "sign only", S("-"), false, 0 },
        { "sixteen digits", S("1234567890123456"), true, 0x43118b54f22aeb00 },
        { "nineteen nines", S("9999999999999999999"), true, 0x43e158e460913d00 },
        { "twenty digits", S("18446744073709551616"), true, 0x43f0000000000000 },
        { "underflow", S("1e-99999999999999999999"), true, 0 },
        { "zero with a huge exponent", S("0e99999999999999999999"), true, 0 },
        { "overflow by exponent", S("1e99999999999999999999"), false, 0 },
        { "hex", S("0x1.8p1"), true, 0x4008000000000000 },
        { "hex in capitals", S("0X1.8P+1"), true, 0x4008000000000000 },
        { "hex without digits", S("0xp1"), false, 0 },
        { "hex without exponent", S("0x1.8"), false, 0 },
        { "hex, rounds to even", S("0x1.00000000000008p0"), true, 0x3ff0000000000000 },
        { "hex, sticky bit rounds up", S("0x1.000000000000080000000000001p0"), true,
            0x3ff0000000000001 },
        { "hex denormal", S("0x1p-1074"), true, 1 },
        { "hex half of the least", S("0x1p-1075"), true, 0 },
        { "hex above half of the least", S("0x1.8p-1075"), true, 1 },
        { "hex overflow", S("0x1p1024"), false, 0 },
        { "hex overflow by rounding", S("0x1.fffffffffffff8p1023"), false, 0 },
        { "hex with underscores", S("0x_1_0p0"), true, 0x4030000000000000 },
        { "underscore before the point", S("1_.5"), false, 0 },
        { "underscore after the exponent", S("1e_5"), false, 0 },
        { "infinit", S("infinit"), false, 0 },
        { "plus NaN", S("+NaN"), false, 0 },
        { "a NUL after", { (const uint8_t *)"1\0", 2 }, false, 0 },
        { "eight digits and a letter", S("12345678x"), false, 0 },
        { "a byte above nine", S("1234567:"), false, 0 },
        { "a byte below zero", S("1234567/"), false, 0 },
    };
    TEST_EACH(c, cases) {
        double v = 0;
        EXPECT_EQ(f64_parse(c->in, &v), c->ok);
        EXPECT_EQ(f64_bits(v), c->bits);
    }
}

#define EXPECT_FORM(form, key) \
    do { \
        char text[F64_TEXT_MAX]; \
        EXPECT_STR(str_of(text, f64_text_##form(text, x)), json_str_of(o, key)); \
    } while (0)

TEST_SHARED(f64_format_golden)
{
    SCOPED(vectors_close) struct vectors v;
    vectors_open(&v, "conformance/misc/float_format.jsonl");
    for (json_t *o; (o = vectors_next(&v)) != NULL;) {
        double x = f64_of_bits(json_bits_of(o, "bits"));
        EXPECT_FORM(api, "api");
        EXPECT_FORM(f, "f");
        EXPECT_FORM(g, "g");
        EXPECT_FORM(openmetrics, "openmetrics_le");
    }
    EXPECT(v.n > 0);
}

static void expect_same(double v, size_t (*form)(char *, double))
{
    char text[F64_TEXT_MAX];
    double back = 0;
    str s = str_of(text, form(text, v));
    if (!f64_parse(s, &back) || f64_bits(back) != f64_bits(v))
        test_fail(__FILE__, __LINE__, "%a became %.*s became %a", v, STR_ARG(s), back);
}

TEST(f64_round_trip)
{
    struct prng r = { test_seed() };
    for (int i = 0; i < 20000; i++) {
        double any = f64_of_bits(prng_u64(&r));
        double decimal =
            (double)(int64_t)prng_below(&r, 1000000000) / (double)(1 + prng_below(&r, 100000));
        double whole = (double)(int64_t)(prng_u64(&r) >> (prng_below(&r, 60)));
        const double of[] = { isfinite(any) ? any : 0, decimal, -decimal, whole, -whole };
        for (size_t k = 0; k < ARRAY_LEN(of); k++) {
            expect_same(of[k], f64_text_f);
            expect_same(of[k], f64_text_g);
            expect_same(of[k], f64_text_api);
        }
    }
}

/* The library's strtod is the judge of texts that no formatter made. */
TEST(f64_parse_against_strtod)
{
    struct prng r = { test_seed() };
    for (int i = 0; i < 50000; i++) {
        char text[64];
        int n = snprintf(text, sizeof(text), "%" PRIu64 ".%0*" PRIu64 "e%d",
            prng_u64(&r) >> prng_below(&r, 64), (int)prng_below(&r, 12) + 1,
            prng_u64(&r) >> prng_below(&r, 64), (int)prng_below(&r, 80) - 40);
        double got = 0, want = strtod(text, NULL);
        EXPECT(f64_parse(str_of(text, (size_t)n), &got));
        if (f64_bits(got) != f64_bits(want))
            test_fail(__FILE__, __LINE__, "%s: %a, expected %a", text, got, want);
    }
}

/* Each text once: a figure a line on stderr, for who works on the speed (F64_BENCH=1). */
TEST(f64_parse_speed)
{
    static const struct { const char *name; str in;
    } cases[] = {
        { "1 digit", S("7") },
        { "4 digits", S("1234") },
        { "7 digits", S("1234567") },
        { "10 digits", S("1234567890") },
        { "short decimal", S("12.75") },
        { "17 digits", S("0.30000000000000004") },
        { "exponent", S("1.7588e+09") },
        { "long decimal", S("1785542400.123") },
    };
    unsigned rounds = getenv("F64_BENCH") ? 5000000 : 1000;
    TEST_EACH(c, cases) {
        double sum = 0;
        int64_t start = clock_cpu_ns();
        for (unsigned i = 0; i < rounds; i++) {
            double v = 0;
            if (f64_parse(c->in, &v)) sum += v;
        }
        double ns = (double)(clock_cpu_ns() - start) / rounds;
        EXPECT(sum > 0);
        if (getenv("F64_BENCH")) fprintf(stderr, "%-14s %6.1f ns\n", c->name, ns);
    }
}
