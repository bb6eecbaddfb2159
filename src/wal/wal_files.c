/* wal_files.c — the segments under a log that is written (see wal.h).
 *
 * What is held is what an fsync has not covered. When an fsync fails, the kernel may have dropped
 * the pages and forgotten: what is held goes to a new segment, and the files before it are cut back
 * to what an earlier fsync covered (recover). While that does not work, nothing else is written
 * (w->recover).
 *
 * A write that fails leaves nothing: the files are cut back to where the group began
 * (wal_roll_back). While that does not work, nothing else is written either (w->cut): a torn record
 * in the middle of the log would cost a Prometheus all that follows.
 *
 * States of a file: current -> finished (padded, still open, not synced) -> synced (closed).
 * `files` lists them, the current one last.
 */
#include "wal/wal_impl.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "wal/wal_reader.h"

static void arena_finip(struct arena *a) { arena_fini(a); }

void wal_files_enter(struct wal *w)
{
    mtx_lock(&w->mu);
    while (w->at_files) cond_wait(&w->changed, &w->mu);
    w->at_files = true;
    mtx_unlock(&w->mu);
}
void wal_files_leave(struct wal *w)
{
    mtx_lock(&w->mu);
    w->at_files = false;
    cond_broadcast(&w->changed);
    mtx_unlock(&w->mu);
}

/* REQUIRES: alone at the files */
static void files_push(struct wal *w, struct file *f, uint32_t n)
{
    mtx_lock(&w->mu);
    vec_push(&w->files, ((struct wal_file){ .f = f, .n = n }));
    w->dir_dirty = true;
    mtx_unlock(&w->mu);
    w->cur_file = f;
    w->cur_n = n;
    w->off = 0;
    wal_metrics_segment(w->m, n);
}

/* Deletes the current file; the one before it is the current one then. REQUIRES: alone at the
 * files, more than one */
static errc files_drop(struct wal *w, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    TRY(fs_unlink(w->o.fs, wal_segment_path(&a, w->o.dir, w->cur_n), e));
    mtx_lock(&w->mu);
    struct wal_file gone = vec_pop(&w->files), now = vec_last(&w->files);
    w->dir_dirty = true;
    mtx_unlock(&w->mu);
    file_close(gone.f);
    w->cur_file = now.f;
    w->cur_n = now.n;
    w->off = now.size;
    w->rescue = RESCUE_NONE;
    w->dropped = true;
    wal_metrics_segment(w->m, now.n);
    return OK;
}

static errc segment_open(struct wal *w, struct file **f, uint32_t n, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    if (FAULT("wal.segment_create")) return err_set(e, ERR_IO, "wal: no new segment (fault)");
    return fs_open(
        f, w->o.fs, wal_segment_path(&a, w->o.dir, n), FS_READ | FS_WRITE | FS_CREATE | FS_EXCL, e);
}

errc wal_segment_new(struct wal *w, uint32_t n, struct err *e)
{
    struct file *f = NULL;
    TRY(segment_open(w, &f, n, e));
    wal_files_enter(w);
    files_push(w, f, n);
    wal_files_leave(w);
    return OK;
}

errc wal_out_flush(struct wal *w, struct err *e)
{
    str bytes = buf_view(&w->out);
    uint64_t done = 0;
    if (!buf_ok(&w->out)) return err_set(e, ERR_LIMIT, "wal: the batch is too long");
    if (bytes.n == 0) return OK;
    if (FAULT("wal.write")) return err_set(e, ERR_IO, "wal: write failed (fault)");
    TRY(file_pwrite(w->cur_file, &bytes, 1, w->off - bytes.n, &done, e));
    mtx_lock(&w->mu);
    vec_last(&w->files).size = w->off;
    if (!w->unsynced_since_ns) w->unsynced_since_ns = clock_mono_ns();
    mtx_unlock(&w->mu);
    buf_reset(&w->out);
    return OK;
}

errc wal_segment_next(struct wal *w, struct err *e)
{
    page_pad(&w->out, &w->off);
    TRY(wal_out_flush(w, e));
    return wal_segment_new(w, w->cur_n + 1, e);
}

errc wal_put_batch(
    struct wal *w, const struct wal_batch *b, struct page_counts *counts, struct err *e)
{
    str rest = buf_view(&b->stored);
    if (!buf_ok(&b->stored)) return err_set(e, ERR_LIMIT, "wal: a record is too long");
    for (size_t i = 0; i < b->pieces.n; i++) {
        struct wal_piece p = b->pieces.at[i];
        if (page_needs_segment(w->off, w->o.segment_bytes, p.n)) TRY(wal_segment_next(w, e));
        page_put(&w->out, &w->off, p.flags, str_slice(rest, 0, p.n), counts);
        rest = str_from(rest, p.n);
    }
    return OK;
}

static errc sync_file(struct wal *w, struct file *f, struct err *e)
{
    bool plain = w->o.kind == WAL_PLAIN;
    if (plain ? fault_dropped("checkpoint.fsync") : fault_dropped("wal.segment_fsync")) return OK;
    if (FAULT("wal.fsync")) return err_set(e, ERR_IO, "wal: fsync failed (fault)");
    int64_t from = clock_mono_ns();
    errc rc = file_sync(f, e);
    wal_metrics_fsync(w->m, clock_mono_ns() - from);
    return rc;
}

