/* read_back_test.c — blocks that were written, and that cannot be opened then: what they hold stays
 * where it is, and they do not pile up. */
#include "base/test.h"
#include "base/ulid.h"
#include "tsdb/test_small.h"

enum { RANGE = 120, END = 3 * RANGE + 50, LATE = RANGE + 7 };  /* minutes */

static size_t block_folders(struct fs *fs)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    ulid id;
    size_t n = 0;
    EXPECT_OK(fs_list(fs, STR_EMPTY, &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) n += ulid_parse(all.at[i].name, &id);
    vec_fini(&all);
    return n;
}

static void reads_fail(struct fs *fs, bool on)
{
    fs_sim_fail_rate(fs, on ? SIM_OP(STALL_READ) : 0, on ? 1000000 : 0, ERR_IO);
}

/* Two ranges and the late samples of one of them become blocks; the nth read of that fails. */
static size_t with_failed_read(uint64_t nth)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = { .fs = fs, .ooo_window_ms = 400ll * STEP_MS, .chunks_in_memory = true };
    struct db *db = open_small(&o, NULL);
    fill(db, 0, END);
    late_sample(db, LATE);
    unsigned all = count(db, -1, 0, END);
    fs_sim_fail_nth(fs, SIM_OP(STALL_READ), nth, ERR_IO);
    (void)!db_compact(db, NULL);
    fs_sim_fail_nth(fs, 0, 0, OK);
    EXPECT_EQ(count(db, -1, 0, END), all);
    EXPECT_OK(db_compact(db, NULL));
    EXPECT_EQ(count(db, -1, 0, END), all);
    db_abandon(db);
    fs_sim_crash(fs, SIM_LOSE_ALL);
    db = open_small(&o, NULL);
    EXPECT_EQ(count(db, -1, 0, END), all);
    EXPECT_OK(db_compact(db, NULL)); /* none rests after a start */
    size_t blocks = block_folders(fs);
    close_db(db);
    fs_free(fs);
    return blocks;
}

TEST(the_head_keeps_what_cannot_be_read_back)
{
    enum { READS = 40 };
    hush(true);
    size_t blocks = with_failed_read(0);
    EXPECT(blocks >= 2);
    for (uint64_t nth = 1; nth <= READS; nth++) EXPECT_EQ(with_failed_read(nth), blocks);
    hush(false);
}

/* A clean-up ends, and tries no block for ever. */
TEST(a_clean_up_ends_where_nothing_can_be_read_back)
{
    struct fs *fs = fs_sim_new(test_seed());
    struct db_opts o = { .fs = fs, .chunks_in_memory = true };
    hush(true);
    struct db *db = open_small(&o, NULL);
    fill(db, 0, END);
    EXPECT_OK(db_compact(db, NULL));
    size_t blocks = block_folders(fs);
    EXPECT(blocks >= 2);
    EXPECT_OK(delete_of(db, 1, 0, LATE));
    unsigned all = count(db, -1, 0, END);
    reads_fail(fs, true);
    EXPECT(db_clean_tombstones(db, NULL) != OK);
    reads_fail(fs, false);
    EXPECT_EQ(block_folders(fs), blocks);
    EXPECT_EQ(count(db, -1, 0, END), all);
    EXPECT_OK(db_clean_tombstones(db, NULL));
    EXPECT_EQ(count(db, -1, 0, END), all);
    close_db(db);
    hush(false);
    fs_free(fs);
}
