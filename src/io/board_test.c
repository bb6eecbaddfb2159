/* board_test.c — what was written is in the file, be it mapped or not, and where a page is gone. */
#include "io/board.h"

#include "base/prng.h"
#include "base/test.h"
#include "io/fs_sim.h"

enum { BYTES = 10001 };

static struct file *filled(struct fs *fs)
{
    struct file *f = NULL;
    uint8_t zeros[BYTES] = { 0 };
    str all = str_of(zeros, sizeof(zeros));
    EXPECT_OK(fs_open(&f, fs, S("board"), FS_READ | FS_WRITE | FS_CREATE | FS_TRUNC, NULL));
    EXPECT_OK(file_pwrite(f, &all, 1, 0, NULL, NULL));
    EXPECT_OK(file_sync(f, NULL));
    return f;
}

static void expect_file(struct fs *fs, const uint8_t want[BYTES])
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str got;
    EXPECT_OK(fs_read_all(fs, S("board"), &a, 1 << 20, &got, NULL));
    EXPECT_STR(got, str_of(want, BYTES));
}

static void expect_board(struct fs *fs)
{
    struct prng r = { test_seed() };
    uint8_t want[BYTES] = { 0 };
    struct file *f = filled(fs);
    struct board *b = board_open(f, BYTES);
    for (int i = 0; i < 200; i++) {
        size_t at = prng_below(&r, BYTES + 1), n = prng_below(&r, BYTES + 1 - at);
        memset(want + at, i, n);
        EXPECT_OK(board_write(b, at, str_of(want + at, n), NULL));
        if (i % 20 == 0) expect_file(fs, want);
    }
    board_close(b);
    expect_file(fs, want);
    file_close(f);
    fs_free(fs);
}

TEST(board_of_a_file) { expect_board(fs_real_new(str_z(test_tmpdir()))); }
TEST(board_of_a_file_that_cannot_be_mapped) { expect_board(fs_sim_new(test_seed())); }

/* Somebody cut the file: its page cannot be had any more, which is no end of the process. */
TEST(board_of_a_file_that_was_cut_short)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    struct file *f = filled(fs);
    struct board *b = board_open(f, BYTES);
    uint8_t want[BYTES] = { 0 };
    EXPECT_OK(file_truncate(f, 0, NULL));
    memset(want, 7, sizeof(want));
    for (int i = 0; i < 2; i++) EXPECT_OK(board_write(b, 0, str_of(want, sizeof(want)), NULL));
    expect_file(fs, want);
    board_close(b);
    file_close(f);
    fs_free(fs);
}

TEST(board_of_nothing) { board_close(NULL); }
