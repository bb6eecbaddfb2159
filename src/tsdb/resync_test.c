/* resync_test.c — after a kill, what was only in the page cache is made durable. */
#include "tsdb/resync.h"

#include "base/test.h"
#include "io/fs_sim.h"

#define BLOCK "01BX5ZZKBKACTAV9WEVGEMMVRZ"

static void write_unsynced(struct fs *fs, str path, str bytes)
{
    struct file *f = NULL;
    uint64_t done;
    EXPECT_OK(fs_open(&f, fs, path, FS_WRITE | FS_CREATE, NULL));
    EXPECT_OK(file_pwrite(f, &bytes, 1, 0, &done, NULL));
    file_close(f);
}

/* The steps recover.fsync and recover.block_fsync left out: it is not there after the power cut. */
TEST(resync_makes_durable)
{
    static const struct { const char *dir, *name; } rows[] = {
        { "wal", "wal/00000001" },
        { "wal/checkpoint.00000001", "wal/checkpoint.00000001/00000000" },
        { "wbl", "wbl/00000000" },
        { "chunks_head", "chunks_head/000001" },
        { BLOCK, BLOCK "/meta.json" },
        { BLOCK, BLOCK "/tombstones" },
    };
    struct arena a = { 0 };
    struct fs *fs = fs_sim_new(test_seed());
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT_OK(fs_mkdir(fs, str_z(rows[i].dir), NULL));
        write_unsynced(fs, str_z(rows[i].name), S("it"));
    }
    fs_sim_crash(fs, SIM_KILLED);
    EXPECT_OK(resync_folder(fs, NULL));
    fs_sim_crash(fs, SIM_LOSE_ALL);
    TEST_EACH(row, rows) {
        str bytes = STR_EMPTY;
        EXPECT_OK(fs_read_all(fs, str_z(row->name), &a, 100, &bytes, NULL));
        EXPECT_STR(bytes, S("it"));
    }
    fs_free(fs);
    arena_fini(&a);
}

TEST(resync_passes_over_folders_with_a_files_name)
{
    struct fs *fs = fs_sim_new(test_seed());
    EXPECT_OK(fs_mkdir(fs, S(BLOCK), NULL));
    EXPECT_OK(fs_mkdir(fs, S(BLOCK "/meta.json"), NULL));
    EXPECT_OK(resync_folder(fs, NULL));
    fs_free(fs);
}

TEST(resync_of_an_empty_folder)
{
    struct fs *fs = fs_sim_new(test_seed());
    EXPECT_OK(resync_folder(fs, NULL));
    fs_free(fs);
}
