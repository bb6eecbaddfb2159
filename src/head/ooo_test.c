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
            struct ooo_value x = ooo_float(t * 2.0);
            EXPECT_EQ(ooo_insert(&a, t, &x), !there[t]);
            there[t] = true;
        }
        for (unsigned i = 0; i < a.n; i++) {
            EXPECT(!i || a.at[i - 1].t < a.at[i].t);
            EXPECT(a.at[i].x.v == (double)a.at[i].t * 2);
        }
    }
}
