/* The kernel's watch on real folders: what happens to them is told, soon and not for each write. */
#include "io/watch.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/test.h"
#include "io/fs.h"

#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000, QUIET_MS = 200 };

struct rig {
    struct arena a;
    str top;
    struct fs *fs;
    struct watch *w;
    _Atomic unsigned changed, other, failed;
    const char *folder;
};

static void on_changed(void *ctx, str folder)
{
    struct rig *r = ctx;
    if (str_has_suffix(folder, str_z(r->folder))) atomic_fetch_add(&r->changed, 1);
    else atomic_fetch_add(&r->other, 1);
}

static void on_failed(void *ctx, str folder, const struct err *why)
{
    struct rig *r = ctx;
    (void)folder;
    if (err_str(why).n) atomic_fetch_add(&r->failed, 1);
}

static void rig_start(struct rig *r, const char *folder)
{
    *r = (struct rig){ .folder = folder };
    r->top = arena_str(&r->a, str_z(test_tmpdir()));
    r->fs = fs_real_new(r->top);
    struct err e = { 0 };
    EXPECT_OK_E(watch_new(&r->w, &(struct watch_sink){ on_changed, on_failed, r }, &e), &e);
}

static void rig_stop(struct rig *r)
{
    watch_free(r->w);
    fs_free(r->fs);
    arena_fini(&r->a);
}

static const char *path(struct rig *r, const char *name)
{
    return (const char *)arena_fmt(&r->a, "%.*s/%s", STR_ARG(r->top), name).p;
}

static void put(struct rig *r, const char *name, const char *text)
{
    struct file *f = NULL;
    const str bytes = str_z(text);
    uint64_t done;
    EXPECT_OK(fs_open(&f, r->fs, str_z(name), FS_WRITE | FS_CREATE | FS_TRUNC, NULL));
    EXPECT_OK(file_pwrite(f, &bytes, 1, 0, &done, NULL));
    file_close(f);
}

static void watch_one(struct rig *r, const char *name)
{
    const str folder = str_z(path(r, name));
    watch_folders(r->w, &folder, 1);
}

static bool told(_Atomic unsigned *n)
{
    int64_t end = clock_mono_ns() + (int64_t)PATIENCE_MS * 1000000;
    while (!atomic_load(n) && clock_mono_ns() < end) clock_sleep_ns(2000000);
    return atomic_exchange(n, 0) > 0;
}

static unsigned after_quiet(struct rig *r)
{
    clock_sleep_ns((int64_t)QUIET_MS * 1000000);
    return atomic_exchange(&r->changed, 0);
}

static void make(struct rig *r, const char *name) { EXPECT_OK(fs_mkdir(r->fs, str_z(name), NULL)); }
static void swap_link(struct rig *r, const char *to, const char *name)
{
    EXPECT_EQ(symlink(to, path(r, "link.tmp")), 0);
    EXPECT_OK(fs_rename(r->fs, S("link.tmp"), str_z(name), NULL));
}

/* ---- one change each */

static void write_new(struct rig *r) { put(r, "sd/a.json", "1"); }
static void write_again(struct rig *r) { put(r, "sd/old.json", "12"); }
static void rename_over(struct rig *r)
{
    put(r, "tmp.json", "3");
    EXPECT_OK(fs_rename(r->fs, S("tmp.json"), S("sd/old.json"), NULL));
}
static void rename_away(struct rig *r)
{
    EXPECT_OK(fs_rename(r->fs, S("sd/old.json"), S("old.json"), NULL));
}
static void remove_one(struct rig *r) { EXPECT_OK(fs_unlink(r->fs, S("sd/old.json"), NULL)); }
static void link_one(struct rig *r) { EXPECT_EQ(symlink("old.json", path(r, "sd/link.json")), 0); }
static void remove_folder(struct rig *r) { EXPECT_OK(fs_remove_tree(r->fs, S("sd"), NULL)); }
static void move_folder(struct rig *r) { EXPECT_OK(fs_rename(r->fs, S("sd"), S("other"), NULL)); }

TEST(watch_tells_changes)
{
    static const struct { const char *name; void (*act)(struct rig *r);
    } cases[] = {
        { "a new file", write_new },
        { "written in place", write_again },
        { "replaced by a rename", rename_over },
        { "renamed away", rename_away },
        { "removed", remove_one },
        { "a new link", link_one },
        { "the folder removed", remove_folder },
        { "the folder renamed", move_folder },
    };
    TEST_EACH(c, cases) {
        struct rig r;
        rig_start(&r, "/sd");
        EXPECT_OK(fs_remove_tree(r.fs, S("sd"), NULL));
        EXPECT_OK(fs_remove_tree(r.fs, S("other"), NULL));
        make(&r, "sd");
        put(&r, "sd/old.json", "0");
        watch_one(&r, "sd");
        EXPECT(told(&r.changed));                              /* the watch begins */
        EXPECT_EQ(after_quiet(&r), 0);
        c->act(&r);
        EXPECT(told(&r.changed));
        rig_stop(&r);
    }
}

