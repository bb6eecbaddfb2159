/* ended_series_test.c — series that ended leave the head early, and nothing of them is lost. */
#include "base/clock.h"
#include "base/test.h"
#include "block/meta_codec.h"
#include "head/head.h"
#include "io/fs_sim.h"
#include "tsdb/test_small.h"

#include <stdio.h>

enum { ENDED = SERIES / 2, ENDS_AT = ROUNDS / 2 };

static void put_some(struct db *db, unsigned from, unsigned to, int round, double v)
{
    struct appendable *s = db_appendable(db);
    struct appender *a = NULL;
    EXPECT_OK(s->ops->begin(s, &a, NULL));
    for (unsigned i = from; i < to; i++) {
        char id[16];
        int n = snprintf(id, sizeof(id), "%u", i);
        struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), str_of(id, (size_t)n) } };
        series_handle h = 0;
        EXPECT_OK(a->ops->series(a, (struct labels){ l, 2 }, &h, NULL));
        EXPECT_OK(a->ops->append(a, h, T0 + (int64_t)round * STEP_MS, v, 0, NULL));
    }
    EXPECT_OK(a->ops->commit(a, NULL));
}

/* The first ENDED series end at round ENDS_AT; the others go on for a while. */
static void live(struct db *db)
{
    fill(db, 0, ENDS_AT);
    put_some(db, 0, ENDED, ENDS_AT, f64_of_bits(STALE_NAN_BITS));
    for (int r = ENDS_AT; r < ENDS_AT + 10; r++) put_some(db, ENDED, SERIES, r, r);
}

static unsigned expected(void) { return SERIES * ENDS_AT + ENDED + (SERIES - ENDED) * 10; }

static void look_again(struct db *db)
{
    clock_fake_advance(61000);
    db_tick(db);
}

struct metas {
    unsigned n, stale;
    int64_t mint, maxt;
    uint64_t samples;
};

static void add_meta(void *ctx, const struct block_meta *m)
{
    struct metas *all = ctx;
    bool stale = m->hints == BLOCK_HINT_STALE;
    all->n++;
    if (!stale) return;
    if (!all->stale++) all->mint = m->mint;
    all->maxt = m->maxt;
    all->samples += m->stats.samples;
    EXPECT_EQ(m->level, 1);
    EXPECT_EQ((m->maxt - m->mint) % 7200000, 0);
    EXPECT_EQ(m->mint % 7200000, 0);
}

static struct db *begin_life(struct fs **fs)
{
    hush(true);
    clock_fake_set(T0);
    *fs = fs_sim_new(test_seed());
    struct db *db = open_db(*fs, 0);
    live(db);
    return db;
}

static void end_life(struct fs *fs, struct db *db)
{
    close_db(db);
    fs_free(fs);
    clock_fake_off();
    hush(false);
}

TEST(ended_series_leave_the_head)
{
    struct fs *fs;
    struct db *db = begin_life(&fs);
    struct metas m = { 0 };
    int64_t mint = head_min_time(db_head(db));
    EXPECT_EQ(head_ended_count(db_head(db)), ENDED);
    db_set_stale_threshold(db, 0.6);
    look_again(db);
    EXPECT_EQ(head_series_count(db_head(db)), SERIES); /* half of them is not enough */
    db_set_stale_threshold(db, 0.5);
    look_again(db);
    EXPECT_EQ(head_series_count(db_head(db)), SERIES - ENDED);
    EXPECT_EQ(head_ended_count(db_head(db)), 0);
    EXPECT_EQ(head_min_time(db_head(db)), mint); /* the head is as long as before */
    db_block_metas(db, add_meta, &m);
    EXPECT(m.n > 0 && m.stale == m.n);
    EXPECT_EQ(m.samples, ENDED * ENDS_AT + ENDED);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), expected());
    /* one comes back; all is as it was after a crash, too */
    put_some(db, 0, 1, ENDS_AT + 10, 1);
    EXPECT_EQ(count(db, 0, 0, ROUNDS), ENDS_AT + 2);
    EXPECT_OK(db_sync(db, NULL));
    db_abandon(db);
    fs_sim_crash(fs, SIM_KILLED);
    db = open_db(fs, 0);
    EXPECT_EQ(head_series_count(db_head(db)), SERIES - ENDED + 1);
    EXPECT_EQ(count(db, 0, 0, ROUNDS), ENDS_AT + 2);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), expected() + 1);
    end_life(fs, db);
}

