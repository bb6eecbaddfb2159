#include "tsdb/db.h"

#include "base/clock.h"
#include "base/epoch.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/prng.h"
#include "block/float_cache.h"
#include "head/chunk_disk.h"
#include "head/deletions.h"
#include "head/head.h"
#include "io/numbered.h"
#include "io/pool.h"
#include "io/thread.h"
#include "storage/changes.h"
#include "tsdb/blocks.h"
#include "tsdb/compaction.h"
#include "tsdb/db_chunks.h"
#include "tsdb/db_querier.h"
#include "tsdb/deletion.h"
#include "tsdb/image_turn.h"
#include "tsdb/memory_folder.h"
#include "tsdb/recover.h"
#include "tsdb/resync.h"
#include "tsdb/snapshot.h"
#include "tsdb/turn.h"
#include "tsdb/uploads.h"
#include "wal/wal.h"
#include "wal/wal_reader.h"

enum {
    TICK_MS = 1000,
    SEALED_AT_ONCE = 4096,
    RELOAD_MS = 60000,
    PAUSE_MIN_MS = 1000,
    PAUSE_MAX_MS = 60000
};
#define CHUNK_RANGE_MS (2ll * 3600 * 1000)
#define MS_NS 1000000ll

GAUGE(m_clean_start, "prometheus_tsdb_clean_start",
    "-1: lockfile is disabled. 0: a lockfile from a previous execution was replaced. 1: lockfile "
    "creation was clean")
GAUGE(m_replay_seconds, "prometheus_tsdb_data_replay_duration_seconds",
    "Time taken to replay the data on disk.")

GAUGE(m_symbol_table, "prometheus_tsdb_symbol_table_size_bytes",
    "Size of symbol table in memory for loaded blocks")

/* relaxed: figures for a status page */
static _Atomic int64_t replay_min, replay_max, replay_current;

void db_replay_progress(int64_t *min, int64_t *max, int64_t *current)
{
    *min = atomic_load_explicit(&replay_min, memory_order_relaxed);
    *max = atomic_load_explicit(&replay_max, memory_order_relaxed);
    *current = atomic_load_explicit(&replay_current, memory_order_relaxed);
}

void db_replay_range(uint32_t first, uint32_t last)
{
    atomic_store_explicit(&replay_min, first, memory_order_relaxed);
    atomic_store_explicit(&replay_max, last, memory_order_relaxed);
}

void db_replay_at(uint32_t segment)
{
    if (atomic_exchange_explicit(&replay_current, segment, memory_order_relaxed) == segment) return;
    LOG(INFO, "WAL segment loaded", kv_u64("segment", segment),
        kv_i64("maxSegment", atomic_load_explicit(&replay_max, memory_order_relaxed)));
}

struct db {
    struct db_opts o;
    struct fs_lock *lock;
    struct wal *wal;
    struct wal *_Atomic wbl;           /* the log of late samples; NULL: there is none, yet */
    struct chunk_disk *disk;
    struct head *head;
    struct blocks *blocks;
    struct changes changes;            /* of what is in blocks and head */
    struct db_queryable queryable;     /* over blocks and head */
    struct db_chunks chunks;
    struct compaction *compaction;
    struct uploads *uploads;
    /* when compaction is tried again after a failure; the background's */
    int64_t compact_ns, pause_ms;
    int64_t reload_ns;                 /* when the folder is looked at again */
    bool cut_short;                    /* the last compaction; the background's */
    struct image_turn image;           /* the background's */
    struct turn turn;                  /* of those who change the blocks */
    /* relaxed: work failed halfway; what it did is not known to be durable */
    _Atomic bool unsure;
    struct thread *thread;
    struct mtx mu;                     /* LOCK_DB */
    struct cond wake, settled;
    uint64_t rounds;                   /* GUARDED_BY(mu): of the background, that ended */
    bool stop;                         /* GUARDED_BY(mu) */
    bool hurry;                        /* GUARDED_BY(mu): the next round is due at once */
    unsigned settling;                 /* GUARDED_BY(mu): callers who wait for rounds to end */
};

