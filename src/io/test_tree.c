/* test_tree.c — see test_tree.h */
#include "io/test_tree.h"

#include "base/test.h"
#include "io/fs_sim.h"

enum { FILE_MAX_BYTES = 1 << 30 };

static void file_copy(struct fs *to, struct fs *from, struct arena *a, str path)
{
    str bytes;
    struct file *f = NULL;
    uint64_t done;
    EXPECT_OK(fs_read_all(from, path, a, FILE_MAX_BYTES, &bytes, NULL));
    EXPECT_OK(fs_open(&f, to, path, FS_READ | FS_WRITE | FS_CREATE, NULL));
    if (bytes.n) EXPECT_OK(file_pwrite(f, &bytes, 1, 0, &done, NULL));
    EXPECT_OK(file_sync(f, NULL));
    file_close(f);
}

void tree_copy(struct fs *to, struct fs *from, str dir)
{
    struct arena a = { 0 };
    fs_entries all = { 0 };
    errc rc = fs_list(from, dir, &a, &all, NULL);
    if (rc == ERR_NOT_FOUND) return;
    EXPECT_OK(rc);
    if (dir.n) EXPECT_OK(fs_mkdir(to, dir, NULL));
    for (size_t i = 0; i < all.n; i++) {
        str path = dir.n ? path_join(&a, dir, all.at[i].name) : all.at[i].name;
        if (all.at[i].is_dir) tree_copy(to, from, path);
        else file_copy(to, from, &a, path);
    }
    EXPECT_OK(fs_sync_dir(to, dir, NULL));
    vec_fini(&all);
    arena_fini(&a);
}

struct fs *tree_golden(const char *name, uint64_t seed)
{
    struct arena a = { 0 };
    struct fs *from = fs_real_new(arena_fmt(&a, "%s/golden/%s/data", test_shared(), name));
    struct fs *to = fs_sim_new(seed);
    tree_copy(to, from, STR_EMPTY);
    fs_free(from);
    arena_fini(&a);
    return to;
}
