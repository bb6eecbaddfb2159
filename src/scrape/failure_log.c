#include "scrape/failure_log.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rfc3339.h"
#include "io/fs.h"

struct failure_log {
    _Atomic unsigned refs;
    struct fs *fs;
    struct file *file;
    struct mtx mu;                     /* LOCK_LEAF */
    uint64_t end;                      /* GUARDED_BY(mu): where the next line goes */
};

struct failure_log *failure_log_open(str path)
{
    struct failure_log *f = NEW(struct failure_log);
    atomic_init(&f->refs, 1);
    str name;
    f->fs = fs_real_of(path, &name);
    mtx_init(&f->mu, LOCK_LEAF);
    struct err e = { 0 };
    errc rc = fs_open(&f->file, f->fs, name, FS_READ | FS_WRITE | FS_CREATE, &e);
    if (rc == OK) rc = file_size(f->file, &f->end, &e);
    if (rc == OK) return f;
    LOG(ERROR, "the scrape failure log cannot be opened", kv_str("path", path), kv_err(&e));
    failure_log_unref(f);
    return NULL;
}

struct failure_log *failure_log_ref(struct failure_log *f)
{
    if (f) atomic_fetch_add(&f->refs, 1);
    return f;
}

void failure_log_unref(struct failure_log *f)
{
    if (!f || atomic_fetch_sub(&f->refs, 1) != 1) return;
    file_close(f->file);
    fs_free(f->fs);
    mtx_fini(&f->mu);
    mem_free(f);
}

static void put_line(struct buf *b, str job, str target, str words)
{
    struct buf time = { 0 };
    buf_rfc3339_ms(&time, clock_wall_ms());
    struct json j = json_to(b);
    json_obj(&j);
    json_kstr(&j, S("time"), buf_view(&time));
    json_kstr(&j, S("level"), S("ERROR"));
    json_kstr(&j, S("source"), S("scrape/failure_log.c"));
    json_kstr(&j, S("msg"), words);
    json_kstr(&j, S("job_name"), job);
    json_kstr(&j, S("target"), target);
    json_obj_end(&j);
    buf_u8(b, '\n');
    buf_fini(&time);
}

void failure_log_write(struct failure_log *f, str job, str target, str words)
{
    if (!f) return;
    struct buf line = { 0 };
    put_line(&line, job, target, words);
    mtx_lock(&f->mu);
    uint64_t at = f->end;
    f->end += line.n;
    mtx_unlock(&f->mu);
    str all = buf_view(&line);
    uint64_t done;
    struct err e = { 0 };
    if (file_pwrite(f->file, &all, 1, at, &done, &e) != OK)
        LOG_LIMITED(WARN, 60000, "the scrape failure log cannot be written", kv_err(&e));
    buf_fini(&line);
}