static errc settle_folders(struct fs *fs, struct db_opened *what, struct err *e)
{
    static const str names[] = { S("wal"), S("wbl"), S("chunks_head") };
    uint32_t moved = 0;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        TRY(numbered_want_folder(fs, STR_EMPTY, names[i], &moved, e));
    what->corruptions += moved;
    return OK;
}

/* Before anybody looks for a segment by its number. A folder in the place of one is damage to those
 * behind it, where a segment that is missing is none. */
static errc settle_logs(struct db *db, struct replay_place *stumble, bool *stumbles,
    struct db_opened *what, struct err *e)
{
    uint32_t moved[2] = { 0 };
    TRY(wal_dir_tidy(db->o.fs, S("wal"), e));
    TRY(wal_dir_stumbles(db->o.fs, S("wal"), &stumble->seg, stumbles, e));
    TRY(wal_dir_settle(db->o.fs, S("wal"), &moved[0], e));
    TRY(wal_dir_settle(db->o.fs, S("wbl"), &moved[1], e));
    what->corruptions += moved[0] + moved[1];
    return OK;
}

static errc open_log(struct db *db, struct recover_in *in, struct err *e)
{
    struct wal_dir dir = { 0 };
    TRY(wal_dir_list(&dir, db->o.fs, S("wal"), e));
    in->has_segments = dir.segments.n > 0;
    in->last_segment = dir.segments.n ? vec_last(&dir.segments) : 0;
    wal_dir_fini(&dir);
    struct wal_opts o = {
        .fs = db->o.fs,
        .dir = S("wal"),
        .kind = WAL_MAIN,
        .segment_bytes = db->o.wal_segment_bytes,
        .compress = db->o.wal_compress,
        .fsync_interval_ms = db->o.fsync_interval_ms,
        .no_thread = db->o.no_thread,
    };
    return wal_open(&db->wal, &o, e);
}

static errc late_log_new(struct db *db, struct err *e)
{
    struct wal *wbl = NULL;
    struct wal_opts o = {
        .fs = db->o.fs,
        .dir = S("wbl"),
        .kind = WAL_OUT_OF_ORDER,
        .segment_bytes = db->o.wal_segment_bytes,
        .compress = db->o.wal_compress,
        .fsync_interval_ms = db->o.fsync_interval_ms,
        .no_thread = db->o.no_thread,
    };
    TRY(wal_open(&wbl, &o, e));
    atomic_store_explicit(&db->wbl, wbl, memory_order_release);
    return OK;
}

static errc late_log_bytes(
    struct db *db, const struct wal_dir *dir, uint64_t *bytes, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    *bytes = 0;
    for (size_t i = 0; i < dir->segments.n; i++) {
        struct fs_stat st = { 0 };
        TRY(fs_stat(db->o.fs, wal_segment_path(&a, S("wbl"), dir->segments.at[i]), &st, e));
        *bytes += st.size_bytes;
    }
    return OK;
}

/* There is one where late samples are taken, or were: its samples are in it alone. */
static errc open_late_log(struct db *db, struct recover_in *in, struct err *e)
{
    SCOPED(wal_dir_fini) struct wal_dir dir = { 0 };
    uint64_t bytes = 0;
    TRY(wal_dir_list(&dir, db->o.fs, S("wbl"), e));
    TRY(late_log_bytes(db, &dir, &bytes, e));
    if (!bytes && db->o.ooo_window_ms <= 0) return OK;
    in->has_late = dir.segments.n > 0;
    in->first_late = dir.segments.n ? dir.segments.at[0] : 0;
    in->last_late = dir.segments.n ? vec_last(&dir.segments) : 0;
    return late_log_new(db, e);
}

