/* The front of the file systems: every path is checked and every operation timed here, once,
 * whichever implementation runs.
 *
 * Durable replacement of a file (fs_write_durable) is four steps in this order: write a temporary
 * file beside it, sync its bytes, rename it over the name, sync the folder. A crash before the
 * rename is durable leaves the old file, a crash after it leaves the new one; a temporary file that
 * a crash left behind is overwritten by the next attempt.
 */
#include "io/fs.h"

#include "io/fs_impl.h"
#include "io/stall.h"

#include "base/fault.h"
#include "base/path.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

static const struct {
    int errnum;
    errc rc;
} errnos[] = {
    { ENOENT, ERR_NOT_FOUND },
    { ENOTDIR, ERR_NOT_FOUND },
    { EEXIST, ERR_EXISTS },
    { ENOTEMPTY, ERR_EXISTS },
    { ENOSPC, ERR_NO_SPACE },
    { EDQUOT, ERR_NO_SPACE },
    { EWOULDBLOCK, ERR_LOCKED },
    { ENAMETOOLONG, ERR_BAD_INPUT },
};

errc fs_errno(struct err *e, int errnum, const char *op, const struct fs *fs, str path)
{
    errc rc = ERR_IO;
    for (size_t i = 0; i < ARRAY_LEN(errnos); i++)
        if (errnos[i].errnum == errnum) rc = errnos[i].rc;
    char room[128];
    const char *words = strerror_r(errnum, room, sizeof(room));
    str root = str_eq(fs->root, S(".")) && path.n ? STR_EMPTY : fs->root;
    const char *slash = root.n && path.n && !str_has_suffix(root, S("/")) ? "/" : "";
    /* As Go writes them: no capital at the start. */
    return err_set(e, rc, "%s %.*s%s%.*s: %c%s", op, STR_ARG(root), slash, STR_ARG(path),
        tolower(words[0]), words + 1);
}

static bool fs_component_ok(str c) { return c.n > 0 && !str_eq(c, S(".")) && !str_eq(c, S("..")); }

static errc fs_path_check(str path, bool root_ok, struct err *e)
{
    if (path.n == 0 && root_ok) return OK;
    bool ok = path.n > 0 && path.n < FS_PATH_MAX - 1 && str_index(path, 0) == SIZE_MAX;
    str rest = path;
    for (size_t at = 0; ok && at != SIZE_MAX;) {
        at = str_index(rest, '/');
        ok = fs_component_ok(str_slice(rest, 0, at));
        if (at != SIZE_MAX) rest = str_from(rest, at + 1);
    }
    return ok ? OK
              : err_set(e, ERR_BAD_INPUT, "\"%.*s\" is not a path below the folder", STR_ARG(path));
}

str fs_path_parent(str path)
{
    size_t at = str_rindex(path, '/');
    return at == SIZE_MAX ? STR_EMPTY : str_slice(path, 0, at);
}

str fs_path_name(str path)
{
    size_t at = str_rindex(path, '/');
    return at == SIZE_MAX ? path : str_from(path, at + 1);
}

errc fs_open(struct file **out, struct fs *fs, str path, unsigned flags, struct err *e)
{
    assert(flags & (FS_READ | FS_WRITE));
    assert((flags & FS_WRITE) || !(flags & (FS_CREATE | FS_EXCL | FS_TRUNC)));
    assert(!((flags & FS_WRITE) && (flags & FS_DIRECT)));
    TRY(fs_path_check(path, false, e));
    if ((flags & FS_DIRECT) && !fs->ops->has_direct)
        return err_set(e, ERR_UNSUPPORTED, "%.*s: no direct I/O on the %s file system",
            STR_ARG(path), fs->ops->kind);
    int64_t t0 = stall_begin();
    struct file *f = NULL;
    errc rc = fs->ops->open(&f, fs, path, flags, e);
    stall_end(STALL_OPEN, t0);
    if (rc != OK) return rc;
    f->fs = fs;
    f->path = mem_str(path);
    *out = f;
    return OK;
}

