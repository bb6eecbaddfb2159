#include "tsdb/recover.h"

#include "base/log.h"
#include "base/map.h"
#include "base/metric.h"
#include "head/head.h"
#include "head/replay.h"
#include "io/thread.h"
#include "wal/record.h"
#include "wal/repair.h"
#include "wal/wal_reader.h"

/* The chunks of one series follow each other in time; by_series maps its ref to a place in last_maxt (index + 1). */
static uint64_t hash_ref(sref ref) { return hash_bytes(&ref, sizeof(ref)); }

errc recover_chunk_found(void *ctx, const struct chunk_found *c, struct err *e)
{
    struct recover_chunks *all = ctx;
    if (!c->ooo) {
        uint64_t hash = hash_ref(c->series);
        uintptr_t place = (uintptr_t)map_find(&all->by_series, hash, NULL, NULL);
        if (!place) {
            vec_push(&all->last_maxt, c->maxt);
            map_put(&all->by_series, hash, (void *)(uintptr_t)all->last_maxt.n);
        } else {
            int64_t *last = &all->last_maxt.at[place - 1];
            if (c->mint <= *last)
                return err_set(e, ERR_CORRUPT, "out of sequence head chunk for series ref %" PRIu64, c->series);
            *last = c->maxt;
        }
    }
    vec_push(&all->all, *c);
    return OK;
}

void recover_chunks_fini(struct recover_chunks *c)
{
    vec_fini(&c->all);
    vec_fini(&c->last_maxt);
    map_fini(&c->by_series);
}

/* One pass over a log: decodes records and routes them. Batches for the decoders are kept from record to record. */
struct router {
    const struct recover_in *in;
    struct head_replay *replay;
    struct db_opened *what;
    struct ref_seriess series;
    ref_samples samples;
    ref_tombstones tombstones;
    struct ref_exemplars exemplars;
    ref_metadatas metadatas;
    struct ref_histograms histograms;
};

static void router_fini(struct router *r)
{
    ref_seriess_fini(&r->series);
    vec_fini(&r->samples);
    vec_fini(&r->tombstones);
    ref_exemplars_fini(&r->exemplars);
    vec_fini(&r->metadatas);
    ref_histograms_fini(&r->histograms);
}

static errc route_series(struct router *r, str rec, struct err *e)
{
    TRY(series_decode(&r->series, rec, e));
    for (size_t i = 0; i < r->series.all.n; i++) {
        struct err why = { 0 };
        const struct ref_series *s = &r->series.all.at[i];
        if (head_replay_series(r->replay, s->ref, s->labels, &why) != OK)
            LOG_LIMITED(WARN, 10000, "series record left out", kv_u64("ref", s->ref), kv_err(&why));
    }
    return OK;
}

static errc route_tombstones(struct router *r, str rec, struct err *e)
{
    TRY(tombstones_decode(&r->tombstones, rec, e));
    for (size_t i = 0; i < r->tombstones.n; i++) {
        const struct ref_tombstone *t = &r->tombstones.at[i];
        head_replay_tombstone(r->replay, t->ref, t->mint, t->maxt);
    }
    return OK;
}

static errc route_record(struct router *r, str rec, struct err *e)
{
    switch (record_type(rec)) {
    case REC_SERIES: return route_series(r, rec, e);
    case REC_TOMBSTONES: return route_tombstones(r, rec, e);
    case REC_SAMPLES:
    case REC_SAMPLES_V2:
        TRY(samples_decode(&r->samples, rec, e));
        head_replay_samples(r->replay, r->samples.at, r->samples.n);
        return OK;
    case REC_EXEMPLARS:
        TRY(exemplars_decode(&r->exemplars, rec, e));
        for (size_t i = 0; i < r->exemplars.all.n; i++) head_replay_reserve(r->replay, r->exemplars.all.at[i].ref);
        return OK;
    case REC_METADATA:
        TRY(metadata_decode(&r->metadatas, rec, e));
        for (size_t i = 0; i < r->metadatas.n; i++) head_replay_reserve(r->replay, r->metadatas.at[i].ref);
        return OK;
    case REC_HISTOGRAMS:
    case REC_FLOAT_HISTOGRAMS:
    case REC_CUSTOM_HISTOGRAMS:
    case REC_CUSTOM_FLOAT_HISTOGRAMS:
    case REC_HISTOGRAMS_V2:
    case REC_FLOAT_HISTOGRAMS_V2:
        TRY(histograms_decode(&r->histograms, rec, e));
        for (size_t i = 0; i < r->histograms.all.n; i++) head_replay_reserve(r->replay, r->histograms.all.at[i].ref);
        return OK;
    default: return OK;                                        /* markers belong to the write-behind log; unknown types are skipped */
    }
}

