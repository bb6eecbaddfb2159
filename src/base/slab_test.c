#include "base/mem.h"
#include "base/slab.h"
#include "base/test.h"

ACCOUNT(slab_test_account, "slab_test")

/* Random takes and gives against a naive twin: which indexes are out, and what was written in each. */
TEST(slab_model)
{
    enum { MOST = 3000, STEPS = 40000, BYTES = 1000 };
    struct prng r = { test_seed() };
    struct slab s;
    slab_init(&s, &slab_test_account, BYTES);
    uint32_t *out = mem_alloc_array(MOST, sizeof(*out));
    uint64_t *wrote = mem_alloc_array(MOST, sizeof(*wrote));
    size_t n = 0;
    for (int step = 0; step < STEPS; step++) {
        bool take = n == 0 || (n < MOST && prng_below(&r, 100) < (step / 5000 % 2 ? 30 : 70));
        if (take) {
            uint32_t index = slab_take(&s);
            EXPECT(index != 0);
            uint64_t *at = slab_at(&s, index);
            for (size_t i = 0; i < BYTES / 8; i++) EXPECT_EQ(at[i], 0);
            out[n] = index;
            wrote[n] = at[0] = at[BYTES / 8 - 1] = prng_u64(&r) | 1;
            n++;
        } else {
            size_t i = prng_below(&r, n);
            uint64_t *at = slab_at(&s, out[i]);
            EXPECT(at[0] == wrote[i] && at[BYTES / 8 - 1] == wrote[i]);
            slab_give(&s, out[i]);
            out[i] = out[--n];
            wrote[i] = wrote[n];
        }
        EXPECT_EQ(s.n_live, n);
    }
    EXPECT_EQ(account_bytes(&slab_test_account), (int64_t)s.n_pages * SLAB_PAGE_BYTES);
    slab_fini(&s);
    EXPECT_EQ(account_bytes(&slab_test_account), 0);
    mem_free(out);
    mem_free(wrote);
}

TEST(slab_lowest_page_first)
{
    struct slab s;
    slab_init(&s, NULL, 4096);
    uint32_t last = 0;
    for (int i = 0; i < 500; i++) last = slab_take(&s);
    slab_give(&s, last);
    slab_give(&s, 200);
    slab_give(&s, 3);
    EXPECT_EQ(slab_take(&s), 3);
    EXPECT_EQ(slab_take(&s), 200);
    EXPECT_EQ(slab_take(&s), last);
    EXPECT_EQ(slab_take(&s), last + 1);
    slab_fini(&s);
}
