#include "head/tombstones.h"

#include "base/prng.h"
#include "base/test.h"

enum { REFS = 300, OPS = 4000 };

static void expect_same(struct head_tombstones *t, intervals *want)
{
    uint32_t n = 0;
    for (sref ref = 0; ref < REFS; ref++) {
        intervals got = { 0 };
        head_tombstones_get(t, ref, &got);
        EXPECT_EQ(got.n, want[ref].n);
        for (size_t i = 0; i < got.n; i++)
            EXPECT(memcmp(&got.at[i], &want[ref].at[i], sizeof(got.at[i])) == 0);
        n += want[ref].n > 0;
        vec_fini(&got);
    }
    EXPECT_EQ(atomic_load(&t->n), n);
}

static void count(void *ctx, sref ref, const intervals *deleted)
{
    uint64_t *sum = ctx;
    EXPECT(deleted->n > 0);
    sum[0]++;
    sum[1] += ref;
}

/* Against one set of intervals a series, with what is old taken away now and then. */
TEST(head_tombstones_are_those_of_each_series)
{
    struct prng r = { test_seed() };
    struct head_tombstones t;
    intervals want[REFS] = { 0 };
    int64_t low = 0;
    head_tombstones_init(&t);
    for (int op = 0; op < OPS; op++) {
        sref ref = prng_below(&r, REFS);
        int64_t mint = low + (int64_t)prng_below(&r, 1000);
        struct interval add = { mint, mint + (int64_t)prng_below(&r, 50) - 5 };
        head_tombstones_add(&t, ref, add);
        intervals_add(&want[ref], add);
        if (op % 1000 != 999) continue;
        expect_same(&t, want);
        low += 500;
        head_tombstones_drop(&t, low);
        for (ref = 0; ref < REFS; ref++) {
            size_t kept = 0;
            for (size_t i = 0; i < want[ref].n; i++)
                if (want[ref].at[i].maxt >= low) want[ref].at[kept++] = want[ref].at[i];
            want[ref].n = kept;
        }
        expect_same(&t, want);
    }
    uint64_t sum[2] = { 0 }, refs = 0, n = 0;
    head_tombstones_each(&t, count, sum);
    for (sref ref = 0; ref < REFS; ref++) {
        n += want[ref].n > 0;
        refs += want[ref].n ? ref : 0;
        vec_fini(&want[ref]);
    }
    EXPECT(sum[0] == n && sum[1] == refs);
    head_tombstones_fini(&t);
}
