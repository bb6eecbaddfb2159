/* deletion_test.c — what was deleted is gone from blocks and head, now and after a power cut. */
#include "base/test.h"
#include "block/meta_codec.h"
#include "tsdb/test_small.h"
#include "wal/wal_reader.h"

static struct block_stats metas(struct db *db)
{
    struct block_stats sum;
    metas_of(db, &sum);
    return sum;
}

TEST(deletion_in_block_and_head)
{
    struct fs *fs;
    struct db *db;
    begin(&fs, &db);
    EXPECT_OK(delete_of(db, 1, 10, 19));                    /* in the block */
    EXPECT_OK(delete_of(db, 1, ROUNDS - 10, ROUNDS + 100)); /* in the head, and beyond it */
    EXPECT_OK(delete_of(db, 2, -1000, ROUNDS + 1000));      /* all of it */
    EXPECT_OK(delete_of(db, 77, 0, ROUNDS));                /* nobody */
    EXPECT_OK(delete_of(db, 3, 50, 40));                    /* no time */
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(count(db, 0, 0, ROUNDS), ROUNDS);
        EXPECT_EQ(count(db, 1, 0, ROUNDS), ROUNDS - 20);
        EXPECT_EQ(count(db, 1, 9, 20), 2);
        EXPECT_EQ(count(db, 2, 0, ROUNDS), 0);
        EXPECT_EQ(count(db, 3, 0, ROUNDS), ROUNDS);
        if (round == 0) EXPECT_EQ(metas(db).tombstones, 2);
        if (round == 0) {
            close_db(db);
            db = open_db(fs, 0);
        }
        if (round == 1) {
            uint64_t before = metas(db).samples, levels = metas(db).series;
            EXPECT_OK(db_clean_tombstones(db, NULL));
            EXPECT_EQ(metas(db).tombstones, 0);
            EXPECT(metas(db).samples < before);
            EXPECT_EQ(metas(db).series, levels); /* still of level 1 */
        }
    }
    fill(db, ROUNDS, ROUNDS + 10); /* what comes later is not deleted */
    EXPECT_EQ(count(db, 2, ROUNDS, ROUNDS + 10), 10);
    end(fs, db);
}

static void put_late(struct db *db, int from, int to)
{
    struct appendable *s = db_appendable(db);
    struct appender *a = NULL;
    EXPECT_OK(s->ops->begin(s, &a, NULL));
    for (int round = from; round < to; round++) {
        struct label l[] = { { METRIC_NAME, S("m") }, { S("id"), S("1") } };
        series_handle h = 0;
        int64_t t = T0 + (int64_t)round * STEP_MS + STEP_MS / 2;
        EXPECT_OK(a->ops->series(a, (struct labels){ l, 2 }, &h, NULL));
        EXPECT_OK(a->ops->append(a, h, t, 1, 0, NULL));
    }
    EXPECT_OK(a->ops->commit(a, NULL));
}

enum { LATE = 50, GONE = 31 + 30 }; /* in order and late ones, [60, 90] */

static struct db *late_and_deleted(struct fs *fs)
{
    struct db *db = open_db(fs, 0);
    EXPECT_OK(db_set_ooo_window(db, (int64_t)ROUNDS * STEP_MS, NULL));
    fill(db, 0, 170);
    put_late(db, 50, 50 + LATE);
    EXPECT_EQ(count(db, 1, 0, ROUNDS), 170 + LATE);
    EXPECT_OK(delete_of(db, 1, 60, 90));
    EXPECT_EQ(count(db, 1, 0, ROUNDS), 170 + LATE - GONE);
    fill(db, 170, ROUNDS);
    return db;
}

/* Late samples stay in the head while the rest of their time becomes a block and leaves it: what
 * was deleted of them does not come back. */
TEST(deleted_late_samples_stay_deleted)
{
    struct fs *fs = fs_sim_new(test_seed());
    hush(true);
    struct db *db = late_and_deleted(fs);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(count(db, 1, 0, ROUNDS), ROUNDS + LATE - GONE);
        EXPECT_EQ(count(db, 2, 0, ROUNDS), ROUNDS);
        EXPECT_OK(db_compact(db, NULL));
        if (i == 0) continue;
        close_db(db);
        db = open_db(fs, 0);
    }
    end(fs, db);
}

