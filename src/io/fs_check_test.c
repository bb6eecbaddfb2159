#include "io/fs_check.h"

#include "base/buf.h"
#include "base/test.h"

static struct file *check_open(struct fs *fs, str path, unsigned flags)
{
    struct err e = { 0 };
    struct file *f = NULL;
    EXPECT_OK_E(fs_open(&f, fs, path, flags, &e), &e);
    return f;
}

static void check_write(struct file *f, str s, uint64_t off)
{
    struct err e = { 0 };
    uint64_t done = 0;
    EXPECT_OK_E(file_pwrite(f, &s, 1, off, &done, &e), &e);
    EXPECT_EQ(done, s.n);
}

static void check_content(struct fs *fs, str path, str want)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct err e = { 0 };
    str got;
    EXPECT_OK_E(fs_read_all(fs, path, &a, 1 << 24, &got, &e), &e);
    EXPECT_STR(got, want);
    struct fs_stat st;
    EXPECT_OK(fs_stat(fs, path, &st, NULL));
    EXPECT_EQ(st.size_bytes, want.n);
    EXPECT(!st.is_dir);
}

static void check_names(struct fs *fs, str dir, const char *want)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    EXPECT_OK(fs_list(fs, dir, &a, &all, NULL));
    struct buf b = { 0 };
    for (size_t i = 0; i < all.n; i++)
        buf_fmt(&b, "%s%.*s%s", i ? " " : "", STR_ARG(all.at[i].name), all.at[i].is_dir ? "/" : "");
    EXPECT_STR(buf_view(&b), str_z(want));
    vec_fini(&all);
    buf_fini(&b);
}

static void check_bytes(struct fs *fs, str path)
{
    struct file *f = check_open(fs, path, FS_READ | FS_WRITE | FS_CREATE);
    const str parts[] = { S("hel"), S(""), S("lo "), S("world") };
    uint64_t done = 0, size = 0;
    EXPECT_OK(file_pwrite(f, parts, ARRAY_LEN(parts), 0, &done, NULL));
    EXPECT_EQ(done, 11);
    check_write(f, S("W"), 6);
    check_write(f, S("!"), 14);                                /* a hole of zeros */
    check_content(fs, path, S("hello World\0\0\0!"));
    uint8_t room[32];
    size_t got = 99;
    EXPECT_OK(file_pread(f, room, sizeof(room), 6, &got, NULL));
    EXPECT_STR(str_of(room, got), S("World\0\0\0!"));
    EXPECT_OK(file_pread(f, room, sizeof(room), 15, &got, NULL));
    EXPECT_EQ(got, 0);
    EXPECT_OK(file_pread(f, room, sizeof(room), 1u << 20, &got, NULL));
    EXPECT_EQ(got, 0);
    EXPECT_OK(file_reserve(f, 0, 1 << 16, NULL));
    EXPECT_OK(file_size(f, &size, NULL));
    EXPECT_EQ(size, 15);
    EXPECT_OK(file_truncate(f, 5, NULL));
    EXPECT_OK(file_truncate(f, 7, NULL));
    check_content(fs, path, S("hello\0\0"));                   /* what was cut does not come back */
    EXPECT_OK(file_sync(f, NULL));
    EXPECT_STR(file_path(f), path);
    file_close(f);
}

static void check_long(struct fs *fs, str path)
{
    enum { N = 200, PIECE = 997 };
    static uint8_t want[N * PIECE];
    str slices[N];
    for (size_t i = 0; i < sizeof(want); i++) want[i] = (uint8_t)(i * 31 + i / 4096);
    for (size_t i = 0; i < N; i++) slices[i] = str_of(want + i * PIECE, PIECE);
    struct file *f = check_open(fs, path, FS_WRITE | FS_CREATE | FS_TRUNC);
    uint64_t done = 0;
    /* more slices than one call of the kernel takes */
    EXPECT_OK(file_pwrite(f, slices, N, 0, &done, NULL));
    EXPECT_EQ(done, sizeof(want));
    check_content(fs, path, str_of(want, sizeof(want)));
    file_close(f);
}

