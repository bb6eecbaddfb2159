/* A tree of nodes over a folder that is only read. A node knows where its content comes from
 * (`below`, a path of the folder, or nothing) and what was changed since: a folder lists its
 * children once, at its first use, and keeps its own list from then on; a file keeps the pages that
 * were written, and how far the bytes below still count. So a rename moves a node and leaves the
 * folder alone, a removal forgets one, and whoever opens the folder through an overlay sees what a
 * writer would have made of it.
 *
 * A file that was not changed shows what the folder shows at each moment, growth included. The
 * first change fixes its size.
 *
 * One lock guards everything and is held over reads below: an overlay serves commands that look
 * into a folder, one at a time. A reader (reader.h) of a file that was not changed reads the file
 * below by itself, and what is written here later does not show in it.
 */
#include "io/fs_impl.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/map.h"

#include <errno.h>

enum { OV_PAGE = 4096 };
ACCOUNT(overlay_account, "overlay")

struct ov_page { uint64_t index; uint8_t at[OV_PAGE]; };

/* All fields: GUARDED_BY(fs_overlay.mu). */
struct ov_node {
    str name;                          /* heap */
    str below;                         /* heap; p NULL: nothing below */
    uint32_t refs;                     /* one of the tree, one an open file */
    bool is_dir, loaded, changed;
    VEC(struct ov_node *) kids;        /* of a loaded folder, in no order */
    uint64_t size, base_size;          /* of a changed file: its size; up to where below counts */
    struct map pages;                  /* by index */
    int64_t mtime_ms;                  /* of what was changed */
    struct file *source;               /* the file below, while open files need it */
    uint32_t n_open;
};

struct fs_overlay { struct fs base; struct fs *below; struct mtx mu; struct ov_node *top; };
struct file_ov { struct file base; struct ov_node *node; unsigned flags; };
struct fs_ov_lock { struct fs_lock base; str path; };

static struct fs_overlay *ov_of(struct fs *fs) { return CONTAINER_OF(fs, struct fs_overlay, base); }
static struct file_ov *fov_of(struct file *f) { return CONTAINER_OF(f, struct file_ov, base); }

/* ---- nodes ---- */

static struct ov_node *node_new(str name, str below, bool is_dir)
{
    struct ov_node *n = NEW(struct ov_node);
    n->name = mem_str(name);
    if (below.p) n->below = mem_str(below);
    n->refs = 1;
    n->is_dir = is_dir;
    n->loaded = is_dir && !below.p;
    n->changed = !below.p;
    n->mtime_ms = clock_wall_ms();
    return n;
}

static void node_unref(struct ov_node *n)
{
    if (--n->refs > 0) return;
    for (size_t i = 0; i < n->kids.n; i++) node_unref(n->kids.at[i]);
    vec_fini(&n->kids);
    struct ov_page *p;
    for (size_t i = 0; (p = map_next(&n->pages, &i)) != NULL;) mem_free(p);
    account_charge(&overlay_account, -(int64_t)(n->pages.n * sizeof(struct ov_page)));
    map_fini(&n->pages);
    file_close(n->source);
    mem_free((void *)(uintptr_t)n->name.p);
    mem_free((void *)(uintptr_t)n->below.p);
    mem_free(n);
}

static errc node_load(struct fs_overlay *fs, struct ov_node *n, struct err *e)
{
    if (n->loaded) return OK;
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    errc rc = fs_list(fs->below, n->below, &a, &all, e);
    if (rc == ERR_NOT_FOUND && n == fs->top) rc = OK;          /* the folder need not exist */
    if (rc != OK) return rc;
    for (size_t i = 0; i < all.n; i++)
        vec_push(&n->kids,
            node_new(all.at[i].name, path_join(&a, n->below, all.at[i].name), all.at[i].is_dir));
    vec_fini(&all);
    n->loaded = true;
    return OK;
}

