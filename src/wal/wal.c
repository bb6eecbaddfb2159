/* wal.c — see wal.h
 *
 * The way of a batch:
 *
 *     caller      encodes and compresses its records into a struct wal_batch
 *     (its own thread, no lock) wal_commit  queues it; whoever finds no leader becomes it
 *     (LOCK_WAL) leader      takes everything queued and the waiting series records, frames it,
 *     writes it     (no lock, alone: w->leading) leader      hands out the results, moves the
 *     batches to `held`                               (LOCK_WAL) sync        fsyncs the files that
 *     were written, then frees what was held for them            (no lock, alone: w->syncing)
 *
 * What is held is what an fsync has not covered. When an fsync fails, the kernel may have dropped
 * the pages and forgotten: what is held goes to a new segment, and the files before it are cut back
 * to what an earlier fsync covered (recover). While that does not work, nothing else is written
 * (w->recover).
 *
 * A write that fails leaves nothing: the files are cut back to where the group began (roll_back).
 * While that does not work, nothing else is written either (w->cut): a torn record in the middle of
 * the log would cost a Prometheus all that follows.
 *
 * States of a file: current -> finished (padded, still open, not synced) -> synced (closed).
 * `files` lists them, the current one last.
 */
#include "wal/wal.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/thread.h"
#include "wal/page.h"
#include "wal/record.h"
#include "wal/wal_metrics.h"
#include "wal/wal_reader.h"

ACCOUNT(wal_account, "wal")

enum {
    SPARE_BATCHES = 8,
    SPARE_BATCH_MAX_BYTES = 1 << 20,
    SERIES_RECORD_BYTES = 1 << 20,
    WARN_EVERY_MS = 10000
};

struct piece { uint32_t n; uint8_t flags; };
/* on the stack of wal_commit */
struct waiter { bool done; errc rc; struct err *e; struct waiter *next; };

struct wal_batch {
    /* the record being made; the stored bytes of the others, one after the other */
    struct buf room, stored;
    VEC(struct piece) pieces;
    enum compress_kind compress;
    int64_t saved_bytes;                       /* by compression */
    struct waiter *waiter;                     /* while queued */
    struct wal_batch *next;
    uint64_t seq;                              /* when held */
};
struct batch_list { struct wal_batch *first, **last; };

typedef VEC(size_t) end_list;
struct seg_file {
    struct file *f;
    uint32_t n;
    uint64_t size, synced;
    bool cut;                                  /* since its last fsync */
};

struct wal {
    struct wal_opts o;                         /* const after open; dir is on the heap */
    struct wal_metrics *m;
    struct mtx mu;                             /* LOCK_WAL */
    struct cond changed;                       /* leading, at_files, waiters */
    struct cond stopping;                      /* stop: for the thread */
    struct batch_list queue;                   /* GUARDED_BY(mu) */
    /* GUARDED_BY(mu): entries of series records that wait, without the type byte */
    struct buf series;
    end_list series_ends;                      /* GUARDED_BY(mu): where each entry ends */
    /* GUARDED_BY(mu): written, not yet synced, in the order of the log */
    struct batch_list held;
    size_t held_bytes;                         /* GUARDED_BY(mu) */
    uint64_t next_seq, synced_seq;             /* GUARDED_BY(mu) */
    int64_t unsynced_since_ns;                 /* GUARDED_BY(mu): 0: all is synced */
    struct batch_list spare;                   /* GUARDED_BY(mu) */
    size_t n_spare;
    bool leading;                              /* GUARDED_BY(mu): somebody is the leader */
    /* GUARDED_BY(mu): somebody syncs, or changes the list of files */
    bool at_files;
    bool stop;                                 /* GUARDED_BY(mu) */
    bool full, failed;                         /* GUARDED_BY(mu): what the last write met */
    /* GUARDED_BY(mu): an fsync failed and recover() has not worked yet */
    bool recover;
    /* GUARDED_BY(mu): a name was made or removed since the folder was synced */
    bool dir_dirty;
    /* who set at_files changes the list, under mu; sizes: the leader under mu */
    VEC(struct seg_file) files;
    /* GUARDED_BY(mu): what is being written may be cut back to this segment; UINT32_MAX: nothing
     * is */
    uint32_t back_to;
    uint64_t old_bytes;                        /* GUARDED_BY(mu): of the closed segments */
    /* GUARDED_BY(mu): segment and offset after the last group */
    struct wal_stat stat;
    /* The leader's alone. */
    struct file *cur_file; uint32_t cur_n;     /* the last of files */
    uint64_t off;                              /* where the next fragment goes in it */
    bool cut; uint32_t cut_seg; uint64_t cut_off;   /* roll_back has to be tried again */
    /* the last file is recover()'s, and its name durable or not */
    enum { RESCUE_NONE, RESCUE_BEGUN, RESCUE_DONE } rescue;
    bool dropped;                              /* a file, and its folder is not synced yet */
    struct buf out, series_out;
    end_list series_out_ends;
    struct thread *thread;
};