static void check_open_flags(struct fs *fs, str path, str dir)
{
    struct file *f = NULL;
    EXPECT_EQ(fs_open(&f, fs, S("no such/file"), FS_READ, NULL), ERR_NOT_FOUND);
    EXPECT_EQ(fs_open(&f, fs, path, FS_WRITE | FS_CREATE | FS_EXCL, NULL), ERR_EXISTS);
    EXPECT_EQ(fs_open(&f, fs, dir, FS_READ, NULL), ERR_IO);
    EXPECT(!f);
    file_close(check_open(fs, path, FS_WRITE | FS_TRUNC));
    check_content(fs, path, S(""));
    static const str bad[] = { S("../x"), S("/x"), S("a/../b"), S("a//b"), S("a/"), S("."), S(""),
        S("a\0b") };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_EQ(fs_open(&f, fs, bad[i], FS_READ, NULL), ERR_BAD_INPUT);
}

static void check_rename(struct fs *fs, struct arena *a, str dir)
{
    str x = path_join(a, dir, S("x")), y = path_join(a, dir, S("y")),
        sub = path_join(a, dir, S("sub"));
    str inside = path_join(a, sub, S("in")), moved = path_join(a, dir, S("moved")),
        moved_in = path_join(a, moved, S("in"));
    EXPECT_OK(fs_write_durable(fs, x, S("one"), NULL));
    EXPECT_OK(fs_write_durable(fs, y, S("two"), NULL));
    struct file *old = check_open(fs, y, FS_READ);
    EXPECT_OK(fs_rename(fs, x, y, NULL));
    check_content(fs, y, S("one"));
    uint8_t room[8];
    size_t got;
    /* an open file outlives its name */
    EXPECT_OK(file_pread(old, room, sizeof(room), 0, &got, NULL));
    EXPECT_STR(str_of(room, got), S("two"));
    file_close(old);
    EXPECT_EQ(fs_rename(fs, x, y, NULL), ERR_NOT_FOUND);
    EXPECT_OK(fs_mkdir(fs, sub, NULL));
    EXPECT_OK(fs_rename(fs, y, inside, NULL));
    EXPECT_OK(fs_rename(fs, sub, moved, NULL));
    check_content(fs, moved_in, S("one"));
    check_names(fs, dir, "moved/");
    EXPECT_EQ(fs_rename(fs, moved, path_join(a, moved, S("deep")), NULL), ERR_IO);
    EXPECT_EQ(fs_rmdir(fs, moved, NULL), ERR_EXISTS);
    EXPECT_OK(fs_unlink(fs, moved_in, NULL));
    EXPECT_EQ(fs_unlink(fs, moved_in, NULL), ERR_NOT_FOUND);
    EXPECT_EQ(fs_unlink(fs, moved, NULL), ERR_IO);             /* a folder is not a file */
    EXPECT_OK(fs_rmdir(fs, moved, NULL));
    EXPECT_EQ(fs_rmdir(fs, moved, NULL), ERR_NOT_FOUND);
}

/* A second name where there can be one, and a copy where not: both are files of their own. */
static void check_link(struct fs *fs, struct arena *a, str dir)
{
    str x = path_join(a, dir, S("x")), y = path_join(a, dir, S("y"));
    EXPECT_OK(fs_write_durable(fs, x, S("one"), NULL));
    EXPECT_OK(fs_link_or_copy(fs, x, y, NULL));
    check_content(fs, y, S("one"));
    errc again = fs_link(fs, x, y, NULL);
    EXPECT(again == ERR_EXISTS || again == ERR_UNSUPPORTED);
    EXPECT(fs_link_or_copy(fs, x, y, NULL) == ERR_EXISTS);
    EXPECT(fs_link_or_copy(fs, path_join(a, dir, S("no")), path_join(a, dir, S("z")), NULL) ==
           ERR_NOT_FOUND);
    EXPECT_OK(fs_write_durable(fs, x, S("two"), NULL));        /* a new file under the old name */
    check_content(fs, y, S("one"));
    EXPECT_OK(fs_unlink(fs, x, NULL));
    check_content(fs, y, S("one"));
    EXPECT_OK(fs_unlink(fs, y, NULL));
}

