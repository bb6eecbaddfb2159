/* Names on the simulated disk. A folder has two lists of names, now and durable. Each change of
 * names is an operation of one or two settings (folder, name -> inode or none): a creation is one,
 * a rename is two (the target's, and the source's to none). It changes `now` at once and waits in
 * the order of all such operations until a sync of its folder carries it to `durable`.
 *
 * A rename of a file between two folders becomes durable folder by folder, but never so that the
 * file is in neither: a sync of the old folder takes the new name along. Renamed folders move
 * whole.
 *
 * At a crash each waiting operation is kept or dropped. What was dropped poisons its names: later
 * operations on them are dropped too, for the journal of a name is read in order.
 *
 * Where tests run with a backend that needs a descriptor (io_forced), the cached bytes of a file
 * that asks for one have a mirror in a file of the kernel's memory, which follows each change. A
 * crash leaves the mirror to those who mapped it.
 */
#include "io/fs_sim.h"

#include "io/fs_impl.h"
#include "io/reader_impl.h"

#include "base/clock.h"
#include "base/lock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SIM_DEFAULT_TOTAL = 1 << 30 };

struct sim_inode;
/* name is a heap copy; holds a reference */
struct sim_name { str name; struct sim_inode *to; };
typedef VEC(struct sim_name) sim_names;                        /* sorted by name */

struct sim_inode {
    uint32_t refs;                     /* names (now and durable), waiting operations, open files */
    bool is_dir, locked, mirrored;
    int mirror;                        /* if mirrored */
    int64_t mtime_ms;
    uint64_t reserved_end, charged;    /* charged: what of fs.used is this file's */
    uint64_t crash_seen;               /* the last crash that went through this inode */
    struct sim_data data;
    sim_names now, durable;
};

struct sim_set { struct sim_inode *dir, *to; str name; bool done; };
struct sim_nameop { struct sim_set set[2]; unsigned n; };

struct fs_sim {
    struct fs base;
    struct mtx mu;                     /* LOCK_LEAF; guards everything below and all inodes */
    struct cond changed;               /* hang_ops was set */
    struct prng rng;
    struct sim_inode *top;
    VEC(struct sim_nameop) waiting;
    uint64_t gen;                      /* crashes so far */
    uint64_t n_changes, off_after, used, capacity;
    bool off;
    unsigned nth_ops, rate_ops, delay_ops, hang_ops;
    uint64_t nth;
    uint32_t rate;
    errc nth_rc, rate_rc;
    int64_t delay_ns;
};

struct file_sim { struct file base; struct sim_inode *inode; uint64_t gen; unsigned flags; };
struct fs_sim_lock { struct fs_lock base; struct sim_inode *inode; uint64_t gen; str path; };

static struct fs_sim *sim_of(struct fs *fs) { return CONTAINER_OF(fs, struct fs_sim, base); }
static struct file_sim *fsim_of(struct file *f) { return CONTAINER_OF(f, struct file_sim, base); }

/* ---- inodes and lists of names ---- */

static struct sim_inode *inode_new(bool is_dir)
{
    struct sim_inode *i = NEW(struct sim_inode);
    i->refs = 1;
    i->is_dir = is_dir;
    i->mtime_ms = clock_wall_ms();
    return i;
}

static void inode_charge(struct fs_sim *fs, struct sim_inode *i, uint64_t bytes)
{
    fs->used += bytes - i->charged;
    i->charged = bytes;
}

static void names_fini(struct fs_sim *fs, sim_names *all);

/* ---- what a map sees ---- */

static void mirror_put(const struct sim_inode *i, uint64_t off, uint64_t n)
{
    if (!i->mirrored) return;
    bool ok = ftruncate(i->mirror, (off_t)i->data.now.n) == 0;
    while (ok && n) {
        ssize_t w = pwrite(i->mirror, i->data.now.p + off, n, (off_t)off);
        ok = w > 0;
        if (ok) off += (uint64_t)w, n -= (uint64_t)w;
    }
    assert(ok);
}

static void mirror_drop(struct sim_inode *i)
{
    if (i->mirrored) close(i->mirror);
    i->mirrored = false;
}

static int mirror_make(struct sim_inode *i)
{
    if (i->mirrored) return i->mirror;
    i->mirror = memfd_create("simulated", MFD_CLOEXEC);
    i->mirrored = i->mirror >= 0;
    mirror_put(i, 0, i->data.now.n);
    return i->mirror;
}

static struct sim_inode *inode_ref(struct sim_inode *i)
{
    if (i) i->refs++;
    return i;
}

static void inode_unref(struct fs_sim *fs, struct sim_inode *i)
{
    if (!i || --i->refs > 0) return;
    inode_charge(fs, i, 0);
    mirror_drop(i);
    names_fini(fs, &i->now);
    names_fini(fs, &i->durable);
    sim_data_fini(&i->data);
    mem_free(i);
}