static struct wal *late_log(struct db *db)
{
    return atomic_load_explicit(&db->wbl, memory_order_acquire);
}

static unsigned replay_workers(const struct db_opts *o)
{
    if (o->no_thread) return 1;
    return o->replay_workers ? o->replay_workers : MAX(pool_cores(), 2u);
}

/* Chunks of a page's series end together: sealed ones are written soon, not at the next second. */
static void db_many_sealed(void *ctx)
{
    struct db *db = ctx;
    mtx_lock(&db->mu);
    db->hurry = true;
    cond_broadcast(&db->wake);
    mtx_unlock(&db->mu);
}

static void compaction_begin(struct db *db)
{
    struct compaction_of of = {
        .fs = db->o.fs,
        .backend = db->o.backend,
        .blocks = db->blocks,
        .head = db->head,
        .wal = db->wal,
        .disk = db->disk,
        .compress = db->o.wal_compress,
        .wal_segment_bytes = db->o.wal_segment_bytes,
        .block_segment_bytes = db->o.block_segment_bytes,
        .chunk_range_ms = db->o.chunk_range_ms,
        .max_block_ms = db->o.max_block_ms,
        .no_overlapping = db->o.no_overlapping_compaction,
        .stop = &db->turn.hurry,
        .wanted = &db->turn.wanted,
    };
    if (db->o.compaction_delay_percent) {
        struct prng r;
        prng_secret(&r, sizeof(r));
        of.head_delay_ms = (int64_t)prng_below(
            &r, (uint64_t)of.chunk_range_ms * db->o.compaction_delay_percent / 100);
    }
    if (db->o.uploads_path.n) of.uploads = db->uploads = uploads_new(db->o.uploads_path);
    db->compaction = compaction_new(&of);
    compaction_set_retention(db->compaction, db->o.retention);
}

/* A head as it is before the replay; one that was begun before goes. */
static errc db_new_head(void *ctx, struct head **out, struct err *e)
{
    struct db *db = ctx;
    struct head_opts o = { .wal = db->wal,
        .disk = db->disk,
        .chunk_range_ms = db->o.chunk_range_ms,
        .samples_per_chunk = db->o.samples_per_chunk,
        .many_sealed = db_many_sealed,
        .many_sealed_ctx = db,
        .exemplar_late_ms = db->o.ooo_window_ms,
        .changes = &db->changes,
        .keeps = db->o.keeps };
    head_close(STEAL(db->head));
    TRY(head_open(&db->head, &o, e));
    head_set_ooo_log(db->head, late_log(db));
    head_set_ooo_window(db->head, db->o.ooo_window_ms);
    if (blocks_reached(db->blocks) != INT64_MIN)
        head_set_min_valid_time(db->head, blocks_reached(db->blocks));
    *out = db->head;
    return OK;
}

/* From here on the blocks can be asked. */
static errc tell_early(struct db *db, struct err *e)
{
    SCOPED(wal_dir_fini) struct wal_dir late = { 0 };
    uint64_t bytes = 0;
    TRY(wal_dir_list(&late, db->o.fs, S("wbl"), e));
    TRY(late_log_bytes(db, &late, &bytes, e));
    db_queryable_init(&db->queryable, db->blocks, &db->changes,
        db->o.early_patience_ms, bytes > 0);
    if (db->o.early) db->o.early(db->o.early_ctx, &db->queryable.base);
    return OK;
}

/* For as long as it worked: half of a core is for others, unless somebody waits for the round. */
static bool db_rest(void *ctx, int64_t worked_ns)
{
    struct db *db = ctx;
    int64_t until = clock_mono_ns() + worked_ns;
    mtx_lock(&db->mu);
    while (!db->stop && !db->hurry && !db->settling &&
           cond_wait_until(&db->wake, &db->mu, until)) {}
    bool go_on = !db->stop;
    mtx_unlock(&db->mu);
    return go_on;
}

