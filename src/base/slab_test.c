#include "base/mem.h"
#include "base/slab.h"
#include "base/test.h"

ACCOUNT(slab_test_account, "slab_test")

/* Random takes and gives against a naive twin: which indexes are out, and what was written in
 * each. */
static void slab_model(bool shrinks)
{
    enum { MOST = 3000, STEPS = 40000, BYTES = 1000 };
    struct prng r = { test_seed() };
    struct slab s;
    (shrinks ? slab_init_shrinking : slab_init)(&s, &slab_test_account, BYTES);
    uint32_t *out = mem_alloc_array(MOST, sizeof(*out));
    uint64_t *wrote = mem_alloc_array(MOST, sizeof(*wrote));
    size_t n = 0;
    for (int step = 0; step < STEPS; step++) {
        bool take = n == 0 || (n < MOST && prng_below(&r, 100) < (step / 5000 % 2 ? 30 : 70));
        if (take) {
            uint32_t index = slab_take_in(&s, (unsigned)prng_below(&r, SLAB_COLOURS));
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
    EXPECT_EQ(account_bytes(&slab_test_account), (int64_t)s.n_held * SLAB_PAGE_BYTES);
    if (!shrinks) EXPECT_EQ(s.n_held, s.n_pages);
    while (n) slab_give(&s, out[--n]);
    EXPECT_EQ(s.n_live, 0);
    if (shrinks) EXPECT(s.n_held <= 2);        /* that of index 0, and one to be filled again */
    EXPECT_EQ(account_bytes(&slab_test_account), (int64_t)s.n_held * SLAB_PAGE_BYTES);
    slab_fini(&s);
    EXPECT_EQ(account_bytes(&slab_test_account), 0);
    mem_free(out);
    mem_free(wrote);
}

TEST(slab_model_kept) { slab_model(false); }
TEST(slab_model_shrinking) { slab_model(true); }

/* Pages above the objects that stay go back, and their indexes are handed out again. */
TEST(slab_shrinks_and_grows)
{
    struct slab s;
    slab_init_shrinking(&s, &slab_test_account, 4096);
    for (uint32_t i = 1; i < 640; i++) EXPECT_EQ(slab_take(&s), i);
    EXPECT_EQ(s.n_held, 10);
    for (uint32_t i = 100; i < 640; i++) slab_give(&s, i);
    EXPECT_EQ(s.n_held, 3);                    /* 0 … 63, 64 … 127, and the lowest empty one */
    EXPECT_EQ(account_bytes(&slab_test_account), 3 * SLAB_PAGE_BYTES);
    slab_give(&s, 70);
    EXPECT_EQ(slab_take(&s), 70);
    for (uint32_t n = 0; n < 540; n++) {
        uint32_t i = slab_take(&s);
        uint64_t *at = slab_at(&s, i);
        EXPECT(i >= 100 && i < 640 && !at[0] && !at[511]);
        at[0] = at[511] = i;
    }
    EXPECT_EQ(s.n_held, 10);
    EXPECT_EQ(slab_take(&s), 640);
    slab_fini(&s);
    EXPECT_EQ(account_bytes(&slab_test_account), 0);
}

/* Objects of two colours taken in turn: when one colour goes, so do its pages. */
TEST(slab_colours_lie_apart)
{
    struct slab s;
    uint32_t of[2][640];
    slab_init_shrinking(&s, NULL, 4096);
    for (size_t i = 0; i < 640; i++)
        for (unsigned c = 0; c < 2; c++) of[c][i] = slab_take_in(&s, c);
    EXPECT_EQ(s.n_held, 21);                   /* index 0 takes a place in the first */
    for (size_t i = 0; i < 640; i++) EXPECT(of[0][i] / 64 != of[1][i] / 64);
    for (size_t i = 0; i < 640; i++) slab_give(&s, of[1][i]);
    EXPECT_EQ(s.n_held, 12);
    for (size_t i = 0; i < 640; i++) of[1][i] = slab_take_in(&s, 2);
    EXPECT_EQ(s.n_held, 21);
    slab_fini(&s);
}

TEST(slab_reaches_an_index)
{
    struct slab s;
    slab_init(&s, NULL, 16);
    slab_reach(&s, 1);
    EXPECT_EQ(s.n_pages, 1);
    slab_reach(&s, 40000);
    EXPECT(slab_end(&s) > 40000);
    EXPECT_EQ(*(uint64_t *)slab_at(&s, 40000), 0);
    slab_fini(&s);
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