static void names_fini(struct fs_sim *fs, sim_names *all)
{
    for (size_t k = 0; k < all->n; k++) {
        mem_free((void *)(uintptr_t)all->at[k].name.p);
        inode_unref(fs, all->at[k].to);
    }
    vec_fini(all);
}

/* The place of a name, or where it would go. */
static size_t names_place(const sim_names *all, str name, bool *there)
{
    size_t lo = 0, hi = all->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (str_cmp(all->at[mid].name, name) < 0) lo = mid + 1;
        else hi = mid;
    }
    *there = lo < all->n && str_eq(all->at[lo].name, name);
    return lo;
}

static struct sim_inode *names_get(const sim_names *all, str name)
{
    bool there;
    size_t at = names_place(all, name, &there);
    return there ? all->at[at].to : NULL;
}

static void names_set(struct fs_sim *fs, sim_names *all, str name, struct sim_inode *to)
{
    bool there;
    size_t at = names_place(all, name, &there);
    inode_ref(to);
    if (there && to) {
        inode_unref(fs, all->at[at].to);
        all->at[at].to = to;
    } else if (there) {
        struct sim_name gone = all->at[at];
        memmove(all->at + at, all->at + at + 1, (all->n - at - 1) * sizeof(*all->at));
        all->n--;
        mem_free((void *)(uintptr_t)gone.name.p);
        inode_unref(fs, gone.to);
    } else if (to) {
        vec_reserve(all, all->n + 1);
        memmove(all->at + at + 1, all->at + at, (all->n - at) * sizeof(*all->at));
        all->at[at] = (struct sim_name){ mem_str(name), to };
        all->n++;
    }
}

static void names_copy(struct fs_sim *fs, sim_names *to, const sim_names *from)
{
    names_fini(fs, to);
    for (size_t k = 0; k < from->n; k++)
        vec_push(to, ((struct sim_name){ mem_str(from->at[k].name), inode_ref(from->at[k].to) }));
}

static struct sim_inode *sim_walk(const struct fs_sim *fs, str path)
{
    struct sim_inode *at = fs->top;
    while (at && path.n) {
        str name, rest;
        str_cut(path, '/', &name, &rest);
        at = at->is_dir ? names_get(&at->now, name) : NULL;
        path = rest;
    }
    return at;
}

static struct sim_inode *sim_walk_parent(const struct fs_sim *fs, str path)
{
    struct sim_inode *dir = sim_walk(fs, fs_path_parent(path));
    return dir && dir->is_dir ? dir : NULL;
}

/* ---- waiting changes of names ---- */

static void sim_set_now(
    struct fs_sim *fs, struct sim_nameop *op, struct sim_inode *dir, str name, struct sim_inode *to)
{
    op->set[op->n++] = (struct sim_set){ inode_ref(dir), inode_ref(to), mem_str(name), false };
    names_set(fs, &dir->now, name, to);
    dir->mtime_ms = clock_wall_ms();
}

static void nameop_fini(struct fs_sim *fs, struct sim_nameop *op)
{
    for (unsigned k = 0; k < op->n; k++) {
        inode_unref(fs, op->set[k].dir);
        inode_unref(fs, op->set[k].to);
        mem_free((void *)(uintptr_t)op->set[k].name.p);
    }
}

static void sim_change_name(
    struct fs_sim *fs, struct sim_inode *dir, str name, struct sim_inode *to)
{
    struct sim_nameop op = { .n = 0 };
    sim_set_now(fs, &op, dir, name, to);
    vec_push(&fs->waiting, op);
}

static bool set_same(const struct sim_set *a, const struct sim_set *b)
{
    return a->dir == b->dir && str_eq(a->name, b->name);
}

/* Setting k of operation i reaches the disk; what older operations would do to that name is
 * overtaken. */
static void sim_make_durable(struct fs_sim *fs, size_t i, unsigned k)
{
    struct sim_set *s = &fs->waiting.at[i].set[k];
    if (s->done) return;
    for (size_t j = 0; j < i; j++)
        for (unsigned m = 0; m < fs->waiting.at[j].n; m++)
            if (set_same(&fs->waiting.at[j].set[m], s)) fs->waiting.at[j].set[m].done = true;
    names_set(fs, &s->dir->durable, s->name, s->to);
    s->done = true;
}

/* set[0] of a rename is the target's, set[1] the source's: the source takes the target along, a
 * folder moves whole. */