/* It stands for chunks that will be gone: only the log has their samples. */
static errc forget_memory(void *ctx, struct err *e)
{
    struct db *db = ctx;
    TRY_IN(e, memory_folder_remove(db->o.fs, e), "memory snapshots");
    return OK;
}

static errc open_parts(
    struct db *db, struct recover_chunks *chunks, struct db_opened *what, struct err *e)
{
    struct fs *fs = db->o.fs;
    TRY(fs_mkdir(fs, S(""), e));
    if (!db->o.no_lock) TRY(fs_lock_take(&db->lock, fs, S("lock"), &what->unclean, e));
    TRY(settle_folders(fs, what, e));
    if (what->unclean || db->o.no_lock)
        TRY_IN(e, resync_folder(fs, e), "after an unclean stop");
    TRY(numbered_tidy_copies(fs, e));
    struct blocks_opts bo = { .fs = fs, .backend = db->o.backend, .salvage = db->o.salvage,
        .changes = &db->changes };
    struct blocks_found seen = { 0 };
    TRY_IN(e, snapshot_tidy(fs, e), "snapshots");
    TRY_IN(e, memory_folder_tidy(fs, e), "memory snapshots");
    TRY_IN(e, image_file_tidy(fs, e), "head image");
    TRY_IN(e, blocks_open(&db->blocks, &bo, &seen, e), "blocks");
    what->blocks = seen.blocks;
    what->blocks_set_aside = seen.set_aside;
    what->blocks_skipped = seen.skipped;
    struct replay_place stumble = { 0 };
    bool stumbles = false;
    TRY_IN(e, settle_logs(db, &stumble, &stumbles, what, e), "wal");
    TRY_IN(e, tell_early(db, e), "wbl");
    struct chunk_disk_opts co = { .fs = fs,
        .dir = S("chunks_head"),
        .backend = db->o.backend,
        .file_bytes = db->o.chunk_file_bytes,
        .workers = replay_workers(&db->o),
        .damaged = forget_memory,
        .damaged_ctx = db };
    struct chunk_disk_opened found = { 0 };
    TRY_IN(
        e, chunk_disk_open(&db->disk, &co, recover_chunk_found, chunks, &found, e), "chunks_head");
    what->corruptions += found.corruptions;
    recover_chunks_found(chunks);
    if (found.out_of_order) recover_chunks_fini(chunks);
    struct recover_in in = { .fs = fs,
        .backend = db->o.backend,
        .new_head = db_new_head,
        .ctx = db,
        .chunks = chunks,
        .damage = stumbles ? &stumble : NULL,
        .check_all = db->o.check_all,
        .memory_snapshot = db->o.memory_snapshot,
        .workers = replay_workers(&db->o) };
    TRY_IN(e, open_log(db, &in, e), "wal");
    TRY_IN(e, open_late_log(db, &in, e), "wbl");
    struct image_file_written image = { 0 };
    TRY(recover_head(&in, what, &image, e));
    struct err why = { 0 };                    /* a full disk: the next late samples try again */
    if (db->o.ooo_window_ms > 0 && head_deletions_settle(db->head, &why) != OK)
        LOG(WARN, "deletions have no number yet", kv_err(&why));
    db_chunks_init(&db->chunks, db->blocks, db->head);
    db_queryable_add_head(&db->queryable, db->head);
    compaction_begin(db);
    struct image_file_of of = { .fs = fs,
        .head = db->head,
        .wal = db->wal,
        .disk = db->disk,
        .rest = db->o.no_thread ? NULL : db_rest,
        .ctx = db };
    image_turn_init(&db->image, &of, db->o.image_log_bytes, &image);
    bool renew = what->image && !image.place.offset && !db->o.chunks_in_memory;
    if (renew) image_turn_renew(&db->image);
    return OK;
}

