#include "tsdb/compaction.h"

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/metric.h"
#include "block/block_writer.h"
#include "block/compact.h"
#include "block/plan.h"
#include "chunk/cut.h"
#include "head/chunk_disk.h"
#include "head/head.h"
#include "head/ooo_compact.h"
#include "tsdb/blocks.h"
#include "tsdb/head_block.h"
#include "tsdb/late_reached.h"
#include "tsdb/resting.h"
#include "tsdb/uploads.h"
#include "wal/checkpoint.h"
#include "wal/wal_metrics.h"
#include "wal/wal.h"

enum { PLANS_MAX = 1000, RETENTION_PART = 10 };
#define MAX_BLOCK_MS (31ll * 24 * 3600 * 1000)
#define ENDED_SOON_NS (10ll * 60 * 1000 * 1000000)

COUNTER(m_compactions, "prometheus_tsdb_compactions_total",
    "Total number of compactions that were executed for the partition.")
COUNTER(m_compactions_failed, "prometheus_tsdb_compactions_failed_total",
    "Total number of compactions that failed for the partition.")
COUNTER(m_triggered, "prometheus_tsdb_compactions_triggered_total",
    "Total number of triggered compactions for the partition.")
COUNTER(m_skipped, "prometheus_tsdb_compactions_skipped_total",
    "Total number of skipped compactions due to disabled auto compaction.")
static const double duration_bounds[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096,
    8192 };
HISTOGRAM(m_stale_seconds, "prometheus_tsdb_stale_series_compaction_duration_seconds",
    "Duration of stale series compaction runs.", duration_bounds)
COUNTER(m_stale, "prometheus_tsdb_stale_series_compactions_triggered_total",
    "Total number of triggered stale series compactions.")
COUNTER(m_stale_failed, "prometheus_tsdb_stale_series_compactions_failed_total",
    "Total number of stale series compactions that failed.")
/* Compactions of chosen series are not done here: dashboards ask for them all the same. */
HISTOGRAM(m_selected_seconds, "prometheus_tsdb_selected_series_compaction_duration_seconds",
    "Duration of compactions triggered for an explicit caller-provided list of series references.",
    duration_bounds)
COUNTER(m_selected, "prometheus_tsdb_selected_series_compactions_triggered_total",
    "Total number of compactions triggered for an explicit caller-provided list of series "
    "references.")
COUNTER(m_selected_failed, "prometheus_tsdb_selected_series_compactions_failed_total",
    "Total number of compactions triggered for an explicit caller-provided list of series "
    "references that failed.")
COUNTER(m_checkpoints, "prometheus_tsdb_checkpoint_creations_total",
    "Total number of checkpoint creations attempted.")
COUNTER(m_checkpoints_failed, "prometheus_tsdb_checkpoint_creations_failed_total",
    "Total number of checkpoint creations that failed.")
COUNTER(m_checkpoints_deleted, "prometheus_tsdb_checkpoint_deletions_total",
    "Total number of checkpoint deletions attempted.")
COUNTER(m_checkpoints_kept, "prometheus_tsdb_checkpoint_deletions_failed_total",
    "Total number of checkpoint deletions that failed.")

/* the record of a collected series stays in checkpoints of times up to t */
struct until { sref ref; int64_t t; };

struct compaction {
    struct compaction_of of;
    struct mtx mu;                             /* LOCK_LEAF */
    struct retention retention;                /* GUARDED_BY(mu) */
    VEC(struct until) until;                   /* ascending refs */
    head_refs live;                            /* of the checkpoint being written */
    ulid_list made;                            /* blocks written since the last look */
    int64_t wal_mint;                          /* of the last one */
    int64_t forget_to;                         /* what the newest block of the head has */
    bool to_forget;                            /* and the head has it, too */
    struct ooo_span ooo;                       /* late samples: the same */
    bool ooo_due, ooo_written;
    struct resting resting;                    /* blocks that could not be compacted */
    bool delayed;                              /* the head is due since delay_ns, and waits */
    int64_t delay_ns;
    int64_t head_ns;   /* when the head became a block last; 0: not yet */
    double ended_part; /* GUARDED_BY(mu) */
    head_ended ended;  /* that are in blocks up to ended_t; none: no run */
    int64_t ended_t, ended_maxt;
};

