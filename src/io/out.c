#include "io/out.h"

ACCOUNT(out_account, "file_writers")

static errc out_fail(struct out *o, errc rc, struct err *e)
{
    o->failed = rc;
    return err_set(e, rc, "%s", o->why.msg);
}

errc out_open(struct out *o, struct fs *fs, str path, struct err *e)
{
    *o = (struct out){ 0 };
    TRY(fs_open(&o->file, fs, path, FS_READ | FS_WRITE | FS_CREATE | FS_TRUNC, e));
    buf_init(&o->waiting, &out_account, 0);
    return OK;
}

errc out_flush(struct out *o, struct err *e)
{
    if (o->failed != OK) return out_fail(o, o->failed, e);
    if (!o->waiting.n) return OK;
    uint64_t done = 0;
    str bytes = buf_view(&o->waiting);
    errc rc = file_pwrite(o->file, &bytes, 1, o->written, &done, &o->why);
    if (rc != OK) return out_fail(o, rc, e);
    o->written += bytes.n;
    buf_reset(&o->waiting);
    return OK;
}

errc out_sync(struct out *o, struct err *e)
{
    TRY(out_flush(o, e));
    errc rc = file_sync(o->file, &o->why);
    return rc == OK ? OK : out_fail(o, rc, e);
}

errc out_patch(struct out *o, uint64_t at, str bytes, struct err *e)
{
    TRY(out_flush(o, e));
    assert(at + bytes.n <= o->written);
    uint64_t done = 0;
    errc rc = file_pwrite(o->file, &bytes, 1, at, &done, &o->why);
    return rc == OK ? OK : out_fail(o, rc, e);
}

void out_close(struct out *o)
{
    file_close(STEAL(o->file));
    buf_fini(&o->waiting);
}