static void check_unlinked(struct fs *fs, str path)
{
    struct file *f = check_open(fs, path, FS_READ | FS_WRITE | FS_CREATE);
    EXPECT_OK(fs_unlink(fs, path, NULL));
    check_write(f, S("still here"), 0);
    uint8_t room[16];
    size_t got;
    EXPECT_OK(file_pread(f, room, sizeof(room), 0, &got, NULL));
    EXPECT_STR(str_of(room, got), S("still here"));
    file_close(f);
    EXPECT(!fs_exists(fs, path));
}

static void check_lock(struct fs *fs, str path)
{
    struct fs_lock *a = NULL, *b = NULL;
    bool existed = true;
    EXPECT_OK(fs_lock_take(&a, fs, path, &existed, NULL));
    EXPECT(!existed);
    EXPECT(fs_exists(fs, path));
    if (strcmp(fs_kind(fs), "overlay") != 0)
        EXPECT_EQ(fs_lock_take(&b, fs, path, &existed, NULL), ERR_LOCKED);
    fs_lock_release(a, false);
    EXPECT_OK(fs_lock_take(&b, fs, path, &existed, NULL));
    EXPECT(existed);
    fs_lock_release(b, true);
    EXPECT(!fs_exists(fs, path));
    fs_lock_release(NULL, true);
}

static void check_tree(struct fs *fs, struct arena *a, str dir)
{
    str top = path_join(a, dir, S("tree"));
    EXPECT_OK(fs_mkdir(fs, top, NULL));
    EXPECT_OK(fs_mkdir(fs, top, NULL));                        /* there already: fine */
    EXPECT_OK(fs_mkdir(fs, path_join(a, top, S("a")), NULL));
    EXPECT_EQ(fs_mkdir(fs, path_join(a, dir, S("no/such")), NULL), ERR_NOT_FOUND);
    EXPECT_OK(fs_write_durable(fs, path_join(a, top, S("a/f")), S("x"), NULL));
    EXPECT_OK(fs_write_durable(fs, path_join(a, top, S("b")), S("y"), NULL));
    EXPECT_EQ(fs_mkdir(fs, path_join(a, top, S("b")), NULL), ERR_EXISTS);
    check_names(fs, top, "a/ b");
    EXPECT_OK(fs_sync_dir(fs, top, NULL));
    EXPECT_OK(fs_remove_tree(fs, top, NULL));
    EXPECT_OK(fs_remove_tree(fs, top, NULL));
    EXPECT(!fs_exists(fs, top));
    fs_entries none = { 0 };
    EXPECT_EQ(fs_list(fs, top, a, &none, NULL), ERR_NOT_FOUND);
    EXPECT_EQ(fs_sync_dir(fs, top, NULL), ERR_NOT_FOUND);
}

void fs_check(struct fs *fs, str dir)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    uint64_t total, unused;
    str f = path_join(&a, dir, S("f"));
    EXPECT_OK(fs_mkdir(fs, STR_EMPTY, NULL));
    EXPECT_OK(fs_mkdir(fs, dir, NULL));
    check_bytes(fs, f);
    check_long(fs, f);
    check_open_flags(fs, f, dir);
    check_names(fs, dir, "f");
    EXPECT_OK(fs_unlink(fs, f, NULL));
    check_rename(fs, &a, dir);
    check_link(fs, &a, dir);
    check_unlinked(fs, path_join(&a, dir, S("gone")));
    check_lock(fs, path_join(&a, dir, S("lock")));
    check_tree(fs, &a, dir);
    check_names(fs, dir, "");
    EXPECT_OK(fs_space(fs, &total, &unused, NULL));
    EXPECT(total > 0 && unused <= total);
    EXPECT_OK(fs_rmdir(fs, dir, NULL));
}

