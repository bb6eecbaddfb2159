#include "promql/gosort.h"

#include "base/test.h"

struct item { int key, was; };
struct items { struct item at[512]; };

static bool item_less(void *ctx, size_t i, size_t j)
{
    struct items *x = ctx;
    return x->at[i].key < x->at[j].key;
}
static void item_swap(void *ctx, size_t i, size_t j)
{
    struct items *x = ctx;
    struct item t = x->at[i];
    x->at[i] = x->at[j];
    x->at[j] = t;
}
static const struct gosort_ops ops = { item_less, item_swap };

TEST(gosort_sorts)
{
    struct prng r = { test_seed() };
    for (int round = 0; round < 300; round++) {
        struct items x;
        size_t n = prng_below(&r, ARRAY_LEN(x.at));
        int keys = 1 + (int)prng_below(&r, 600), sum = 0;
        for (size_t i = 0; i < n; i++) {
            int key = round % 3 == 0   ? (int)i
                      : round % 3 == 1 ? -(int)i
                                       : (int)prng_below(&r, (uint64_t)keys);
            x.at[i] = (struct item){ key, (int)i };
            sum += (int)i;
        }
        gosort(&ops, &x, n);
        for (size_t i = 0; i < n; i++) {
            if (i) EXPECT(x.at[i - 1].key <= x.at[i].key);
            sum -= x.at[i].was;
        }
        EXPECT_EQ(sum, 0);
    }
}

/* Up to twelve elements it is an insertion sort: equal ones keep their order. */
TEST(gosort_short_is_stable)
{
    struct items x;
    for (size_t i = 0; i < 12; i++) x.at[i] = (struct item){ (int)(i * 7 % 3), (int)i };
    gosort(&ops, &x, 12);
    for (size_t i = 1; i < 12; i++)
        if (x.at[i - 1].key == x.at[i].key) EXPECT(x.at[i - 1].was < x.at[i].was);
}

TEST(goheap_keeps_the_least_first)
{
    struct prng r = { test_seed() };
    struct items x;
    size_t n = 0;
    for (; n < 200; n++) {
        x.at[n] = (struct item){ (int)prng_below(&r, 50), (int)n };
        goheap_up(&ops, &x, n);
        for (size_t i = 0; i <= n; i++) EXPECT(x.at[0].key <= x.at[i].key);
    }
    for (int i = 0; i < 200; i++) {
        x.at[0].key = (int)prng_below(&r, 80);
        goheap_fix_root(&ops, &x, n);
        for (size_t j = 0; j < n; j++) EXPECT(x.at[0].key <= x.at[j].key);
    }
}
