/* The real file system. Paths are resolved below a descriptor of the root, which is opened at its
 * first use (the root need not exist before) and kept, so that a folder moved while it is open
 * stays the one that was opened. Reads leave access times alone where the kernel allows it
 * (O_NOATIME): looking at a folder does not write to it.
 */
#include "io/descriptors.h"
#include "io/fs_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

/* one call moves at most RW_MAX bytes */
enum { FILE_MODE = 0666, DIR_MODE = 0777, IOV_BATCH = 64, RW_MAX = 1 << 30 };

struct fs_real {
    struct fs base;
    char *root; /* as a C string; const after init */
    /* -1 until first used; set once, by whoever opens it first (acquire/release) */
    _Atomic int root_fd;
};
struct file_real {
    struct file base;
    int fd;                    /* -1: it is borrowed for each read */
    struct descriptor *pooled; /* NULL: fd is open until the end; const after real_pool */
};
struct fs_real_lock {
    struct fs_lock base;
    int fd;
    char path[FS_PATH_MAX];
};

static struct fs_real *real_of(struct fs *fs) { return CONTAINER_OF(fs, struct fs_real, base); }
static struct file_real *real_file(const struct file *f)
{
    return CONTAINER_OF((struct file *)(uintptr_t)f, struct file_real, base);
}
static int real_fd(const struct file *f) { return real_file(f)->fd; }

/* The path as a C string in the caller's room; the root itself is ".". */
static const char *real_cpath(char room[FS_PATH_MAX], str path)
{
    assert(path.n < FS_PATH_MAX);
    if (!path.n) return ".";
    memcpy(room, path.p, path.n);
    room[path.n] = 0;
    return room;
}

/* open(2) of something to read, first without touching its access time, which only its owner may
 * ask for. */
static int real_openat_quiet(int dir_fd, const char *path, int flags)
{
    int fd = openat(dir_fd, path, flags | O_CLOEXEC | O_NOATIME);
    return fd < 0 && errno == EPERM ? openat(dir_fd, path, flags | O_CLOEXEC) : fd;
}

