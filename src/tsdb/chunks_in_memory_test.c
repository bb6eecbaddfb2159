/* chunks_in_memory_test.c — a head whose closed chunks are not written down. */
#include "base/test.h"
#include "head/head.h"
#include "tsdb/test_small.h"

static unsigned chunk_files(struct fs *fs)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    unsigned bytes = 0;
    EXPECT_OK(fs_list(fs, S("chunks_head"), &a, &all, NULL));
    for (size_t i = 0; i < all.n; i++) {
        struct fs_stat st = { 0 };
        EXPECT_OK(fs_stat(fs, path_join(&a, S("chunks_head"), all.at[i].name), &st, NULL));
        bytes += (unsigned)st.size_bytes;
    }
    vec_fini(&all);
    return bytes;
}

static struct db *open_where(struct fs *fs, bool in_memory)
{
    struct db *db = NULL;
    struct db_opts o = { .fs = fs,
        .backend = IO_BUFFERED,
        .no_thread = true,
        .samples_per_chunk = 20,
        .chunks_in_memory = in_memory };
    EXPECT_OK(db_open(&db, &o, NULL, NULL));
    return db;
}

/* Closed chunks that stay in memory: nothing is written, nothing is lost, and they go with what is
 * compacted. */
TEST(head_chunks_in_memory)
{
    struct fs *fs = fs_sim_new(test_seed());
    hush(true);
    struct db *db = open_where(fs, true);
    fill(db, 0, 100);
    db_tick(db);
    size_t sealed = head_sealed_count(db_head(db));
    EXPECT(sealed >= 4 * SERIES);
    EXPECT_EQ(chunk_files(fs), 0);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 100 * SERIES);
    close_db(db);
    db = open_where(fs, true);                 /* of the log alone */
    EXPECT_EQ(count(db, -1, 0, ROUNDS), 100 * SERIES);
    fill(db, 100, ROUNDS);
    EXPECT_OK(db_compact(db, NULL));
    db_tick(db);
    EXPECT(head_sealed_count(db_head(db)) < ROUNDS / 20 * SERIES);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), ROUNDS * SERIES);
    close_db(db);
    db = open_where(fs, false);
    db_tick(db);
    EXPECT_EQ(head_sealed_count(db_head(db)), 0);
    EXPECT(chunk_files(fs) > 0);
    EXPECT_EQ(count(db, -1, 0, ROUNDS), ROUNDS * SERIES);
    close_db(db);
    db = open_where(fs, true);                 /* what is in the files is read */
    EXPECT_EQ(count(db, -1, 0, ROUNDS), ROUNDS * SERIES);
    close_db(db);
    fs_free(fs);
    hush(false);
}
