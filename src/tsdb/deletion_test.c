/* deletion_test.c — what was deleted is gone from blocks and head, now and after a power cut. */
#include "base/test.h"
#include "block/meta_codec.h"
#include "tsdb/test_small.h"

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
    EXPECT_OK(delete_of(db, 1, 10, 19));                       /* in the block */
    EXPECT_OK(delete_of(db, 1, ROUNDS - 10, ROUNDS + 100));    /* in the head, and beyond it */
    EXPECT_OK(delete_of(db, 2, -1000, ROUNDS + 1000));         /* all of it */
    EXPECT_OK(delete_of(db, 77, 0, ROUNDS));                   /* nobody */
    EXPECT_OK(delete_of(db, 3, 50, 40));                       /* no time */
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
            EXPECT_EQ(metas(db).series, levels);            /* still of level 1 */
        }
    }
    fill(db, ROUNDS, ROUNDS + 10);                             /* what comes later is not deleted */
    EXPECT_EQ(count(db, 2, ROUNDS, ROUNDS + 10), 10);
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
    EXPECT_OK(db_clean_tombstones(db, NULL));                  /* nothing to do */
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
    for (uint64_t at = 1, seed = 0; seed < 240; seed++) {
        struct fs *fs = fs_sim_new(test_seed() + seed);
        struct db *db = open_db(fs, 0);
        fill(db, 0, ROUNDS);
        EXPECT_OK(db_compact(db, NULL));
        EXPECT_OK(db_sync(db, NULL));
        fs_sim_power_off_after(fs, at);
        bool gone = delete_of(db, 1, 5, ROUNDS - 5) == OK;
        bool clean = gone && db_clean_tombstones(db, NULL) == OK;
        bool kept = clean && db_snapshot(db, S("s"), true, NULL) == OK;
        at = kept ? 1 : at + 1;
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