errc fs_open_below(struct file **out, struct fs *fs, str path, struct err *e)
{
    *out = NULL;
    TRY(fs_path_check(path, false, e));
    return fs->ops->open_below ? fs->ops->open_below(out, fs, path, e) : OK;
}

errc file_pread(struct file *f, void *to, size_t n, uint64_t off, size_t *got, struct err *e)
{
    int64_t t0 = stall_begin();
    errc rc = f->ops->pread(f, to, n, off, got, e);
    stall_end(STALL_READ, t0);
    return rc;
}

errc file_pwrite(
    struct file *f, const str *slices, size_t n, uint64_t off, uint64_t *done, struct err *e)
{
    int64_t t0 = stall_begin();
    uint64_t ignored;
    errc rc = f->ops->pwrite(f, slices, n, off, done ? done : &ignored, e);
    stall_end(STALL_WRITE, t0);
    return rc;
}

errc file_sync(struct file *f, struct err *e)
{
    int64_t t0 = stall_begin();
    errc rc = f->ops->sync(f, e);
    stall_end(STALL_SYNC, t0);
    return rc;
}

errc file_truncate(struct file *f, uint64_t size, struct err *e)
{
    int64_t t0 = stall_begin();
    errc rc = f->ops->truncate(f, size, e);
    stall_end(STALL_TRUNCATE, t0);
    return rc;
}

errc file_reserve(struct file *f, uint64_t off, uint64_t n, struct err *e)
{
    int64_t t0 = stall_begin();
    errc rc = f->ops->reserve(f, off, n, e);
    stall_end(STALL_RESERVE, t0);
    return rc;
}

errc file_size(struct file *f, uint64_t *out, struct err *e) { return f->ops->size(f, out, e); }
str file_path(const struct file *f) { return f->path; }
int file_fd(const struct file *f) { return f->ops->fd ? f->ops->fd(f) : -1; }
void file_pool(struct file *f, bool in_order)
{
    if (f->ops->pool) f->ops->pool(f, in_order);
}

void file_close(struct file *f)
{
    if (!f) return;
    mem_free((void *)f->path.p);
    f->ops->close(f);
}

errc fs_sync_dir(struct fs *fs, str dir, struct err *e)
{
    TRY(fs_path_check(dir, true, e));
    int64_t t0 = stall_begin();
    errc rc = fs->ops->sync_dir(fs, dir, e);
    stall_end(STALL_SYNC_DIR, t0);
    return rc;
}

errc fs_rename(struct fs *fs, str from, str to, struct err *e)
{
    TRY(fs_path_check(from, false, e));
    TRY(fs_path_check(to, false, e));
    int64_t t0 = stall_begin();
    errc rc = fs->ops->rename(fs, from, to, e);
    stall_end(STALL_RENAME, t0);
    return rc;
}

errc fs_link(struct fs *fs, str from, str to, struct err *e)
{
    TRY(fs_path_check(from, false, e));
    TRY(fs_path_check(to, false, e));
    int64_t t0 = stall_begin();
    errc rc = fs->ops->link(fs, from, to, e);
    stall_end(STALL_RENAME, t0);
    return rc;
}

errc fs_unlink(struct fs *fs, str path, struct err *e)
{
    TRY(fs_path_check(path, false, e));
    int64_t t0 = stall_begin();
    errc rc = fs->ops->unlink(fs, path, e);
    stall_end(STALL_UNLINK, t0);
    return rc;
}

errc fs_mkdir(struct fs *fs, str path, struct err *e)
{
    TRY(fs_path_check(path, true, e));
    int64_t t0 = stall_begin();
    errc rc = fs->ops->mkdir(fs, path, e);
    stall_end(STALL_MKDIR, t0);
    return rc;
}

errc fs_rmdir(struct fs *fs, str path, struct err *e)
{
    TRY(fs_path_check(path, false, e));
    int64_t t0 = stall_begin();
    errc rc = fs->ops->rmdir(fs, path, e);
    stall_end(STALL_UNLINK, t0);
    return rc;
}

static int fs_entry_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct fs_entry *)a)->name, ((const struct fs_entry *)b)->name);
}

