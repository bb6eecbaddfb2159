#include "io/line_log.h"

#include "base/lock.h"
#include "base/mem.h"
#include "io/fs.h"

struct line_log {
    _Atomic unsigned refs;
    struct fs *fs;
    struct file *file;
    struct mtx mu;                     /* LOCK_LEAF */
    uint64_t end;                      /* GUARDED_BY(mu): where the next line goes */
};

errc line_log_open(struct line_log **out, str path, struct err *e)
{
    struct line_log *l = NEW(struct line_log);
    atomic_init(&l->refs, 1);
    str name;
    l->fs = fs_real_of(path, &name);
    mtx_init(&l->mu, LOCK_LEAF);
    errc rc = fs_open(&l->file, l->fs, name, FS_READ | FS_WRITE | FS_CREATE, e);
    if (rc == OK) rc = file_size(l->file, &l->end, e);
    if (rc != OK) line_log_unref(STEAL(l));
    *out = l;
    return rc;
}

struct line_log *line_log_ref(struct line_log *l)
{
    if (l) atomic_fetch_add(&l->refs, 1);
    return l;
}

void line_log_unref(struct line_log *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) != 1) return;
    file_close(l->file);
    fs_free(l->fs);
    mtx_fini(&l->mu);
    mem_free(l);
}

errc line_log_write(struct line_log *l, str lines, struct err *e)
{
    mtx_lock(&l->mu);
    uint64_t at = l->end, done;
    l->end += lines.n;
    mtx_unlock(&l->mu);
    return file_pwrite(l->file, &lines, 1, at, &done, e);
}