/* The head's own compaction takes the same hours later: they are not merged with those that went
 * ahead, and how far blocks reach is what it says. */
TEST(ended_series_then_the_head)
{
    struct fs *fs;
    struct db *db = begin_life(&fs);
    struct metas m = { 0 };
    db_set_stale_threshold(db, 0.5);
    look_again(db);
    for (int r = ENDS_AT + 10; r < ROUNDS; r++) put_some(db, ENDED, SERIES, r, r);
    EXPECT_OK(db_compact(db, NULL));
    db_block_metas(db, add_meta, &m);
    EXPECT(m.n > m.stale && m.stale > 0);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), ENDED * (ENDS_AT + 1) + (SERIES - ENDED) * ROUNDS);
    close_db(db);
    db = open_db(fs, 0);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), ENDED * (ENDS_AT + 1) + (SERIES - ENDED) * ROUNDS);
    end_life(fs, db);
}

/* Late samples keep a series in the head, and so does a sample that comes while blocks are
 * written. */
TEST(ended_series_that_stay)
{
    struct fs *fs;
    struct db *db = begin_life(&fs);
    head_ended all = { 0 };
    size_t gone = 0;
    EXPECT_OK(db_set_ooo_window(db, 3600000, NULL));
    fill(db, ENDS_AT + 11, ENDS_AT + 12);
    put_some(db, 0, SERIES, ENDS_AT + 12, f64_of_bits(STALE_NAN_BITS));
    put_some(db, 0, 1, ENDS_AT + 5, 1); /* late */
    head_ended_find(db_head(db), &all);
    EXPECT_EQ(all.nums.n, SERIES - 1);
    put_some(db, 1, 2, ENDS_AT + 13, 1);
    put_some(db, 2, 3, ENDS_AT + 11, 1); /* late, now */
    put_some(db, 3, 4, ENDS_AT + 13, f64_of_bits(STALE_NAN_BITS));
    EXPECT_OK(head_ended_remove(db_head(db), &all, &gone, NULL));
    EXPECT_EQ(gone, SERIES - 4);
    head_ended_free(&all);
    EXPECT_EQ(head_series_count(db_head(db)), SERIES - gone);
    end_life(fs, db);
}

static void crash_once(uint64_t nth, bool off, uint64_t *changes)
{
    struct fs *fs;
    struct db *db = begin_life(&fs);
    EXPECT_OK(db_sync(db, NULL));
    db_set_stale_threshold(db, 0.5);
    uint64_t before = fs_sim_changes(fs);
    if (off) fs_sim_power_off_after(fs, nth);
    else fs_sim_fail_nth(fs, SIM_OPS_CHANGE, nth, ERR_IO);
    look_again(db);
    if (!nth) *changes = fs_sim_changes(fs) - before;
    if (!off) EXPECT_EQ(count(db, -1, 0, ROUNDS), expected());
    db_abandon(db);
    fs_sim_crash(fs, SIM_LOSE_SOME);
    db = open_db(fs, 0);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), expected());
    end_life(fs, db);
}

/* Whatever fails, nothing is missing, and the folder opens. */
TEST(ended_series_survive_a_crash)
{
    uint64_t n = 0;
    crash_once(0, true, &n);
    EXPECT(n > 10);
    for (uint64_t at = 1; at <= n + 1; at++) {
        crash_once(at, true, NULL);
        crash_once(at, false, NULL);
    }
}