struct compaction *compaction_new(const struct compaction_of *of)
{
    struct compaction *c = NEW(struct compaction);
    c->of = *of;
    c->wal_mint = INT64_MIN;
    mtx_init(&c->mu, LOCK_LEAF);
    return c;
}

void compaction_free(struct compaction *c)
{
    if (!c) return;
    vec_fini(&c->until);
    vec_fini(&c->live);
    vec_fini(&c->made);
    resting_fini(&c->resting);
    head_ended_free(&c->ended);
    mtx_fini(&c->mu);
    mem_free(c);
}

void compaction_set_retention(struct compaction *c, struct retention r)
{
    mtx_lock(&c->mu);
    c->retention = r;
    mtx_unlock(&c->mu);
}

static struct retention retention_of(struct compaction *c)
{
    mtx_lock(&c->mu);
    struct retention r = c->retention;
    mtx_unlock(&c->mu);
    return r;
}

void compaction_set_ended(struct compaction *c, double part)
{
    mtx_lock(&c->mu);
    c->ended_part = part;
    mtx_unlock(&c->mu);
}

static double ended_part_of(struct compaction *c)
{
    mtx_lock(&c->mu);
    double part = c->ended_part;
    mtx_unlock(&c->mu);
    return part;
}

static bool stopped(const struct compaction *c)
{
    return c->of.stop && atomic_load_explicit(c->of.stop, memory_order_relaxed);
}

/* Blocks that came, and those that are too old. */

static uint64_t folder_bytes(struct fs *fs, str dir)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    fs_entries all = { 0 };
    uint64_t sum = 0;
    if (fs_list(fs, dir, &a, &all, NULL) == OK) {
        for (size_t i = 0; i < all.n; i++) {
            struct fs_stat st;
            str path = path_join(&a, dir, all.at[i].name);
            if (all.at[i].is_dir) sum += folder_bytes(fs, path);
            else if (fs_stat(fs, path, &st, NULL) == OK) sum += st.size_bytes;
        }
    }
    vec_fini(&all);
    return sum;
}

/* *undone: blocks that were written are gone again, and what they hold is where it was. */
static errc reload(struct compaction *c, size_t *undone, struct err *e)
{
    struct retention r = retention_of(c);
    ulid_list doomed = { 0 };
    errc taken = blocks_take(c->of.blocks, c->made.at, c->made.n, undone, e);
    c->made.n = 0;
    if (*undone) metric_inc(&m_compactions_failed);
    TRY(taken);
    struct block_list *l = blocks_now(c->of.blocks);
    if (r.percent > 0) {
        uint64_t total, left;
        errc known = fs_space(c->of.fs, &total, &left, NULL);
        if (known == OK) r.bytes = (uint64_t)((double)total * r.percent / 100);
    }
    uint64_t head = !r.bytes ? 0
                             : folder_bytes(c->of.fs, S("wal")) + folder_bytes(c->of.fs, S("wbl")) +
                                   folder_bytes(c->of.fs, S("chunks_head"));
    retention_doomed(&doomed, &r, l, head);
    block_list_unref(l);
    errc rc = doomed.n ? blocks_reload(c->of.blocks, doomed.at, doomed.n, e) : OK;
    vec_fini(&doomed);
    return rc;
}

errc compaction_reload(struct compaction *c, struct err *e)
{
    size_t undone;
    return reload(c, &undone, e);
}

/* The head. */

static struct head_block_of of_head(const struct compaction *c, int64_t mint, int64_t maxt)
{
    return (struct head_block_of){ .fs = c->of.fs,
        .backend = c->of.backend,
        .head = c->of.head,
        .mint = mint,
        .maxt = maxt };
}