/* Deleted is what is there: what is appended behind it in order, and what comes late beside it or
 * into a time that only blocks had, is seen at once, after a restart and out of blocks. */
TEST(what_comes_after_a_deletion_is_there)
{
    static const struct {
        const char *name;
        int from, to;                          /* deleted, of 200 in order, the older in a block */
        int late_from, late_to;                /* then late, between rounds */
        unsigned gone;
    } cases[] = {
        { "nothing", 50, 40, 0, 0, 0 },
        { "behind what is deleted, with no end", 190, 1000, 0, 0, 10 },
        { "behind all of it", -1000, 1000, 0, 0, 200 },
        { "late beside it", 190, 195, 170, 180, 6 },
        { "late into a block's", 10, 19, 10, 19, 10 },
        { "late, before and behind a block's", 10, 19, 0, 40, 10 },
    };
    hush(true);
    TEST_EACH(c, cases) {
        struct fs *fs = fs_sim_new(test_seed());
        struct db *db = open_db(fs, 0);
        EXPECT_OK(db_set_ooo_window(db, (int64_t)ROUNDS * STEP_MS, NULL));
        fill(db, 0, 200);
        EXPECT_OK(db_compact(db, NULL));
        EXPECT_OK(delete_of(db, 1, c->from, c->to));
        put_late(db, c->late_from, c->late_to);
        fill(db, 200, ROUNDS);
        for (int i = 0; i < 3; i++) {
            unsigned late = (unsigned)(c->late_to - c->late_from);
            EXPECT_EQ(count(db, 1, 0, ROUNDS), ROUNDS + late - c->gone);
            EXPECT_EQ(count(db, 2, 0, ROUNDS), ROUNDS);
            if (i == 1) EXPECT_OK(db_compact(db, NULL));
            close_db(db);
            db = open_db(fs, 0);
        }
        close_db(db);
        fs_free(fs);
    }
    hush(false);
}

/* What the first fill had late, and what comes late behind the deletion, to the very times and
 * between, is told apart: at once, by a restart, by a memory snapshot, in blocks, by a power cut,
 * by another deletion. */
static unsigned behind_want(struct db *db, int round)
{
    unsigned gone = GONE, back = 0;
    put_late(db, 70, 80);                      /* where late ones were deleted */
    back += 10;
    put_late(db, 20, 30);                      /* where none were */
    back += 10;
    if (round % 2) {
        EXPECT_OK(delete_of(db, 1, 75, 85));   /* in order gone already, five late ones go */
        back -= 5;
        put_late(db, 76, 77);
        back++;
    }
    return ROUNDS + LATE - gone + back;
}

static void behind_live(struct fs *fs, struct db *db, unsigned want, int how)
{
    struct db_opts o = { .fs = fs, .memory_snapshot = how == 1 };
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(count(db, 1, 0, ROUNDS), want);
        EXPECT_EQ(count(db, 2, 0, ROUNDS), ROUNDS);
        if (i == how) EXPECT_OK(db_compact(db, NULL));
        if (how == 2) EXPECT_OK(db_sync(db, NULL));
        if (how == 2) db_abandon(db);
        else close_db(db);
        if (how == 2) fs_sim_crash(fs, SIM_LOSE_ALL);
        db = open_small(&o, NULL);
    }
    EXPECT_EQ(count(db, 1, 0, ROUNDS), want);
    close_db(db);
}

TEST(late_samples_behind_a_deletion_are_there)
{
    hush(true);
    for (int round = 0; round < 8; round++) {
        struct fs *fs = fs_sim_new(test_seed() + (unsigned)round);
        struct db *db = late_and_deleted(fs);
        unsigned want = behind_want(db, round);
        behind_live(fs, db, want, round / 2);
        fs_free(fs);
    }
    hush(false);
}