static void sim_sync_op(struct fs_sim *fs, size_t i, const struct sim_inode *dir)
{
    struct sim_nameop *op = &fs->waiting.at[i];
    bool first = op->set[0].dir == dir, second = op->n > 1 && op->set[1].dir == dir;
    bool whole = op->n > 1 && op->set[0].to->is_dir;
    if (first || second) sim_make_durable(fs, i, 0);
    if (op->n > 1 && (second || (first && whole))) sim_make_durable(fs, i, 1);
}

/* Is that folder still somewhere, now or on the disk? If not, nobody will ever sync it. */
static bool sim_reachable(const struct sim_inode *top, const struct sim_inode *what)
{
    if (top == what) return true;
    for (size_t k = 0; k < top->now.n; k++)
        if (sim_reachable(top->now.at[k].to, what)) return true;
    for (size_t k = 0; k < top->durable.n; k++)
        if (sim_reachable(top->durable.at[k].to, what)) return true;
    return false;
}

/* A removed folder takes what waits for it along, but a file that was moved out of it stays
 * safe. */
static void sim_forget_dir(struct fs_sim *fs, const struct sim_inode *dir)
{
    for (size_t i = 0; i < fs->waiting.n; i++) {
        struct sim_nameop *op = &fs->waiting.at[i];
        for (unsigned k = 0; k < op->n; k++) {
            if (op->set[k].dir != dir) continue;
            if (k == 1) sim_make_durable(fs, i, 0);
            op->set[k].done = true;
        }
    }
}

static void sim_forget_removed(struct fs_sim *fs)
{
    for (size_t i = 0; i < fs->waiting.n; i++)
        for (unsigned k = 0; k < fs->waiting.at[i].n; k++)
            if (!fs->waiting.at[i].set[k].done &&
                !sim_reachable(fs->top, fs->waiting.at[i].set[k].dir))
                sim_forget_dir(fs, fs->waiting.at[i].set[k].dir);
}

static void sim_sweep(struct fs_sim *fs)
{
    size_t kept = 0;
    for (size_t i = 0; i < fs->waiting.n; i++) {
        struct sim_nameop op = fs->waiting.at[i];
        bool done = true;
        for (unsigned k = 0; k < op.n; k++) done = done && op.set[k].done;
        if (done) nameop_fini(fs, &op);
        else fs->waiting.at[kept++] = op;
    }
    fs->waiting.n = kept;
}

/* ---- faults ---- */

static errc sim_fault(const char *why, errc rc, struct err *e)
{
    return err_set(e, rc, "simulated disk: %s", why);
}

static errc sim_dice(struct fs_sim *fs, unsigned op, struct err *e)
{
    if ((op & fs->nth_ops) && fs->nth && --fs->nth == 0)
        return sim_fault("a failure was asked for", fs->nth_rc, e);
    if ((op & fs->rate_ops) && prng_below(&fs->rng, 1000000) < fs->rate)
        return sim_fault("a random failure", fs->rate_rc, e);
    return OK;
}

/* Takes the lock and lets the operation begin; on failure too the lock is held. */
static errc sim_begin(struct fs_sim *fs, enum stall_op what, struct err *e) ACQUIRE(fs->mu)
{
    unsigned op = SIM_OP(what);
    mtx_lock(&fs->mu);
    int64_t delay = (op & fs->delay_ops) ? fs->delay_ns : 0;
    if (delay) {
        mtx_unlock(&fs->mu);
        clock_sleep_ns(delay);
        mtx_lock(&fs->mu);
    }
    while (op & fs->hang_ops) cond_wait(&fs->changed, &fs->mu);
    if (fs->off) return sim_fault("the power is off", ERR_IO, e);
    if (op & SIM_OPS_CHANGE) {
        fs->n_changes++;
        fs->off = fs->off_after && --fs->off_after == 0;
        if (fs->off) return sim_fault("the power went off", ERR_IO, e);
    }
    return sim_dice(fs, op, e);
}

static errc sim_end(struct fs_sim *fs, errc rc) RELEASE(fs->mu)
{
    mtx_unlock(&fs->mu);
    return rc;
}

static errc sim_stale(const struct file_sim *f, const struct fs_sim *fs, struct err *e)
{
    if (f->gen == fs->gen) return OK;
    return err_set(e, ERR_IO, "%.*s: was opened before a crash", STR_ARG(f->base.path));
}

static errc sim_has_room(
    struct fs_sim *fs, const struct sim_inode *i, uint64_t end, struct err *e, const struct file *f)
{
    uint64_t more = end > i->charged ? end - i->charged : 0;
    if (!fs->capacity || fs->used + more <= fs->capacity) return OK;
    return fs_errno(e, ENOSPC, "write", &fs->base, f->path);
}

/* ---- files ---- */