static errc real_root(struct fs_real *fs, int *out, struct err *e)
{
    int have = atomic_load_explicit(&fs->root_fd, memory_order_acquire);
    if (have < 0) {
        int fd = open(fs->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return fs_errno(e, errno, "open", &fs->base, STR_EMPTY);
        if (atomic_compare_exchange_strong_explicit(
                &fs->root_fd, &have, fd, memory_order_acq_rel, memory_order_acquire))
            have = fd;
        else close(fd); /* another thread was first; have is its descriptor */
    }
    *out = have;
    return OK;
}

/* A full disk is told by ENOSPC; some file systems tell the same with EDQUOT: fs_errno knows. */
static errc real_file_errno(struct err *e, const char *op, const struct file *f)
{
    return fs_errno(e, errno, op, f->fs, f->path);
}

/* Until real_give_back. The file was there: that it is gone is no ERR_NOT_FOUND. */
static errc real_borrow(int *out, const struct file *f, struct err *e)
{
    const struct file_real *r = real_file(f);
    *out = r->pooled ? descriptor_borrow(r->pooled) : r->fd;
    if (*out >= 0) return OK;
    if (*out == -ESTALE || *out == -ENOENT)
        return err_set(e, ERR_IO, "open %.*s again: it was removed or replaced", STR_ARG(f->path));
    (void)fs_errno(e, -*out, "open again", f->fs, f->path);
    if (e) e->code = ERR_IO;
    return ERR_IO;
}

static void real_give_back(const struct file *f)
{
    if (real_file(f)->pooled) descriptor_release(real_file(f)->pooled);
}

static errc real_pread_by(
    struct file *f, int fd, void *to, size_t n, uint64_t off, size_t *got, struct err *e)
{
    size_t at = 0;
    while (at < n) {
        ssize_t r = pread(fd, (uint8_t *)to + at, MIN(n - at, (size_t)RW_MAX), (off_t)(off + at));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return real_file_errno(e, "read", f);
        if (r == 0) break;
        at += (size_t)r;
    }
    *got = at;
    return OK;
}

static errc real_pread(struct file *f, void *to, size_t n, uint64_t off, size_t *got, struct err *e)
{
    int fd;
    TRY(real_borrow(&fd, f, e));
    errc rc = real_pread_by(f, fd, to, n, off, got, e);
    real_give_back(f);
    return rc;
}

/* Fills iov with what is left of the slices, *first being the slice and *skip its bytes that are
 * written already. */
static int real_iov_fill(struct iovec *iov, const str *slices, size_t n, size_t first, size_t skip)
{
    int k = 0;
    for (size_t i = first; i < n && k < IOV_BATCH; i++, skip = 0) {
        if (slices[i].n == skip) continue;
        iov[k++] = (struct iovec){ (void *)(uintptr_t)(slices[i].p + skip), slices[i].n - skip };
    }
    return k;
}

static errc real_pwrite(
    struct file *f, const str *slices, size_t n, uint64_t off, uint64_t *done, struct err *e)
{
    int fd = real_fd(f);
    size_t first = 0, skip = 0;
    *done = 0;
    for (;;) {
        struct iovec iov[IOV_BATCH];
        int k = real_iov_fill(iov, slices, n, first, skip);
        if (!k) return OK;
        ssize_t w = pwritev(fd, iov, k, (off_t)(off + *done));
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return real_file_errno(e, "write", f);
        if (w == 0) return err_set(e, ERR_IO, "write %.*s: nothing was written", STR_ARG(f->path));
        *done += (uint64_t)w;
        for (size_t left = (size_t)w; left > 0 || (first < n && slices[first].n == skip);) {
            size_t step = MIN(left, slices[first].n - skip);
            left -= step;
            skip += step;
            if (skip == slices[first].n) first++, skip = 0;
        }
    }
}

static errc real_sync(struct file *f, struct err *e)
{
    int rc;
    do rc = fdatasync(real_fd(f));
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? real_file_errno(e, "fdatasync", f) : OK;
}

static errc real_truncate(struct file *f, uint64_t size, struct err *e)
{
    int rc;
    do rc = ftruncate(real_fd(f), (off_t)size);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? real_file_errno(e, "truncate", f) : OK;
}

static errc real_reserve(struct file *f, uint64_t off, uint64_t n, struct err *e)
{
    int rc;
    if (!n) return OK;
    do rc = fallocate(real_fd(f), FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)n);
    while (rc < 0 && errno == EINTR);
    if (rc < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) return OK;
    return rc < 0 ? real_file_errno(e, "fallocate", f) : OK;
}

static errc real_size(struct file *f, uint64_t *out, struct err *e)
{
    struct stat st;
    int fd;
    TRY(real_borrow(&fd, f, e));
    errc rc = fstat(fd, &st) < 0 ? real_file_errno(e, "stat", f) : OK;
    real_give_back(f);
    if (rc == OK) *out = (uint64_t)st.st_size;
    return rc;
}

static void real_close(struct file *f)
{
    struct file_real *r = real_file(f);
    if (r->fd >= 0) close(r->fd);
    descriptor_free(r->pooled);
    mem_free(r);
}

static void real_pool(struct file *f, bool in_order)
{
    struct file_real *r = real_file(f);
    char room[FS_PATH_MAX];
    int root = atomic_load_explicit(&real_of(f->fs)->root_fd, memory_order_acquire);
    r->pooled = descriptor_new(root, real_cpath(room, f->path), r->fd, in_order);
    if (r->pooled) r->fd = -1;
}

static const struct file_ops real_file_ops = {
    .pread = real_pread,
    .pwrite = real_pwrite,
    .sync = real_sync,
    .truncate = real_truncate,
    .reserve = real_reserve,
    .size = real_size,
    .fd = real_fd,
    .pool = real_pool,
    .close = real_close,
};