static errc route_all(struct router *r, struct wal_reader *reader, struct err *e)
{
    for (;;) {
        struct wal_rec rec;
        bool got = false;
        TRY(wal_reader_next(reader, &rec, &got, e));
        if (!got) return OK;
        r->what->records++;
        db_replay_at(rec.seg);
        struct err why = { 0 };
        errc rc = route_record(r, rec.bytes, &why);
        if (rc == ERR_CORRUPT) rc = wal_reader_reject(reader, &why, e);
        if (rc != OK) return rc;
    }
}

typedef VEC(uint32_t) segments_list;

/* Reads segments first … last of a folder; the numbers of damaged ones are added to `bad`. */
static errc replay_dir(struct router *r, str dir, uint32_t first, uint32_t last, segments_list *bad, struct err *e)
{
    struct wal_reader_opts o = {
        .fs = r->in->fs, .dir = dir, .backend = r->in->backend, .mode = WAL_SALVAGE, .first = first, .last = last,
    };
    struct wal_reader *reader = NULL;
    TRY(wal_reader_open(&reader, &o, e));
    errc rc = route_all(r, reader, e);
    size_t n;
    const struct wal_corruption *found = wal_reader_corruptions(reader, &n);
    for (size_t i = 0; i < n; i++) {
        LOG(WARN, "damage in the log", kv_str("dir", dir), kv_u64("segment", found[i].seg), kv_u64("offset", found[i].off), kv_z("err", found[i].why));
        if (!bad->n || vec_last(bad) != found[i].seg) vec_push(bad, found[i].seg);
    }
    r->what->corruptions += n;
    wal_reader_close(reader);
    return rc;
}

/* Makes what replay_dir found durable: damaged segments are set aside and written anew, missing ones become empty ones. */
static errc repair_dir(const struct recover_in *in, str dir, uint32_t first, uint32_t last, const segments_list *bad, struct err *e)
{
    struct wal_repair_result done = { 0 };
    for (size_t i = 0; i < bad->n; i++)
        TRY_IN(e, wal_repair_segment(in->fs, dir, in->backend, bad->at[i], bad->at[i] == last, &done, e), "repair of %.*s", STR_ARG(dir));
    uint32_t filled = 0;
    TRY_IN(e, wal_repair_gaps(in->fs, dir, first, last, &filled, e), "repair of %.*s", STR_ARG(dir));
    if (bad->n || filled)
        LOG(WARN, "log repaired", kv_str("dir", dir), kv_u64("segments", bad->n), kv_u64("records_kept", done.records_kept), kv_u64("gaps", filled));
    return OK;
}

static errc replay_and_repair(struct router *r, str dir, uint32_t first, uint32_t last, struct err *e)
{
    segments_list bad = { 0 };
    errc rc = replay_dir(r, dir, first, last, &bad, e);
    if (rc == OK) rc = repair_dir(r->in, dir, first, last, &bad, e);
    vec_fini(&bad);
    return rc;
}

static errc replay_checkpoint(struct router *r, uint32_t number, struct err *e)
{
    struct arena a;
    arena_init(&a, NULL, 0);
    str dir = arena_fmt(&a, "wal/checkpoint.%08u", number);
    struct wal_dir inside = { 0 };
    uint32_t moved = 0;
    errc rc = wal_dir_settle(r->in->fs, dir, &moved, e);
    r->what->corruptions += moved;
    if (rc == OK) rc = wal_dir_list(&inside, r->in->fs, dir, e);
    if (rc == OK && inside.segments.n) rc = replay_and_repair(r, dir, 0, vec_last(&inside.segments), e);
    wal_dir_fini(&inside);
    arena_fini(&a);
    return rc;
}

static errc replay_log(struct router *r, struct err *e)
{
    struct wal_dir dir = { 0 };
    TRY(wal_dir_list(&dir, r->in->fs, S("wal"), e));
    errc rc = OK;
    uint32_t first = 0;
    if (dir.has_checkpoint) {
        first = dir.checkpoint + 1;
        rc = replay_checkpoint(r, dir.checkpoint, e);
    } else if (dir.segments.n && dir.segments.at[0] <= r->in->last_segment) {
        first = dir.segments.at[0];            /* what came before it was deleted, or is lost: nobody asks for those numbers */
    }
    if (rc == OK && r->in->has_segments && r->in->last_segment >= first) {
        db_replay_range(first, r->in->last_segment);
        r->what->segments = r->in->last_segment - first + 1;
        rc = replay_and_repair(r, S("wal"), first, r->in->last_segment, e);
    }
    wal_dir_fini(&dir);
    return rc;
}

