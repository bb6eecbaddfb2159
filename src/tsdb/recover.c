#include "tsdb/recover.h"

#include "base/log.h"
#include "base/metric.h"
#include "head/head.h"
#include "head/ooo.h"
#include "head/replay.h"
#include "tsdb/cut_deletions.h"
#include "tsdb/image_file.h"
#include "tsdb/late_reached.h"
#include "tsdb/memory_folder.h"
#include "tsdb/replay_log.h"
#include "wal/orphans.h"
#include "wal/rec_histogram.h"
#include "wal/record.h"
#include "wal/repair.h"
#include "wal/wal_metrics.h"
#include "wal/wal_reader.h"

COUNTER_VEC(m_unknown_refs, "prometheus_tsdb_wal_replay_unknown_refs_total",
    "Total number of unknown series references encountered during WAL replay.", "type")

COUNTER_VEC(m_late_unknown, "prometheus_tsdb_wbl_replay_unknown_refs_total",
    "Total number of unknown series references encountered during WBL replay.", "type")

COUNTER(m_snapshot_errors, "prometheus_tsdb_snapshot_replay_error_total",
    "Total number snapshot replays that failed.")

/* The chunks of one series follow each other in time; by_series maps its ref to a place in
 * last_maxt (index + 1). No series has ref 0. */
errc recover_chunk_found(void *ctx, const struct chunk_found *c, struct err *e)
{
    struct recover_chunks *all = ctx;
    if (!all->ordered) replay_refs_init(&all->by_series);
    all->ordered = true;
    if (!c->ooo && c->series) {
        struct replay_ref *x = replay_ref_add(&all->by_series, c->series);
        replay_refs_trim(&all->by_series);
        if (!x->chunks) {
            vec_push(&all->last_maxt, c->maxt);
            x->chunks = (uint32_t)all->last_maxt.n & REPLAY_REF_CHUNKS;
        } else {
            int64_t *last = &all->last_maxt.at[x->chunks - 1];
            if (c->mint <= *last)
                return err_set(e, ERR_OUT_OF_ORDER,
                    "out of sequence head chunk for series ref %" PRIu64, c->series);
            *last = c->maxt;
        }
    }
    vec_push(&all->all, *c);
    return OK;
}

void recover_chunks_found(struct recover_chunks *c)
{
    if (c->ordered) replay_refs_fini(&c->by_series);
    c->ordered = false;
    if (c->last_maxt.n) c->n_series = c->last_maxt.n;
    vec_fini(&c->last_maxt);
}

void recover_chunks_fini(struct recover_chunks *c)
{
    recover_chunks_found(c);
    vec_fini(&c->all);
    c->n_series = 0;
}

/* snapshot: that was read; its name is empty: none was. passed_over: the image is newer. */
struct recovery {
    const struct recover_in *in;
    struct head_replay *replay;
    struct replay_log *log;
    struct memory_folder snapshot;
    bool passed_over;
    const struct replay_place *damage;         /* that is known before the log is read */
    struct replay_place late;                  /* found by decoders: then that is the damage */
    bool again;                                /* with it known; each time it lies further before */
    struct image_file *image;                  /* NULL: there is none of use */
    bool rewrites;                             /* segments of the log */
    struct err image_why;                      /* it turned out to be broken, or in the way */
    struct arena names;
    struct db_opened before;                   /* *what, as it was when the log was begun */
    struct db_opened *what;
};

/* Makes what replaying found durable: damaged segments are set aside and written anew, missing ones
 * become empty ones. */
static errc repair_dir(const struct recover_in *in, str dir, uint32_t first, uint32_t last,
    const segment_list *bad, struct err *e)
{
    struct wal_repair_result done = { 0 };
    for (size_t i = 0; i < bad->n; i++)
        TRY_IN(e,
            wal_repair_segment(in->fs, dir, in->backend, bad->at[i], bad->at[i] == last, &done, e),
            "repair of %.*s", STR_ARG(dir));
    uint32_t filled = 0;
    TRY_IN(
        e, wal_repair_gaps(in->fs, dir, first, last, &filled, e), "repair of %.*s", STR_ARG(dir));
    if (bad->n || filled)
        LOG(WARN, "log repaired", kv_str("dir", dir), kv_u64("segments", bad->n),
            kv_u64("records_kept", done.records_kept), kv_u64("gaps", filled));
    return OK;
}

/* Places in the log may move. An image that is read in this start stays until there is another one:
 * it may have what damage takes of the log, and tells by a checksum whether its place still is what
 * it was. */