static errc head_block(
    struct compaction *c, int64_t mint, int64_t maxt, struct block_stats *stats, struct err *e)
{
    ulid id = ulid_new();
    struct block_meta meta = {
        .id = id, .mint = mint, .maxt = maxt, .level = 1, .sources = &id, .n_sources = 1
    };
    struct block_writer_opts wo = {
        .fs = c->of.fs, .meta = &meta, .segment_bytes = c->of.block_segment_bytes
    };
    struct head_block_of of = of_head(c, mint, maxt - 1);
    int64_t began = clock_mono_ns();
    errc rc = head_block_write(&of, &wo, stats, e);
    if (rc == OK && stats->samples) vec_push(&c->made, id);
    if (rc == OK)
        LOG(INFO, "block written from the head", kv_z("block", ulid_text(id).z),
            kv_i64("mint", mint), kv_i64("maxt", maxt), kv_u64("series", stats->series),
            kv_u64("samples", stats->samples),
            kv_i64("took_ms", (clock_mono_ns() - began) / 1000000));
    return rc;
}

static void until_note(struct compaction *c, const head_refs *before, int64_t t)
{
    head_refs after = { 0 };
    VEC(struct until) gone = { 0 }, all = { 0 };
    head_live_refs(c->of.head, &after);
    for (size_t i = 0, k = 0; i < before->n; i++) {
        while (k < after.n && after.at[k] < before->at[i]) k++;
        if (k == after.n || after.at[k] != before->at[i])
            vec_push(&gone, ((struct until){ before->at[i], t }));
    }
    for (size_t i = 0, k = 0; i < gone.n || k < c->until.n;) {
        if (k == c->until.n || (i < gone.n && gone.at[i].ref < c->until.at[k].ref))
            vec_push(&all, gone.at[i++]);
        else vec_push(&all, c->until.at[k++]);
    }
    vec_fini(&c->until);
    c->until.at = all.at;
    c->until.n = all.n;
    c->until.cap = all.cap;
    vec_fini(&gone);
    vec_fini(&after);
}

static errc head_forget(struct compaction *c, int64_t maxt, struct err *e)
{
    head_refs before = { 0 };
    if (!blocks_wait_old(c->of.blocks, c->of.wanted))
        return err_set(e, ERR_CANCELED, "compaction was stopped");
    head_live_refs(c->of.head, &before);
    errc rc = head_truncate(c->of.head, maxt, e);
    bool empty = head_min_time(c->of.head) > head_max_time(c->of.head);
    if (rc == OK) until_note(c, &before, empty ? maxt : head_min_time(c->of.head));
    vec_fini(&before);
    return rc;
}

/* The log. */

static bool checkpoint_keeps(void *ctx, sref ref)
{
    const struct compaction *c = ctx;
    size_t lo = 0, hi = c->live.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (c->live.at[mid] < ref) lo = mid + 1;
        else hi = mid;
    }
    if (lo < c->live.n && c->live.at[lo] == ref) return true;
    for (lo = 0, hi = c->until.n; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;
        if (c->until.at[mid].ref < ref) lo = mid + 1;
        else hi = mid;
    }
    return lo < c->until.n && c->until.at[lo].ref == ref && c->until.at[lo].t >= c->wal_mint;
}

static errc write_checkpoint(
    struct compaction *c, const struct wal_dir *d, uint32_t first, uint32_t last, struct err *e)
{
    struct wal_checkpoint_counts counts = { 0 };
    struct wal_checkpoint_opts o = {
        .fs = c->of.fs,
        .dir = S("wal"),
        .backend = c->of.backend,
        .compress = c->of.compress,
        .segment_bytes = c->of.wal_segment_bytes,
        .first = first,
        .last = last,
        .has_previous = d->has_checkpoint,
        .previous = d->checkpoint,
        .mint = c->wal_mint,
        .deletions_mint = MIN(c->wal_mint, head_min_ooo_time(c->of.head)),
        .keep = checkpoint_keeps,
        .ctx = c,
    };
    head_live_refs(c->of.head, &c->live);
    metric_inc(&m_checkpoints);
    errc rc = wal_checkpoint(&o, &counts, e);
    if (rc != OK) metric_inc(&m_checkpoints_failed);
    if (rc != OK) return err_in(e, rc, "checkpoint %u", last);
    LOG(INFO, "checkpoint written", kv_u64("first", first), kv_u64("last", last),
        kv_u64("series_dropped", counts.series_dropped),
        kv_u64("samples_dropped", counts.samples_dropped));
    return OK;
}

