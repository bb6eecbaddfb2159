/* wal.c — see wal.h
 *
 * The way of a batch:
 *
 *     caller      encodes and compresses its records into a batch      its own thread, no lock
 *     wal_commit  queues it; whoever finds no leader becomes it        LOCK_WAL
 *     leader      takes all that is queued and the waiting series
 *                 records, frames it, writes it                        no lock, alone: w->leading
 *     leader      hands out results, moves the batches to `held`       LOCK_WAL
 *     sync        fsyncs what was written, frees what was held for it  no lock, alone: w->at_files
 */
#include "wal/wal_impl.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/thread.h"
#include "wal/record.h"
#include "wal/wal_reader.h"

enum { SERIES_RECORD_BYTES = 1 << 20, ENDED_RECORD_SERIES = 1 << 15 };

static void arena_finip(struct arena *a) { arena_fini(a); }

/* ---- the leader ---- */

/* Before the series records: the labels may go on under another ref. */
static void put_ended(struct wal *w, struct wal_batch *b)
{
    for (size_t i = 0; i < w->ended_out.n; i += ENDED_RECORD_SERIES) {
        size_t n = MIN(w->ended_out.n - i, (size_t)ENDED_RECORD_SERIES);
        tombstones_encode(&b->room, w->ended_out.at + i, n);
        wal_batch_seal(b);
    }
}

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

static void ended_swap(struct wal *w)
{
    ref_tombstones ended = w->ended;
    w->ended = w->ended_out;
    w->ended_out = ended;
}

/* What could not be written waits again, before what came since. */
static void series_wait_again_locked(struct wal *w) REQUIRES(w->mu)
{
    size_t moved = w->series_out.n;
    for (size_t i = 0; i < w->ended.n; i++) vec_push(&w->ended_out, w->ended.at[i]);
    ended_swap(w);
    if (moved == 0) return;
    buf_str(&w->series_out, buf_view(&w->series));
    for (size_t i = 0; i < w->series_ends.n; i++)
        vec_push(&w->series_out_ends, w->series_ends.at[i] + moved);
    struct buf bytes = w->series;
    wal_end_list ends = w->series_ends;
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
        rc = wal_put_batch(w, b, counts, e);
    if (late && rc == OK) rc = wal_put_batch(w, group, counts, e);
    if (rc == OK) rc = wal_out_flush(w, e);
    if (rc == OK) {
        set_back_to(w, UINT32_MAX);
        return OK;
    }
    struct err why = { 0 };
    if (wal_roll_back(w, seg, off, &why) != OK)
        LOG_LIMITED(ERROR, WAL_WARN_EVERY_MS,
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
    if (w->cut) TRY(wal_roll_back(w, w->cut_seg, w->cut_off, e));
    if (sync_first) TRY(wal_sync_leading(w, e));
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
        LOG_LIMITED(
            ERROR, WAL_WARN_EVERY_MS, "wal: write failed", kv_str("dir", w->o.dir), kv_err(e));
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
        wal_batches_push(&w->held, b);
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
        wal_batch_give_locked(w, b);
    }
}

/* Takes what is queued: the batches with those who wait for them, and the series records. */
static struct wal_batch *take_queue_locked(struct wal *w, struct wal_waiter **waiters)
    REQUIRES(w->mu)
{
    struct wal_batch *first = w->queue.first;
    *waiters = NULL;
    for (struct wal_batch *b = first; b; b = b->next) {
        b->waiter->next = *waiters;
        *waiters = STEAL(b->waiter);
    }
    wal_batches_init(&w->queue);
    struct buf bytes = w->series;
    wal_end_list ends = w->series_ends;
    w->series = w->series_out;                 /* empty: the last leader left it so */
    w->series_ends = w->series_out_ends;
    w->series_out = bytes;
    w->series_out_ends = ends;
    ended_swap(w); /* the same */
    return first;
}

/* One round of the leader: everything that is queued. Enters and leaves with mu held; `leading` is
 * the caller's to set and clear. */