static errc forget_image(struct recovery *r, struct err *e)
{
    r->rewrites = true;
    return r->image ? OK : image_file_remove(r->in->fs, e);
}

/* A segment that is written anew has its records at other places than a snapshot says, or an
 * image. */
static errc forget_places(struct recovery *r, const segment_list *anew, struct err *e)
{
    if (!anew->n) return OK;
    TRY(forget_image(r, e));
    return memory_folder_step_back(r->in->fs, anew->at, anew->n, e);
}

/* What was found in a span is mended when all is read: deletions behind damage are written as they
 * count, before it cannot be seen any more that they lie behind it. */
static errc mend_span(
    struct recovery *r, const struct replay_span *s, const struct replay_found *f, struct err *e)
{
    if (str_eq(s->dir, S("wal"))) {
        TRY(forget_places(r, &f->bad, e));
        TRY(forget_places(r, &f->cut, e));
    }
    struct cut_deletions cut = { .fs = r->in->fs, .dir = s->dir, .backend = r->in->backend,
        .replay = r->replay, .from = f->from, .in = &f->cut };
    TRY_IN(e, cut_deletions_write(&cut, e), "repair of %.*s", STR_ARG(s->dir));
    return repair_dir(r->in, s->dir, s->first, s->last, &f->bad, e);
}

static errc replay_checkpoint(struct recovery *r, uint32_t number, struct replay_span *s,
    struct replay_found *out, struct err *e)
{
    struct wal_dir inside = { 0 };
    uint32_t moved = 0;
    s->dir = arena_fmt(&r->names, "wal/checkpoint.%08u", number);
    s->before_image = s->checkpoint = true;
    errc rc = wal_dir_settle(r->in->fs, s->dir, &moved, e);
    r->what->corruptions += moved;
    if (rc == OK) rc = wal_dir_list(&inside, r->in->fs, s->dir, e);
    if (rc == OK && inside.segments.n) {
        s->last = vec_last(&inside.segments);
        rc = replay_log_span(r->log, s, out, e);
    }
    wal_dir_fini(&inside);
    return rc;
}

/* segments before the first that count as lost and become empty ones */
enum { LOST_FIRST_MAX = 1000 };

/* Where the log is to be read from; the checkpoint is replayed, unless a snapshot is newer. */
static errc replay_begin(struct recovery *r, const struct wal_dir *dir, struct replay_span *log,
    struct replay_span *checkpoint, struct replay_found *found, struct err *e)
{
    const struct memory_folder *shot = r->snapshot.name.n ? &r->snapshot : NULL;
    if (dir->has_checkpoint) {
        log->first = dir->checkpoint + 1;
        if (!shot || dir->checkpoint >= shot->segment)
            TRY(replay_checkpoint(r, dir->checkpoint, checkpoint, found, e));
    } else if (dir->segments.n && dir->segments.at[0] > LOST_FIRST_MAX) {
        log->first = dir->segments.at[0];      /* nobody asks for so many numbers */
    }
    if (shot && shot->segment >= log->first) {
        log->first = shot->segment;
        log->offset = shot->offset;
    }
    return OK;
}

static errc replay_log(struct recovery *r, struct err *e)
{
    SCOPED(wal_dir_fini) struct wal_dir dir = { 0 };
    SCOPED(replay_found_fini) struct replay_found in_log = { 0 };
    SCOPED(replay_found_fini) struct replay_found in_checkpoint = { 0 };
    struct replay_span log = { .dir = S("wal"), .last = r->in->last_segment };
    struct replay_span checkpoint = { 0 };
    TRY(wal_dir_list(&dir, r->in->fs, log.dir, e));
    TRY(replay_begin(r, &dir, &log, &checkpoint, &in_checkpoint, e));
    bool some = r->in->has_segments && log.last >= log.first;
    if (some) {
        db_replay_range(log.first, log.last);
        r->what->segments = log.last - log.first + 1;
        TRY(replay_log_span(r->log, &log, &in_log, e));
        TRY(mend_span(r, &log, &in_log, e));
    }
    if (checkpoint.dir.n) TRY(mend_span(r, &checkpoint, &in_checkpoint, e));
    return some ? replay_log_take_image(r->log, e) : OK;
}

/* Decodes one record of the log of late samples. */
struct late_room { ref_samples samples; ref_markers markers; struct ref_histograms histograms; };