static void until_forget(struct compaction *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->until.n; i++)
        if (c->until.at[i].t >= c->wal_mint) c->until.at[n++] = c->until.at[i];
    c->until.n = n;
}

/* What a checkpoint holds may still lie there, when its deletion was cut short: read once more, its
 * series records would begin those series anew. */
static uint32_t first_live_segment(const struct wal_dir *d)
{
    for (size_t i = 0; i < d->segments.n; i++)
        if (!d->has_checkpoint || d->segments.at[i] > d->checkpoint) return d->segments.at[i];
    return vec_last(&d->segments);
}

/* The lower two thirds of the segments, but never the two newest. */
static errc log_truncate(struct compaction *c, int64_t mint, struct err *e)
{
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    uint32_t rotated;
    int64_t began = clock_mono_ns();
    if (mint <= c->wal_mint) return OK;
    c->wal_mint = mint;
    TRY(wal_dir_list(&d, c->of.fs, S("wal"), e));
    TRY(wal_rotate(c->of.wal, &rotated, e));
    TRY(wal_sync(c->of.wal, e));
    if (d.segments.n < 2) return OK;
    uint32_t first = first_live_segment(&d), last = vec_last(&d.segments) - 1;
    if (last <= first) return OK;
    last = first + (last - first) * 2 / 3;
    if (last <= first) return OK;
    TRY(write_checkpoint(c, &d, first, last, e));
    TRY_IN(e, wal_truncate(c->of.wal, last, e), "deleting segments of the log");
    until_forget(c);
    metric_inc(&m_checkpoints_deleted);
    errc rc = wal_checkpoints_drop(c->of.fs, S("wal"), last, e);
    if (rc != OK) metric_inc(&m_checkpoints_kept);
    wal_metrics_truncate_took(wal_metrics_of(WAL_MAIN), clock_mono_ns() - began);
    return rc;
}

static errc chunk_files_truncate(struct compaction *c, struct err *e)
{
    uint32_t first = head_first_disk_file(c->of.head);
    if (!first) first = UINT32_MAX;
    return chunk_disk_truncate(c->of.disk, first, e);
}

/* The oldest range into a block; *maxt: its end. */
static errc head_range(struct compaction *c, int64_t *maxt, struct err *e)
{
    struct block_stats stats = { 0 };
    int64_t mint = head_min_time(c->of.head);
    *maxt = cut_align(mint, c->of.chunk_range_ms);
    c->head_ns = clock_mono_ns();
    TRY_IN(e, head_block(c, mint, *maxt, &stats, e), "compacting the head");
    if (stats.samples) metric_inc(&m_compactions);
    return OK;
}

bool compaction_head_due(struct compaction *c)
{
    bool due = head_compactable(c->of.head);
    if (!due || !c->of.head_delay_ms) {
        c->delayed = false;
        return due;
    }
    if (!c->delayed) c->delay_ns = clock_mono_ns();
    c->delayed = true;
    return clock_mono_ns() - c->delay_ns >= c->of.head_delay_ms * 1000000;
}

/* What a block holds is forgotten before anything else becomes one, also when that was interrupted
 * while it waited for queriers. */
static errc compact_head(struct compaction *c, bool *any, struct err *e)
{
    int64_t maxt = INT64_MIN;
    *any = false;
    while ((c->to_forget || compaction_head_due(c)) && !stopped(c)) {
        if (!c->to_forget) {
            TRY(head_range(c, &c->forget_to, e));
            c->to_forget = true;
        }
        size_t undone;
        errc rc = reload(c, &undone, e);
        if (undone) c->to_forget = false;
        TRY(rc);
        TRY_IN(e, head_forget(c, c->forget_to, e), "truncating the head");
        c->to_forget = false;
        maxt = c->forget_to;
        *any = true;
    }
    if (!*any) return OK;
    TRY(log_truncate(c, maxt, e));
    c->ooo_due = head_has_ooo(c->of.head);
    return chunk_files_truncate(c, e);
}