static errc sim_pread(
    struct file *base, void *to, size_t n, uint64_t off, size_t *got, struct err *e)
{
    struct file_sim *f = fsim_of(base);
    struct fs_sim *fs = sim_of(base->fs);
    errc rc = sim_begin(fs, STALL_READ, e);
    if (rc == OK) rc = sim_stale(f, fs, e);
    if (rc == OK && !(f->flags & FS_READ)) rc = fs_errno(e, EBADF, "read", base->fs, base->path);
    if (rc == OK) {
        const struct sim_bytes *b = &f->inode->data.now;
        size_t have = off >= b->n ? 0 : (size_t)MIN(n, b->n - off);
        if (have) memcpy(to, b->p + off, have);
        *got = have;
    }
    return sim_end(fs, rc);
}

/* Writes up to `most` bytes of the slices. */
static void sim_write_some(struct fs_sim *fs, struct sim_inode *i, const str *slices, size_t n,
    uint64_t off, uint64_t most, uint64_t *done)
{
    for (size_t k = 0; k < n && *done < most; k++) {
        str s = str_slice(slices[k], 0, (size_t)MIN((uint64_t)slices[k].n, most - *done));
        sim_data_write(&i->data, off + *done, s);
        *done += s.n;
    }
    mirror_put(i, off, *done);
    i->mtime_ms = clock_wall_ms();
    inode_charge(fs, i, MAX(i->data.now.n, i->reserved_end));
}

static uint64_t sim_room_left(
    const struct fs_sim *fs, const struct sim_inode *i, uint64_t off, uint64_t want)
{
    if (!fs->capacity) return want;
    uint64_t end = i->charged + (fs->capacity > fs->used ? fs->capacity - fs->used : 0);
    return end > off ? MIN(want, end - off) : 0;
}

static errc sim_pwrite(
    struct file *base, const str *slices, size_t n, uint64_t off, uint64_t *done, struct err *e)
{
    struct file_sim *f = fsim_of(base);
    struct fs_sim *fs = sim_of(base->fs);
    uint64_t all = 0;
    for (size_t k = 0; k < n; k++) all += slices[k].n;
    *done = 0;
    bool was_off = fs_sim_is_off(base->fs);
    errc rc = sim_begin(fs, STALL_WRITE, e);
    errc stale = sim_stale(f, fs, rc == OK ? e : NULL);
    if (stale != OK || was_off) return sim_end(fs, rc == OK ? stale : rc);
    if (!(f->flags & FS_WRITE))
        return sim_end(fs, fs_errno(e, EBADF, "write", base->fs, base->path));
    uint64_t most =
        rc == OK ? sim_room_left(fs, f->inode, off, all) : prng_below(&fs->rng, all + 1);
    if (rc == OK && most < all) rc = sim_has_room(fs, f->inode, off + all, e, base);
    sim_write_some(fs, f->inode, slices, n, off, most, done);
    return sim_end(fs, rc);
}

static errc sim_sync(struct file *base, struct err *e)
{
    struct file_sim *f = fsim_of(base);
    struct fs_sim *fs = sim_of(base->fs);
    errc rc = sim_begin(fs, STALL_SYNC, e);
    errc stale = sim_stale(f, fs, rc == OK ? e : NULL);
    if (stale != OK) return sim_end(fs, rc == OK ? stale : rc);
    if (rc == OK) sim_data_sync(&f->inode->data);
    /* the kernel believes these pages clean */
    else if (!fs->off) sim_data_lose(&f->inode->data, &fs->rng, SIM_LOSE_SOME);
    return sim_end(fs, rc);
}

static errc sim_truncate(struct file *base, uint64_t size, struct err *e)
{
    struct file_sim *f = fsim_of(base);
    struct fs_sim *fs = sim_of(base->fs);
    errc rc = sim_begin(fs, STALL_TRUNCATE, e);
    if (rc == OK) rc = sim_stale(f, fs, e);
    if (rc == OK && !(f->flags & FS_WRITE))
        rc = fs_errno(e, EBADF, "truncate", base->fs, base->path);
    if (rc == OK) rc = sim_has_room(fs, f->inode, size, e, base);
    if (rc == OK) {
        sim_data_truncate(&f->inode->data, size);
        mirror_put(f->inode, 0, 0);
        f->inode->reserved_end = 0;
        f->inode->mtime_ms = clock_wall_ms();
        inode_charge(fs, f->inode, size);
    }
    return sim_end(fs, rc);
}

static errc sim_reserve(struct file *base, uint64_t off, uint64_t n, struct err *e)
{
    struct file_sim *f = fsim_of(base);
    struct fs_sim *fs = sim_of(base->fs);
    errc rc = sim_begin(fs, STALL_RESERVE, e);
    if (rc == OK) rc = sim_stale(f, fs, e);
    if (rc == OK) rc = sim_has_room(fs, f->inode, off + n, e, base);
    if (rc == OK && off + n > f->inode->charged) {
        f->inode->reserved_end = off + n;
        inode_charge(fs, f->inode, off + n);
    }
    return sim_end(fs, rc);
}