static errc node_kid(
    struct fs_overlay *fs, struct ov_node *dir, str name, struct ov_node **out, struct err *e)
{
    *out = NULL;
    if (!dir || !dir->is_dir) return OK;
    TRY(node_load(fs, dir, e));
    for (size_t i = 0; i < dir->kids.n; i++)
        if (str_eq(dir->kids.at[i]->name, name)) *out = dir->kids.at[i];
    return OK;
}

/* *out NULL: there is nothing of that name. */
static errc node_walk(struct fs_overlay *fs, str path, struct ov_node **out, struct err *e)
{
    struct ov_node *at = fs->top;
    while (at && path.n) {
        str name, rest;
        str_cut(path, '/', &name, &rest);
        TRY(node_kid(fs, at, name, &at, e));
        path = rest;
    }
    *out = at;
    return OK;
}

/* The folder that holds a path's last name, and what has that name there; both may be NULL. */
static errc node_find(
    struct fs_overlay *fs, str path, struct ov_node **dir, struct ov_node **node, struct err *e)
{
    TRY(node_walk(fs, fs_path_parent(path), dir, e));
    if (*dir && !(*dir)->is_dir) *dir = NULL;
    return node_kid(fs, *dir, fs_path_name(path), node, e);
}

static void node_detach(struct ov_node *dir, struct ov_node *kid)
{
    for (size_t i = 0; i < dir->kids.n; i++) {
        if (dir->kids.at[i] != kid) continue;
        dir->kids.at[i] = dir->kids.at[--dir->kids.n];
        dir->mtime_ms = clock_wall_ms();
        return;
    }
    assert(!"a folder holds its kids");
}

/* ---- the bytes of a file ---- */

static errc node_size(struct fs_overlay *fs, struct ov_node *n, uint64_t *out, struct err *e)
{
    if (n->changed) {
        *out = n->size;
        return OK;
    }
    if (n->source) return file_size(n->source, out, e);
    struct fs_stat st;
    TRY(fs_stat(fs->below, n->below, &st, e));
    *out = st.size_bytes;
    return OK;
}

static errc node_change(struct fs_overlay *fs, struct ov_node *n, struct err *e)
{
    n->mtime_ms = clock_wall_ms();
    if (n->changed) return OK;
    TRY(node_size(fs, n, &n->size, e));
    n->base_size = n->size;
    n->changed = true;
    return OK;
}

/* Bytes [off, off + n) from below, zeros where below ends. */
static errc node_read_below(struct ov_node *n, uint8_t *to, size_t len, uint64_t off, struct err *e)
{
    size_t want = off >= n->base_size ? 0 : (size_t)MIN(len, n->base_size - off), got = 0;
    if (want) {
        assert(n->source);
        TRY(file_pread(n->source, to, want, off, &got, e));
    }
    memset(to + got, 0, len - got);
    return OK;
}

static errc node_page(struct ov_node *n, uint64_t index, struct ov_page **out, struct err *e)
{
    *out = map_find(&n->pages, index, NULL, NULL);
    if (*out) return OK;
    struct ov_page *p = mem_alloc(sizeof(*p));
    p->index = index;
    errc rc = node_read_below(n, p->at, OV_PAGE, index * OV_PAGE, e);
    if (rc != OK) {
        mem_free(p);
        return rc;
    }
    map_put(&n->pages, index, p);
    account_charge(&overlay_account, sizeof(*p));
    *out = p;
    return OK;
}

static errc node_write(
    struct ov_node *n, const uint8_t *from, size_t len, uint64_t off, struct err *e)
{
    for (size_t at = 0; at < len;) {
        size_t skip = (size_t)((off + at) % OV_PAGE), step = MIN(len - at, OV_PAGE - skip);
        struct ov_page *p;
        TRY(node_page(n, (off + at) / OV_PAGE, &p, e));
        memcpy(p->at + skip, from + at, step);
        at += step;
        n->size = MAX(n->size, off + at);
    }
    return OK;
}