/* What is no histogram after all is left out, as in the other log. */
static errc replay_late_histograms(
    struct head_replay *to, const struct ref_histograms *all, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    for (size_t i = 0; i < all->all.n; i++) {
        const struct ref_histogram *r = &all->all.at[i];
        struct ooo_sample s = { .t = r->t, .x = { .st = r->st, .kind = SAMPLE_HISTOGRAM } };
        if (rec_histogram_check(&r->h, NULL) != OK) continue;
        if (r->h.is_float) {
            s.x.kind = SAMPLE_FLOAT_HISTOGRAM;
            s.x.h = rec_histogram_float(&a, &r->h);
        } else {
            s.x.ih = rec_histogram_int(&a, &r->h);
        }
        TRY(head_replay_late_histogram(to, r->ref, &s, e));
        arena_reset(&a, (struct arena_mark){ 0 });
    }
    return OK;
}

static errc replay_late_record(
    struct head_replay *to, struct late_room *room, str rec, struct err *why, struct err *e)
{
    uint32_t deletion;
    switch (record_kind(rec)) {
    case KIND_SAMPLES:
        TRY(samples_decode(&room->samples, rec, why));
        return head_replay_late(to, room->samples.at, room->samples.n, e);
    case KIND_MARKERS:
        TRY(markers_decode(&room->markers, rec, why));
        head_replay_markers(to, room->markers.at, room->markers.n);
        return OK;
    case KIND_HISTOGRAMS:
        TRY(histograms_decode(&room->histograms, rec, why));
        return replay_late_histograms(to, &room->histograms, e);
    default: break;                            /* unknown types are skipped */
    }
    if (deletion_decode(rec, &deletion)) head_replay_late_after(to, deletion);
    return OK;
}

static errc replay_late_read(
    struct wal_reader *from, struct head_replay *to, struct late_room *room, struct err *e)
{
    for (;;) {
        struct wal_rec rec;
        struct err why = { 0 };
        bool got = false;
        TRY(wal_reader_next(from, &rec, &got, e));
        if (!got) return OK;
        errc rc = replay_late_record(to, room, rec.bytes, &why, e);
        if (rc == ERR_CORRUPT && why.n) rc = wal_reader_reject(from, &why, e);
        if (rc != OK) return rc;
    }
}

static void late_damage(struct recovery *r, const struct wal_reader *from, segment_list *bad)
{
    size_t n;
    const struct wal_corruption *c = wal_reader_corruptions(from, &n);
    for (size_t i = 0; i < n; i++) {
        LOG(WARN, "damage in the log", kv_str("dir", S("wbl")), kv_u64("segment", c[i].seg),
            kv_u64("offset", c[i].off), kv_z("err", c[i].why));
        if (!bad->n || vec_last(bad) != c[i].seg) vec_push(bad, c[i].seg);
    }
    r->what->corruptions += n;
    r->what->torn += wal_reader_torn(from);
    wal_metrics_corruptions(wal_metrics_of(WAL_MAIN), n);      /* as Prometheus counts */
    wal_metrics_corruptions(wal_metrics_of(WAL_OUT_OF_ORDER), n);
}

/* The log of late samples, when all of the log is applied; then it is repaired. */
static errc replay_late(struct recovery *r, struct head_replay *to, struct err *e)
{
    const struct recover_in *in = r->in;
    struct wal_reader_opts o = { .fs = in->fs,
        .dir = S("wbl"),
        .backend = in->backend,
        .mode = WAL_SALVAGE,
        .first = in->first_late,
        .last = in->last_late };
    struct wal_reader *from = NULL;
    struct late_room room = { 0 };
    segment_list bad = { 0 };
    if (!in->has_late) return OK;
    TRY(wal_reader_open(&from, &o, e));
    errc rc = replay_late_read(from, to, &room, e);
    late_damage(r, from, &bad);
    wal_reader_close(from);
    if (rc == OK) rc = repair_dir(in, S("wbl"), in->first_late, in->last_late, &bad, e);
    vec_fini(&room.samples);
    vec_fini(&room.markers);
    ref_histograms_fini(&room.histograms);
    vec_fini(&bad);
    return rc;
}