static int real_open_flags(unsigned flags)
{
    int o = O_CLOEXEC | ((flags & FS_READ) ? O_RDWR : O_WRONLY);
    if (flags & FS_CREATE) o |= O_CREAT;
    if (flags & FS_EXCL) o |= O_EXCL;
    if (flags & FS_TRUNC) o |= O_TRUNC;
    return o;
}

static errc real_no_direct(struct err *e, str path)
{
    return err_set(e, ERR_UNSUPPORTED, "%.*s: the file system has no direct I/O", STR_ARG(path));
}

static bool is_short_of_descriptors(int errnum) { return errnum == EMFILE || errnum == ENFILE; }

/* A pipe that nobody has at its other end would be waited for without end. */
static bool is_pipe(int root, const char *path)
{
    struct stat st;
    return fstatat(root, path, &st, 0) == 0 && S_ISFIFO(st.st_mode);
}

static void wait_for_bytes(int fd)
{
    int now = fcntl(fd, F_GETFL);
    if (now >= 0) (void)fcntl(fd, F_SETFL, now & ~O_NONBLOCK);
}

static int open_fd(int root, const char *path, unsigned flags)
{
    int how = is_pipe(root, path) ? O_NONBLOCK : 0, fd;
    do
        fd = (flags & FS_WRITE)
                 ? openat(root, path, real_open_flags(flags) | how, FILE_MODE)
                 : real_openat_quiet(
                       root, path, O_RDONLY | how | ((flags & FS_DIRECT) ? O_DIRECT : 0));
    while (fd < 0 && (errno == EINTR || (is_short_of_descriptors(errno) && descriptors_relieve())));
    if (fd >= 0 && how) wait_for_bytes(fd);
    return fd;
}

static errc real_open(struct file **out, struct fs *base, str path, unsigned flags, struct err *e)
{
    int root;
    char room[FS_PATH_MAX];
    TRY(real_root(real_of(base), &root, e));
    const char *p = real_cpath(room, path);
    int fd = open_fd(root, p, flags);
    if (fd < 0 && (flags & FS_DIRECT) && errno == EINVAL) return real_no_direct(e, path);
    if (fd < 0) return fs_errno(e, errno, "open", base, path);
    struct stat st;
    int bad = fstat(fd, &st) < 0 ? errno : S_ISDIR(st.st_mode) ? EISDIR : 0;
    if (bad) {
        close(fd);
        return fs_errno(e, bad, "open", base, path);
    }
    struct file_real *f = NEW(struct file_real);
    f->base.ops = &real_file_ops;
    f->fd = fd;
    *out = &f->base;
    return OK;
}

static errc real_sync_dir(struct fs *base, str dir, struct err *e)
{
    int root;
    char room[FS_PATH_MAX];
    TRY(real_root(real_of(base), &root, e));
    int fd = real_openat_quiet(root, real_cpath(room, dir), O_RDONLY | O_DIRECTORY);
    if (fd < 0) return fs_errno(e, errno, "open", base, dir);
    int rc;
    do rc = fsync(fd);
    while (rc < 0 && errno == EINTR);
    /* EINVAL: a file system without syncing of folders */
    int bad = rc < 0 && errno != EINVAL ? errno : 0;
    close(fd);
    return bad ? fs_errno(e, bad, "fsync", base, dir) : OK;
}

static errc real_link(struct fs *base, str from, str to, struct err *e)
{
    int root;
    char a[FS_PATH_MAX], b[FS_PATH_MAX];
    TRY(real_root(real_of(base), &root, e));
    if (linkat(root, real_cpath(a, from), root, real_cpath(b, to), 0) == 0) return OK;
    bool never = errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK || errno == EXDEV;
    errc rc = fs_errno(e, errno, "link", base, to);
    if (never && e) e->code = ERR_UNSUPPORTED;
    return never ? ERR_UNSUPPORTED : rc;
}