static errc node_read(struct ov_node *n, uint8_t *to, size_t len, uint64_t off, struct err *e)
{
    for (size_t at = 0; at < len;) {
        size_t skip = (size_t)((off + at) % OV_PAGE), step = MIN(len - at, OV_PAGE - skip);
        const struct ov_page *p = map_find(&n->pages, (off + at) / OV_PAGE, NULL, NULL);
        if (p) memcpy(to + at, p->at + skip, step);
        else TRY(node_read_below(n, to + at, step, off + at, e));
        at += step;
    }
    return OK;
}

/* What is cut reads as zeros if the file grows again. */
static void node_cut(struct ov_node *n, uint64_t size)
{
    for (uint64_t index = size / OV_PAGE; n->pages.n && index * OV_PAGE < n->size; index++) {
        struct ov_page *p = map_find(&n->pages, index, NULL, NULL);
        if (!p) continue;
        size_t keep = index * OV_PAGE < size ? (size_t)(size - index * OV_PAGE) : 0;
        memset(p->at + keep, 0, OV_PAGE - keep);
    }
    n->base_size = MIN(n->base_size, size);
    n->size = size;
}

/* ---- open files ---- */

static errc ov_pread(
    struct file *base, void *to, size_t n, uint64_t off, size_t *got, struct err *e)
{
    struct file_ov *f = fov_of(base);
    struct fs_overlay *fs = ov_of(base->fs);
    if (!(f->flags & FS_READ)) return fs_errno(e, EBADF, "read", base->fs, base->path);
    mtx_lock(&fs->mu);
    struct ov_node *node = f->node;
    errc rc;
    if (!node->changed) {
        rc = file_pread(node->source, to, n, off, got, e);
    } else {
        size_t have = off >= node->size ? 0 : (size_t)MIN(n, node->size - off);
        rc = node_read(node, to, have, off, e);
        if (rc == OK) *got = have;
    }
    mtx_unlock(&fs->mu);
    return rc;
}

static errc ov_pwrite(
    struct file *base, const str *slices, size_t n, uint64_t off, uint64_t *done, struct err *e)
{
    struct file_ov *f = fov_of(base);
    struct fs_overlay *fs = ov_of(base->fs);
    *done = 0;
    if (!(f->flags & FS_WRITE)) return fs_errno(e, EBADF, "write", base->fs, base->path);
    mtx_lock(&fs->mu);
    errc rc = node_change(fs, f->node, e);
    for (size_t i = 0; rc == OK && i < n; i++) {
        rc = node_write(f->node, slices[i].p, slices[i].n, off + *done, e);
        if (rc == OK) *done += slices[i].n;
    }
    mtx_unlock(&fs->mu);
    return rc;
}

static errc ov_truncate(struct file *base, uint64_t size, struct err *e)
{
    struct file_ov *f = fov_of(base);
    struct fs_overlay *fs = ov_of(base->fs);
    if (!(f->flags & FS_WRITE)) return fs_errno(e, EBADF, "truncate", base->fs, base->path);
    mtx_lock(&fs->mu);
    errc rc = node_change(fs, f->node, e);
    if (rc == OK) node_cut(f->node, size);
    mtx_unlock(&fs->mu);
    return rc;
}

static errc ov_size(struct file *base, uint64_t *out, struct err *e)
{
    struct fs_overlay *fs = ov_of(base->fs);
    mtx_lock(&fs->mu);
    errc rc = node_size(fs, fov_of(base)->node, out, e);
    mtx_unlock(&fs->mu);
    return rc;
}

/* Nothing of an overlay outlives the process: there is nothing to sync and nothing to reserve. */
static errc ov_sync(struct file *f, struct err *e) { (void)f, (void)e; return OK; }
static errc ov_reserve(struct file *f, uint64_t off, uint64_t n, struct err *e)
{
    (void)f, (void)off, (void)n, (void)e;
    return OK;
}