errc fs_list(struct fs *fs, str dir, struct arena *a, fs_entries *out, struct err *e)
{
    TRY(fs_path_check(dir, true, e));
    fs_entries all = { 0 };
    int64_t t0 = stall_begin();
    errc rc = fs->ops->list(fs, dir, a, &all, e);
    stall_end(STALL_LIST, t0);
    if (rc != OK) {
        vec_fini(&all);
        return rc;
    }
    if (all.n) qsort(all.at, all.n, sizeof(*all.at), fs_entry_cmp);
    *out = all;
    return OK;
}

errc fs_stat(struct fs *fs, str path, struct fs_stat *out, struct err *e)
{
    TRY(fs_path_check(path, true, e));
    int64_t t0 = stall_begin();
    errc rc = fs->ops->stat(fs, path, out, e);
    stall_end(STALL_STAT, t0);
    return rc;
}

errc fs_space(struct fs *fs, uint64_t *total_bytes, uint64_t *free_bytes, struct err *e)
{
    return fs->ops->space(fs, total_bytes, free_bytes, e);
}

errc fs_lock_take(struct fs_lock **out, struct fs *fs, str path, bool *existed, struct err *e)
{
    TRY(fs_path_check(path, false, e));
    TRY(fs->ops->lock_take(out, fs, path, existed, e));
    (*out)->fs = fs;
    return OK;
}

void fs_lock_release(struct fs_lock *l, bool remove)
{
    if (l) l->fs->ops->lock_release(l, remove);
}

bool fs_exists(struct fs *fs, str path)
{
    struct fs_stat st;
    return fs_stat(fs, path, &st, NULL) == OK;
}

bool fs_is_dir(struct fs *fs, str path)
{
    struct fs_stat st;
    return fs_stat(fs, path, &st, NULL) == OK && st.is_dir;
}

str path_join(struct arena *a, str dir, str name)
{
    if (!dir.n) return arena_str(a, name);
    return arena_fmt(a, "%.*s/%.*s", STR_ARG(dir), STR_ARG(name));
}

static void file_closep(struct file **f) { file_close(*f); }

errc fs_read_all(
    struct fs *fs, str path, struct arena *a, size_t max_bytes, str *out, struct err *e)
{
    SCOPED(file_closep) struct file *f = NULL;
    TRY(fs_open(&f, fs, path, FS_READ, e));
    uint64_t size;
    TRY(file_size(f, &size, e));
    if (size > max_bytes)
        return err_set(e, ERR_LIMIT, "%.*s: %" PRIu64 " bytes are more than %zu", STR_ARG(path),
            size, max_bytes);
    uint8_t *to = arena_alloc(a, (size_t)size + 1);
    size_t got;
    TRY(file_pread(f, to, (size_t)size, 0, &got, e));
    to[got] = 0;
    *out = str_of(to, got);
    return OK;
}

struct fs *fs_real_of(str path, str *name)
{
    *name = path_base(path);
    return fs_real_new(path_dir(path));
}

errc fs_read_path(str path, struct arena *a, size_t max_bytes, str *out, struct err *e)
{
    str name;
    struct fs *fs = fs_real_of(path, &name);
    errc rc = OK;
    if (name.n) rc = fs_read_all(fs, name, a, max_bytes, out, e);
    else if (path.n) rc = err_set(e, ERR_IO, "read %.*s: is a directory", STR_ARG(path));
    else rc = err_set(e, ERR_NOT_FOUND, "open : no such file or directory");
    fs_free(fs);
    return rc;
}

static errc fs_write_new(struct fs *fs, str path, str content, struct err *e)
{
    SCOPED(file_closep) struct file *f = NULL;
    TRY(fs_open(&f, fs, path, FS_WRITE | FS_CREATE | FS_TRUNC, e));
    TRY(file_pwrite(f, &content, 1, 0, NULL, e));
    return fault_dropped("fs.write_durable.sync") ? OK : file_sync(f, e);
}

