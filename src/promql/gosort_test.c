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

/* "Less" as the order of values with NaN has it: what is least is less than itself. */
struct odd_items { int modulus; size_t at[1000]; };

static bool odd_less(void *ctx, size_t i, size_t j)
{
    struct odd_items *x = ctx;
    if (!x->modulus) return true;
    size_t m = (size_t)x->modulus;
    return x->at[i] % m < x->at[j] % m || x->at[i] % m == 0;
}
static void odd_swap(void *ctx, size_t i, size_t j)
{
    struct odd_items *x = ctx;
    size_t t = x->at[i];
    x->at[i] = x->at[j];
    x->at[j] = t;
}

/* Go's order of what begins in ascending order, as the polynomial in 31 of the numbers. */
TEST(gosort_order_of_equal_ones)
{
    static const struct gosort_ops odd = { odd_less, odd_swap };
    static const struct { const char *name; int modulus; size_t n; uint64_t want; } cases[] = {
        { "always less, 13", 0, 13, 0x7bdf6a0088445746 },
        { "always less, 20", 0, 20, 0xd7cebc75479b637e },
        { "always less, 60", 0, 60, 0x56ab77f0d82b87e4 },
        { "always less, 200", 0, 200, 0x975cbf32ec4ffeaa },
        { "always less, 1000", 0, 1000, 0x921548fbab4055b2 },
        { "two keys, 13", 2, 13, 0x4528632beb639414 },
        { "two keys, 20", 2, 20, 0xb614eb8c325e1334 },
        { "two keys, 60", 2, 60, 0x18884a01924bdcc0 },
        { "two keys, 200", 2, 200, 0xc32aa928722f9aa4 },
        { "two keys, 1000", 2, 1000, 0xc90b44cb0f4a5d4c },
        { "three keys, 20", 3, 20, 0x9f6dc174f9dd0b56 },
        { "three keys, 60", 3, 60, 0x78c9ed78f701ccd6 },
        { "three keys, 200", 3, 200, 0x37dabd281cccc142 },
        { "three keys, 1000", 3, 1000, 0x7df2af75c6763106 },
        { "seven keys, 60", 7, 60, 0xf707e9d34164b966 },
        { "seven keys, 200", 7, 200, 0x7e2afc98468c64d8 },
        { "seven keys, 1000", 7, 1000, 0x3acacb15f36cd094 },
    };
    TEST_EACH(c, cases) {
        struct odd_items x = { .modulus = c->modulus };
        for (size_t i = 0; i < c->n; i++) x.at[i] = i;
        gosort(&odd, &x, c->n);
        uint64_t got = 0;
        for (size_t i = 0; i < c->n; i++) got = got * 31 + x.at[i];
        EXPECT_EQ(got, c->want);
    }
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