static void ov_close(struct file *base)
{
    struct file_ov *f = fov_of(base);
    struct fs_overlay *fs = ov_of(base->fs);
    mtx_lock(&fs->mu);
    struct ov_node *n = f->node;
    struct file *unused = --n->n_open == 0 ? STEAL(n->source) : NULL;
    node_unref(n);
    mtx_unlock(&fs->mu);
    file_close(unused);
    mem_free(f);
}

static const struct file_ops ov_file_ops = {
    .pread = ov_pread,
    .pwrite = ov_pwrite,
    .sync = ov_sync,
    .truncate = ov_truncate,
    .reserve = ov_reserve,
    .size = ov_size,
    .close = ov_close,
};

/* ---- the table; each ov_x takes the lock around ov_x_locked ---- */

static errc ov_open_locked(
    struct ov_node **out, struct fs_overlay *fs, str path, unsigned flags, struct err *e)
{
    struct ov_node *dir, *n;
    TRY(node_find(fs, path, &dir, &n, e));
    if (!dir || (!n && !(flags & FS_CREATE))) return fs_errno(e, ENOENT, "open", &fs->base, path);
    if (n && (flags & FS_CREATE) && (flags & FS_EXCL))
        return fs_errno(e, EEXIST, "open", &fs->base, path);
    if (n && n->is_dir) return fs_errno(e, EISDIR, "open", &fs->base, path);
    if (!n) {
        n = node_new(fs_path_name(path), STR_EMPTY, false);
        vec_push(&dir->kids, n);
        dir->mtime_ms = clock_wall_ms();
    }
    if (n->below.p && !n->source) TRY(fs_open(&n->source, fs->below, n->below, FS_READ, e));
    n->n_open++;
    n->refs++;
    *out = n;
    if (!(flags & FS_TRUNC)) return OK;
    n->changed = true;                 /* whatever is below counts no more */
    node_cut(n, 0);
    return OK;
}

static errc ov_open(struct file **out, struct fs *base, str path, unsigned flags, struct err *e)
{
    struct fs_overlay *fs = ov_of(base);
    struct ov_node *n = NULL;
    mtx_lock(&fs->mu);
    errc rc = ov_open_locked(&n, fs, path, flags, e);
    mtx_unlock(&fs->mu);
    if (rc != OK) return rc;
    struct file_ov *f = NEW(struct file_ov);
    *f = (struct file_ov){ .base.ops = &ov_file_ops, .node = n, .flags = flags };
    *out = &f->base;
    return OK;
}

static errc ov_open_below(struct file **out, struct fs *base, str path, struct err *e)
{
    struct fs_overlay *fs = ov_of(base);
    struct ov_node *dir, *n;
    mtx_lock(&fs->mu);
    errc rc = node_find(fs, path, &dir, &n, e);
    if (rc == OK && n && !n->is_dir && !n->changed)
        rc = fs_open(out, fs->below, n->below, FS_READ, e);
    mtx_unlock(&fs->mu);
    return rc;
}

static errc ov_dir(struct fs_overlay *fs, str path, struct ov_node **out, struct err *e)
{
    TRY(node_walk(fs, path, out, e));
    if (!*out) return fs_errno(e, ENOENT, "open", &fs->base, path);
    if (!(*out)->is_dir) return fs_errno(e, ENOTDIR, "open", &fs->base, path);
    return node_load(fs, *out, e);
}

static errc ov_sync_dir(struct fs *base, str path, struct err *e)
{
    struct fs_overlay *fs = ov_of(base);
    struct ov_node *n;
    mtx_lock(&fs->mu);
    errc rc = ov_dir(fs, path, &n, e);
    mtx_unlock(&fs->mu);
    return rc;
}

static bool node_is_below(const struct ov_node *top, const struct ov_node *what)
{
    if (top == what) return true;
    for (size_t i = 0; i < top->kids.n; i++)
        if (node_is_below(top->kids.at[i], what)) return true;
    return false;
}

