#include "wal/checkpoint.h"

#include "base/log.h"
#include "base/map.h"
#include "wal/record.h"
#include "wal/wal.h"

enum { FLUSH_BYTES = 1 << 20 };

struct checkpoint {
    const struct wal_checkpoint_opts *o;
    struct wal_checkpoint_counts counts;
    struct wal *wal;
    struct wal_batch *batch;
    struct ref_seriess series;
    ref_samples samples;
    ref_tombstones tombstones;
    struct ref_exemplars exemplars;
    struct ref_histograms histograms;
    ref_metadatas metadatas;
    uint32_t deletion;                         /* number of the next tombstones; 0: none was told */
    struct map newest;                         /* ref -> place in metadata_at + 1 */
    struct arena arena;                        /* of kept metadata */
    VEC(struct ref_metadata) metadata;
};

static void checkpoint_fini(struct checkpoint *c)
{
    ref_seriess_fini(&c->series);
    vec_fini(&c->samples);
    vec_fini(&c->tombstones);
    ref_exemplars_fini(&c->exemplars);
    ref_histograms_fini(&c->histograms);
    vec_fini(&c->metadatas);
    vec_fini(&c->metadata);
    map_fini(&c->newest);
    arena_fini(&c->arena);
}

static bool kept(const struct checkpoint *c, sref ref) { return c->o->keep(c->o->ctx, ref); }

/* Keeps the elements of a list for which `cond` holds (x is the element); how many there were
 * before. */
#define FILTER(list, x, cond) \
    ({ \
        size_t filter_had = (list)->n, filter_n = 0; \
        for (size_t filter_i = 0; filter_i < filter_had; filter_i++) { \
            __typeof__((list)->at) x = &(list)->at[filter_i]; \
            if (cond) (list)->at[filter_n++] = *x; \
        } \
        (list)->n = filter_n; \
        filter_had; \
    })

/* A record of which all is kept goes on as it was stored. */
static struct buf *room(struct checkpoint *c, const struct wal_rec *rec, size_t had, size_t n)
{
    if (n == had) wal_batch_add_stored(c->batch, rec->flags, rec->stored);
    return n && n < had ? wal_batch_room(c->batch) : NULL;
}

static errc pass_series(struct checkpoint *c, const struct wal_rec *rec, struct err *e)
{
    TRY(series_decode(&c->series, rec->bytes, e));
    size_t had = FILTER(&c->series.all, x, kept(c, x->ref));
    c->counts.series_dropped += had - c->series.all.n;
    struct buf *b = room(c, rec, had, c->series.all.n);
    if (!b) return OK;
    series_encode_type(b);
    for (size_t i = 0; i < c->series.all.n; i++)
        series_encode(b, c->series.all.at[i].ref, c->series.all.at[i].labels);
    wal_batch_seal(c->batch);
    return OK;
}

static errc pass_samples(struct checkpoint *c, const struct wal_rec *rec, struct err *e)
{
    TRY(samples_decode(&c->samples, rec->bytes, e));
    size_t had = FILTER(&c->samples, x, x->t >= c->o->mint);
    c->counts.samples_dropped += had - c->samples.n;
    struct buf *b = room(c, rec, had, c->samples.n);
    if (!b) return OK;
    (record_type(rec->bytes) == REC_SAMPLES ? samples_encode : samples_encode_v2)(
        b, c->samples.at, c->samples.n);
    wal_batch_seal(c->batch);
    return OK;
}

static errc pass_tombstones(struct checkpoint *c, const struct wal_rec *rec, struct err *e)
{
    TRY(tombstones_decode(&c->tombstones, rec->bytes, e));
    size_t had = FILTER(&c->tombstones, x, kept(c, x->ref) && x->maxt >= c->o->deletions_mint);
    if (c->deletion && c->tombstones.n) {
        deletion_encode(wal_batch_room(c->batch), c->deletion);
        wal_batch_seal(c->batch);
    }
    struct buf *b = room(c, rec, had, c->tombstones.n);
    if (!b) return OK;
    tombstones_encode(b, c->tombstones.at, c->tombstones.n);
    wal_batch_seal(c->batch);
    return OK;
}