static void count_late_unknown(const struct head_replay_stats *st, struct db_opened *what)
{
    if (!st->late_series) return;
    LOG(WARN, "Unknown series references for ooo WAL replay", kv_u64("series", st->late_series),
        kv_u64("samples", st->late_unknown),
        kv_u64("histograms", st->late_histograms), kv_u64("mmap_markers", st->late_markers));
    metric_add_to(METRIC_WITH(&m_late_unknown, S("series")), (double)st->late_series);
    metric_add_to(METRIC_WITH(&m_late_unknown, S("samples")), (double)st->late_unknown);
    metric_add_to(METRIC_WITH(&m_late_unknown, S("histograms")), (double)st->late_histograms);
    metric_add_to(METRIC_WITH(&m_late_unknown, S("mmap_markers")), (double)st->late_markers);
    what->unknown_refs += st->late_unknown + st->late_histograms + st->late_markers;
}

static void count_unknown(const struct head_replay_stats *st, struct db_opened *what)
{
    static const str kinds[REPLAY_KINDS] = { S("series"), S("samples"), S("exemplars"),
        S("histograms"), S("metadata"), S("tombstones") };
    if (!st->unknown[REPLAY_SERIES]) return;
    LOG(WARN, "Unknown series references", kv_u64("series", st->unknown[REPLAY_SERIES]),
        kv_u64("samples", st->unknown[REPLAY_SAMPLES]),
        kv_u64("exemplars", st->unknown[REPLAY_EXEMPLARS]),
        kv_u64("histograms", st->unknown[REPLAY_HISTOGRAMS]),
        kv_u64("metadata", st->unknown[REPLAY_METADATA]),
        kv_u64("tombstones", st->unknown[REPLAY_TOMBSTONES]));
    for (unsigned k = 0; k < REPLAY_KINDS; k++) {
        if (st->unknown[k])
            metric_add_to(METRIC_WITH(&m_unknown_refs, kinds[k]), (double)st->unknown[k]);
        if (k != REPLAY_SERIES) what->unknown_refs += st->unknown[k];
    }
}

/* Where damage took series records (a zeroed page is no damage to a reader), what names their refs
 * goes, too: Prometheus would warn of it at each start. But beside a memory snapshot, read or not:
 * that has series whose records the log may have lost, and counts on places in the log. */
static errc drop_orphans(struct recovery *r, struct err *e)
{
    const struct recover_in *in = r->in;
    const struct db_opened *what = r->what;
    struct wal_dir log = { 0 }, inside = { 0 };
    struct wal_orphans gone = { 0 };
    struct memory_folder shot = { 0 };
    struct wal_part parts[3];
    struct arena a;
    size_t n = 0;
    if (!what->corruptions && !what->unknown_refs) return OK;
    arena_init(&a, NULL, 0);
    errc rc = memory_folder_newest(&shot, in->fs, &a, e);
    if (rc != OK || shot.name.n) {
        arena_fini(&a);
        return rc;
    }
    rc = wal_dir_list(&log, in->fs, S("wal"), e);
    if (rc == OK && log.has_checkpoint) {
        parts[0] = (struct wal_part){ .dir = arena_fmt(&a, "wal/checkpoint.%08u", log.checkpoint) };
        rc = wal_dir_list(&inside, in->fs, parts[0].dir, e);
        if (inside.segments.n) parts[0].last = vec_last(&inside.segments);
        n = 1;
    }
    if (in->has_segments)
        parts[n++] = (struct wal_part){ S("wal"), log.has_checkpoint ? log.checkpoint + 1 : 0,
            in->last_segment };
    if (in->has_late) parts[n++] = (struct wal_part){ S("wbl"), in->first_late, in->last_late };
    if (rc == OK) rc = forget_image(r, e);
    if (rc == OK) rc = wal_orphans_drop(in->fs, in->backend, parts, n, &gone, e);
    if (rc == OK && gone.items)
        LOG(WARN, "log repaired: what named lost series is set aside", kv_u64("items", gone.items),
            kv_u64("segments", gone.segments));
    wal_dir_fini(&log);
    wal_dir_fini(&inside);
    arena_fini(&a);
    return rc;
}

/* ---- the head */

static errc replay_new(struct recovery *r, struct err *e)
{
    struct head *head = NULL;
    TRY(r->in->new_head(r->in->ctx, &head, e));
    r->replay = head_replay_begin(head);
    head_replay_reserve(r->replay, r->in->chunks->all.n, r->in->chunks->n_series);
    uint64_t in_blocks = late_reached(r->in->fs, r->in->chunks);
    for (size_t i = 0; i < r->in->chunks->all.n; i++) {
        const struct chunk_found *c = &r->in->chunks->all.at[i];
        if (c->ooo && c->ref <= in_blocks) continue;
        struct head_replay_chunk rc = { c->series, c->mint, c->maxt, c->ref, c->n, c->enc, c->ooo };
        head_replay_chunk(r->replay, &rc);
    }
    return OK;
}