/* Late samples. */

static struct head_part part_of(const struct compaction *c, unsigned hint, const char *of)
{
    return (struct head_part){ .range_ms = c->of.chunk_range_ms,
        .segment_bytes = c->of.block_segment_bytes, .hint = hint, .of = of };
}

/* Those that were made before one failed are made again with it. */
static errc made_all(struct compaction *c, errc rc)
{
    metric_add(&m_compactions, (double)c->made.n);
    if (rc == OK) return OK;
    blocks_undo(c->of.blocks, c->made.at, c->made.n);
    c->made.n = 0;
    return rc;
}

static errc ooo_write(struct compaction *c, struct err *e)
{
    struct head_part part = part_of(c, BLOCK_HINT_OOO, "late samples");
    struct head_block_of all = of_head(c, 0, 0);
    TRY(head_ooo_begin(c->of.head, &c->ooo, e));
    return made_all(c, head_late_write(&all, &c->ooo, &part, &c->made, e));
}

static errc ooo_forget(struct compaction *c, struct err *e)
{
    head_refs before = { 0 };
    if (!blocks_wait_old(c->of.blocks, c->of.wanted))
        return err_set(e, ERR_CANCELED, "compaction was stopped");
    head_live_refs(c->of.head, &before);
    errc rc = head_ooo_end(c->of.head, &c->ooo, e);
    bool empty = head_min_time(c->of.head) > head_max_time(c->of.head);
    until_note(c, &before, empty ? c->forget_to : head_min_time(c->of.head));
    vec_fini(&before);
    return rc;
}

/* After the head; what was interrupted while it waited for queriers goes on from there. */
static errc compact_ooo(struct compaction *c, struct err *e)
{
    if (!c->ooo_due) return OK;
    if (!c->ooo_written) TRY_IN(e, ooo_write(c, e), "compacting late samples");
    size_t undone;
    errc rc = reload(c, &undone, e);
    c->ooo_written = !undone;
    TRY(rc);
    TRY_IN(e, late_reached_note(c->of.fs, &c->ooo, e), "late.reached");
    TRY_IN(e, ooo_forget(c, e), "truncating late samples");
    c->ooo_written = c->ooo_due = false;
    return chunk_files_truncate(c, e);
}

/* Series that ended. */

bool compaction_ended_due(struct compaction *c)
{
    double part = ended_part_of(c);
    uint64_t all = head_series_count(c->of.head), ended = head_ended_count(c->of.head);
    if (part <= 0 || !all || (double)ended / (double)all < part) return false;
    int64_t next_ns = c->head_ns + c->of.chunk_range_ms * 1000000;
    return !c->head_ns || clock_mono_ns() + ENDED_SOON_NS <= next_ns;
}

static errc ended_block(struct compaction *c, int64_t mint, struct err *e)
{
    struct head_block_of part = of_head(c, mint, mint + c->of.chunk_range_ms - 1);
    part.only = c->ended.nums.at;
    part.n_only = c->ended.nums.n;
    struct head_part p = part_of(c, BLOCK_HINT_STALE, "ended series");
    size_t before = c->made.n;
    errc rc = head_part_write(&part, &p, &c->made, e);
    metric_add(&m_compactions, (double)(c->made.n - before));
    return rc;
}

static errc ended_forget(struct compaction *c, size_t *gone, struct err *e)
{
    head_refs before = { 0 };
    if (!blocks_wait_old(c->of.blocks, c->of.wanted))
        return err_set(e, ERR_CANCELED, "compaction was stopped");
    head_live_refs(c->of.head, &before);
    errc rc = head_ended_remove(c->of.head, &c->ended, gone, e);
    until_note(c, &before, c->ended_maxt);
    vec_fini(&before);
    return rc;
}

/* What was interrupted goes on from where it was: series that went on meanwhile stay in the head,
 * with what the blocks have of them. */