/* Nor when the power goes while they move. */
TEST(power_cuts_of_deleted_late_samples)
{
    bool done = false;
    hush(true);
    for (uint64_t at = 1; !done; at += 7) {
        struct fs *fs = fs_sim_new(test_seed() + at);
        struct db *db = late_and_deleted(fs);
        EXPECT_OK(db_sync(db, NULL));
        fs_sim_power_off_after(fs, at);
        done = db_compact(db, NULL) == OK;
        db_abandon(db);
        fs_sim_crash(fs, at % 2 ? SIM_LOSE_SOME : SIM_LOSE_ALL);
        db = open_db(fs, 0);
        EXPECT_EQ(count(db, 1, 0, ROUNDS), ROUNDS + LATE - GONE);
        EXPECT_OK(db_compact(db, NULL));
        EXPECT_EQ(count(db, 1, 0, ROUNDS), ROUNDS + LATE - GONE);
        EXPECT_EQ(count(db, -1, 0, ROUNDS), SERIES * ROUNDS + LATE - GONE);
        close_db(db);
        fs_free(fs);
    }
    hush(false);
}

/* A segment of late samples under a name that is not quite its own: it is read all the same. */
TEST(late_samples_in_a_misnamed_segment)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    struct fs *fs = fs_sim_new(test_seed());
    hush(true);
    struct db *db = late_and_deleted(fs);
    db_abandon(db);
    fs_sim_crash(fs, SIM_KILLED);
    EXPECT_OK(wal_dir_list(&d, fs, S("wbl"), NULL));
    EXPECT_EQ(d.segments.n, 1);
    EXPECT_OK(fs_rename(fs, wal_segment_path(&a, S("wbl"), d.segments.at[0]), S("wbl/7"), NULL));
    db = open_db(fs, 0);
    EXPECT_EQ(count(db, 1, 0, ROUNDS), ROUNDS + LATE - GONE);
    end(fs, db);
}

TEST(deletion_of_all_leaves_no_block)
{
    struct fs *fs;
    struct db *db;
    begin(&fs, &db);
    for (unsigned i = 0; i < SERIES; i++) EXPECT_OK(delete_of(db, i, 0, ROUNDS));
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 0);
    EXPECT_OK(db_clean_tombstones(db, NULL));
    EXPECT_EQ(metas(db).series, 0);
    EXPECT_OK(db_clean_tombstones(db, NULL)); /* nothing to do */
    close_db(db);
    db = open_db(fs, 0);
    EXPECT_EQ(metas(db).series, 0);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 0);
    end(fs, db);
}

/* The power goes at every step of a deletion, a clean-up or a snapshot. What was answered stays. */
static void cut(struct fs *fs, uint64_t seed)
{
    fs_sim_crash(fs, seed % 4 ? SIM_LOSE_SOME : SIM_LOSE_ALL);
}

TEST(power_cuts_after_deletion)
{
    hush(true);
    for (uint64_t at = 1, seed = 0; seed < 240 / TEST_STRIDE; seed++) {
        struct fs *fs = fs_sim_new(test_seed() + seed);
        struct db *db = open_db(fs, 0);
        fill(db, 0, ROUNDS);
        EXPECT_OK(db_compact(db, NULL));
        EXPECT_OK(db_sync(db, NULL));
        fs_sim_power_off_after(fs, at);
        bool gone = delete_of(db, 1, 5, ROUNDS - 5) == OK;
        bool clean = gone && db_clean_tombstones(db, NULL) == OK;
        bool kept = clean && db_snapshot(db, S("s"), true, false, NULL) == OK;
        at = kept ? 1 : at + TEST_STRIDE;
        db_abandon(db);
        cut(fs, seed);
        db = open_db(fs, 0);
        unsigned n = count(db, 1, 0, ROUNDS);
        EXPECT_EQ(count(db, -1, 0, ROUNDS), (SERIES - 1) * ROUNDS + n);
        EXPECT(n >= 9 && n <= ROUNDS);
        if (gone) EXPECT_EQ(n, 9);
        if (kept) {
            struct fs *copy;
            struct db *snap = open_snapshot(fs, S("s"), &copy);
            EXPECT_EQ(count(snap, -1, 0, ROUNDS), (SERIES - 1) * ROUNDS + 9);
            close_db(snap);
            fs_free(copy);
        }
        EXPECT(kept || !fs_exists(fs, S("snapshots/s.tmp-for-creation")));
        close_db(db);
        fs_free(fs);
    }
    hush(false);
}