/* The naive twin: a few names, each with a whole content in one array. */
enum { TWIN_NAMES = 6, TWIN_MAX = 20000, TWIN_PIECE = 6000 };
struct twin { bool there[TWIN_NAMES]; size_t n[TWIN_NAMES]; uint8_t at[TWIN_NAMES][TWIN_MAX]; };

static str twin_path(struct arena *a, str dir, unsigned i)
{
    return arena_fmt(a, "%.*s/n%u", STR_ARG(dir), i);
}

static void twin_write(struct twin *t, struct fs *fs, str path, unsigned i, struct prng *r)
{
    static uint8_t piece[TWIN_PIECE];
    size_t n = (size_t)prng_below(r, TWIN_PIECE),
           off = (size_t)prng_below(r, TWIN_MAX - TWIN_PIECE);
    for (size_t k = 0; k < n; k++) piece[k] = (uint8_t)(prng_u64(r) | 1);
    struct file *f = check_open(fs, path, FS_WRITE | FS_CREATE);
    check_write(f, str_of(piece, n), off);
    if (prng_below(r, 4) == 0) EXPECT_OK(file_sync(f, NULL));
    file_close(f);
    if (!t->there[i]) t->n[i] = 0, memset(t->at[i], 0, TWIN_MAX);
    t->there[i] = true;
    memcpy(t->at[i] + off, piece, n);
    if (n) t->n[i] = MAX(t->n[i], off + n);
}

static void twin_truncate(struct twin *t, struct fs *fs, str path, unsigned i, struct prng *r)
{
    if (!t->there[i]) return;
    size_t n = (size_t)prng_below(r, TWIN_MAX);
    struct file *f = check_open(fs, path, FS_WRITE);
    EXPECT_OK(file_truncate(f, n, NULL));
    file_close(f);
    if (n < t->n[i]) memset(t->at[i] + n, 0, t->n[i] - n);
    t->n[i] = n;
}

static void twin_rename(
    struct twin *t, struct fs *fs, struct arena *a, str dir, unsigned i, unsigned k)
{
    errc rc = fs_rename(fs, twin_path(a, dir, i), twin_path(a, dir, k), NULL);
    EXPECT_EQ(rc, t->there[i] ? OK : ERR_NOT_FOUND);
    if (!t->there[i] || i == k) return;
    memcpy(t->at[k], t->at[i], TWIN_MAX);
    t->n[k] = t->n[i];
    t->there[k] = true;
    t->there[i] = false;
}

static void twin_compare(struct twin *t, struct fs *fs, str path, unsigned i)
{
    EXPECT_EQ(fs_exists(fs, path), t->there[i]);
    if (t->there[i]) check_content(fs, path, str_of(t->at[i], t->n[i]));
}

void fs_model_check(struct fs *fs, str dir, uint64_t seed, unsigned steps)
{
    struct prng r = { seed };
    struct twin *t = NEW(struct twin);
    EXPECT_OK(fs_mkdir(fs, STR_EMPTY, NULL));
    EXPECT_OK(fs_mkdir(fs, dir, NULL));
    for (unsigned step = 0; step < steps; step++) {
        SCOPED(arena_fini) struct arena a = { 0 };
        unsigned i = (unsigned)prng_below(&r, TWIN_NAMES), k = (unsigned)prng_below(&r, TWIN_NAMES);
        str path = twin_path(&a, dir, i);
        switch (prng_below(&r, 6)) {
        case 0: case 1: twin_write(t, fs, path, i, &r); break;
        case 2: twin_truncate(t, fs, path, i, &r); break;
        case 3: twin_rename(t, fs, &a, dir, i, k); break;
        case 4:
            EXPECT_EQ(fs_unlink(fs, path, NULL), t->there[i] ? OK : ERR_NOT_FOUND);
            t->there[i] = false;
            break;
        default: EXPECT_OK(fs_sync_dir(fs, dir, NULL)); break;
        }
        twin_compare(t, fs, path, i);
        twin_compare(t, fs, twin_path(&a, dir, k), k);
    }
    EXPECT_OK(fs_remove_tree(fs, dir, NULL));
    mem_free(t);
}