static errc sim_size(struct file *base, uint64_t *out, struct err *e)
{
    struct file_sim *f = fsim_of(base);
    struct fs_sim *fs = sim_of(base->fs);
    errc rc = sim_begin(fs, STALL_STAT, e);
    if (rc == OK) rc = sim_stale(f, fs, e);
    if (rc == OK) *out = f->inode->data.now.n;
    return sim_end(fs, rc);
}

static void sim_close(struct file *base)
{
    struct file_sim *f = fsim_of(base);
    struct fs_sim *fs = sim_of(base->fs);
    mtx_lock(&fs->mu);
    inode_unref(fs, f->inode);
    mtx_unlock(&fs->mu);
    mem_free(f);
}

static int sim_fd(const struct file *base)
{
    const struct file_sim *f = fsim_of((struct file *)(uintptr_t)base);
    struct fs_sim *fs = sim_of(base->fs);
    if (io_forced() != IO_MMAP && io_forced() != IO_DIRECT) return -1;
    mtx_lock(&fs->mu);
    int fd = f->gen == fs->gen && !fs->off ? mirror_make(f->inode) : -1;
    mtx_unlock(&fs->mu);
    return fd;
}

static const struct file_ops sim_file_ops = {
    .pread = sim_pread,
    .pwrite = sim_pwrite,
    .sync = sim_sync,
    .truncate = sim_truncate,
    .reserve = sim_reserve,
    .size = sim_size,
    .fd = sim_fd,
    .close = sim_close,
};

/* ---- the table ---- */

static errc sim_open_locked(
    struct sim_inode **out, struct fs_sim *fs, str path, unsigned flags, struct err *e)
{
    struct sim_inode *dir = sim_walk_parent(fs, path),
                     *i = dir ? names_get(&dir->now, fs_path_name(path)) : NULL;
    if (!dir || (!i && !(flags & FS_CREATE))) return fs_errno(e, ENOENT, "open", &fs->base, path);
    if (i && (flags & FS_CREATE) && (flags & FS_EXCL))
        return fs_errno(e, EEXIST, "open", &fs->base, path);
    if (i && i->is_dir) return fs_errno(e, EISDIR, "open", &fs->base, path);
    if (!i) {
        i = inode_new(false);
        sim_change_name(fs, dir, fs_path_name(path), i);
        inode_unref(fs, i);
    } else if ((flags & FS_TRUNC) && i->data.now.n) {
        sim_data_truncate(&i->data, 0);
        mirror_put(i, 0, 0);
        i->reserved_end = 0;
        inode_charge(fs, i, 0);
    }
    *out = inode_ref(i);
    return OK;
}

static errc sim_open(struct file **out, struct fs *base, str path, unsigned flags, struct err *e)
{
    struct fs_sim *fs = sim_of(base);
    if ((flags & FS_DIRECT) && io_forced() != IO_DIRECT)
        return err_set(e, ERR_UNSUPPORTED, "%.*s: no direct I/O on the simulated file system",
            STR_ARG(path));
    struct sim_inode *i = NULL;
    /* only these change the disk */
    enum stall_op op = (flags & (FS_CREATE | FS_TRUNC)) ? STALL_OPEN : STALL_STAT;
    errc rc = sim_begin(fs, op, e);
    if (rc == OK) rc = sim_open_locked(&i, fs, path, flags, e);
    if (rc == OK) {
        struct file_sim *f = NEW(struct file_sim);
        *f = (struct file_sim){
            .base.ops = &sim_file_ops, .inode = i, .gen = fs->gen, .flags = flags
        };
        *out = &f->base;
    }
    return sim_end(fs, rc);
}

static errc sim_sync_dir(struct fs *base, str path, struct err *e)
{
    struct fs_sim *fs = sim_of(base);
    errc rc = sim_begin(fs, STALL_SYNC_DIR, e);
    if (rc != OK) return sim_end(fs, rc);
    struct sim_inode *dir = sim_walk(fs, path);
    if (!dir || !dir->is_dir) return sim_end(fs, fs_errno(e, ENOENT, "open", base, path));
    for (size_t i = 0; i < fs->waiting.n; i++) sim_sync_op(fs, i, dir);
    sim_sweep(fs);
    sim_forget_removed(fs);
    sim_sweep(fs);
    return sim_end(fs, OK);
}

static bool sim_is_below(const struct sim_inode *top, const struct sim_inode *what)
{
    if (top == what) return true;
    for (size_t k = 0; top->is_dir && k < top->now.n; k++)
        if (sim_is_below(top->now.at[k].to, what)) return true;
    return false;
}