static void db_run(void *arg)
{
    struct db *db = arg;
    mtx_lock(&db->mu);
    while (!db->stop) {
        mtx_unlock(&db->mu);
        db_tick(db);
        mem_give_back_old();
        mtx_lock(&db->mu);
        db->rounds++;
        cond_broadcast(&db->settled);
        int64_t until = clock_mono_ns() + TICK_MS * 1000000ll;
        while (!db->stop && !db->hurry && !db->settling &&
               cond_wait_until(&db->wake, &db->mu, until)) {}
        db->hurry = false;
    }
    mtx_unlock(&db->mu);
}

errc db_open(struct db **out, const struct db_opts *o, struct db_opened *what, struct err *e)
{
    struct db *db = NEW(struct db);
    db->o = *o;
    if (!db->o.chunk_range_ms) db->o.chunk_range_ms = CHUNK_RANGE_MS;
    if (!db->o.reload_interval_ms) db->o.reload_interval_ms = RELOAD_MS;
    turn_init(&db->turn);
    mtx_init(&db->mu, LOCK_DB);
    cond_init(&db->wake);
    cond_init(&db->settled);
    changes_init(&db->changes);
    struct db_opened found = { 0 };
    struct recover_chunks chunks = { 0 };
    int64_t start = clock_mono_ns();
    errc rc = open_parts(db, &chunks, &found, e);
    recover_chunks_fini(&chunks);
    if (rc != OK) {
        if (db->queryable.base.ops) db_queryable_give_up(&db->queryable);
        if (db->queryable.base.ops && o->early) o->early(o->early_ctx, NULL);
        db_abandon(db);
        return rc;
    }
    found.took_ms = (clock_mono_ns() - start) / 1000000;
    metric_set(&m_replay_seconds, (double)found.took_ms / 1000);
    metric_set(&m_clean_start, o->no_lock ? -1 : found.unclean ? 0 : 1);
    if (!o->no_thread) db->thread = thread_start("tsdb", db_run, db);
    if (what) *what = found;
    *out = db;
    return OK;
}

static void stop_thread(struct db *db)
{
    if (!db->thread) return;
    turn_stop(&db->turn);
    mtx_lock(&db->mu);
    db->stop = true;
    cond_broadcast(&db->wake);
    mtx_unlock(&db->mu);
    thread_join(db->thread);
    db->thread = NULL;
}

/* The log first: a chunk on the disk whose samples or series record the log lost would show a part
 * of a batch that was never durable. What the sync covers is what was sealed before it, since a
 * batch is in the log before it is in a chunk; what is sealed meanwhile waits for the next
 * round. */
static errc write_sealed(struct db *db, struct err *e)
{
    if (db->o.chunks_in_memory) {
        head_free_dropped(db->head);
        return OK;
    }
    size_t left = head_sealed_count(db->head);
    head_free_retired(db->head);
    if (!fault_dropped("tsdb.log_first")) TRY(wal_sync(db->wal, e));
    for (size_t written = 1; left && written; left -= MIN(left, written))
        TRY(head_write_sealed(db->head, MIN(left, (size_t)SEALED_AT_ONCE), &written, e));
    return OK;
}

static void db_free(struct db *db, bool remove_lock)
{
    compaction_free(db->compaction);
    uploads_free(db->uploads);
    head_close(db->head);
    chunk_disk_close(db->disk);
    blocks_close(db->blocks);
    db_queryable_fini(&db->queryable);
    changes_fini(&db->changes);
    fs_lock_release(db->lock, remove_lock);
    cond_fini(&db->wake);
    cond_fini(&db->settled);
    mtx_fini(&db->mu);
    turn_fini(&db->turn);
    mem_free(db);
}

/* The result of work on the folder. */
static errc noted(struct db *db, errc rc)
{
    if (rc != OK) atomic_store_explicit(&db->unsure, true, memory_order_relaxed);
    return rc;
}