static errc pass_exemplars(struct checkpoint *c, const struct wal_rec *rec, struct err *e)
{
    TRY(exemplars_decode(&c->exemplars, rec->bytes, e));
    size_t had = FILTER(&c->exemplars.all, x, x->t >= c->o->mint);
    struct buf *b = room(c, rec, had, c->exemplars.all.n);
    if (!b) return OK;
    exemplars_encode(b, c->exemplars.all.at, c->exemplars.all.n);
    wal_batch_seal(c->batch);
    return OK;
}

static errc pass_histograms(struct checkpoint *c, const struct wal_rec *rec, struct err *e)
{
    enum rec_type type = record_type(rec->bytes);
    TRY(histograms_decode(&c->histograms, rec->bytes, e));
    size_t had = FILTER(&c->histograms.all, x, x->t >= c->o->mint);
    struct buf *b = room(c, rec, had, c->histograms.all.n);
    if (!b) return OK;
    const struct ref_histogram *first = &c->histograms.all.at[0];
    bool v2 = type == REC_HISTOGRAMS_V2 || type == REC_FLOAT_HISTOGRAMS_V2;
    if (v2) histograms_encode_v2(b, type, first, c->histograms.all.n);
    else histograms_encode(b, type, first->ref, first->t, first, c->histograms.all.n);
    wal_batch_seal(c->batch);
    return OK;
}

static errc pass_metadata(struct checkpoint *c, const struct wal_rec *rec, struct err *e)
{
    TRY(metadata_decode(&c->metadatas, rec->bytes, e));
    for (size_t i = 0; i < c->metadatas.n; i++) {
        struct ref_metadata m = c->metadatas.at[i];
        if (!kept(c, m.ref)) continue;
        uint64_t hash = hash_bytes(&m.ref, sizeof(m.ref));
        uintptr_t place = (uintptr_t)map_find(&c->newest, hash, NULL, NULL);
        m.meta.unit = arena_str(&c->arena, m.meta.unit);
        m.meta.help = arena_str(&c->arena, m.meta.help);
        m.raw = STR_EMPTY;
        if (place) {
            c->metadata.at[place - 1] = m;
        } else {
            vec_push(&c->metadata, m);
            map_put(&c->newest, hash, (void *)(uintptr_t)c->metadata.n);
        }
    }
    return OK;
}

static errc pass(struct checkpoint *c, const struct wal_rec *rec, struct err *e)
{
    switch (record_kind(rec->bytes)) {
    case KIND_SERIES: return pass_series(c, rec, e);
    case KIND_SAMPLES: return pass_samples(c, rec, e);
    case KIND_TOMBSTONES: return pass_tombstones(c, rec, e);
    case KIND_EXEMPLARS: return pass_exemplars(c, rec, e);
    case KIND_METADATA: return pass_metadata(c, rec, e);
    case KIND_HISTOGRAMS: return pass_histograms(c, rec, e);
    default: return OK;
    }
}

static errc flush(struct checkpoint *c, struct err *e)
{
    struct wal_batch *b = STEAL(c->batch);
    TRY(wal_commit(c->wal, b, e));
    c->batch = wal_batch_new(c->wal);
    return OK;
}

static errc read_records(struct checkpoint *c, struct wal_reader *r, struct err *e)
{
    for (;;) {
        struct wal_rec rec;
        bool got = false;
        struct err why = { 0 };
        TRY(wal_reader_next(r, &rec, &got, e));
        if (!got) return OK;
        c->counts.records++;
        errc rc = pass(c, &rec, &why);
        if (!deletion_decode(rec.bytes, &c->deletion)) c->deletion = 0;
        if (rc == ERR_CORRUPT) rc = wal_reader_reject(r, &why, e);
        TRY(rc);
        if (wal_batch_bytes(c->batch) >= FLUSH_BYTES) TRY(flush(c, e));
    }
}