static errc real_rename(struct fs *base, str from, str to, struct err *e)
{
    int root;
    char a[FS_PATH_MAX], b[FS_PATH_MAX];
    TRY(real_root(real_of(base), &root, e));
    struct name_change moved, replaced;
    descriptors_name_begin(&moved, root, real_cpath(a, from));
    descriptors_name_begin(&replaced, root, real_cpath(b, to));
    int bad = renameat(root, a, root, b) < 0 ? errno : 0;
    descriptors_name_end(&replaced);
    descriptors_name_end(&moved);
    return bad ? fs_errno(e, bad, "rename", base, from) : OK;
}

static errc real_unlink(struct fs *base, str path, struct err *e)
{
    int root;
    char room[FS_PATH_MAX];
    struct name_change gone;
    TRY(real_root(real_of(base), &root, e));
    descriptors_name_begin(&gone, root, real_cpath(room, path));
    int bad = unlinkat(root, room, 0) < 0 ? errno : 0;
    descriptors_name_end(&gone);
    return bad ? fs_errno(e, bad, "remove", base, path) : OK;
}

/* The root with its parents, as mkdir -p. */
static errc real_mkdir_root(struct fs_real *fs, struct err *e)
{
    char path[FS_PATH_MAX];
    size_t n = fs->base.root.n;
    if (n >= sizeof(path)) return fs_errno(e, ENAMETOOLONG, "mkdir", &fs->base, STR_EMPTY);
    memcpy(path, fs->root, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] && path[i] != '/') continue;
        char was = path[i];
        path[i] = 0;
        if (mkdir(path, DIR_MODE) < 0 && errno != EEXIST)
            return fs_errno(e, errno, "mkdir", &fs->base, STR_EMPTY);
        path[i] = was;
    }
    int fd;
    return real_root(fs, &fd, e);
}

static errc real_mkdir(struct fs *base, str path, struct err *e)
{
    if (!path.n) return real_mkdir_root(real_of(base), e);
    int root;
    char room[FS_PATH_MAX];
    struct stat st;
    TRY(real_root(real_of(base), &root, e));
    const char *p = real_cpath(room, path);
    if (mkdirat(root, p, DIR_MODE) == 0) return OK;
    int bad = errno;
    if (bad == EEXIST && fstatat(root, p, &st, 0) == 0 && S_ISDIR(st.st_mode)) return OK;
    return fs_errno(e, bad, "mkdir", base, path);
}

static errc real_rmdir(struct fs *base, str path, struct err *e)
{
    int root;
    char room[FS_PATH_MAX];
    TRY(real_root(real_of(base), &root, e));
    return unlinkat(root, real_cpath(room, path), AT_REMOVEDIR) < 0
               ? fs_errno(e, errno, "remove", base, path)
               : OK;
}