static errc ov_rename_locked(struct fs_overlay *fs, str from, str to, struct err *e)
{
    struct ov_node *fd, *f, *td, *t;
    TRY(node_find(fs, from, &fd, &f, e));
    TRY(node_find(fs, to, &td, &t, e));
    if (t && t->is_dir) TRY(node_load(fs, t, e));
    int bad = !f || !td                           ? ENOENT
              : f->is_dir && node_is_below(f, td) ? EINVAL
              : t && t->is_dir && !f->is_dir      ? EISDIR
              : t && !t->is_dir && f->is_dir      ? ENOTDIR
              : t && t != f && t->kids.n          ? ENOTEMPTY
                                                  : 0;
    if (bad) return fs_errno(e, bad, "rename", &fs->base, from);
    if (f == t) return OK;
    if (t) {
        node_detach(td, t);
        node_unref(t);
    }
    node_detach(fd, f);
    mem_free((void *)(uintptr_t)f->name.p);
    f->name = mem_str(fs_path_name(to));
    vec_push(&td->kids, f);
    td->mtime_ms = clock_wall_ms();
    return OK;
}

/* A node has one name. */
static errc ov_link(struct fs *base, str from, str to, struct err *e)
{
    (void)base;
    (void)to;
    return err_set(e, ERR_UNSUPPORTED, "link %.*s: not in an overlay", STR_ARG(from));
}

static errc ov_rename(struct fs *base, str from, str to, struct err *e)
{
    struct fs_overlay *fs = ov_of(base);
    mtx_lock(&fs->mu);
    errc rc = ov_rename_locked(fs, from, to, e);
    mtx_unlock(&fs->mu);
    return rc;
}

static errc ov_remove_locked(struct fs_overlay *fs, str path, bool want_dir, struct err *e)
{
    struct ov_node *dir, *n;
    TRY(node_find(fs, path, &dir, &n, e));
    if (n && n->is_dir) TRY(node_load(fs, n, e));
    int bad = !n                       ? ENOENT
              : want_dir && !n->is_dir ? ENOTDIR
              : !want_dir && n->is_dir ? EISDIR
              : n->kids.n              ? ENOTEMPTY
                                       : 0;
    if (bad) return fs_errno(e, bad, "remove", &fs->base, path);
    node_detach(dir, n);
    node_unref(n);
    return OK;
}

static errc ov_unlink(struct fs *base, str path, struct err *e)
{
    struct fs_overlay *fs = ov_of(base);
    mtx_lock(&fs->mu);
    errc rc = ov_remove_locked(fs, path, false, e);
    mtx_unlock(&fs->mu);
    return rc;
}

static errc ov_rmdir(struct fs *base, str path, struct err *e)
{
    struct fs_overlay *fs = ov_of(base);
    mtx_lock(&fs->mu);
    errc rc = ov_remove_locked(fs, path, true, e);
    mtx_unlock(&fs->mu);
    return rc;
}

static errc ov_mkdir_locked(struct fs_overlay *fs, str path, struct err *e)
{
    struct ov_node *dir, *n;
    if (!path.n) return OK;
    TRY(node_find(fs, path, &dir, &n, e));
    if (!dir) return fs_errno(e, ENOENT, "mkdir", &fs->base, path);
    if (n) return n->is_dir ? OK : fs_errno(e, EEXIST, "mkdir", &fs->base, path);
    vec_push(&dir->kids, node_new(fs_path_name(path), STR_EMPTY, true));
    dir->mtime_ms = clock_wall_ms();
    return OK;
}

static errc ov_mkdir(struct fs *base, str path, struct err *e)
{
    struct fs_overlay *fs = ov_of(base);
    mtx_lock(&fs->mu);
    errc rc = ov_mkdir_locked(fs, path, e);
    mtx_unlock(&fs->mu);
    return rc;
}

