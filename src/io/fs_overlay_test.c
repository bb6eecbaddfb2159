#include "io/fs_check.h"
#include "io/fs_sim.h"
#include "io/reader.h"

#include "base/test.h"

#include <sys/stat.h>

TEST(fs_overlay_check)
{
    struct fs *real = fs_real_new(str_z(test_tmpdir())), *sim = fs_sim_new(1);
    struct fs *below[] = { real, sim };
    for (size_t i = 0; i < ARRAY_LEN(below); i++) {
        struct fs *fs = fs_overlay_new(below[i]);
        fs_check(fs, S("d"));
        fs_model_check(fs, S("m"), test_seed(), 1500);
        EXPECT(!fs_exists(below[i], S("d")) && !fs_exists(below[i], S("m")));
        fs_free(fs);
    }
    fs_free(real);
    fs_free(sim);
}

static void expect_content(struct fs *fs, str path, str want)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    str got;
    EXPECT_OK_E(fs_read_all(fs, path, &a, 1 << 20, &got, &e), &e);
    EXPECT_STR(got, want);
}

static void put(struct fs *fs, str path, uint64_t off, str s)
{
    struct file *f = NULL;
    EXPECT_OK(fs_open(&f, fs, path, FS_WRITE | FS_CREATE, NULL));
    EXPECT_OK(file_pwrite(f, &s, 1, off, NULL, NULL));
    file_close(f);
}

TEST(fs_overlay_changes_stay_in_memory)
{
    struct fs *below = fs_sim_new(1), *fs;
    EXPECT_OK(fs_mkdir(below, S("wal"), NULL));
    EXPECT_OK(fs_write_durable(below, S("wal/0"), S("first segment"), NULL));
    EXPECT_OK(fs_write_durable(below, S("wal/1"), S("second"), NULL));
    fs = fs_overlay_new(below);
    expect_content(fs, S("wal/0"), S("first segment"));
    put(fs, S("wal/0"), 6, S("SEGMENT!"));
    expect_content(fs, S("wal/0"), S("first SEGMENT!"));
    put(below, S("wal/1"), 6, S(" grows"));
    /* unchanged here: shows what is there */
    expect_content(fs, S("wal/1"), S("second grows"));
    struct file *f = NULL;
    EXPECT_OK(fs_open(&f, fs, S("wal/1"), FS_WRITE, NULL));
    EXPECT_OK(file_truncate(f, 3, NULL));
    EXPECT_OK(file_truncate(f, 8, NULL));
    file_close(f);
    expect_content(fs, S("wal/1"), S("sec\0\0\0\0\0"));
    EXPECT_OK(fs_rename(fs, S("wal"), S("kept"), NULL));
    expect_content(fs, S("kept/0"), S("first SEGMENT!"));
    EXPECT_OK(fs_remove_tree(fs, S("kept"), NULL));
    EXPECT(!fs_exists(fs, S("kept/0")) && !fs_exists(fs, S("wal")));
    expect_content(below, S("wal/0"), S("first segment"));
    expect_content(below, S("wal/1"), S("second grows"));
    fs_free(fs);
    fs_free(below);
}