static errc sync_dir(struct wal *w, struct err *e)
{
    bool plain = w->o.kind == WAL_PLAIN;
    if (plain ? fault_dropped("checkpoint.dir_fsync") : fault_dropped("wal.dir_fsync")) return OK;
    if (FAULT("wal.dir_fsync"))
        return err_set(e, ERR_IO, "wal: fsync of the folder failed (fault)");
    return fs_sync_dir(w->o.fs, w->o.dir, e);
}

static errc file_cut(struct wal *w, struct wal_file *s, uint64_t off, struct err *e)
{
    if (FAULT("wal.truncate")) return err_set(e, ERR_IO, "wal: truncate failed (fault)");
    TRY(file_truncate(s->f, off, e));
    mtx_lock(&w->mu);
    s->size = off;
    s->synced = MIN(s->synced, off);
    s->cut = true;
    if (!w->unsynced_since_ns) w->unsynced_since_ns = clock_mono_ns();
    mtx_unlock(&w->mu);
    return OK;
}

/* Deletes the files after `seg`, for good: what comes back must not follow a hole. */
static errc files_drop_to(struct wal *w, uint32_t seg, struct err *e)
{
    while (w->cur_n > seg) TRY(files_drop(w, e));
    if (w->dropped && !fault_dropped("wal.undo_order")) TRY(sync_dir(w, e));
    w->dropped = false;
    return OK;
}

errc wal_roll_back(struct wal *w, uint32_t seg, uint64_t off, struct err *e)
{
    buf_reset(&w->out);
    w->cut = true;
    w->cut_seg = seg;
    w->cut_off = off;
    wal_files_enter(w);
    errc rc = files_drop_to(w, seg, e);
    if (rc == OK) rc = file_cut(w, &vec_last(&w->files), off, e);
    if (rc == OK) {
        mtx_lock(&w->mu);
        w->back_to = UINT32_MAX;
        mtx_unlock(&w->mu);
        w->off = off;
        w->cut = false;
    }
    wal_files_leave(w);
    return rc;
}

/* ---- fsync ---- */

static void release_held_locked(struct wal *w, uint64_t upto) REQUIRES(w->mu)
{
    mtx_assert_held(&w->mu);
    while (w->held.first && w->held.first->seq <= upto) {
        struct wal_batch *b = wal_batches_pop(&w->held);
        w->held_bytes -= b->stored.n;
        wal_batch_give_locked(w, b);
    }
    w->synced_seq = MAX(w->synced_seq, upto);
}

/* One pass over the files. The names come first: a file that no folder knows is lost with all its
 * bytes. REQUIRES: alone at the files */
errc wal_sync_pass(struct wal *w, struct err *e)
{
    VEC(struct wal_file) now = { 0 };
    mtx_lock(&w->mu);
    uint64_t mark = w->next_seq - 1;
    int64_t begun = clock_mono_ns();
    bool names = w->dir_dirty;
    w->dir_dirty = false;
    for (size_t i = 0; i < w->files.n; i++) vec_push(&now, w->files.at[i]);
    mtx_unlock(&w->mu);

    errc rc = names ? sync_dir(w, e) : OK;
    size_t done = 0;
    while (rc == OK && done < now.n) {
        bool cut = now.at[done].cut && !fault_dropped("wal.cut_fsync");
        if (cut || now.at[done].synced < now.at[done].size) rc = sync_file(w, now.at[done].f, e);
        done += rc == OK;
    }

    mtx_lock(&w->mu);
    if (rc != OK) w->recover = true;
    if (names && rc != OK) w->dir_dirty = true;
    for (size_t i = 0; i < done; i++) {
        w->files.at[i].synced = now.at[i].size;
        w->files.at[i].cut = false;
    }
    if (rc == OK) {
        release_held_locked(w, mark);
        w->unsynced_since_ns = vec_last(&w->files).synced < vec_last(&w->files).size ? begun : 0;
        size_t closed = 0;
        /* finished and durable: all but the current one */
        while (closed + 1 < now.n && w->files.at[closed].n < w->back_to) {
            file_close(w->files.at[closed].f);
            w->old_bytes += w->files.at[closed++].size;
        }
        memmove(w->files.at, w->files.at + closed, (w->files.n - closed) * sizeof(*w->files.at));
        w->files.n -= closed;
    }
    wal_metrics_unsynced(w->m, w->unsynced_since_ns);
    mtx_unlock(&w->mu);
    vec_fini(&now);
    return rc;
}

