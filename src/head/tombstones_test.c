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

static void count(void *ctx, sref ref, const head_deletions *deleted)
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
        head_tombstones_add(&t, ref, add, 1);
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

/* Against a table of the last deletion of each time. */
TEST(the_last_deletion_of_a_time_counts)
{
    enum { TIMES = 60, ROUNDS = 3000 };
    struct prng r = { test_seed() };
    struct head_tombstones t;
    uint32_t want[TIMES] = { 0 };
    head_tombstones_init(&t);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t mint = (int64_t)prng_below(&r, TIMES), maxt = mint + (int64_t)prng_below(&r, 9);
        uint32_t number = 1 + (uint32_t)prng_below(&r, 4), after = (uint32_t)prng_below(&r, 5);
        if (number == 4) number = DELETION_UNKNOWN;
        maxt = MIN(maxt, TIMES - 1);
        head_tombstones_add(&t, 7, (struct interval){ mint, maxt }, number);
        for (int64_t i = mint; i <= maxt; i++) want[i] = number;
        if (round % 50 == 49) {
            head_tombstones_number(&t, 4);
            for (int i = 0; i < TIMES; i++) want[i] = want[i] == DELETION_UNKNOWN ? 4 : want[i];
        }
        head_deletions all = { 0 };
        intervals since = { 0 };
        head_tombstones_list(&t, 7, &all);
        head_deletions_since(&all, after, &since);
        for (int64_t i = 0; i < TIMES; i++) {
            EXPECT_EQ(intervals_have(&since, i), want[i] > after);
            if (i < mint) continue;
            EXPECT_EQ(head_deletions_cover(&all, after, mint, i), intervals_cover(&since, mint, i));
        }
        vec_fini(&all);
        vec_fini(&since);
    }
    head_tombstones_fini(&t);
}