TEST(fs_overlay_leaves_a_locked_folder_as_it_is)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *below = fs_real_new(str_z(test_tmpdir()));
    struct fs_lock *held = NULL, *ours = NULL;
    bool existed;
    EXPECT_OK(fs_write_durable(below, S("f"), S("content"), NULL));
    EXPECT_OK(fs_lock_take(&held, below, S("lock"), &existed, NULL));
    struct stat dir[2], file[2];
    const char *path = arena_cstr(&a, path_join(&a, str_z(test_tmpdir()), S("f")));
    EXPECT(stat(test_tmpdir(), &dir[0]) == 0 && stat(path, &file[0]) == 0);
    struct fs *fs = fs_overlay_new(below);
    EXPECT_OK(fs_lock_take(&ours, fs, S("lock"), &existed, NULL));
    EXPECT(existed);
    expect_content(fs, S("f"), S("content"));
    put(fs, S("f"), 0, S("changed"));
    put(fs, S("g"), 0, S("new"));
    EXPECT_OK(fs_unlink(fs, S("f"), NULL));
    fs_lock_release(ours, true);
    EXPECT(!fs_exists(fs, S("lock")) && fs_exists(below, S("lock")));
    fs_free(fs);
    EXPECT(stat(test_tmpdir(), &dir[1]) == 0 && stat(path, &file[1]) == 0);
    EXPECT(memcmp(&dir[0].st_mtim, &dir[1].st_mtim, sizeof(dir[0].st_mtim)) == 0);
    EXPECT(memcmp(&file[0].st_mtim, &file[1].st_mtim, sizeof(file[0].st_mtim)) == 0);
    EXPECT(memcmp(&file[0].st_atim, &file[1].st_atim, sizeof(file[0].st_atim)) == 0);
    expect_content(below, S("f"), S("content"));
    fs_lock_release(held, true);
    fs_free(below);
}

TEST(fs_overlay_works_where_there_is_no_folder)
{
    struct fs *below = fs_real_new(S("no-such-folder-anywhere")), *fs = fs_overlay_new(below);
    EXPECT_OK(fs_mkdir(fs, STR_EMPTY, NULL));
    put(fs, S("f"), 5000, S("x"));
    struct fs_stat st;
    EXPECT_OK(fs_stat(fs, S("f"), &st, NULL));
    EXPECT_EQ(st.size_bytes, 5001);
    EXPECT_EQ(fs_stat(below, STR_EMPTY, &st, NULL), ERR_NOT_FOUND);
    fs_free(fs);
    fs_free(below);
}

static void expect_read(struct fs *fs, str path, enum io_backend by, enum io_backend runs, str want)
{
    struct reader *r = NULL;
    struct pin p = { 0 };
    EXPECT_OK(reader_open(&r, fs, path, (struct read_as){ by, IO_CHUNKS, IO_RANDOM }, NULL));
    EXPECT_EQ(reader_backend(r), runs);
    EXPECT_EQ(reader_size(r), want.n);
    EXPECT_OK(reader_pin(r, 0, want.n, &p, NULL));
    EXPECT_STR(p.bytes, want);
    EXPECT_OK(reader_unpin(&p, NULL));
    reader_close(r);
}

/* A file that nobody changed is read below, by the backend that was asked for. */
TEST(fs_overlay_is_read_by_all_backends)
{
    struct fs *below = fs_real_new(str_z(test_tmpdir())), *fs;
    struct file *f = NULL;
    EXPECT_OK(fs_write_durable(below, S("f"), S("content"), NULL));
    bool direct = fs_open(&f, below, S("f"), FS_READ | FS_DIRECT, NULL) == OK;
    file_close(f);
    for (enum io_backend by = IO_MMAP; by < IO_BACKENDS; by++) {
        if (by == IO_DIRECT && !direct) continue;
        fs = fs_overlay_new(below);
        struct reader *before = NULL;
        expect_read(fs, S("f"), by, by, S("content"));
        EXPECT_OK(fs_rename(fs, S("f"), S("g"), NULL));
        expect_read(fs, S("g"), by, by, S("content"));
        EXPECT_OK(
            reader_open(&before, fs, S("g"), (struct read_as){ by, IO_CHUNKS, IO_RANDOM }, NULL));
        put(fs, S("g"), 7, S("!"));
        EXPECT_EQ(reader_size(before), 7);
        reader_close(before);
        expect_read(fs, S("g"), by, IO_BUFFERED, S("content!"));
        put(fs, S("f"), 0, S("another"));
        expect_read(fs, S("f"), by, IO_BUFFERED, S("another"));
        EXPECT_EQ(reader_open(&before, fs, S("h"),
                      (struct read_as){ by, IO_CHUNKS, IO_RANDOM }, NULL), ERR_NOT_FOUND);
        fs_free(fs);
    }
    expect_content(below, S("f"), S("content"));
    fs_free(below);
}