/* What is held, framed into w->out, becomes the file `path` as a whole or not at all. */
static errc held_out(struct wal *w, str path, struct file **out, uint64_t *off, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    str tmp = arena_fmt(&a, "%.*s.repair", STR_ARG(path));     /* wal_dir_tidy() knows that name */
    struct file *f = NULL;
    uint64_t done = 0;
    if (FAULT("wal.segment_create")) return err_set(e, ERR_IO, "wal: no new segment (fault)");
    TRY(fs_open(&f, w->o.fs, tmp, FS_READ | FS_WRITE | FS_CREATE | FS_TRUNC, e));
    for (const struct wal_batch *b = w->held.first; b; b = b->next) {
        str rest = buf_view(&b->stored);
        for (size_t i = 0; i < b->pieces.n; i++) {
            page_put(
                &w->out, off, b->pieces.at[i].flags, str_slice(rest, 0, b->pieces.at[i].n), NULL);
            rest = str_from(rest, b->pieces.at[i].n);
        }
    }
    str bytes = buf_view(&w->out);
    errc rc = FAULT("wal.rewrite") ? err_set(e, ERR_IO, "wal: write failed (fault)") : OK;
    if (rc == OK && bytes.n) rc = file_pwrite(f, &bytes, 1, 0, &done, e);
    if (rc == OK) rc = sync_file(w, f, e);
    if (rc == OK) rc = fs_rename(w->o.fs, tmp, path, e);
    buf_reset(&w->out);
    if (rc == OK) {
        *out = f;
        return OK;
    }
    file_close(f);
    /* best effort: the next attempt overwrites it */
    errc left = fs_unlink(w->o.fs, tmp, NULL);
    (void)left;
    return rc;
}

/* What is held goes to a new segment, if need be a long one. It appears complete: a reader that
 * found the front of it behind the same records in the files before would take a series record
 * there for a new beginning of the series. */
static errc rewrite_held(struct wal *w, uint32_t n, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    struct file *f = NULL;
    uint64_t off = 0;
    TRY(held_out(w, wal_segment_path(&a, w->o.dir, n), &f, &off, e));
    files_push(w, f, n);
    w->rescue = RESCUE_BEGUN;
    w->off = off;
    return sync_dir(w, e);
}

/* How much of a file is durable and nobody's failed write. */
static uint64_t good_of(const struct wal *w, const struct wal_file *s)
{
    if (!w->cut || s->n < w->cut_seg) return s->synced;
    return s->n == w->cut_seg ? MIN(s->synced, w->cut_off) : 0;
}

/* The files before the rescuing one lose what is not known to be durable, the last one first, each
 * for good before the one in front of it: what a reader finds at any moment is the front of what
 * was there, and goes on in the rescuing file. With a hole it would take what that file has of the
 * hole for too late. */
static errc cut_unsynced(struct wal *w, struct err *e)
{
    size_t n = w->files.n - 1;
    bool upward = fault_dropped("wal.recover_order");
    for (size_t k = 0; k < n; k++) {
        struct wal_file *s = &w->files.at[upward ? k : n - 1 - k];
        uint64_t good = good_of(w, s);
        bool torn = w->cut && s->n >= w->cut_seg;              /* also behind `size` */
        /* also one that was cut before: an fsync that failed may have lost that */
        if (good >= s->size && !torn && !s->cut) continue;
        TRY(file_cut(w, s, good, e));
        if (!fault_dropped("wal.recover_fsync")) TRY(sync_file(w, s->f, e));
        s->cut = false;
    }
    return OK;
}

/* After a failed fsync: what is held is written to a new segment and synced, and only then the
 * files before it are cut back: until it is, the page cache may be the only place outside of this
 * process that has it. What fails halfway is tried again: the new segment from the start, unless it
 * was complete. REQUIRES: the leader, alone at the files */
static errc recover(struct wal *w, struct err *e)
{
    buf_reset(&w->out);
    if (w->rescue == RESCUE_BEGUN) TRY(files_drop(w, e));
    if (w->rescue == RESCUE_NONE && fault_dropped("wal.rescue_order")) TRY(cut_unsynced(w, e));
    if (w->rescue == RESCUE_NONE) TRY(rewrite_held(w, w->cur_n + 1, e));
    w->rescue = RESCUE_DONE;
    TRY(cut_unsynced(w, e));
    w->rescue = RESCUE_NONE;
    w->cut = false;
    return OK;
}

errc wal_sync_leading(struct wal *w, struct err *e)
{
    struct err why = { 0 };
    wal_files_enter(w);
    mtx_lock(&w->mu);
    bool again = w->recover;
    uint64_t mark = w->next_seq - 1;
    mtx_unlock(&w->mu);
    errc rc = again ? ERR_IO : wal_sync_pass(w, &why);
    if (rc != OK) {
        if (!again)
            LOG_LIMITED(ERROR, WAL_WARN_EVERY_MS, "wal: fsync failed", kv_str("dir", w->o.dir),
                kv_err(&why));
        rc = recover(w, e);
        mtx_lock(&w->mu);
        w->recover = rc != OK;
        if (rc == OK) {
            vec_last(&w->files).size = vec_last(&w->files).synced = w->off;
            w->back_to = UINT32_MAX;
            release_held_locked(w, mark);
            w->unsynced_since_ns = 0;
            w->dir_dirty = false;
        }
        mtx_unlock(&w->mu);
        if (rc == OK)
            LOG(WARN, "wal: what an fsync failed for was written again", kv_str("dir", w->o.dir),
                kv_u64("segment", w->cur_n));
    }
    wal_files_leave(w);
    return rc;
}
