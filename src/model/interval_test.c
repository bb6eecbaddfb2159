#include "model/interval.h"

#include "base/test.h"

TEST(intervals_add_joins_what_touches)
{
    static const struct {
        const char *name;
        struct interval add[4];
        size_t n;
        struct interval want[3];
        size_t n_want;
    } cases[] = {
        { "one", { { 1, 2 } }, 1, { { 1, 2 } }, 1 },
        { "apart", { { 5, 6 }, { 1, 3 } }, 2, { { 1, 3 }, { 5, 6 } }, 2 },
        { "adjacent", { { 1, 3 }, { 4, 6 } }, 2, { { 1, 6 } }, 1 },
        { "adjacent before", { { 4, 6 }, { 1, 3 } }, 2, { { 1, 6 } }, 1 },
        { "inside", { { 1, 9 }, { 3, 4 } }, 2, { { 1, 9 } }, 1 },
        { "over all", { { 1, 2 }, { 5, 6 }, { 9, 10 }, { 0, 20 } }, 4, { { 0, 20 } }, 1 },
        { "bridge", { { 1, 2 }, { 8, 9 }, { 3, 7 } }, 3, { { 1, 9 } }, 1 },
        { "between", { { 1, 2 }, { 9, 9 }, { 5, 5 } }, 3, { { 1, 2 }, { 5, 5 }, { 9, 9 } }, 3 },
        { "ends of time", { { INT64_MAX, INT64_MAX }, { INT64_MIN, INT64_MIN }, { 3, 2 } }, 3,
            { { INT64_MIN, INT64_MIN }, { INT64_MAX, INT64_MAX } }, 2 },
    };
    TEST_EACH(c, cases) {
        intervals v = { 0 };
        for (size_t i = 0; i < c->n; i++) intervals_add(&v, c->add[i]);
        EXPECT_EQ(v.n, c->n_want);
        for (size_t i = 0; i < v.n; i++)
            EXPECT(v.at[i].mint == c->want[i].mint && v.at[i].maxt == c->want[i].maxt);
        vec_fini(&v);
    }
}

/* Against a bitmap. */
TEST(intervals_model)
{
    enum { TIMES = 60 };
    struct prng rng = { test_seed() };
    for (int round = 0; round < 200; round++) {
        bool twin[TIMES + 1] = { false };
        intervals v = { 0 };
        for (int i = 0; i < 12; i++) {
            int64_t from = (int64_t)prng_below(&rng, TIMES),
                    to = from + (int64_t)prng_below(&rng, 9) - 1;
            intervals_add(&v, (struct interval){ from, to });
            for (int64_t t = from; t <= to && t < TIMES; t++) twin[t] = true;
            for (int64_t t = 0; t < TIMES; t++) EXPECT_EQ(intervals_have(&v, t), twin[t]);
            for (size_t k = 1; k < v.n; k++) EXPECT(v.at[k].mint > v.at[k - 1].maxt + 1);
        }
        int64_t a = (int64_t)prng_below(&rng, TIMES - 8), b = a + (int64_t)prng_below(&rng, 8);
        bool all = true, any = false;
        for (int64_t t = a; t <= b; t++) all = all && twin[t], any = any || twin[t];
        EXPECT_EQ(intervals_cover(&v, a, b), all);
        EXPECT_EQ(intervals_meet(&v, a, b), any);
        vec_fini(&v);
    }
}
