/* snapshot_test.c — a snapshot holds what there was, and nothing reaches into it. */
#include "base/test.h"
#include "block/meta_codec.h"
#include "tsdb/test_small.h"

TEST(snapshot_holds_what_there_was)
{
    struct fs *fs, *copy;
    struct db *db, *seen;
    begin(&fs, &db);
    EXPECT_OK(delete_of(db, 1, 0, 9));
    EXPECT_OK(delete_of(db, 1, ROUNDS - 5, ROUNDS));
    struct block_stats sum;
    metas_of(db, &sum);
    unsigned in_blocks = (unsigned)sum.samples;
    EXPECT_OK(db_snapshot(db, S("one"), true, false, NULL));
    EXPECT_OK(db_snapshot(db, S("two"), false, false, NULL));
    EXPECT_EQ(db_snapshot(db, S("two"), false, false, NULL), ERR_EXISTS);
    EXPECT_OK(delete_of(db, 0, 0, ROUNDS));                    /* does not reach into it */
    EXPECT_OK(db_clean_tombstones(db, NULL));
    seen = open_snapshot(fs, S("one"), &copy);
    EXPECT_EQ(count(seen, 0, 0, ROUNDS), ROUNDS);
    EXPECT_EQ(count(seen, 1, 0, ROUNDS), ROUNDS - 15);
    EXPECT_EQ(count(seen, -1, 0, ROUNDS), SERIES * ROUNDS - 15);
    close_db(seen);
    fs_free(copy);
    seen = open_snapshot(fs, S("two"), &copy);
    EXPECT_EQ(count(seen, -1, 0, ROUNDS), in_blocks - 10);
    close_db(seen);
    fs_free(copy);
    end(fs, db);
}

TEST(snapshot_of_an_empty_database)
{
    struct fs *fs = fs_sim_new(1);
    hush(true);
    struct db *db = open_db(fs, 0);
    EXPECT_OK(fs_mkdir(fs, S("snapshots"), NULL));
    EXPECT_OK(fs_mkdir(fs, S("snapshots/half.tmp-for-creation"), NULL));
    EXPECT_OK(db_snapshot(db, S("nothing"), true, false, NULL));
    EXPECT(fs_exists(fs, S("snapshots/nothing")));
    close_db(db);
    db = open_db(fs, 0);
    EXPECT(fs_exists(fs, S("snapshots/nothing")));
    EXPECT(!fs_exists(fs, S("snapshots/half.tmp-for-creation")));
    end(fs, db);
}

/* Late samples are in it where they are asked for, less what was deleted of them, and stay in the
 * head: what comes of them later is the same. */
TEST(snapshot_with_late_samples)
{
    struct fs *copy, *fs = fs_sim_new(test_seed());
    struct db_opts o = { .fs = fs, .ooo_window_ms = 240ll * STEP_MS };
    hush(true);
    struct db *seen, *db = open_small(&o, NULL);
    fill(db, 0, ROUNDS);
    late_sample(db, 100);
    late_sample(db, 250);
    late_sample(db, 251);
    late_sample(db, 270);
    EXPECT_OK(delete_of(db, 1, 250, 252));
    late_sample(db, 260);
    unsigned all = count(db, -1, 0, ROUNDS);
    EXPECT_EQ(all, SERIES * ROUNDS - 3 + 3);
    EXPECT_OK(db_snapshot(db, S("whole"), true, true, NULL));
    EXPECT_OK(db_snapshot(db, S("plain"), true, false, NULL));
    late_sample(db, 261);                                      /* does not reach into it */
    seen = open_snapshot(fs, S("whole"), &copy);
    EXPECT_EQ(count(seen, -1, 0, ROUNDS), all);
    struct block_stats sum = { 0 };
    metas_of(seen, &sum);
    EXPECT_EQ(sum.samples, all);
    close_db(seen);
    fs_free(copy);
    seen = open_snapshot(fs, S("plain"), &copy);
    EXPECT_EQ(count(seen, -1, 0, ROUNDS), all - 3);
    close_db(seen);
    fs_free(copy);
    db_abandon(db);
    fs_sim_crash(fs, SIM_KILLED);
    db = open_small(&o, NULL);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), all + 1);
    EXPECT_OK(db_compact(db, NULL));
    EXPECT_EQ(count(db, -1, 0, ROUNDS), all + 1);
    EXPECT_OK(db_snapshot(db, S("again"), true, true, NULL));
    seen = open_snapshot(fs, S("again"), &copy);
    EXPECT_EQ(count(seen, -1, 0, ROUNDS), all + 1);
    close_db(seen);
    fs_free(copy);
    end(fs, db);
}