static int sim_rename_check(const struct sim_inode *from_dir, const struct sim_inode *from,
    const struct sim_inode *to_dir, const struct sim_inode *to)
{
    if (!from_dir || !to_dir || !from) return ENOENT;
    if (from->is_dir && sim_is_below(from, to_dir)) return EINVAL;
    if (to && to->is_dir && !from->is_dir) return EISDIR;
    if (to && !to->is_dir && from->is_dir) return ENOTDIR;
    if (to && to != from && to->is_dir && to->now.n) return ENOTEMPTY;
    return 0;
}

static errc sim_rename(struct fs *base, str from, str to, struct err *e)
{
    struct fs_sim *fs = sim_of(base);
    errc rc = sim_begin(fs, STALL_RENAME, e);
    if (rc != OK) return sim_end(fs, rc);
    struct sim_inode *fd = sim_walk_parent(fs, from), *td = sim_walk_parent(fs, to);
    struct sim_inode *f = fd ? names_get(&fd->now, fs_path_name(from)) : NULL;
    struct sim_inode *t = td ? names_get(&td->now, fs_path_name(to)) : NULL;
    int bad = sim_rename_check(fd, f, td, t);
    if (bad) return sim_end(fs, fs_errno(e, bad, "rename", base, from));
    if (f != t) {
        struct sim_nameop op = { .n = 0 };
        sim_set_now(fs, &op, td, fs_path_name(to), f);
        sim_set_now(fs, &op, fd, fs_path_name(from), NULL);
        vec_push(&fs->waiting, op);
    }
    return sim_end(fs, OK);
}

static errc sim_remove(struct fs *base, str path, bool want_dir, struct err *e)
{
    struct fs_sim *fs = sim_of(base);
    errc rc = sim_begin(fs, STALL_UNLINK, e);
    if (rc != OK) return sim_end(fs, rc);
    struct sim_inode *dir = sim_walk_parent(fs, path),
                     *i = dir ? names_get(&dir->now, fs_path_name(path)) : NULL;
    int bad = !i                       ? ENOENT
              : want_dir && !i->is_dir ? ENOTDIR
              : !want_dir && i->is_dir ? EISDIR
              : i->now.n               ? ENOTEMPTY
                                       : 0;
    if (bad) return sim_end(fs, fs_errno(e, bad, "remove", base, path));
    sim_change_name(fs, dir, fs_path_name(path), NULL);
    return sim_end(fs, OK);
}

static errc sim_link(struct fs *base, str from, str to, struct err *e)
{
    struct fs_sim *fs = sim_of(base);
    errc rc = sim_begin(fs, STALL_RENAME, e);
    if (rc != OK) return sim_end(fs, rc);
    struct sim_inode *f = sim_walk(fs, from), *td = sim_walk_parent(fs, to);
    int bad = !f || !td                             ? ENOENT
              : f->is_dir                           ? EPERM
              : names_get(&td->now, fs_path_name(to)) ? EEXIST
                                                    : 0;
    if (bad) return sim_end(fs, fs_errno(e, bad, "link", base, to));
    sim_change_name(fs, td, fs_path_name(to), f);
    return sim_end(fs, OK);
}

static errc sim_unlink(struct fs *base, str path, struct err *e)
{
    return sim_remove(base, path, false, e);
}
static errc sim_rmdir(struct fs *base, str path, struct err *e)
{
    return sim_remove(base, path, true, e);
}

static errc sim_mkdir(struct fs *base, str path, struct err *e)
{
    struct fs_sim *fs = sim_of(base);
    errc rc = sim_begin(fs, STALL_MKDIR, e);
    if (rc != OK || !path.n) return sim_end(fs, rc);
    struct sim_inode *dir = sim_walk_parent(fs, path),
                     *i = dir ? names_get(&dir->now, fs_path_name(path)) : NULL;
    if (!dir) return sim_end(fs, fs_errno(e, ENOENT, "mkdir", base, path));
    if (i && !i->is_dir) return sim_end(fs, fs_errno(e, EEXIST, "mkdir", base, path));
    if (!i) {
        i = inode_new(true);
        sim_change_name(fs, dir, fs_path_name(path), i);
        inode_unref(fs, i);
    }
    return sim_end(fs, OK);
}

static errc sim_list(struct fs *base, str path, struct arena *a, fs_entries *out, struct err *e)
{
    struct fs_sim *fs = sim_of(base);
    errc rc = sim_begin(fs, STALL_LIST, e);
    if (rc != OK) return sim_end(fs, rc);
    const struct sim_inode *dir = sim_walk(fs, path);
    if (!dir || !dir->is_dir)
        return sim_end(fs, fs_errno(e, dir ? ENOTDIR : ENOENT, "open", base, path));
    for (size_t k = 0; k < dir->now.n; k++)
        vec_push(out,
            ((struct fs_entry){ arena_str(a, dir->now.at[k].name), dir->now.at[k].to->is_dir }));
    return sim_end(fs, OK);
}