static errc ov_list(struct fs *base, str path, struct arena *a, fs_entries *out, struct err *e)
{
    struct fs_overlay *fs = ov_of(base);
    struct ov_node *n;
    mtx_lock(&fs->mu);
    errc rc = ov_dir(fs, path, &n, e);
    for (size_t i = 0; rc == OK && i < n->kids.n; i++)
        vec_push(
            out, ((struct fs_entry){ arena_str(a, n->kids.at[i]->name), n->kids.at[i]->is_dir }));
    mtx_unlock(&fs->mu);
    return rc;
}

static errc ov_stat_locked(struct fs_overlay *fs, str path, struct fs_stat *out, struct err *e)
{
    struct ov_node *n;
    TRY(node_walk(fs, path, &n, e));
    if (!n) return fs_errno(e, ENOENT, "stat", &fs->base, path);
    struct fs_stat st = { .mtime_ms = n->mtime_ms, .is_dir = n->is_dir };
    if (n->is_dir ? !n->loaded : !n->changed) TRY(fs_stat(fs->below, n->below, &st, e));
    if (n->changed && !n->is_dir) st.size_bytes = n->size;
    *out = st;
    return OK;
}

static errc ov_stat(struct fs *base, str path, struct fs_stat *out, struct err *e)
{
    struct fs_overlay *fs = ov_of(base);
    mtx_lock(&fs->mu);
    errc rc = ov_stat_locked(fs, path, out, e);
    mtx_unlock(&fs->mu);
    return rc;
}

static errc ov_space(struct fs *base, uint64_t *total, uint64_t *unused, struct err *e)
{
    return fs_space(ov_of(base)->below, total, unused, e);
}

/* Nobody else sees this overlay, so its lock is always free, also while a server holds the
 * folder's. */
static errc ov_lock_take(
    struct fs_lock **out, struct fs *base, str path, bool *existed, struct err *e)
{
    struct fs_overlay *fs = ov_of(base);
    struct ov_node *n, *dir;
    mtx_lock(&fs->mu);
    errc rc = node_find(fs, path, &dir, &n, e);
    if (rc == OK && !dir) rc = fs_errno(e, ENOENT, "open", base, path);
    bool was = rc == OK && n;
    if (rc == OK && !n) vec_push(&dir->kids, node_new(fs_path_name(path), STR_EMPTY, false));
    mtx_unlock(&fs->mu);
    if (rc != OK) return rc;
    struct fs_ov_lock *l = NEW(struct fs_ov_lock);
    l->path = mem_str(path);
    *existed = was;
    *out = &l->base;
    return OK;
}

static void ov_lock_release(struct fs_lock *base, bool remove)
{
    struct fs_ov_lock *l = CONTAINER_OF(base, struct fs_ov_lock, base);
    errc rc = remove ? ov_unlink(base->fs, l->path, NULL) : OK;
    (void)rc;                          /* gone already is as good */
    mem_free((void *)(uintptr_t)l->path.p);
    mem_free(l);
}

static void ov_free(struct fs *base)
{
    struct fs_overlay *fs = ov_of(base);
    node_unref(fs->top);
    mtx_fini(&fs->mu);
    mem_free(fs);
}

static const struct fs_ops ov_ops = {
    .kind = "overlay",
    .open = ov_open,
    .open_below = ov_open_below,
    .sync_dir = ov_sync_dir,
    .rename = ov_rename,
    .link = ov_link,
    .unlink = ov_unlink,
    .mkdir = ov_mkdir,
    .rmdir = ov_rmdir,
    .list = ov_list,
    .stat = ov_stat,
    .space = ov_space,
    .lock_take = ov_lock_take,
    .lock_release = ov_lock_release,
    .free = ov_free,
};

struct fs *fs_overlay_new(struct fs *below)
{
    struct fs_overlay *fs = NEW(struct fs_overlay);
    fs->base = (struct fs){ &ov_ops, mem_str(below->root) };
    fs->below = below;
    fs->top = node_new(STR_EMPTY, S(""), true);
    mtx_init(&fs->mu, LOCK_IO_OVERLAY);
    return &fs->base;
}