/* After a clean end the next opening does not sync what it finds. */
static bool is_settled(struct db *db)
{
    struct err e = { 0 };
    if (!atomic_load_explicit(&db->unsure, memory_order_relaxed)) return true;
    if (resync_folder(db->o.fs, &e) == OK) return true;
    LOG(WARN, "not all of the folder is durable at close", kv_err(&e));
    return false;
}

/* It saves the next start some time: without it that reads the log. */
static void write_memory(const struct memory_folder_of *of)
{
    struct err e = { 0 };
    if (memory_folder_write(of, &e) != OK) LOG(WARN, "no memory snapshot", kv_err(&e));
}

errc db_close(struct db *db, struct err *e)
{
    if (!db) return OK;
    stop_thread(db);
    /* a snapshot of the head has open chunks only */
    db->o.chunks_in_memory = db->o.chunks_in_memory && !db->o.memory_snapshot;
    errc sealed = write_sealed(db, e);
    struct memory_folder_of memory = {
        .fs = db->o.fs, .head = db->head, .disk = db->disk, .compress = db->o.wal_compress
    };
    if (db->o.memory_snapshot && sealed == OK)
        sealed = head_deletions_log_again(db->head, &memory.before, &memory.segment, e);
    errc synced = wal_close_synced(STEAL(db->wal), sealed == OK ? e : NULL);
    struct wal *wbl = atomic_exchange_explicit(&db->wbl, NULL, memory_order_acq_rel);
    bool told = sealed != OK || synced != OK;
    errc late = wbl ? wal_close_synced(wbl, told ? NULL : e) : OK;
    if (synced == OK) synced = late;
    if (db->o.memory_snapshot && sealed == OK && synced == OK) write_memory(&memory);
    db_free(db, sealed == OK && synced == OK && is_settled(db));
    return sealed != OK ? sealed : synced;
}

void db_abandon(struct db *db)
{
    if (!db) return;
    stop_thread(db);
    wal_close(db->wal);
    wal_close(atomic_exchange_explicit(&db->wbl, NULL, memory_order_acq_rel));
    db_free(db, false);
}

/* One that failed is tried again after a pause that doubles; meanwhile the rest goes on. False: it
 * was cut short. */
static bool compact(struct db *db)
{
    struct err e = { 0 };
    errc rc = noted(db, compaction_run(db->compaction, &e));
    if (rc == OK || rc == ERR_CANCELED) {
        db->pause_ms = 0;
        return rc == OK && !atomic_load_explicit(&db->turn.hurry, memory_order_relaxed);
    }
    db->pause_ms = MIN(MAX(db->pause_ms * 2, (int64_t)PAUSE_MIN_MS), (int64_t)PAUSE_MAX_MS);
    db->compact_ns = clock_mono_ns() + db->pause_ms * MS_NS;
    LOG(ERROR, "compaction failed", kv_err(&e), kv_i64("again_in_ms", db->pause_ms));
    return true;
}

static void compact_ended(struct db *db)
{
    struct err e = { 0 };
    errc rc = noted(db, compaction_run_ended(db->compaction, &e));
    if (rc != OK && rc != ERR_CANCELED)
        LOG(ERROR, "immediate stale series compaction failed", kv_err(&e));
}

static void reload(struct db *db)
{
    struct err e = { 0 };
    if (noted(db, compaction_reload(db->compaction, &e)) != OK)
        LOG_LIMITED(ERROR, 60000, "the folder's blocks could not be looked at", kv_err(&e));
    db->reload_ns = clock_mono_ns() + db->o.reload_interval_ms * MS_NS;
    float_cache_age(clock_mono_ns());
}