static errc sim_stat(struct fs *base, str path, struct fs_stat *out, struct err *e)
{
    struct fs_sim *fs = sim_of(base);
    errc rc = sim_begin(fs, STALL_STAT, e);
    const struct sim_inode *i = sim_walk(fs, path);
    if (rc == OK && !i) rc = fs_errno(e, ENOENT, "stat", base, path);
    if (rc == OK) *out = (struct fs_stat){ i->data.now.n, i->mtime_ms, i->is_dir };
    return sim_end(fs, rc);
}

static errc sim_space(struct fs *base, uint64_t *total, uint64_t *unused, struct err *e)
{
    struct fs_sim *fs = sim_of(base);
    errc rc = sim_begin(fs, STALL_STAT, e);
    if (rc == OK) {
        *total = fs->capacity ? fs->capacity : MAX((uint64_t)SIM_DEFAULT_TOTAL, fs->used * 2);
        *unused = *total > fs->used ? *total - fs->used : 0;
    }
    return sim_end(fs, rc);
}

static errc sim_lock_take(
    struct fs_lock **out, struct fs *base, str path, bool *existed, struct err *e)
{
    struct fs_sim *fs = sim_of(base);
    errc rc = sim_begin(fs, STALL_OPEN, e);
    if (rc != OK) return sim_end(fs, rc);
    bool was = sim_walk(fs, path) != NULL;
    struct sim_inode *i = NULL;
    rc = sim_open_locked(&i, fs, path, FS_READ | FS_WRITE | FS_CREATE, e);
    if (rc != OK) return sim_end(fs, rc);
    if (i->locked) {
        inode_unref(fs, i);
        return sim_end(fs, fs_errno(e, EWOULDBLOCK, "flock", base, path));
    }
    struct fs_sim_lock *l = NEW(struct fs_sim_lock);
    *l = (struct fs_sim_lock){ .inode = i, .gen = fs->gen, .path = mem_str(path) };
    i->locked = true;
    *existed = was;
    *out = &l->base;
    return sim_end(fs, OK);
}

static void sim_lock_release(struct fs_lock *base, bool remove)
{
    struct fs_sim_lock *l = CONTAINER_OF(base, struct fs_sim_lock, base);
    struct fs_sim *fs = sim_of(base->fs);
    mtx_lock(&fs->mu);
    /* a crash has freed the lock, and its file may be another's */
    bool ours = l->gen == fs->gen && !fs->off;
    struct sim_inode *dir = ours && remove ? sim_walk_parent(fs, l->path) : NULL;
    if (dir && names_get(&dir->now, fs_path_name(l->path)) == l->inode)
        sim_change_name(fs, dir, fs_path_name(l->path), NULL);
    if (l->gen == fs->gen) l->inode->locked = false;
    inode_unref(fs, l->inode);
    mtx_unlock(&fs->mu);
    mem_free((void *)(uintptr_t)l->path.p);
    mem_free(l);
}

static void sim_free(struct fs *base)
{
    struct fs_sim *fs = sim_of(base);
    for (size_t i = 0; i < fs->waiting.n; i++) nameop_fini(fs, &fs->waiting.at[i]);
    vec_fini(&fs->waiting);
    inode_unref(fs, fs->top);
    assert(fs->used == 0);
    cond_fini(&fs->changed);
    mtx_fini(&fs->mu);
    mem_free(fs);
}

static const struct fs_ops sim_ops = {
    .kind = "simulated",
    .has_direct = true,
    .open = sim_open,
    .sync_dir = sim_sync_dir,
    .rename = sim_rename,
    .link = sim_link,
    .unlink = sim_unlink,
    .mkdir = sim_mkdir,
    .rmdir = sim_rmdir,
    .list = sim_list,
    .stat = sim_stat,
    .space = sim_space,
    .lock_take = sim_lock_take,
    .lock_release = sim_lock_release,
    .free = sim_free,
};

struct fs *fs_sim_new(uint64_t seed)
{
    struct fs_sim *fs = NEW(struct fs_sim);
    fs->base = (struct fs){ &sim_ops, mem_str(S("disk")) };
    fs->rng.state = seed;
    fs->top = inode_new(true);
    mtx_init(&fs->mu, LOCK_LEAF);
    cond_init(&fs->changed);
    return &fs->base;
}

/* ---- crashes ---- */

enum name_mode { NAMES_NONE, NAMES_ALL, NAMES_ORDER, NAMES_ANY, NAME_MODES };