/* ---- batches
 * ---------------------------------------------------------------------------------------------- */

static void list_init(struct batch_list *l) { *l = (struct batch_list){ NULL, &l->first }; }
static void list_push(struct batch_list *l, struct wal_batch *b)
{
    b->next = NULL;
    if (!l->first) l->last = &l->first;
    *l->last = b;
    l->last = &b->next;
}
static struct wal_batch *list_pop(struct batch_list *l)
{
    struct wal_batch *b = l->first;
    if (b) l->first = b->next;
    return b;
}

static void batch_free(struct wal_batch *b)
{
    if (!b) return;
    buf_fini(&b->room);
    buf_fini(&b->stored);
    vec_fini(&b->pieces);
    mem_free(b);
}

static void batch_reset(struct wal_batch *b)
{
    buf_reset(&b->room);
    buf_reset(&b->stored);
    b->pieces.n = 0;
    b->saved_bytes = 0;
    b->waiter = NULL;
}

/* Back to the stock, or to the heap: the stock is of batches with room to make a record in. */
static void batch_give_locked(struct wal *w, struct wal_batch *b) REQUIRES(w->mu)
{
    mtx_assert_held(&w->mu);
    if (!b->room.cap || w->n_spare >= SPARE_BATCHES ||
        b->stored.cap + b->room.cap > SPARE_BATCH_MAX_BYTES) {
        batch_free(b);
        return;
    }
    batch_reset(b);
    list_push(&w->spare, b);
    w->n_spare++;
}

struct wal_batch *wal_batch_new(struct wal *w)
{
    mtx_lock(&w->mu);
    struct wal_batch *b = list_pop(&w->spare);
    if (b) w->n_spare--;
    mtx_unlock(&w->mu);
    if (!b) {
        b = NEW(struct wal_batch);
        buf_init(&b->room, &wal_account, 0);
        buf_init(&b->stored, &wal_account, 0);
    }
    b->compress = w->o.compress;
    return b;
}

/* Empties a buffer of the log's own; what a burst made it, it need not stay. */
static void buf_rest(struct buf *b)
{
    if (b->cap > SPARE_BATCH_MAX_BYTES) buf_fini(b);
    buf_reset(b);
}

/* What is queued and then held, for as long as an fsync takes, is only what is stored, to the byte;
 * the room goes back to the stock. */
static struct wal_batch *batch_settle(struct wal *w, struct wal_batch *made)
{
    struct wal_batch *b = NEW(struct wal_batch);
    *b = (struct wal_batch){
        .compress = made->compress, .saved_bytes = made->saved_bytes, .pieces = made->pieces
    };
    buf_init(&b->stored, &wal_account, 0);
    buf_grow(&b->stored, made->stored.n);
    buf_str(&b->stored, buf_view(&made->stored));
    b->stored.bad = !buf_ok(&made->stored) || !buf_ok(&made->room);
    made->pieces.at = NULL;
    made->pieces.n = made->pieces.cap = 0;
    mtx_lock(&w->mu);
    batch_give_locked(w, made);
    mtx_unlock(&w->mu);
    return b;
}

struct buf *wal_batch_room(struct wal_batch *b) { return &b->room; }
size_t wal_batch_bytes(const struct wal_batch *b) { return b->stored.n; }

void wal_batch_add_stored(struct wal_batch *b, uint8_t flags, str stored)
{
    buf_str(&b->stored, stored);
    vec_push(&b->pieces, ((struct piece){ (uint32_t)stored.n, flags }));
}