static errc read_dir(struct checkpoint *c, str dir, uint32_t first, uint32_t last, struct err *e)
{
    struct wal_reader *r = NULL;
    struct wal_reader_opts o = { .fs = c->o->fs,
        .dir = dir,
        .backend = c->o->backend,
        .mode = WAL_SALVAGE,
        .first = first,
        .last = last };
    TRY(wal_reader_open(&r, &o, e));
    errc rc = read_records(c, r, e);
    size_t n;
    const struct wal_corruption *bad = wal_reader_corruptions(r, &n);
    for (size_t i = 0; i < n; i++)
        LOG(WARN, "damage in the log is not taken into a checkpoint", kv_str("dir", dir),
            kv_u64("segment", bad[i].seg), kv_u64("offset", bad[i].off), kv_z("err", bad[i].why));
    wal_reader_close(r);
    return rc;
}

static errc read_all(struct checkpoint *c, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    if (c->o->has_previous) {
        str dir = arena_fmt(&a, "%.*s/checkpoint.%08" PRIu32, STR_ARG(c->o->dir), c->o->previous);
        SCOPED(wal_dir_fini) struct wal_dir inside = { 0 };
        TRY(wal_dir_list(&inside, c->o->fs, dir, e));
        if (inside.segments.n)
            TRY(read_dir(c, dir, inside.segments.at[0], vec_last(&inside.segments), e));
    }
    TRY(read_dir(c, c->o->dir, c->o->first, c->o->last, e));
    if (c->metadata.n) {
        metadata_encode(wal_batch_room(c->batch), c->metadata.at, c->metadata.n);
        wal_batch_seal(c->batch);
    }
    return flush(c, e);
}

static errc write_tmp(struct checkpoint *c, str tmp, struct err *e)
{
    struct wal_opts wo = { .fs = c->o->fs,
        .dir = tmp,
        .kind = WAL_PLAIN,
        .segment_bytes = c->o->segment_bytes,
        .compress = c->o->compress,
        .fsync_interval_ms = 1000,
        .no_thread = true };
    TRY(fs_remove_tree(c->o->fs, tmp, e));
    TRY(wal_open(&c->wal, &wo, e));
    c->batch = wal_batch_new(c->wal);
    errc rc = read_all(c, e);
    wal_batch_drop(c->wal, STEAL(c->batch));
    if (rc == OK) return wal_close_synced(STEAL(c->wal), e);
    wal_close(STEAL(c->wal));
    return rc;
}

errc wal_checkpoint(
    const struct wal_checkpoint_opts *o, struct wal_checkpoint_counts *out, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    struct checkpoint c = { .o = o };
    str name = arena_fmt(&a, "%.*s/checkpoint.%08" PRIu32, STR_ARG(o->dir), o->last),
        tmp = arena_fmt(&a, "%.*s.tmp", STR_ARG(name));
    errc rc = write_tmp(&c, tmp, e);
    checkpoint_fini(&c);
    if (rc == OK) rc = fs_rename(o->fs, tmp, name, e);
    if (rc != OK) {
        errc left = fs_remove_tree(o->fs, tmp, NULL);          /* or the next opening does it */
        (void)left;
        return rc;
    }
    *out = c.counts;
    return OK;
}

errc wal_checkpoints_drop(struct fs *fs, str dir, uint32_t below, struct err *e)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    SCOPED(wal_dir_fini) struct wal_dir d = { 0 };
    TRY(wal_dir_list(&d, fs, dir, e));
    if (d.has_checkpoint) vec_push(&d.older_checkpoints, d.checkpoint);
    for (size_t i = 0; i < d.older_checkpoints.n; i++) {
        uint32_t n = d.older_checkpoints.at[i];
        if (n < below)
            TRY(fs_remove_tree(
                fs, arena_fmt(&a, "%.*s/checkpoint.%08" PRIu32, STR_ARG(dir), n), e));
    }
    return OK;
}
