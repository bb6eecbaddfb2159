#include "base/mem.h"
#include "base/slab.h"
#include "base/test.h"

#include <string.h>
#include <sys/mman.h>

ACCOUNT(slab_test_account, "slab_test")

static int64_t held_bytes(const struct slab *s)
{
    int64_t map_bytes = (s->per_page + 63) / 64 * 8;
    return (int64_t)s->n_held * SLAB_PAGE_BYTES + (int64_t)s->n_maps * map_bytes;
}

static void trim(struct slab *s)
{
    uint32_t page = 0;
    while (slab_trim(s, &page, 2)) continue;
    EXPECT_EQ(page, s->n_pages);
}

/* Random takes and gives against a naive twin: which indexes are out, and what was written in
 * each. */
static void slab_model(bool shrinks, size_t bytes)
{
    enum { MOST = 3000, STEPS = 40000 };
    struct prng r = { test_seed() };
    struct slab s;
    (shrinks ? slab_init_shrinking : slab_init)(&s, &slab_test_account, bytes);
    uint32_t *out = mem_alloc_array(MOST, sizeof(*out));
    uint64_t *wrote = mem_alloc_array(MOST, sizeof(*wrote));
    size_t n = 0;
    for (int step = 0; step < STEPS; step++) {
        bool take = n == 0 || (n < MOST && prng_below(&r, 100) < (step / 5000 % 2 ? 30 : 70));
        if (take) {
            uint32_t index = slab_take_in(&s, (unsigned)prng_below(&r, SLAB_COLOURS));
            EXPECT(index != 0);
            uint64_t *at = slab_at(&s, index);
            for (size_t i = 0; i < bytes / 8; i++) EXPECT_EQ(at[i], 0);
            out[n] = index;
            wrote[n] = at[0] = at[bytes / 8 - 1] = prng_u64(&r) | 1;
            n++;
        } else {
            size_t i = prng_below(&r, n);
            uint64_t *at = slab_at(&s, out[i]);
            EXPECT(at[0] == wrote[i] && at[bytes / 8 - 1] == wrote[i]);
            slab_give(&s, out[i]);
            out[i] = out[--n];
            wrote[i] = wrote[n];
        }
        EXPECT_EQ(s.n_live, n);
        if (shrinks && prng_below(&r, 500) == 0) trim(&s);
    }
    EXPECT_EQ(account_bytes(&slab_test_account), held_bytes(&s));
    if (!shrinks) EXPECT_EQ(s.n_held, s.n_pages);
    while (n) slab_give(&s, out[--n]);
    EXPECT_EQ(s.n_live, 0);
    if (shrinks) EXPECT(s.n_held <= 2);        /* that of index 0, and one to be filled again */
    EXPECT_EQ(account_bytes(&slab_test_account), held_bytes(&s));
    slab_fini(&s);
    EXPECT_EQ(account_bytes(&slab_test_account), 0);
    mem_free(out);
    mem_free(wrote);
}

TEST(slab_model_kept) { slab_model(false, 1000); }
TEST(slab_model_shrinking) { slab_model(true, 1000); }
TEST(slab_model_of_small_objects) { slab_model(true, 64); }

/* Pages above the objects that stay go back, and their indexes are handed out again. */
TEST(slab_shrinks_and_grows)
{
    struct slab s;
    slab_init_shrinking(&s, &slab_test_account, 4096);
    for (uint32_t i = 1; i < 640; i++) EXPECT_EQ(slab_take(&s), i);
    EXPECT_EQ(s.n_held, 10);
    for (uint32_t i = 100; i < 640; i++) slab_give(&s, i);
    EXPECT_EQ(s.n_held, 3);                    /* 0 … 63, 64 … 127, and the lowest empty one */
    EXPECT_EQ(account_bytes(&slab_test_account), 3 * (SLAB_PAGE_BYTES + 8) - 8);
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

/* How much of page 0 is in memory. */
static size_t resident(const struct slab *s)
{
    enum { MOST = SLAB_PAGE_BYTES / 4096 + 1 };
    unsigned char there[MOST];
    uint8_t *at = slab_at(s, 0);
    size_t os_page = mem_page_bytes(), skip = (uintptr_t)at % os_page, n = 0;
    size_t all = (skip + SLAB_PAGE_BYTES + os_page - 1) / os_page;
    EXPECT_EQ(mincore(at - skip, skip + SLAB_PAGE_BYTES, there), 0);
    for (size_t i = 0; i < all; i++) n += there[i] & 1;
    return n * os_page;
}

/* Memory without objects goes back, at the end of a page and between objects that stay; what is
 * taken there afterwards is zeroed. */
TEST(slab_trims)
{
    enum { BYTES = 64, N = SLAB_PAGE_BYTES / BYTES };
    struct slab s;
    slab_init_shrinking(&s, NULL, BYTES);
    for (uint32_t i = 1; i < N; i++) {
        EXPECT_EQ(slab_take(&s), i);
        memset(slab_at(&s, i), 1, BYTES);
    }
    EXPECT(resident(&s) >= SLAB_PAGE_BYTES);
    for (uint32_t i = 2; i < N; i++)
        if (i != N / 2) slab_give(&s, i);
    trim(&s);
    EXPECT(resident(&s) <= 4 * mem_page_bytes());  /* of the two, and the ends of the page */
    EXPECT_EQ(*(uint8_t *)slab_at(&s, N / 2), 1);
    for (uint32_t i = 2; i < N; i++) {
        if (i == N / 2) continue;
        EXPECT_EQ(slab_take(&s), i);
        for (size_t k = 0; k < BYTES; k++) EXPECT_EQ(((uint8_t *)slab_at(&s, i))[k], 0);
    }
    EXPECT_EQ(s.n_pages, 1);
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
