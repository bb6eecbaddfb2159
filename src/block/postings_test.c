#include "block/postings.h"

#include "base/test.h"

enum { UNIVERSE = 3000 };

static postings_list random_list(struct prng *rng, bool *in, unsigned one_in)
{
    postings_list v = { 0 };
    for (uint32_t i = 0; i < UNIVERSE; i++) {
        in[i] = prng_below(rng, one_in) == 0;
        if (in[i]) vec_push(&v, i);
    }
    return v;
}

static bool holds(const postings_list *v, const bool *want)
{
    size_t k = 0;
    for (uint32_t i = 0; i < UNIVERSE; i++)
        if (want[i] && (k == v->n || v->at[k++] != i)) return false;
    return k == v->n;
}

TEST(postings_model)
{
    static const unsigned rates[] = { 1, 2, 7, 90, 800 };
    struct prng rng = { test_seed() };
    for (size_t i = 0; i < ARRAY_LEN(rates) * ARRAY_LEN(rates); i++) {
        bool in_a[UNIVERSE], in_b[UNIVERSE], both[UNIVERSE], only[UNIVERSE], any[UNIVERSE],
            some = false;
        for (int op = 0; op < 3; op++) {
            postings_list a = random_list(&rng, in_a, rates[i / 5]),
                          b = random_list(&rng, in_b, rates[i % 5]);
            for (size_t k = 0; k < UNIVERSE; k++) {
                both[k] = in_a[k] && in_b[k];
                only[k] = in_a[k] && !in_b[k];
                any[k] = in_a[k] || in_b[k];
                some = k ? some || both[k] : both[k];
            }
            EXPECT_EQ(postings_disjoint(&a, &b), !some);
            if (op == 0) postings_intersect(&a, &b);
            else if (op == 1) postings_subtract(&a, &b);
            else {
                for (size_t k = 0; k < b.n; k++) vec_push(&a, b.at[k]);
                postings_sort(&a);
            }
            EXPECT(holds(&a, op == 0 ? both : op == 1 ? only : any));
            vec_fini(&a);
            vec_fini(&b);
        }
    }
}

TEST(postings_from_bytes)
{
    postings_list v = { 0 };
    EXPECT_OK(postings_from_be(&v, str_of("\0\0\0\1\0\0\1\0\xff\xff\xff\xff", 12), NULL));
    EXPECT(v.n == 3 && v.at[0] == 1 && v.at[1] == 256 && v.at[2] == UINT32_MAX);
    EXPECT_EQ(postings_from_be(&v, str_of("\0\0\0\2\0\0\0\1", 8), NULL), ERR_CORRUPT);
    EXPECT_EQ(postings_from_be(&v, str_of("\0\0\0\2\0\0\0\2", 8), NULL), ERR_CORRUPT);
    EXPECT_EQ(v.n, 3);
    vec_fini(&v);
}