void wal_batch_add(struct wal_batch *b, str rec)
{
    size_t before = b->stored.n;
    assert(rec.n < UINT32_MAX);
    if (b->compress != COMPRESS_NONE && rec.n > 0) {
        errc rc = compress_pack(&b->stored, b->compress, rec, 0, NULL);
        if (rc == OK && b->stored.n - before < rec.n) {
            b->saved_bytes += (int64_t)(rec.n - (b->stored.n - before));
            vec_push(&b->pieces,
                ((struct piece){ (uint32_t)(b->stored.n - before), frag_flag_of(b->compress) }));
            return;
        }
        b->stored.n = before;                  /* no gain: as it is */
    }
    wal_batch_add_stored(b, 0, rec);
}

void wal_batch_seal(struct wal_batch *b)
{
    if (b->room.n > 0) wal_batch_add(b, buf_view(&b->room));
    buf_reset(&b->room);
}

void wal_batch_drop(struct wal *w, struct wal_batch *b)
{
    if (!b) return;
    mtx_lock(&w->mu);
    batch_give_locked(w, b);
    mtx_unlock(&w->mu);
}

/* ---- files: the leader's work
 * -------------------------------------------------------------------------------------------------
 * */

static void arena_finip(struct arena *a) { arena_fini(a); }

/* Alone at the files: nobody syncs meanwhile. */
static void files_enter(struct wal *w)
{
    mtx_lock(&w->mu);
    while (w->at_files) cond_wait(&w->changed, &w->mu);
    w->at_files = true;
    mtx_unlock(&w->mu);
}
static void files_leave(struct wal *w)
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
    vec_push(&w->files, ((struct seg_file){ .f = f, .n = n }));
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
    struct seg_file gone = vec_pop(&w->files), now = vec_last(&w->files);
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

static errc segment_new(struct wal *w, uint32_t n, struct err *e)
{
    struct file *f = NULL;
    TRY(segment_open(w, &f, n, e));
    files_enter(w);
    files_push(w, f, n);
    files_leave(w);
    return OK;
}

/* Writes w->out at the end of the current file, which ends where w->off says once that is done. */
static errc out_flush(struct wal *w, struct err *e)
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

/* Pads and leaves the current segment for a new one. */
static errc segment_next(struct wal *w, struct err *e)
{
    page_pad(&w->out, &w->off);
    TRY(out_flush(w, e));
    return segment_new(w, w->cur_n + 1, e);
}

static errc put_batch(
    struct wal *w, const struct wal_batch *b, struct page_counts *counts, struct err *e)
{
    str rest = buf_view(&b->stored);
    if (!buf_ok(&b->stored)) return err_set(e, ERR_LIMIT, "wal: a record is too long");
    for (size_t i = 0; i < b->pieces.n; i++) {
        struct piece p = b->pieces.at[i];
        if (page_needs_segment(w->off, w->o.segment_bytes, p.n)) TRY(segment_next(w, e));
        page_put(&w->out, &w->off, p.flags, str_slice(rest, 0, p.n), counts);
        rest = str_from(rest, p.n);
    }
    return OK;
}

static errc sync_file(struct wal *w, struct file *f, struct err *e)
{
    if (fault_dropped("wal.segment_fsync")) return OK;
    if (FAULT("wal.fsync")) return err_set(e, ERR_IO, "wal: fsync failed (fault)");
    int64_t from = clock_mono_ns();
    errc rc = file_sync(f, e);
    wal_metrics_fsync(w->m, clock_mono_ns() - from);
    return rc;
}

static errc sync_dir(struct wal *w, struct err *e)
{
    if (fault_dropped("wal.dir_fsync")) return OK;
    if (FAULT("wal.dir_fsync"))
        return err_set(e, ERR_IO, "wal: fsync of the folder failed (fault)");
    return fs_sync_dir(w->o.fs, w->o.dir, e);
}

static errc file_cut(struct wal *w, struct seg_file *s, uint64_t off, struct err *e)
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

