#include "head/rice.h"

#include "base/mem.h"
#include "base/test.h"

enum { VALUES = 256, WORDS = VALUES * 78 / 32 + 8, ROUNDS = 200 };

/* Words of which each bit is set `often` of eight times: few escapes, or many. */
static void fill(struct prng *r, uint32_t *w, unsigned often)
{
    for (unsigned i = 0; i < WORDS; i++) {
        w[i] = 0;
        for (unsigned b = 0; b < 32; b++) w[i] |= (uint32_t)(prng_below(r, 8) < often) << b;
    }
}

struct chains {
    uint32_t words[RICE_LANES][WORDS];
    double alone[RICE_LANES][VALUES], beside[RICE_LANES][VALUES];
    struct rice_chain at[RICE_LANES];
};

static void chains_make(struct chains *x, struct prng *r, size_t n)
{
    static const double per_one[] = { 1, 1, 10, 1e9, 0x1p-20 };
    bool whole = prng_below(r, 2);
    for (size_t i = 0; i < n; i++) {
        fill(r, x->words[i], (unsigned)prng_below(r, 9));
        x->at[i] = (struct rice_chain){ x->words[i], (unsigned)prng_below(r, VALUES + 1),
            prng_below(r, 2), whole ? 1 : per_one[prng_below(r, ARRAY_LEN(per_one))],
            x->beside[i] };
        memset(x->alone[i], 0xa5, sizeof(x->alone[i]));
        memset(x->beside[i], 0xa5, sizeof(x->beside[i]));
    }
}

TEST(side_by_side_is_one_after_the_other)
{
    struct chains *x = NEW(struct chains);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct prng r = { test_seed() + round };
        size_t n = prng_below(&r, RICE_LANES + 1);
        chains_make(x, &r, n);
        rice_decode_all(x->at, n);
        for (size_t i = 0; i < n; i++) {
            struct rice_chain one = x->at[i];
            one.v = x->alone[i];
            rice_decode(&one);
            EXPECT(memcmp(x->alone[i], x->beside[i], sizeof(x->alone[i])) == 0);
        }
    }
    mem_free(x);
}
