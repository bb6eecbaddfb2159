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
    EXPECT_OK(db_snapshot(db, S("one"), true, NULL));
    EXPECT_OK(db_snapshot(db, S("two"), false, NULL));
    EXPECT_EQ(db_snapshot(db, S("two"), false, NULL), ERR_EXISTS);
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
    EXPECT_OK(db_snapshot(db, S("nothing"), true, NULL));
    EXPECT(fs_exists(fs, S("snapshots/nothing")));
    close_db(db);
    db = open_db(fs, 0);
    EXPECT(fs_exists(fs, S("snapshots/nothing")));
    EXPECT(!fs_exists(fs, S("snapshots/half.tmp-for-creation")));
    end(fs, db);
}