/* Cuts the log back to (seg, off): what came after is gone, later files too. */
static errc roll_back(struct wal *w, uint32_t seg, uint64_t off, struct err *e)
{
    buf_reset(&w->out);
    w->cut = true;
    w->cut_seg = seg;
    w->cut_off = off;
    files_enter(w);
    errc rc = files_drop_to(w, seg, e);
    if (rc == OK) rc = file_cut(w, &vec_last(&w->files), off, e);
    if (rc == OK) {
        mtx_lock(&w->mu);
        w->back_to = UINT32_MAX;
        mtx_unlock(&w->mu);
        w->off = off;
        w->cut = false;
    }
    files_leave(w);
    return rc;
}

/* ---- fsync
 * ---------------------------------------------------------------------------------------------- */

static void release_held_locked(struct wal *w, uint64_t upto) REQUIRES(w->mu)
{
    mtx_assert_held(&w->mu);
    while (w->held.first && w->held.first->seq <= upto) {
        struct wal_batch *b = list_pop(&w->held);
        w->held_bytes -= b->stored.n;
        batch_give_locked(w, b);
    }
    w->synced_seq = MAX(w->synced_seq, upto);
}

/* One pass over the files. The names come first: a file that no folder knows is lost with all its
 * bytes. REQUIRES: alone at the files */
static errc sync_pass(struct wal *w, struct err *e)
{
    VEC(struct seg_file) now = { 0 };
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
static uint64_t good_of(const struct wal *w, const struct seg_file *s)
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
        struct seg_file *s = &w->files.at[upward ? k : n - 1 - k];
        uint64_t good = good_of(w, s);
        bool torn = w->cut && s->n >= w->cut_seg;              /* also behind `size` */
        if (good < s->size || torn) TRY(file_cut(w, s, good, e));
        if (!s->cut) continue;
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
    if (w->rescue == RESCUE_NONE) TRY(rewrite_held(w, w->cur_n + 1, e));
    w->rescue = RESCUE_DONE;
    TRY(cut_unsynced(w, e));
    w->rescue = RESCUE_NONE;
    w->cut = false;
    return OK;
}