/* The log is far behind the snapshot: not even the segment that is begun now is the one it names.
 * As Prometheus has it. */
static bool log_is_behind(const struct recover_in *in, const struct memory_folder *f)
{
    return f->segment > (in->has_segments ? (uint64_t)in->last_segment + 1 : 0);
}

/* Does the segment that the snapshot names reach to its place? One that a checkpoint stands for is
 * gone, and no other will have its number; one that was lost is an empty file by now. */
static bool log_reaches(const struct recover_in *in, const struct memory_folder *f)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct fs_stat st = { 0 };
    str path = wal_segment_path(&a, S("wal"), f->segment);
    if (fs_stat(in->fs, path, &st, NULL) == OK) return st.size_bytes >= f->offset;
    return in->has_segments && in->last_segment > f->segment;
}

/* The segment was lost, or is another one now: it is read from its beginning, and so are those of
 * later starts, which may be longer. */
static errc snapshot_step_back(
    struct recovery *r, struct memory_folder *f, struct arena *a, struct err *e)
{
    LOG(WARN, "log ends before the place of the memory snapshot", kv_str("folder", f->name));
    if (!r->passed_over) TRY(image_file_remove(r->in->fs, e));
    TRY(memory_folder_step_back(r->in->fs, &f->segment, 1, e));
    return memory_folder_newest(f, r->in->fs, a, e);
}

/* Does the image stand for more of the log than the snapshot? A server that was killed has both:
 * the snapshot of when it was last stopped, and an image of minutes ago. */
static bool image_is_newer(const struct recovery *r, const struct memory_folder *f)
{
    if (!r->image) return false;
    struct image_place at = image_file_place(r->image);
    if (at.segment != f->segment) return at.segment > f->segment;
    return at.offset > f->offset;
}

/* The newest snapshot, if it can be had. A broken one costs time, nothing else: all of it is in a
 * log that is whole, too. */
static errc read_snapshot(struct recovery *r, struct arena *a, struct err *e)
{
    struct memory_folder f = { 0 };
    struct err why = { 0 };
    TRY(memory_folder_newest(&f, r->in->fs, a, e));
    if (!f.name.n) return OK;
    if (log_is_behind(r->in, &f)) {
        LOG(WARN, "Last WAL file is behind snapshot, removing snapshots");
        return memory_folder_remove(r->in->fs, e);
    }
    r->passed_over = image_is_newer(r, &f);
    if (f.offset && !log_reaches(r->in, &f)) TRY(snapshot_step_back(r, &f, a, e));
    if (r->passed_over) return OK;
    if (memory_folder_read(&f, r->in->fs, r->in->backend, r->replay, &why) == OK) {
        r->snapshot = f;
        return OK;
    }
    LOG(ERROR, "Failed to load chunk snapshot", kv_err(&why));
    metric_inc(&m_snapshot_errors);
    head_replay_drop(STEAL(r->replay));
    TRY(replay_new(r, e));
    return why.code == ERR_CORRUPT ? memory_folder_remove(r->in->fs, e) : OK;
}

/* ---- the head image */

/* Is its place in what is left of the log? A checkpoint stands for segments up to its number. */
static bool image_is_in_log(
    const struct recover_in *in, const struct wal_dir *dir, const struct image_place *at)
{
    if (!in->has_segments || at->segment > in->last_segment) return false;
    return !dir->has_checkpoint || dir->checkpoint < at->segment;
}

/* One that cannot be had costs time, nothing else: all of it is in the log, too. */
static errc find_image(struct recovery *r, struct err *e)
{
    SCOPED(wal_dir_fini) struct wal_dir dir = { 0 };
    struct err why = { 0 };
    struct image_file *f = NULL;
    TRY(wal_dir_list(&dir, r->in->fs, S("wal"), e));
    errc rc = image_file_open(&f, r->in->fs, r->in->backend, &why);
    if (rc == OK && !f) return OK;
    struct image_place at = f ? image_file_place(f) : (struct image_place){ 0 };
    if (rc == OK && image_is_in_log(r->in, &dir, &at)) {
        r->image = f;
        return OK;
    }
    image_file_close(f);
    LOG(INFO, "head image passed over", kv_err(&why), kv_u64("segment", at.segment));
    return OK;
}

