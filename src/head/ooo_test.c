#include "head/ooo.h"

#include "base/test.h"

TEST(array_is_sorted)
{
    struct prng rng = { test_seed() };
    for (int round = 0; round < 200; round++) {
        struct ooo_array a = { .n = 0 };
        bool there[64] = { false };
        while (a.n < OOO_CAP) {
            unsigned t = (unsigned)prng_below(&rng, 64);
            EXPECT_EQ(ooo_insert(&a, t, t * 2.0), !there[t]);
            there[t] = true;
        }
        for (unsigned i = 0; i < a.n; i++) {
            EXPECT(!i || a.at[i - 1].t < a.at[i].t);
            EXPECT(f64_of_bits(a.at[i].v) == (double)a.at[i].t * 2);
        }
    }
}