/* Syncs as the leader, nobody writes meanwhile; after a failed fsync, recovers. */
static errc sync_leading(struct wal *w, struct err *e)
{
    struct err why = { 0 };
    files_enter(w);
    mtx_lock(&w->mu);
    bool again = w->recover;
    uint64_t mark = w->next_seq - 1;
    mtx_unlock(&w->mu);
    errc rc = again ? ERR_IO : sync_pass(w, &why);
    if (rc != OK) {
        if (!again)
            LOG_LIMITED(
                ERROR, WARN_EVERY_MS, "wal: fsync failed", kv_str("dir", w->o.dir), kv_err(&why));
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
    files_leave(w);
    return rc;
}

/* ---- the leader
 * ---------------------------------------------------------------------------------------------- */

/* The waiting series entries, cut into records of about 1 MiB. */
static void put_series(struct wal *w, struct wal_batch *b)
{
    size_t from = 0;
    for (size_t i = 0; i < w->series_out_ends.n; i++) {
        size_t end = w->series_out_ends.at[i];
        if (i + 1 < w->series_out_ends.n && end - from < SERIES_RECORD_BYTES) continue;
        series_encode_type(&b->room);
        buf_bytes(&b->room, w->series_out.p + from, end - from);
        wal_batch_seal(b);
        from = end;
    }
}

/* What could not be written waits again, before what came since. */
static void series_wait_again_locked(struct wal *w) REQUIRES(w->mu)
{
    size_t moved = w->series_out.n;
    if (moved == 0) return;
    buf_str(&w->series_out, buf_view(&w->series));
    for (size_t i = 0; i < w->series_ends.n; i++)
        vec_push(&w->series_out_ends, w->series_ends.at[i] + moved);
    struct buf bytes = w->series;
    end_list ends = w->series_ends;
    w->series = w->series_out;
    w->series_ends = w->series_out_ends;
    w->series_out = bytes;
    w->series_out_ends = ends;
}

static void set_back_to(struct wal *w, uint32_t seg)
{
    mtx_lock(&w->mu);
    w->back_to = seg;
    mtx_unlock(&w->mu);
}

static errc write_group(
    struct wal *w, struct wal_batch *group, struct page_counts *counts, struct err *e)
{
    uint32_t seg = w->cur_n;
    uint64_t off = w->off;
    /* the series records are the first batch of a group */
    bool late = fault_dropped("wal.series_order");
    errc rc = OK;
    set_back_to(w, seg);
    for (struct wal_batch *b = late ? group->next : group; rc == OK && b; b = b->next)
        rc = put_batch(w, b, counts, e);
    if (late && rc == OK) rc = put_batch(w, group, counts, e);
    if (rc == OK) rc = out_flush(w, e);
    if (rc == OK) {
        set_back_to(w, UINT32_MAX);
        return OK;
    }
    struct err why = { 0 };
    if (roll_back(w, seg, off, &why) != OK)
        LOG_LIMITED(ERROR, WARN_EVERY_MS,
            "wal: a failed write could not be taken back; nothing is written until it is",
            kv_str("dir", w->o.dir), kv_err(&why));
    return rc;
}

static errc group_out(struct wal *w, struct wal_batch *group, struct err *e)
{
    struct page_counts counts = { 0 };
    mtx_lock(&w->mu);
    bool sync_first = w->recover || w->held_bytes > w->o.unsynced_max_bytes;
    mtx_unlock(&w->mu);
    if (w->cut) TRY(roll_back(w, w->cut_seg, w->cut_off, e));
    if (sync_first) TRY(sync_leading(w, e));
    TRY(write_group(w, group, &counts, e));
    wal_metrics_written(w->m, &counts);
    return OK;
}

static void note_state_locked(struct wal *w, errc rc, const struct err *e) REQUIRES(w->mu)
{
    if (rc != OK) wal_metrics_failed(w->m);
    if (rc == ERR_NO_SPACE && !w->full)
        LOG(WARN, "wal: no space left; nothing is taken in until there is", kv_str("dir", w->o.dir),
            kv_err(e));
    else if (rc != OK && rc != ERR_NO_SPACE)
        LOG_LIMITED(ERROR, WARN_EVERY_MS, "wal: write failed", kv_str("dir", w->o.dir), kv_err(e));
    if (rc == OK && w->full) LOG(INFO, "wal: there is space again", kv_str("dir", w->o.dir));
    w->full = rc == ERR_NO_SPACE;
    w->failed = rc != OK && rc != ERR_NO_SPACE;
    w->stat.segment = w->cur_n;
    w->stat.offset = w->off;
    wal_metrics_size(w->m, w->old_bytes + w->off);
    wal_metrics_unsynced(w->m, w->unsynced_since_ns);
}

/* The group goes to the end of `held`, numbered. */
static void hold_locked(struct wal *w, struct wal_batch *b) REQUIRES(w->mu)
{
    for (struct wal_batch *next; b; b = next) {
        next = b->next;
        wal_metrics_saved(w->m, b->compress, b->saved_bytes);
        b->seq = w->next_seq++;
        w->held_bytes += b->stored.n;
        list_push(&w->held, b);
    }
}

/* Takes back the newest batches of `held`, from number `from` on: their callers are told that they
 * failed. */
static struct wal_batch *unhold_locked(struct wal *w, uint64_t from) REQUIRES(w->mu)
{
    struct wal_batch **at = &w->held.first;
    while (*at && (*at)->seq < from) at = &(*at)->next;
    struct wal_batch *taken = *at;
    *at = NULL;
    w->held.last = at;
    for (struct wal_batch *b = taken; b; b = b->next) w->held_bytes -= b->stored.n;
    return taken;
}

static void give_all_locked(struct wal *w, struct wal_batch *b) REQUIRES(w->mu)
{
    for (struct wal_batch *next; b; b = next) {
        next = b->next;
        batch_give_locked(w, b);
    }
}

/* Takes what is queued: the batches with those who wait for them, and the series records. */
static struct wal_batch *take_queue_locked(struct wal *w, struct waiter **waiters) REQUIRES(w->mu)
{
    struct wal_batch *first = w->queue.first;
    *waiters = NULL;
    for (struct wal_batch *b = first; b; b = b->next) {
        b->waiter->next = *waiters;
        *waiters = STEAL(b->waiter);
    }
    list_init(&w->queue);
    struct buf bytes = w->series;
    end_list ends = w->series_ends;
    w->series = w->series_out;                 /* empty: the last leader left it so */
    w->series_ends = w->series_out_ends;
    w->series_out = bytes;
    w->series_out_ends = ends;
    return first;
}

/* One round of the leader: everything that is queued. Enters and leaves with mu held; `leading` is
 * the caller's to set and clear. */
static void lead_locked(struct wal *w) REQUIRES(w->mu)
{
    struct err e = { 0 };
    struct waiter *waiters;
    struct wal_batch *first = take_queue_locked(w, &waiters);
    mtx_unlock(&w->mu);

    struct wal_batch *group = wal_batch_new(w);
    put_series(w, group);
    group = batch_settle(w, group);
    group->next = first;
    errc rc = group_out(w, group, &e);

    mtx_lock(&w->mu);
    uint64_t from = w->next_seq;
    if (rc == OK) hold_locked(w, STEAL(group));
    if (rc == OK && w->o.fsync_interval_ms == 0) {
        mtx_unlock(&w->mu);
        rc = sync_leading(w, &e);
        mtx_lock(&w->mu);
        if (rc != OK) group = unhold_locked(w, from);
        /* it holds what is refused now */
        if (w->rescue == RESCUE_DONE) w->rescue = RESCUE_BEGUN;
    }
    if (rc != OK) {
        give_all_locked(w, group);
        series_wait_again_locked(w);
    }
    note_state_locked(w, rc, &e);
    buf_rest(&w->series_out);
    w->series_out_ends.n = 0;
    /* once done is seen, the waiter is gone */
    for (struct waiter *at = waiters, *next; at; at = next) {
        next = at->next;
        at->rc = rc;
        if (rc != OK && at->e) *at->e = e;
        at->done = true;
    }
    cond_broadcast(&w->changed);
}

static void lead_enter_locked(struct wal *w) REQUIRES(w->mu)
{
    while (w->leading) cond_wait(&w->changed, &w->mu);
    w->leading = true;
}
static void lead_leave_locked(struct wal *w) REQUIRES(w->mu)
{
    w->leading = false;
    cond_broadcast(&w->changed);
}

/* ---- the door
 * ---------------------------------------------------------------------------------------------- */

static errc commit(struct wal *w, struct wal_batch *b, struct err *e)
{
    struct waiter me = { .e = e };
    wal_batch_seal(b);
    b = batch_settle(w, b);
    b->waiter = &me;
    mtx_lock(&w->mu);
    list_push(&w->queue, b);
    while (!me.done) {
        if (w->leading) {
            cond_wait(&w->changed, &w->mu);
            continue;
        }
        w->leading = true;
        lead_locked(w);
        lead_leave_locked(w);
    }
    mtx_unlock(&w->mu);
    return me.rc;
}

errc wal_commit(struct wal *w, struct wal_batch *b, struct err *e)
{
    mtx_lock(&w->mu);
    bool nothing = b->room.n == 0 && b->pieces.n == 0 && w->series_ends.n == 0;
    if (nothing) batch_give_locked(w, b);
    mtx_unlock(&w->mu);
    return nothing ? OK : commit(w, b, e);
}

errc wal_log(struct wal *w, const str *recs, size_t n, struct err *e)
{
    struct wal_batch *b = wal_batch_new(w);
    for (size_t i = 0; i < n; i++) wal_batch_add(b, recs[i]);
    return wal_commit(w, b, e);
}

errc wal_series(struct wal *w, sref ref, struct labels l, struct err *e)
{
    mtx_lock(&w->mu);
    bool room = w->series.n < WAL_SERIES_WAITING_MAX_BYTES;
    if (room) {
        series_encode(&w->series, ref, l);
        vec_push(&w->series_ends, w->series.n);
    }
    mtx_unlock(&w->mu);
    return room ? OK
                : err_set(e, ERR_LIMIT, "wal: %d MiB of series records wait to be written",
                      WAL_SERIES_WAITING_MAX_BYTES >> 20);
}

errc wal_flush_series(struct wal *w, struct err *e) { return wal_commit(w, wal_batch_new(w), e); }

errc wal_sync(struct wal *w, struct err *e)
{
    struct err why = { 0 };
    errc rc = OK;
    files_enter(w);
    mtx_lock(&w->mu);
    bool again = w->recover;
    mtx_unlock(&w->mu);
    if (!again) rc = sync_pass(w, &why);
    files_leave(w);
    if (!again && rc == OK) return OK;
    if (!again)
        LOG_LIMITED(
            ERROR, WARN_EVERY_MS, "wal: fsync failed", kv_str("dir", w->o.dir), kv_err(&why));
    mtx_lock(&w->mu);
    lead_enter_locked(w);
    mtx_unlock(&w->mu);
    rc = sync_leading(w, e);
    mtx_lock(&w->mu);
    w->failed = rc != OK;
    lead_leave_locked(w);
    mtx_unlock(&w->mu);
    return rc;
}

errc wal_rotate(struct wal *w, uint32_t *last, struct err *e)
{
    mtx_lock(&w->mu);
    lead_enter_locked(w);
    mtx_unlock(&w->mu);
    mtx_lock(&w->mu);
    bool again = w->recover;
    mtx_unlock(&w->mu);
    errc rc = w->cut ? roll_back(w, w->cut_seg, w->cut_off, e) : OK;
    if (rc == OK && again) rc = sync_leading(w, e);
    uint32_t seg = w->cur_n;
    uint64_t off = w->off;
    if (rc == OK) {
        rc = segment_next(w, e);
        if (rc != OK && roll_back(w, seg, off, NULL) != OK)
            LOG_LIMITED(ERROR, WARN_EVERY_MS,
                "wal: a failed write could not be taken back; nothing is written until it is",
                kv_str("dir", w->o.dir));
    }
    mtx_lock(&w->mu);
    w->stat.segment = w->cur_n;
    w->stat.offset = w->off;
    lead_leave_locked(w);
    mtx_unlock(&w->mu);
    if (rc == OK) *last = seg;
    return rc;
}

static void wal_dir_finip(struct wal_dir *d) { wal_dir_fini(d); }

errc wal_truncate(struct wal *w, uint32_t upto, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    SCOPED(wal_dir_finip) struct wal_dir d = { 0 };
    mtx_lock(&w->mu);
    /* a checkpoint may have got its name here: that is durable before a segment goes */
    w->dir_dirty = true;
    mtx_unlock(&w->mu);
    /* closes the finished files: what is deleted below is nobody's */
    TRY(wal_sync(w, e));
    TRY(wal_dir_list(&d, w->o.fs, w->o.dir, e));
    mtx_lock(&w->mu);
    uint32_t keep = w->files.at[0].n;
    mtx_unlock(&w->mu);
    for (size_t i = 0; i < d.segments.n && d.segments.at[i] <= upto && d.segments.at[i] < keep;
         i++) {
        struct fs_stat st = { 0 };
        str path = wal_segment_path(&a, w->o.dir, d.segments.at[i]);
        TRY(fs_stat(w->o.fs, path, &st, e));
        TRY(fs_unlink(w->o.fs, path, e));
        mtx_lock(&w->mu);
        w->old_bytes -= MIN(w->old_bytes, st.size_bytes);
        w->dir_dirty = true;
        mtx_unlock(&w->mu);
    }
    return OK;
}

void wal_stat(struct wal *w, struct wal_stat *out)
{
    mtx_lock(&w->mu);
    *out = w->stat;
    out->unsynced_bytes = w->held_bytes;
    out->unsynced_s =
        w->unsynced_since_ns ? (double)(clock_mono_ns() - w->unsynced_since_ns) * 1e-9 : 0;
    out->full = w->full;
    out->failed = w->failed || w->recover;
    mtx_unlock(&w->mu);
}

static void sync_loop(void *ctx)
{
    struct wal *w = ctx;
    int64_t wake = clock_mono_ns();
    mtx_lock(&w->mu);
    while (!w->stop) {
        wake += w->o.fsync_interval_ms * 1000000;
        while (!w->stop && cond_wait_until(&w->stopping, &w->mu, wake)) { }
        bool dirty = !w->stop && (w->unsynced_since_ns || w->recover || w->files.n > 1);
        mtx_unlock(&w->mu);
        if (dirty && wal_sync(w, NULL) != OK)
            LOG_LIMITED(ERROR, WARN_EVERY_MS, "wal: not durable", kv_str("dir", w->o.dir));
        wake = MAX(wake, clock_mono_ns() - w->o.fsync_interval_ms * 1000000);
        mtx_lock(&w->mu);
    }
    mtx_unlock(&w->mu);
}

static void wal_free(struct wal *w)
{
    if (!w) return;
    for (struct batch_list *l = (struct batch_list[]){ w->queue, w->held, w->spare }, *end = l + 3;
         l < end; l++)
        for (struct wal_batch *b; (b = list_pop(l)) != NULL;) batch_free(b);
    for (size_t i = 0; i < w->files.n; i++) file_close(w->files.at[i].f);
    vec_fini(&w->files);
    vec_fini(&w->series_ends);
    vec_fini(&w->series_out_ends);
    buf_fini(&w->series);
    buf_fini(&w->series_out);
    buf_fini(&w->out);
    cond_fini(&w->changed);
    cond_fini(&w->stopping);
    mtx_fini(&w->mu);
    mem_free((void *)(uintptr_t)w->o.dir.p);
    mem_free(w);
}
static void wal_freep(struct wal **w) { wal_free(*w); }

errc wal_open(struct wal **out, const struct wal_opts *o, struct err *e)
{
    SCOPED(wal_freep) struct wal *w = NEW(struct wal);
    SCOPED(wal_dir_finip) struct wal_dir d = { 0 };
    SCOPED(arena_finip) struct arena a = { 0 };
    w->o = *o;
    w->o.dir = mem_str(o->dir);
    if (!w->o.segment_bytes) w->o.segment_bytes = WAL_SEGMENT_BYTES;
    if (!w->o.unsynced_max_bytes) w->o.unsynced_max_bytes = WAL_UNSYNCED_MAX_BYTES;
    assert(w->o.segment_bytes % PAGE_BYTES == 0);
    w->m = wal_metrics_of(o->kind);
    w->back_to = UINT32_MAX;
    mtx_init(&w->mu, LOCK_WAL);
    cond_init(&w->changed);
    cond_init(&w->stopping);
    list_init(&w->queue);
    list_init(&w->held);
    list_init(&w->spare);
    buf_init(&w->series, &wal_account, 0);
    buf_init(&w->series_out, &wal_account, 0);
    buf_init(&w->out, &wal_account, 0);
    w->next_seq = 1;
    if (!fs_exists(o->fs, o->dir)) {
        str parent =
            str_slice(o->dir, 0, str_rindex(o->dir, '/') == SIZE_MAX ? 0 : str_rindex(o->dir, '/'));
        TRY_IN(e, fs_mkdir(o->fs, o->dir, e), "wal");
        if (!fault_dropped("wal.dir_fsync")) TRY_IN(e, fs_sync_dir(o->fs, parent, e), "wal");
    }
    TRY_IN(e, wal_dir_list(&d, o->fs, o->dir, e), "wal");
    for (size_t i = 0; i < d.segments.n; i++) {
        struct fs_stat st = { 0 };
        TRY_IN(e, fs_stat(o->fs, wal_segment_path(&a, o->dir, d.segments.at[i]), &st, e), "wal");
        w->old_bytes += st.size_bytes;
    }
    TRY_IN(e, segment_new(w, d.segments.n ? vec_last(&d.segments) + 1 : 0, e), "wal");
    w->stat.segment = w->cur_n;
    if (w->o.fsync_interval_ms > 0 && !w->o.no_thread)
        w->thread = thread_start("wal-fsync", sync_loop, w);
    *out = STEAL(w);
    return OK;
}

errc wal_close_synced(struct wal *w, struct err *e)
{
    if (!w) return OK;
    mtx_lock(&w->mu);
    w->stop = true;
    cond_broadcast(&w->stopping);
    mtx_unlock(&w->mu);
    thread_join(STEAL(w->thread));
    errc rc = wal_flush_series(w, e);
    /* nothing was written since: the torn bytes are still there */
    if (rc == OK && w->cut) rc = roll_back(w, w->cut_seg, w->cut_off, e);
    if (rc == OK && !w->recover) {
        page_pad(&w->out, &w->off);
        rc = out_flush(w, e);
    }
    errc synced = wal_sync(w, rc == OK ? e : NULL);
    wal_metrics_unsynced(w->m, 0);
    wal_free(w);
    return rc == OK ? synced : rc;
}

void wal_close(struct wal *w)
{
    struct err e = { 0 };
    if (wal_close_synced(w, &e) != OK)
        LOG(ERROR, "wal: not everything was written at close", kv_err(&e));
}