static bool real_is_dir(int dir_fd, const struct dirent *d)
{
    struct stat st;
    if (d->d_type != DT_UNKNOWN && d->d_type != DT_LNK) return d->d_type == DT_DIR;
    return fstatat(dir_fd, d->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static errc real_list(struct fs *base, str dir, struct arena *a, fs_entries *out, struct err *e)
{
    int root;
    char room[FS_PATH_MAX];
    TRY(real_root(real_of(base), &root, e));
    int fd = real_openat_quiet(root, real_cpath(room, dir), O_RDONLY | O_DIRECTORY);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int bad = errno;
        if (fd >= 0) close(fd);
        return fs_errno(e, bad, "open", base, dir);
    }
    errno = 0;
    for (const struct dirent *at; (at = readdir(d)) != NULL; errno = 0) {
        str name = str_z(at->d_name);
        if (!str_eq(name, S(".")) && !str_eq(name, S("..")))
            vec_push(out, ((struct fs_entry){ arena_str(a, name), real_is_dir(fd, at) }));
    }
    int bad = errno;
    closedir(d);
    return bad ? fs_errno(e, bad, "readdir", base, dir) : OK;
}

static errc real_stat(struct fs *base, str path, struct fs_stat *out, struct err *e)
{
    int root;
    char room[FS_PATH_MAX];
    struct stat st;
    TRY(real_root(real_of(base), &root, e));
    if (fstatat(root, real_cpath(room, path), &st, 0) < 0)
        return fs_errno(e, errno, "stat", base, path);
    *out = (struct fs_stat){
        .size_bytes = (uint64_t)st.st_size,
        .mtime_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
        .is_dir = S_ISDIR(st.st_mode),
    };
    return OK;
}

static errc real_space(struct fs *base, uint64_t *total_bytes, uint64_t *free_bytes, struct err *e)
{
    int root;
    struct statvfs st;
    TRY(real_root(real_of(base), &root, e));
    int rc;
    do rc = fstatvfs(root, &st);
    while (rc < 0 && errno == EINTR);
    if (rc < 0) return fs_errno(e, errno, "statvfs", base, STR_EMPTY);
    *total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    *free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return OK;
}

/* True if the locked descriptor is still what the name leads to: its holder before us may have
 * removed it. */
static bool real_lock_current(int root, const char *path, int fd)
{
    struct stat held, named;
    if (fstat(fd, &held) < 0 || fstatat(root, path, &named, 0) < 0) return false;
    return held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

static errc real_lock_take(
    struct fs_lock **out, struct fs *base, str path, bool *existed, struct err *e)
{
    enum { TRIES = 100 };
    int root;
    char room[FS_PATH_MAX];
    TRY(real_root(real_of(base), &root, e));
    const char *p = real_cpath(room, path);
    for (int i = 0; i < TRIES; i++) {
        struct stat st;
        bool was = fstatat(root, p, &st, 0) == 0;
        int fd = openat(root, p, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
        if (fd < 0) return fs_errno(e, errno, "open", base, path);
        if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
            int bad = errno;
            close(fd);
            return fs_errno(e, bad, "flock", base, path);
        }
        if (real_lock_current(root, p, fd)) {
            struct fs_real_lock *l = NEW(struct fs_real_lock);
            l->fd = fd;
            memcpy(l->path, path.p, path.n);
            *existed = was;
            *out = &l->base;
            return OK;
        }
        close(fd);
    }
    return err_set(e, ERR_LOCKED, "flock %.*s: the file keeps being replaced", STR_ARG(path));
}

static void real_lock_release(struct fs_lock *base, bool remove)
{
    struct fs_real_lock *l = CONTAINER_OF(base, struct fs_real_lock, base);
    int root = atomic_load_explicit(&real_of(base->fs)->root_fd, memory_order_acquire);
    /* while still held, so that nobody's newer file is hit */
    if (remove) unlinkat(root, l->path, 0);
    close(l->fd);
    mem_free(l);
}

static void real_free(struct fs *base)
{
    struct fs_real *fs = real_of(base);
    int root = atomic_load_explicit(&fs->root_fd, memory_order_acquire);
    if (root >= 0) close(root);
    mem_free(fs->root);
    mem_free(fs);
}

static const struct fs_ops real_ops = {
    .kind = "real",
    .has_direct = true,
    .open = real_open,
    .sync_dir = real_sync_dir,
    .rename = real_rename,
    .link = real_link,
    .unlink = real_unlink,
    .mkdir = real_mkdir,
    .rmdir = real_rmdir,
    .list = real_list,
    .stat = real_stat,
    .space = real_space,
    .lock_take = real_lock_take,
    .lock_release = real_lock_release,
    .free = real_free,
};

struct fs *fs_real_new(str root)
{
    struct fs_real *fs = NEW(struct fs_real);
    fs->root = mem_cstr(root.n ? root : S("."));
    fs->base = (struct fs){ &real_ops, mem_str(root.n ? root : S(".")) };
    atomic_init(&fs->root_fd, -1);
    return &fs->base;
}
