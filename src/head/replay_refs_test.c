#include "head/replay_refs.h"

#include "base/test.h"

/* n refs, `step` apart: dense ones keep their places, those that fall on each other are hashed, all
 * are found. */
static void fill(sref first, sref step, size_t n, bool hashed)
{
    struct replay_refs r;
    replay_refs_init(&r);
    struct replay_table *early = replay_refs_now(&r);
    for (size_t i = 0; i < n; i++)
        replay_ref_give(replay_ref_add(&r, first + i * step), i + 1, (uint32_t)i + 1, -(int64_t)i);
    struct replay_table *t = replay_refs_now(&r);
    EXPECT_EQ(r.n, n);
    EXPECT_EQ(t->hashed, hashed);
    for (size_t i = 0; i < n; i++) {
        struct replay_ref *x = replay_ref_find(t, first + i * step);
        EXPECT_EQ(replay_ref_slot(x), i + 1);
        EXPECT_EQ(replay_ref_slot_at(x, i + 2), i + 1);
        /* the record itself, and all before it */
        EXPECT_EQ(replay_ref_slot_at(x, i + 1), 0);
        EXPECT_EQ(atomic_load(&x->covered), -(int64_t)i);
        EXPECT(replay_ref_add(&r, first + i * step) == x);
    }
    EXPECT_EQ(replay_ref_slot(replay_ref_find(t, first + n * step)), 0);
    EXPECT_EQ(replay_ref_slot(replay_ref_find(t, 0)), 0);
    /* a table that was outgrown still answers */
    EXPECT_EQ(replay_ref_slot(replay_ref_find(early, first)), 1);
    EXPECT(t->cap <= MAX((size_t)4096, 8 * n));
    replay_refs_trim(&r);
    EXPECT(t->older == NULL && replay_refs_now(&r) == t);
    replay_refs_fini(&r);
}

TEST(replay_refs)
{
    fill(1, 1, 10, false);
    fill(1, 1, 50000, false);
    fill(7000000, 1, 50000, false);
    fill((sref)1 << 40, 1, 50000, false);
    fill(1, 3, 50000, false);
    fill((sref)1 << 20, (sref)1 << 20, 50000, true);
    fill((sref)1 << 50, (sref)1 << 40, 5000, true);
}

/* A third of the refs comes late, in front of the others: as chunk files name them before the log
 * does. */
TEST(replay_refs_in_any_order)
{
    enum { N = 60000 };
    struct replay_refs r;
    replay_refs_init(&r);
    for (size_t k = 0; k < 3; k++)
        for (sref ref = 1 + (2 - k) * (N / 3); ref <= (3 - k) * (N / 3); ref++)
            replay_ref_give(replay_ref_add(&r, ref), 1, (uint32_t)ref, 0);
    EXPECT(!replay_refs_now(&r)->hashed);
    for (sref ref = 1; ref <= N; ref++)
        EXPECT_EQ(replay_ref_slot(replay_ref_find(replay_refs_now(&r), ref)), ref);
    replay_refs_fini(&r);
}

/* Room that was made ahead: the table does not move any more, and keeps what it has. */
TEST(replay_refs_reserve)
{
    enum { N = 60000 };
    struct replay_refs r;
    replay_refs_init(&r);
    replay_ref_give(replay_ref_add(&r, 5), 1, 5, 0);
    replay_refs_reserve(&r, N);
    struct replay_table *t = replay_refs_now(&r);
    EXPECT_EQ(replay_ref_slot(replay_ref_find(t, 5)), 5);
    for (sref ref = 1; ref <= N; ref++) replay_ref_give(replay_ref_add(&r, ref), 1, 1, 0);
    EXPECT(replay_refs_now(&r) == t && t->cap <= 4 * (size_t)N);
    replay_refs_reserve(&r, 1);
    EXPECT(replay_refs_now(&r) == t);
    EXPECT_EQ(r.n, N);
    replay_refs_fini(&r);
}