/* The out-of-order log is not replayed here, but it is left as one that can be: damage in it costs the damaged records. */
static errc repair_out_of_order_log(struct router *r, struct err *e)
{
    struct wal_dir dir = { 0 };
    struct wal_repair_result done = { 0 };
    TRY(wal_dir_list(&dir, r->in->fs, S("wbl"), e));
    errc rc = OK;
    if (dir.segments.n)
        rc = wal_repair(r->in->fs, S("wbl"), r->in->backend, dir.segments.at[0], vec_last(&dir.segments), &done, e);
    r->what->corruptions += done.corruptions;
    wal_dir_fini(&dir);
    return rc;
}

/* The workers: each has a bounded queue of batches; the router waits when it is full. */
enum { QUEUE_MAX = 64, WORKERS_MAX = 16 };
struct worker {
    struct crew *crew;
    struct thread *thread;
    struct mtx mu;                             /* LOCK_LEAF */
    struct cond changed;
    struct head_replay_batch *queue[QUEUE_MAX];/* GUARDED_BY(mu) */
    size_t head, n;                            /* GUARDED_BY(mu) */
    bool ended;                                /* GUARDED_BY(mu) */
};
struct crew { struct head_replay *replay; unsigned n; struct worker at[WORKERS_MAX]; };

static void worker_run(void *arg)
{
    struct worker *w = arg;
    for (;;) {
        mtx_lock(&w->mu);
        while (!w->n && !w->ended) cond_wait(&w->changed, &w->mu);
        struct head_replay_batch *b = NULL;
        if (w->n) {
            b = w->queue[w->head];
            w->head = (w->head + 1) % QUEUE_MAX;
            w->n--;
            cond_broadcast(&w->changed);
        }
        mtx_unlock(&w->mu);
        if (!b) return;
        head_replay_apply(w->crew->replay, b);
    }
}

static void crew_submit(void *ctx, unsigned worker, struct head_replay_batch *b)
{
    struct crew *c = ctx;
    struct worker *w = &c->at[worker % c->n];
    mtx_lock(&w->mu);
    while (w->n == QUEUE_MAX) cond_wait(&w->changed, &w->mu);
    w->queue[(w->head + w->n++) % QUEUE_MAX] = b;
    cond_broadcast(&w->changed);
    mtx_unlock(&w->mu);
}

static void crew_start(struct crew *c)
{
    for (unsigned i = 0; i < c->n; i++) {
        struct worker *w = &c->at[i];
        w->crew = c;
        mtx_init(&w->mu, LOCK_LEAF);
        cond_init(&w->changed);
        w->thread = thread_start("replay", worker_run, w);
    }
}

static void crew_end(struct crew *c)
{
    for (unsigned i = 0; i < c->n; i++) {
        struct worker *w = &c->at[i];
        mtx_lock(&w->mu);
        w->ended = true;
        cond_broadcast(&w->changed);
        mtx_unlock(&w->mu);
        thread_join(w->thread);
        cond_fini(&w->changed);
        mtx_fini(&w->mu);
    }
}

errc recover_head(const struct recover_in *in, struct db_opened *what, struct err *e)
{
    struct crew crew = { .n = MIN(in->workers, (unsigned)WORKERS_MAX) };
    bool threads = in->workers > 1;
    struct head_replay_opts o = { .workers = threads ? crew.n : 1, .submit = threads ? crew_submit : NULL, .ctx = &crew };
    struct router r = { .in = in, .what = what, .replay = head_replay_begin(in->head, &o) };
    crew.replay = r.replay;
    for (size_t i = 0; i < in->chunks->all.n; i++) {
        const struct chunk_found *c = &in->chunks->all.at[i];
        struct head_replay_chunk rc = { c->series, c->mint, c->maxt, c->ref, c->n, c->enc, c->ooo };
        head_replay_chunk(r.replay, &rc);
    }
    if (threads) crew_start(&crew);
    errc rc = replay_log(&r, e);
    if (rc == OK) rc = repair_out_of_order_log(&r, e);
    head_replay_flush(r.replay);
    if (threads) crew_end(&crew);
    struct head_replay_stats st = { 0 };
    head_replay_finish(r.replay, &st);
    router_fini(&r);
    what->series = st.series;
    what->samples = st.samples;
    what->chunks = st.chunks;
    what->unknown_refs = st.unknown_samples + st.unknown_other;
    return rc;
}
