#include "base/losers.h"

#include "base/test.h"

enum { SOURCES_MAX = 37, EACH_MAX = 9 };
struct lists { uint32_t at[SOURCES_MAX][EACH_MAX], n[SOURCES_MAX], given[SOURCES_MAX]; };

/* By element, then by source; what ended is last. */
static bool list_less(const void *ctx, uint32_t a, uint32_t b)
{
    const struct lists *l = ctx;
    if (l->given[a] == l->n[a]) return false;
    if (l->given[b] == l->n[b]) return true;
    uint32_t x = l->at[a][l->given[a]], y = l->at[b][l->given[b]];
    return x != y ? x < y : a < b;
}

/* Whatever their number and length: all elements, in order, of equal ones the first source's. */
TEST(sources_are_merged_in_order)
{
    struct prng r = { test_seed() };
    for (uint32_t n = 1; n <= SOURCES_MAX; n++) {
        struct lists l = { 0 };
        size_t total = 0;
        for (uint32_t i = 0; i < n; i++) {
            l.n[i] = (uint32_t)prng_below(&r, EACH_MAX + 1);
            for (uint32_t k = 0; k < l.n[i]; k++)
                l.at[i][k] = (k ? l.at[i][k - 1] : 0) + (uint32_t)prng_below(&r, 4);
            total += l.n[i];
        }
        struct losers t;
        losers_init(&t, n, list_less, &l);
        uint32_t last = 0, from = 0;
        for (size_t i = 0; i < total; i++) {
            uint32_t s = losers_least(&t);
            EXPECT(l.given[s] < l.n[s]);
            uint32_t x = l.at[s][l.given[s]++];
            EXPECT(!i || x > last || (x == last && s >= from));
            last = x;
            from = s;
            losers_changed(&t);
        }
        uint32_t s = losers_least(&t);
        EXPECT_EQ(l.given[s], l.n[s]);
        losers_fini(&t);
    }
}