static errc ended_run(struct compaction *c, size_t *gone, struct err *e)
{
    if (!c->ended.nums.n) {
        c->ended_t = head_range_begin(head_min_time(c->of.head), c->of.chunk_range_ms);
        c->ended_maxt = head_max_time(c->of.head);
        head_ended_find(c->of.head, &c->ended);
    }
    if (!c->ended.nums.n) return OK;
    for (; c->ended_t <= c->ended_maxt; c->ended_t += c->of.chunk_range_ms) {
        if (stopped(c)) return err_set(e, ERR_CANCELED, "compaction was stopped");
        TRY_IN(e, ended_block(c, c->ended_t, e), "compacting ended series");
    }
    TRY(compaction_reload(c, e));
    TRY_IN(e, ended_forget(c, gone, e), "truncating ended series");
    return OK;
}

errc compaction_run_ended(struct compaction *c, struct err *e)
{
    size_t gone = 0;
    int64_t began = clock_mono_ns();
    metric_inc(&m_stale);
    errc rc = ended_run(c, &gone, e);
    if (rc == ERR_CANCELED) return rc;
    if (rc != OK) metric_inc(&m_stale_failed);
    if (rc != OK) blocks_undo(c->of.blocks, c->made.at, c->made.n);
    c->made.n = 0;
    c->ended.nums.n = c->ended.last.n = 0;
    if (rc != OK) return rc;
    int64_t took_ns = clock_mono_ns() - began;
    metric_observe(&m_stale_seconds, (double)took_ns * 1e-9);
    LOG(INFO, "series that ended left the head", kv_u64("series", gone),
        kv_i64("took_ms", took_ns / 1000000));
    return OK;
}

/* Blocks. */

/* A block of late samples may reach into times that the head has in order. Merged with one that is
 * not of late samples alone it would say, at the next start, that the head is in blocks up to
 * there: it waits until the head has come so far. */
static bool is_ahead(const struct block_meta *m, int64_t reached)
{
    return m->hints & BLOCK_HINT_OOO && reached != INT64_MIN && m->maxt > reached;
}

static uint64_t free_bytes(const struct compaction *c)
{
    uint64_t total, left;
    return fs_space(c->of.fs, &total, &left, NULL) == OK ? left : 0;
}

/* Those that failed lately are passed over like those that never will be compacted. */
static void mark_resting(struct compaction *c, struct block_meta *metas, size_t n)
{
    ulid *there = mem_alloc_array(n, sizeof(*there));
    for (size_t i = 0; i < n; i++) there[i] = metas[i].id;
    resting_keep(&c->resting, there, n);
    uint64_t left = c->resting.at.n ? free_bytes(c) : 0;
    int64_t now = clock_mono_ns();
    for (size_t i = 0; c->resting.at.n && i < n; i++)
        metas[i].failed |= resting_is(&c->resting, there[i], left, now);
    mem_free(there);
}

static void plan(struct compaction *c, const struct block_list *l, block_picks *out)
{
    struct plan_opts o = { .overlapping = !c->of.no_overlapping };
    struct retention r = retention_of(c);
    int64_t max = c->of.max_block_ms ? c->of.max_block_ms : MAX_BLOCK_MS;
    if (!c->of.max_block_ms && r.ms && r.ms / RETENTION_PART < max) max = r.ms / RETENTION_PART;
    plan_ranges(&o, c->of.chunk_range_ms, max);
    const struct block_meta **metas = mem_alloc_array(l->n, sizeof(struct block_meta *));
    struct block_meta *now = mem_alloc_array(l->n, sizeof(*now));
    size_t *place = mem_alloc_array(l->n, sizeof(*place)), n = 0;
    int64_t reached = blocks_reached(c->of.blocks);
    for (size_t i = 0; i < l->n; i++) {
        now[n] = block_meta_now(l->at[i]);
        /* nor those behind it: what is merged leaves no gaps */
        if (uploads_pending(c->of.uploads, &now[n])) break;
        if (is_ahead(&now[n], reached)) continue;
        metas[n] = &now[n];
        place[n++] = i;
    }
    mark_resting(c, now, n);
    plan_blocks(out, &o, metas, n);
    for (size_t i = 0; i < out->n; i++) out->at[i] = place[out->at[i]];
    mem_free(place);
    mem_free(now);
    mem_free(metas);
}

