#include "io/fs_check.h"

#include "base/test.h"

#include <stdio.h>
#include <sys/stat.h>

TEST(fs_real_check)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    fs_check(fs, S("d"));
    fs_model_check(fs, S("m"), test_seed(), 400);
    fs_free(fs);
}

TEST(fs_real_root_is_made_with_its_parents)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_real_new(path_join(&a, str_z(test_tmpdir()), S("deep/down/data")));
    struct fs_stat st;
    struct err e = { 0 };
    EXPECT_EQ(fs_stat(fs, STR_EMPTY, &st, &e), ERR_NOT_FOUND);
    EXPECT(str_find(err_str(&e), S("deep/down/data: no such file or directory")) != SIZE_MAX);
    EXPECT_OK_E(fs_mkdir(fs, STR_EMPTY, &e), &e);
    EXPECT_OK(fs_write_durable(fs, S("f"), S("x"), NULL));
    fs_free(fs);
}

TEST(fs_real_lock_is_seen_by_another_opening)
{
    struct fs *a = fs_real_new(str_z(test_tmpdir())), *b = fs_real_new(str_z(test_tmpdir()));
    struct fs_lock *la = NULL, *lb = NULL;
    bool existed;
    EXPECT_OK(fs_lock_take(&la, a, S("lock"), &existed, NULL));
    EXPECT_EQ(fs_lock_take(&lb, b, S("lock"), &existed, NULL), ERR_LOCKED);
    fs_lock_release(la, true);
    EXPECT_OK(fs_lock_take(&lb, b, S("lock"), &existed, NULL));
    EXPECT(!existed);
    fs_lock_release(lb, true);
    fs_free(a);
    fs_free(b);
}

TEST(fs_read_all_has_a_limit)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    str got;
    EXPECT_OK(fs_write_durable(fs, S("f"), S("0123456789"), NULL));
    EXPECT_EQ(fs_read_all(fs, S("f"), &a, 9, &got, NULL), ERR_LIMIT);
    EXPECT_OK(fs_read_all(fs, S("f"), &a, 10, &got, NULL));
    EXPECT_STR(got, S("0123456789"));
    fs_free(fs);
}

TEST(fs_read_path_tells_a_folder)
{
    static const struct { const char *name, *want; errc rc; } cases[] = {
        { "", "open : no such file or directory", ERR_NOT_FOUND },
        { "/", "read /: is a directory", ERR_IO },
        { "/tmp/", "read /tmp/: is a directory", ERR_IO },
    };
    TEST_EACH(c, cases) {
        SCOPED(arena_fini) struct arena a = { 0 };
        struct err e = { 0 };
        str got;
        EXPECT_EQ(fs_read_path(str_z(c->name), &a, 10, &got, &e), c->rc);
        EXPECT_STR(err_str(&e), str_z(c->want));
    }
}

/* One that nobody writes to is empty, and no writer waits for one that nobody reads. */
TEST(fs_real_waits_for_no_pipe)
{
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    SCOPED(arena_fini) struct arena a = { 0 };
    char path[512];
    str bytes;
    struct file *f = NULL;
    snprintf(path, sizeof(path), "%s/pipe", test_tmpdir());
    EXPECT_EQ(mkfifo(path, 0600), 0);
    EXPECT_OK(fs_read_all(fs, S("pipe"), &a, 1 << 20, &bytes, NULL));
    EXPECT_EQ(bytes.n, 0);
    EXPECT(fs_open(&f, fs, S("pipe"), FS_WRITE, NULL) != OK);
    fs_free(fs);
}

TEST(fs_write_cache_replaces)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs *fs = fs_real_new(str_z(test_tmpdir()));
    str got;
    EXPECT_OK(fs_write_cache(fs, S("kept"), S("a longer text"), NULL));
    EXPECT_OK(fs_write_cache(fs, S("kept"), S("short"), NULL));
    EXPECT_OK(fs_read_all(fs, S("kept"), &a, 100, &got, NULL));
    EXPECT_STR(got, S("short"));
    EXPECT(fs_write_cache(fs, S("no/such/folder"), S("x"), NULL) != OK);
    fs_free(fs);
}