/* Errors of the image itself end this replay, and another one begins without it. */
static errc take_image(void *ctx, struct pool *pool, struct err *e)
{
    struct recovery *r = ctx;
    uint64_t unknown = 0;
    errc rc = image_file_load(r->image, r->replay, pool, &unknown, &r->image_why);
    if (rc == OK && r->passed_over && unknown)
        rc = err_set(&r->image_why, ERR_CORRUPT,
            "%" PRIu64 " series are not in the log, the memory snapshot may have them", unknown);
    r->what->image = rc == OK;
    return rc == OK ? OK : err_set(e, rc, "%s", r->image_why.msg);
}

static errc replay_with(struct recovery *r, struct err *e)
{
    struct replay_log_opts o = { .fs = r->in->fs,
        .backend = r->in->backend,
        .replay = r->replay,
        .workers = r->in->workers,
        .progress = db_replay_at,
        .check_all = r->in->check_all,
        .damage = r->damage };
    if (r->image) {
        struct image_place at = image_file_place(r->image);
        o.image = take_image;
        o.image_ctx = r;
        o.image_seg = at.segment;
        o.image_off = at.offset;
    }
    r->log = replay_log_new(&o);
    struct err why = { 0 };
    errc rc = replay_log(r, &why);
    if (rc != OK && replay_log_image_in_way(r->log)) r->image_why = why;
    r->again = rc != OK && replay_log_decoded_late(r->log, &r->late);
    if (r->again) r->damage = &r->late;
    return rc == OK ? OK : err_set(e, rc, "%s", why.msg);
}

/* From the beginning, without an image that is in the way. */
static errc replay_anew(struct recovery *r, struct arena *a, struct err *e)
{
    replay_log_free(STEAL(r->log));
    head_replay_drop(STEAL(r->replay));
    *r->what = r->before;
    if (r->image_why.n) {
        LOG(WARN, "head image passed over", kv_err(&r->image_why));
        image_file_close(STEAL(r->image));
        r->image_why = (struct err){ 0 };
        TRY(image_file_remove(r->in->fs, e));
    }
    bool snapshot = r->passed_over || r->snapshot.name.n;
    r->snapshot = (struct memory_folder){ 0 };
    TRY(replay_new(r, e));
    if (snapshot) TRY(read_snapshot(r, a, e));
    return replay_with(r, e);
}

static errc replay_all(struct recovery *r, struct arena *a, struct err *e)
{
    TRY(replay_new(r, e));
    TRY(find_image(r, e));
    if (r->in->memory_snapshot) TRY(read_snapshot(r, a, e));
    if (r->snapshot.name.n) image_file_close(STEAL(r->image));
    r->before = *r->what;
    errc rc = replay_with(r, e);
    while (rc != OK && (r->image_why.n || r->again)) rc = replay_anew(r, a, e);
    return rc;
}

static void recovered(struct recovery *r, const struct replay_log_counts *counts)
{
    struct head_replay_stats st = { 0 };
    head_replay_finish(STEAL(r->replay), &st);
    count_unknown(&st, r->what);
    count_late_unknown(&st, r->what);
    wal_metrics_corruptions(wal_metrics_of(WAL_MAIN), counts->corruptions);
    r->what->records = counts->records;
    r->what->corruptions += counts->corruptions;
    r->what->torn += counts->torn;
    r->what->series = st.series;
    r->what->samples = st.samples;
    r->what->chunks = st.chunks;
}

/* Of the image that was read, unless it is of a log that a repair has written anew since. */
static struct image_file_written image_left(const struct recovery *r)
{
    if (!r->image || !r->what->image || r->rewrites)
        return (struct image_file_written){ 0 };
    return (struct image_file_written){ .place = image_file_place(r->image),
        .bytes = image_file_bytes(r->image) };
}

errc recover_head(const struct recover_in *in, struct db_opened *what,
    struct image_file_written *image, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct recovery r = { .in = in, .what = what, .damage = in->damage };
    struct replay_log_counts counts = { 0 };
    errc rc = replay_all(&r, &a, e);
    if (r.log) replay_log_end(r.log, &counts);
    replay_log_free(r.log);
    if (rc == OK) rc = replay_late(&r, r.replay, e);
    if (r.replay) recovered(&r, &counts);
    struct err why = { 0 };
    if (rc == OK && drop_orphans(&r, &why) != OK)
        LOG(WARN, "what names lost series stays in the log", kv_err(&why));
    *image = image_left(&r);
    image_file_close(r.image);
    arena_fini(&r.names);
    return rc;
}