static void lead_locked(struct wal *w) REQUIRES(w->mu)
{
    struct err e = { 0 };
    struct wal_waiter *waiters;
    struct wal_batch *first = take_queue_locked(w, &waiters);
    mtx_unlock(&w->mu);

    struct wal_batch *group = wal_batch_new(w);
    put_ended(w, group);
    put_series(w, group);
    group = wal_batch_settle(w, group);
    group->next = first;
    errc rc = group_out(w, group, &e);

    mtx_lock(&w->mu);
    uint64_t from = w->next_seq;
    if (rc == OK) hold_locked(w, STEAL(group));
    if (rc == OK && w->o.fsync_interval_ms == 0) {
        mtx_unlock(&w->mu);
        rc = wal_sync_leading(w, &e);
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
    wal_buf_rest(&w->series_out);
    w->series_out_ends.n = w->ended_out.n = 0;
    /* once done is seen, the waiter is gone */
    for (struct wal_waiter *at = waiters, *next; at; at = next) {
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

/* ---- the door ---- */

static errc commit(struct wal *w, struct wal_batch *b, _Atomic uint64_t *place, struct err *e)
{
    struct wal_waiter me = { .e = e };
    wal_batch_seal(b);
    b = wal_batch_settle(w, b);
    b->waiter = &me;
    mtx_lock(&w->mu);
    wal_batches_push(&w->queue, b);
    if (place) atomic_store_explicit(place, ++w->last_place, memory_order_release);
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

errc wal_commit_placed(
    struct wal *w, struct wal_batch *b, _Atomic uint64_t *place, struct err *e)
{
    mtx_lock(&w->mu);
    bool nothing = b->room.n == 0 && b->pieces.n == 0 && w->series_ends.n == 0 && w->ended.n == 0;
    if (nothing) wal_batch_give_locked(w, b);
    mtx_unlock(&w->mu);
    return nothing ? OK : commit(w, b, place, e);
}

errc wal_commit(struct wal *w, struct wal_batch *b, struct err *e)
{
    return wal_commit_placed(w, b, NULL, e);
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

void wal_series_end(struct wal *w, sref ref)
{
    mtx_lock(&w->mu);
    vec_push(&w->ended, ((struct ref_tombstone){ ref, INT64_MIN, INT64_MAX }));
    mtx_unlock(&w->mu);
}

errc wal_flush_series(struct wal *w, struct err *e) { return wal_commit(w, wal_batch_new(w), e); }

errc wal_sync(struct wal *w, struct err *e)
{
    struct err why = { 0 };
    errc rc = OK;
    wal_files_enter(w);
    mtx_lock(&w->mu);
    bool again = w->recover;
    mtx_unlock(&w->mu);
    if (!again) rc = wal_sync_pass(w, &why);
    wal_files_leave(w);
    if (!again && rc == OK) return OK;
    if (!again)
        LOG_LIMITED(
            ERROR, WAL_WARN_EVERY_MS, "wal: fsync failed", kv_str("dir", w->o.dir), kv_err(&why));
    mtx_lock(&w->mu);
    lead_enter_locked(w);
    mtx_unlock(&w->mu);
    rc = wal_sync_leading(w, e);
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
    errc rc = w->cut ? wal_roll_back(w, w->cut_seg, w->cut_off, e) : OK;
    if (rc == OK && again) rc = wal_sync_leading(w, e);
    uint32_t seg = w->cur_n;
    uint64_t off = w->off;
    if (rc == OK) {
        rc = wal_segment_next(w, e);
        if (rc != OK && wal_roll_back(w, seg, off, NULL) != OK)
            LOG_LIMITED(ERROR, WAL_WARN_EVERY_MS,
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

static errc truncate_to(struct wal *w, uint32_t upto, struct err *e)
{
    SCOPED(arena_finip) struct arena a = { 0 };
    SCOPED(wal_dir_finip) struct wal_dir d = { 0 };
    mtx_lock(&w->mu);
    /* a checkpoint may have got its name here: that is durable before a segment goes */
    w->dir_dirty = true;
    mtx_unlock(&w->mu);
    /* closes the finished files: what is deleted below is nobody's */
    if (!fault_dropped("wal.truncate_order")) TRY(wal_sync(w, e));
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

errc wal_truncate(struct wal *w, uint32_t upto, struct err *e)
{
    errc rc = truncate_to(w, upto, e);
    wal_metrics_truncated(w->m, rc != OK);
    return rc;
}

void wal_stat(struct wal *w, struct wal_stat *out)
{
    mtx_lock(&w->mu);
    *out = w->stat;
    out->bytes = w->old_bytes + w->stat.offset;
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
            LOG_LIMITED(ERROR, WAL_WARN_EVERY_MS, "wal: not durable", kv_str("dir", w->o.dir));
        wake = MAX(wake, clock_mono_ns() - w->o.fsync_interval_ms * 1000000);
        mtx_lock(&w->mu);
    }
    mtx_unlock(&w->mu);
}

static void wal_free(struct wal *w)
{
    if (!w) return;
    for (struct wal_batch_list *l = (struct wal_batch_list[]){ w->queue, w->held, w->spare },
                               *end = l + 3;
         l < end; l++)
        for (struct wal_batch *b; (b = wal_batches_pop(l)) != NULL;) wal_batch_free(b);
    for (size_t i = 0; i < w->files.n; i++) file_close(w->files.at[i].f);
    vec_fini(&w->files);
    vec_fini(&w->series_ends);
    vec_fini(&w->series_out_ends);
    vec_fini(&w->ended);
    vec_fini(&w->ended_out);
    buf_fini(&w->series);
    buf_fini(&w->series_out);
    buf_fini(&w->out);
    for (size_t i = 0; i < WAL_SETTLED_KEPT; i++) buf_fini(&w->settled[i]);
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
    wal_batches_init(&w->queue);
    wal_batches_init(&w->held);
    wal_batches_init(&w->spare);
    wal_buf_init(&w->series);
    wal_buf_init(&w->series_out);
    wal_buf_init(&w->out);
    for (size_t i = 0; i < WAL_SETTLED_KEPT; i++) wal_buf_init(&w->settled[i]);
    w->next_seq = 1;
    if (!fs_exists(o->fs, o->dir)) {
        str parent =
            str_slice(o->dir, 0, str_rindex(o->dir, '/') == SIZE_MAX ? 0 : str_rindex(o->dir, '/'));
        TRY_IN(e, fs_mkdir(o->fs, o->dir, e), "wal");
        if (!fault_dropped("wal.parent_fsync")) TRY_IN(e, fs_sync_dir(o->fs, parent, e), "wal");
    }
    TRY_IN(e, wal_dir_list(&d, o->fs, o->dir, e), "wal");
    for (size_t i = 0; i < d.segments.n; i++) {
        struct fs_stat st = { 0 };
        TRY_IN(e, fs_stat(o->fs, wal_segment_path(&a, o->dir, d.segments.at[i]), &st, e), "wal");
        w->old_bytes += st.size_bytes;
    }
    TRY_IN(e, wal_segment_new(w, d.segments.n ? vec_last(&d.segments) + 1 : 0, e), "wal");
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
    if (rc == OK && w->cut) rc = wal_roll_back(w, w->cut_seg, w->cut_off, e);
    if (rc == OK && !w->recover) {
        page_pad(&w->out, &w->off);
        rc = wal_out_flush(w, e);
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
