/* late_blocks_test.c — blocks of late samples that reach into times the head has in order. */
#include "base/test.h"
#include "block/meta_codec.h"
#include "head/head.h"
#include "tsdb/test_small.h"

enum { WINDOW = 360, END = 408 };                              /* minutes; three ranges of 2 h */

static void see_longest(void *ctx, const struct block_meta *m)
{
    int64_t *longest = ctx;
    *longest = MAX(*longest, m->maxt - m->mint);
}

/* The head becomes blocks late, when it has more than it must: two ranges in order, and late
 * samples of the two behind them. Three of the blocks fill a window of three ranges; as one block
 * they would say that the head is in blocks up to its end, and what it still has in order there
 * would be lost with the process. */
TEST(late_blocks_ahead_of_the_head_wait)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = { .fs = fs, .ooo_window_ms = 120ll * STEP_MS };
    hush(true);
    struct db *db = open_small(&o, NULL);
    fill(db, 0, END);
    unsigned all = count(db, -1, 0, END - 1);
    late_sample(db, 300);
    late_sample(db, 370);
    EXPECT_EQ(count(db, -1, 0, END - 1), all + 2);
    EXPECT_OK(db_compact(db, NULL));
    EXPECT_EQ(head_min_time(db_head(db)), T0 + 240ll * STEP_MS);
    db_abandon(db);
    fs_sim_crash(fs, SIM_KILLED);
    db = open_small(&o, NULL);
    EXPECT_EQ(count(db, -1, 0, END - 1), all + 2);
    /* the head comes so far, and they are merged */
    fill(db, END, END + WINDOW);
    EXPECT_OK(db_compact(db, NULL));
    int64_t longest = 0;
    db_block_metas(db, see_longest, &longest);
    EXPECT_EQ(longest, (int64_t)WINDOW * STEP_MS);
    EXPECT_EQ(count(db, -1, 0, END - 1), all + 2);
    close_db(db);
    hush(false);
    fs_free(fs);
}