TEST(watch_tells_a_burst_once_or_twice)
{
    struct rig r;
    rig_start(&r, "/sd");
    make(&r, "sd");
    watch_one(&r, "sd");
    EXPECT(told(&r.changed));
    for (int i = 0; i < 200; i++) put(&r, "sd/a.json", "x");
    EXPECT(told(&r.changed));
    EXPECT(after_quiet(&r) < 20);
    EXPECT(chmod(path(&r, "sd/a.json"), 0600) == 0);           /* no change of what is in it */
    EXPECT_EQ(after_quiet(&r), 0);
    rig_stop(&r);
}

TEST(watch_waits_for_a_folder)
{
    struct rig r;
    rig_start(&r, "/a/b/sd");
    watch_one(&r, "a/b/sd");
    EXPECT_EQ(after_quiet(&r), 0);
    make(&r, "x");                                             /* another name beside it */
    EXPECT_EQ(after_quiet(&r), 0);
    make(&r, "a");
    make(&r, "a/b");
    EXPECT_EQ(after_quiet(&r), 0);
    make(&r, "a/b/sd");
    put(&r, "a/b/sd/t.json", "1");
    EXPECT(told(&r.changed));
    (void)after_quiet(&r);
    put(&r, "a/b/sd/t.json", "2");
    EXPECT(told(&r.changed));
    (void)after_quiet(&r);
    EXPECT_OK(fs_remove_tree(r.fs, S("a"), NULL));
    EXPECT(told(&r.changed));
    make(&r, "built");
    make(&r, "built/b");
    make(&r, "built/b/sd");
    (void)after_quiet(&r);
    EXPECT_OK(fs_rename(r.fs, S("built"), S("a"), NULL));      /* it comes as a whole */
    EXPECT(told(&r.changed));
    rig_stop(&r);
}

TEST(watch_follows_exchanged_links)
{
    struct rig r;
    rig_start(&r, "/current/sd");
    make(&r, "v1");
    make(&r, "v1/sd");
    make(&r, "v2");
    make(&r, "v2/sd");
    EXPECT_EQ(symlink("v1", path(&r, "current")), 0);
    watch_one(&r, "current/sd");
    EXPECT(told(&r.changed));
    EXPECT_EQ(after_quiet(&r), 0);
    swap_link(&r, "v2", "current");
    EXPECT(told(&r.changed));
    EXPECT_EQ(after_quiet(&r), 0);
    put(&r, "v1/sd/old.json", "1");                            /* nobody's any more */
    EXPECT_EQ(after_quiet(&r), 0);
    put(&r, "v2/sd/new.json", "1");
    EXPECT(told(&r.changed));
    rig_stop(&r);
}

TEST(watch_changes_its_list)
{
    struct rig r;
    rig_start(&r, "/one");
    make(&r, "one");
    make(&r, "two");
    const str both[] = { str_z(path(&r, "one")), str_z(path(&r, "two")) };
    watch_folders(r.w, both, 2);
    EXPECT(told(&r.changed) && told(&r.other));
    watch_folders(r.w, both, 2);                               /* the same again is no change */
    EXPECT_EQ(after_quiet(&r), 0);
    watch_folders(r.w, both + 1, 1);
    EXPECT_EQ(after_quiet(&r), 0);
    put(&r, "one/a", "1");
    EXPECT_EQ(after_quiet(&r), 0);
    put(&r, "two/a", "1");
    EXPECT(told(&r.other));
    watch_folders(r.w, both, 2);
    EXPECT(told(&r.changed));
    watch_folders(r.w, NULL, 0);
    EXPECT_EQ(after_quiet(&r), 0);
    rig_stop(&r);
}

TEST(watch_fails_for_one_folder_alone)
{
    struct rig r;
    rig_start(&r, "/sd");
    make(&r, "sd");
    put(&r, "file", "1");
    const str folders[] = { str_z(path(&r, "file")), str_z(path(&r, "sd")) };
    watch_folders(r.w, folders, 2);
    EXPECT(told(&r.failed));
    EXPECT(told(&r.changed));
    watch_folders(r.w, folders, 2);
    (void)after_quiet(&r);
    EXPECT_EQ(atomic_load(&r.failed), 0);                      /* told once */
    rig_stop(&r);
}

TEST(watch_fake_tells_what_the_test_says)
{
    struct rig r = { .folder = "/sd" };
    EXPECT_OK(watch_fake_new(&r.w, &(struct watch_sink){ on_changed, on_failed, &r }, NULL));
    const str folder = S("/sd");
    watch_fake_change(r.w, folder);
    EXPECT_EQ(atomic_load(&r.changed), 0);
    watch_folders(r.w, &folder, 1);
    EXPECT(watch_fake_has(r.w, folder));
    watch_fake_change(r.w, folder);
    EXPECT_EQ(atomic_load(&r.changed), 1);
    watch_free(r.w);
}
