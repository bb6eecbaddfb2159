#include "model/duration.h"
#include "base/test.h"
#include "base/test_vectors.h"

TEST_SHARED(duration_golden)
{
    SCOPED(vectors_close) struct vectors v;
    vectors_open(&v, "conformance/misc/durations.jsonl");
    for (json_t *o; (o = vectors_next(&v)) != NULL;) {
        SCOPED(buf_fini) struct buf b = { 0 };
        struct err e = { 0 };
        int64_t ms = 0;
        errc rc = duration_parse(json_str_of(o, "in"), &ms, &e);
        if (!json_is_true(json_object_get(o, "ok"))) {
            EXPECT_EQ(rc, ERR_BAD_INPUT);
            EXPECT_STR(err_str(&e), json_str_of(o, "error"));
            continue;
        }
        EXPECT_OK_E(rc, &e);
        EXPECT_EQ(ms * 1000000, json_integer_value(json_object_get(o, "ns")));
        buf_duration(&b, ms);
        EXPECT_STR(buf_view(&b), json_str_of(o, "out"));
    }
    EXPECT(v.n > 0);
}

TEST(duration_round_trip)
{
    struct prng r = { test_seed() };
    for (int i = 0; i < 10000; i++) {
        SCOPED(buf_fini) struct buf b = { 0 };
        int64_t ms = (int64_t)(prng_below(&r, INT64_MAX / 1000000) >> prng_below(&r, 40)),
                back = -1;
        if (i % 2) ms = -ms;
        SCOPED(arena_fini) struct arena a = { 0 };
        buf_duration(&b, ms);
        EXPECT_STR(arena_duration(&a, ms), buf_view(&b));
        EXPECT_OK(duration_parse_signed(buf_view(&b), &back, NULL));
        EXPECT_EQ(back, ms);
    }
}

TEST(go_duration)
{
    static const struct { const char *name; int64_t ns; str want;
    } cases[] = {
        { "zero", 0, S("0s") },
        { "ns", 7, S("7ns") },
        { "us", 1500, S("1.5µs") },
        { "ms", 20000000, S("20ms") },
        { "ms and more", 1234567, S("1.234567ms") },
        { "s", 1000000000, S("1s") },
        { "s and more", 61500000000, S("1m1.5s") },
        { "h", 3600000000000, S("1h0m0s") },
        { "below zero", -90000000000, S("-1m30s") },
        { "the least", INT64_MIN, S("-2562047h47m16.854775808s") },
    };
    TEST_EACH(c, cases) {
        SCOPED(buf_fini) struct buf b = { 0 };
        buf_go_duration(&b, c->ns);
        EXPECT_STR(buf_view(&b), c->want);
    }
}

TEST(go_duration_of_text)
{
    static const struct { const char *name; str in; bool good; int64_t ns;
    } cases[] = {
        { "none", S("0"), true, 0 },
        { "below none", S("-0"), true, 0 },
        { "seconds", S("1.5s"), true, 1500000000 },
        { "below zero", S("-1m.5s"), true, -60500000000 },
        { "more of the same", S("1s1s+"), false, 0 },
        { "the same twice", S("1s1s"), true, 2000000000 },
        { "micro", S("3µs"), true, 3000 },
        { "hours", S("+1.5h"), true, 5400000000000 },
        { "no unit", S("1"), false, 0 },
        { "days", S("1d"), false, 0 },
        { "nothing", S(""), false, 0 },
        { "a sign", S("-"), false, 0 },
        { "a unit", S("s"), false, 0 },
        { "too much", S("9999999h"), false, 0 },
    };
    TEST_EACH(c, cases) {
        int64_t ns = 0;
        EXPECT_EQ(go_duration_parse(c->in, &ns), c->good);
        EXPECT_EQ(ns, c->ns);
    }
}