static bool sim_poisoned(const struct fs_sim *fs, const bool *dropped, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (!dropped[j]) continue;
        for (unsigned k = 0; k < fs->waiting.at[j].n; k++)
            for (unsigned m = 0; m < fs->waiting.at[i].n; m++)
                if (set_same(&fs->waiting.at[j].set[k], &fs->waiting.at[i].set[m])) return true;
    }
    return false;
}

static void sim_lose_names(struct fs_sim *fs, enum fs_sim_loss loss)
{
    size_t n = fs->waiting.n, order = (size_t)prng_below(&fs->rng, n + 1);
    enum name_mode mode = loss == SIM_LOSE_ALL ? NAMES_NONE
                          : loss == SIM_LOSE_NOTHING
                              ? NAMES_ALL
                              : (enum name_mode)prng_below(&fs->rng, NAME_MODES);
    bool *dropped = mem_zalloc(n * sizeof(*dropped));
    for (size_t i = 0; i < n; i++) {
        bool keep = mode == NAMES_ALL || (mode == NAMES_ORDER && i < order) ||
                    (mode == NAMES_ANY && prng_below(&fs->rng, 2));
        dropped[i] = !keep || sim_poisoned(fs, dropped, i);
        for (unsigned k = 0; !dropped[i] && k < fs->waiting.at[i].n; k++)
            sim_make_durable(fs, i, k);
    }
    mem_free(dropped);
    for (size_t i = 0; i < n; i++) nameop_fini(fs, &fs->waiting.at[i]);
    fs->waiting.n = 0;
}

static void sim_restart(struct fs_sim *fs, struct sim_inode *i, enum fs_sim_loss loss)
{
    if (i->crash_seen == fs->gen) return;
    i->crash_seen = fs->gen;
    i->locked = false;
    sim_data_lose(&i->data, &fs->rng, loss);
    sim_data_reload(&i->data);
    mirror_drop(i);
    i->reserved_end = 0;
    inode_charge(fs, i, i->data.now.n);
    names_copy(fs, &i->now, &i->durable);
    for (size_t k = 0; k < i->now.n; k++) sim_restart(fs, i->now.at[k].to, loss);
}

static void sim_unlock(struct sim_inode *i)
{
    i->locked = false;
    for (size_t k = 0; k < i->now.n; k++) sim_unlock(i->now.at[k].to);
}

void fs_sim_crash(struct fs *base, enum fs_sim_loss loss)
{
    struct fs_sim *fs = sim_of(base);
    mtx_lock(&fs->mu);
    fs->gen++;
    if (loss == SIM_KILLED) {
        sim_unlock(fs->top);
    } else {
        sim_lose_names(fs, loss);
        sim_restart(fs, fs->top, loss);
    }
    fs->off = false;
    fs->off_after = fs->nth = fs->rate = 0;
    fs->hang_ops = fs->delay_ops = 0;
    cond_broadcast(&fs->changed);
    mtx_unlock(&fs->mu);
}

/* ---- knobs ---- */

#define SIM_WITH_LOCK(base, statement) \
    do { \
        struct fs_sim *fs = sim_of(base); \
        mtx_lock(&fs->mu); \
        statement; \
        mtx_unlock(&fs->mu); \
    } while (0)

void fs_sim_power_off_after(struct fs *base, uint64_t n) { SIM_WITH_LOCK(base, fs->off_after = n); }
void fs_sim_capacity(struct fs *base, uint64_t bytes) { SIM_WITH_LOCK(base, fs->capacity = bytes); }
void fs_sim_delay(struct fs *base, unsigned ops, int64_t ns)
{
    SIM_WITH_LOCK(base, fs->delay_ops = ops; fs->delay_ns = ns);
}
void fs_sim_hang(struct fs *base, unsigned ops)
{
    SIM_WITH_LOCK(base, fs->hang_ops = ops; cond_broadcast(&fs->changed));
}

void fs_sim_fail_nth(struct fs *base, unsigned ops, uint64_t nth, errc rc)
{
    SIM_WITH_LOCK(base, fs->nth_ops = ops; fs->nth = nth; fs->nth_rc = rc);
}

void fs_sim_fail_rate(struct fs *base, unsigned ops, uint32_t per_million, errc rc)
{
    SIM_WITH_LOCK(base, fs->rate_ops = ops; fs->rate = per_million; fs->rate_rc = rc);
}

bool fs_sim_is_off(struct fs *base)
{
    bool off;
    SIM_WITH_LOCK(base, off = fs->off);
    return off;
}

uint64_t fs_sim_changes(struct fs *base)
{
    uint64_t n;
    SIM_WITH_LOCK(base, n = fs->n_changes);
    return n;
}

uint64_t fs_sim_used(struct fs *base)
{
    uint64_t n;
    SIM_WITH_LOCK(base, n = fs->used);
    return n;
}