void db_tick(struct db *db)
{
    struct err e = { 0 };
    if (write_sealed(db, &e) != OK)
        LOG_LIMITED(ERROR, 60000, "closed chunks could not be written", kv_err(&e));
    bool due = clock_mono_ns() >= db->reload_ns;
    bool work = (due || db->cut_short || compaction_head_due(db->compaction)) &&
                clock_mono_ns() >= db->compact_ns;
    if (due || work) {
        turn_take_background(&db->turn);
        if (due) reload(db);
        if (due && compaction_ended_due(db->compaction)) compact_ended(db);
        if (work) db->cut_short = !compact(db);
        turn_give_background(&db->turn, !db->cut_short);
        head_give_back(db->head);
    }
    if (!db->o.chunks_in_memory) image_turn_take(&db->image);
    epoch_collect();
}

void db_settle(struct db *db)
{
    mtx_lock(&db->mu);
    uint64_t until = db->rounds + 2;           /* the one that runs began before */
    db->settling++;
    cond_broadcast(&db->wake);
    while (db->rounds < until) cond_wait(&db->settled, &db->mu);
    db->settling--;
    mtx_unlock(&db->mu);
}

errc db_compact(struct db *db, struct err *e)
{
    TRY(write_sealed(db, e));
    turn_take(&db->turn);
    errc rc = noted(db, compaction_run(db->compaction, e));
    turn_give(&db->turn);
    return rc;
}

void db_set_retention(struct db *db, struct retention r)
{
    compaction_set_retention(db->compaction, r);
}

void db_set_stale_threshold(struct db *db, double part)
{
    compaction_set_ended(db->compaction, part);
}

errc db_delete(struct db *db, struct matchers ms, int64_t mint, int64_t maxt, struct err *e)
{
    turn_take(&db->turn);
    changes_begin(&db->changes);
    errc rc = noted(db, deletion_mark(db->blocks, db->head, ms, mint, maxt, e));
    changes_end(&db->changes, mint, maxt);
    turn_give(&db->turn);
    return rc;
}

errc db_clean_tombstones(struct db *db, struct err *e)
{
    turn_take(&db->turn);
    errc rc = noted(db, deletion_clean(db->blocks, db->o.fs, db->o.block_segment_bytes, e));
    turn_give(&db->turn);
    return rc;
}

errc db_snapshot(struct db *db, str name, bool with_head, bool with_late, struct err *e)
{
    struct snapshot_of of = { .fs = db->o.fs,
        .backend = db->o.backend,
        .blocks = db->blocks,
        .head = with_head ? db->head : NULL,
        .late_range_ms = with_late ? db->o.chunk_range_ms : 0,
        .segment_bytes = db->o.block_segment_bytes };
    turn_take(&db->turn);
    errc rc = snapshot_write(&of, name, e);
    turn_give(&db->turn);
    return rc;
}

void db_block_metas(struct db *db, db_meta_fn fn, void *ctx)
{
    struct block_list *l = blocks_now(db->blocks);
    for (size_t i = 0; i < l->n; i++) {
        struct block_meta m = block_meta_now(l->at[i]);
        fn(ctx, &m);
    }
    block_list_unref(l);
}

errc db_sync(struct db *db, struct err *e)
{
    struct wal *wbl = late_log(db);
    TRY(wal_sync(db->wal, e));
    return wbl && !fault_dropped("ooo.sync") ? wal_sync(wbl, e) : OK;
}

/* Once there is a log of late samples it stays, for what it holds. */
errc db_set_ooo_window(struct db *db, int64_t window_ms, struct err *e)
{
    if (window_ms > 0 && !late_log(db)) {
        TRY_IN(e, late_log_new(db, e), "wbl");
        head_set_ooo_log(db->head, late_log(db));
    }
    head_set_ooo_window(db->head, window_ms);
    return OK;
}

struct head *db_head(struct db *db) { return db->head; }
struct appendable *db_appendable(struct db *db) { return head_appendable(db->head); }
struct queryable *db_queryable(struct db *db) { return &db->queryable.base; }
struct chunk_queryable *db_chunk_queryable(struct db *db) { return &db->chunks.base; }