errc fs_write_cache(struct fs *fs, str path, str content, struct err *e)
{
    struct file *f = NULL;
    uint64_t done;
    TRY(fs_open(&f, fs, path, FS_WRITE | FS_CREATE | FS_TRUNC, e));
    errc rc = content.n ? file_pwrite(f, &content, 1, 0, &done, e) : OK;
    file_close(f);
    return rc;
}

errc fs_write_durable(struct fs *fs, str path, str content, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    str tmp = arena_fmt(&a, "%.*s.tmp", STR_ARG(path));
    errc rc = fs_write_new(fs, tmp, content, e);
    if (rc == OK) rc = fs_rename(fs, tmp, path, e);
    if (rc != OK) {
        /* best effort: the next attempt overwrites it */
        errc left = fs_unlink(fs, tmp, NULL);
        (void)left;
        return rc;
    }
    return fault_dropped("fs.write_durable.sync_dir") ? OK
                                                      : fs_sync_dir(fs, fs_path_parent(path), e);
}

static errc fs_remove_dir(struct fs *fs, str dir, unsigned depth, struct err *e);

static errc fs_remove_entries(
    struct fs *fs, str dir, const fs_entries *all, struct arena *a, unsigned depth, struct err *e)
{
    for (size_t i = 0; i < all->n; i++) {
        str path = path_join(a, dir, all->at[i].name);
        TRY(all->at[i].is_dir ? fs_remove_dir(fs, path, depth + 1, e) : fs_unlink(fs, path, e));
    }
    return OK;
}

static errc fs_remove_dir(struct fs *fs, str dir, unsigned depth, struct err *e)
{
    enum { DEPTH_MAX = 32 };
    if (depth > DEPTH_MAX)
        return err_set(e, ERR_LIMIT, "%.*s: folders nested too deep", STR_ARG(dir));
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    TRY(fs_list(fs, dir, &a, &all, e));
    errc rc = fs_remove_entries(fs, dir, &all, &a, depth, e);
    vec_fini(&all);
    return rc == OK ? fs_rmdir(fs, dir, e) : rc;
}

enum { COPY_BYTES = 1 << 20 };

static errc file_copy(struct file *from, struct file *to, uint8_t *room, struct err *e)
{
    for (uint64_t off = 0;;) {
        size_t got;
        uint64_t done;
        TRY(file_pread(from, room, COPY_BYTES, off, &got, e));
        if (!got) return fault_dropped("fs.copy.sync") ? OK : file_sync(to, e);
        str piece = str_of(room, got);
        TRY(file_pwrite(to, &piece, 1, off, &done, e));
        off += got;
    }
}

static errc copy_to(struct fs *fs, str from, str to, unsigned if_there, struct err *e)
{
    SCOPED(file_closep) struct file *in = NULL, *out = NULL;
    SCOPED(mem_freep) uint8_t *room = mem_alloc(COPY_BYTES);
    TRY(fs_open(&in, fs, from, FS_READ, e));
    TRY(fs_open(&out, fs, to, FS_WRITE | FS_CREATE | if_there, e));
    return file_copy(in, out, room, e);
}

errc fs_copy(struct fs *fs, str from, str to, struct err *e)
{
    return copy_to(fs, from, to, FS_TRUNC, e);
}

errc fs_link_or_copy(struct fs *fs, str from, str to, struct err *e)
{
    struct err why = { 0 };
    errc rc = fs_link(fs, from, to, &why);
    if (rc == ERR_UNSUPPORTED) return copy_to(fs, from, to, FS_EXCL, e);
    return rc == OK ? OK : err_set(e, rc, "%s", why.msg);
}

errc fs_remove_tree(struct fs *fs, str path, struct err *e)
{
    struct fs_stat st;
    errc rc = fs_stat(fs, path, &st, e);
    if (rc == ERR_NOT_FOUND) return OK;
    TRY(rc);
    return st.is_dir ? fs_remove_dir(fs, path, 0, e) : fs_unlink(fs, path, e);
}

str fs_root(const struct fs *fs) { return fs->root; }
const char *fs_kind(const struct fs *fs) { return fs->ops->kind; }

void fs_free(struct fs *fs)
{
    if (!fs) return;
    mem_free((void *)fs->root.p);
    fs->ops->free(fs);
}