/* What the blocks hold was the reason: trying again would end the same. */
static bool is_theirs(errc rc)
{
    return rc == ERR_CORRUPT || rc == ERR_UNSUPPORTED || rc == ERR_BAD_INPUT || rc == ERR_LIMIT;
}

/* What they could not be compacted for may pass. */
static void let_rest(
    struct compaction *c, const struct block_list *l, const block_picks *picks, errc why)
{
    size_t n = picks->n;
    ulid *ids = mem_alloc_array(n, sizeof(*ids));
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        ids[i] = block_meta(l->at[picks->at[i]])->id;
        bytes += block_bytes(l->at[picks->at[i]]);
    }
    int64_t ns = resting_put(&c->resting, ids, n, bytes, why, free_bytes(c), clock_mono_ns());
    LOG(WARN, "these blocks are left as they are for a while", kv_u64("blocks", n),
        kv_z("first", ulid_text(ids[0]).z), kv_i64("again_in_ms", ns / 1000000));
    mem_free(ids);
}

static errc compact_picks(
    struct compaction *c, const struct block_list *l, const block_picks *picks, struct err *e)
{
    struct compact_opts o = {
        .fs = c->of.fs, .segment_bytes = c->of.block_segment_bytes, .stop = c->of.stop
    };
    struct block **in = mem_alloc_array(picks->n, sizeof(struct block *));
    ulid made;
    struct err why = { 0 };
    int64_t began = clock_mono_ns();
    for (size_t i = 0; i < picks->n; i++) in[i] = l->at[picks->at[i]];
    errc rc = compact_blocks(&o, in, picks->n, &made, &why);
    bool theirs = is_theirs(rc), empty = rc == OK && ulid_is_zero(made);
    if (rc == OK)
        LOG(INFO, "blocks compacted", kv_u64("blocks", picks->n), kv_z("block", ulid_text(made).z),
            kv_i64("took_ms", (clock_mono_ns() - began) / 1000000));
    else if (theirs)
        LOG(ERROR, "blocks cannot be compacted and stay as they are", kv_u64("blocks", picks->n),
            kv_err(&why));
    if (rc != OK && rc != ERR_CANCELED) metric_inc(&m_compactions_failed);
    if (rc == OK) metric_inc(&m_compactions);
    if (rc == OK && !empty) vec_push(&c->made, made);
    if (rc != OK && rc != ERR_CANCELED && !theirs) let_rest(c, l, picks, rc);
    if (theirs) rc = OK;
    for (size_t i = 0; rc == OK && (theirs || empty) && i < picks->n; i++)
        rc = block_mark(in[i], empty, theirs, &why);
    mem_free(in);
    return rc == OK ? OK : err_set(e, rc, "compacting blocks: %s", why.msg);
}

/* The first group that is due; *done: there was one. */
static errc compact_due(struct compaction *c, bool *done, struct err *e)
{
    block_picks picks = { 0 };
    struct block_list *l = blocks_now(c->of.blocks);
    plan(c, l, &picks);
    *done = picks.n > 0;
    size_t undone = 0;
    errc rc = picks.n ? compact_picks(c, l, &picks, e) : OK;
    if (rc == OK && *done) rc = reload(c, &undone, e);
    if (undone) let_rest(c, l, &picks, rc);
    block_list_unref(l);
    vec_fini(&picks);
    return rc;
}

errc compaction_run(struct compaction *c, struct err *e)
{
    bool any = false, done = true;
    metric_inc(&m_triggered);
    TRY(compact_head(c, &any, e));
    TRY(compact_ooo(c, e));
    for (int i = 0; done && i < PLANS_MAX && !stopped(c) && !compaction_head_due(c); i++)
        TRY(compact_due(c, &done, e));
    return OK;
}
