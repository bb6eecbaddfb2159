#include "head/snapshot_load.h"

#include "chunk/chunk.h"
#include "chunk/chunk_iter.h"
#include "head/byte_chunk.h"
#include "head/exemplars.h"
#include "head/head_impl.h"
#include "head/replay.h"
#include "head/snapshot_codec.h"
#include "wal/record.h"

struct snapshot_load {
    struct head_replay *to;
    struct chunk_iter iter;
    struct arena a;                            /* of one record */
    struct buf again;                          /* exemplars, as the log has them */
    snapshot_tombstones tombstones;
    struct ref_exemplars exemplars;
    struct snapshot_loaded n;
};

struct snapshot_load *snapshot_load_new(struct head_replay *r)
{
    struct snapshot_load *l = NEW(struct snapshot_load);
    l->to = r;
    chunk_iter_init(&l->iter);
    return l;
}

void snapshot_load_free(struct snapshot_load *l)
{
    if (!l) return;
    chunk_iter_fini(&l->iter);
    arena_fini(&l->a);
    buf_fini(&l->again);
    vec_fini(&l->tombstones);
    ref_exemplars_fini(&l->exemplars);
    mem_free(l);
}

struct snapshot_loaded snapshot_load_counts(const struct snapshot_load *l) { return l->n; }

/* What the newest sample of a batch says of its series. */
static void newest_of(struct restored_chunk *out, const struct sample_batch *b)
{
    size_t i = b->n - 1;
    if (b->kind == SAMPLE_FLOAT) {
        out->last_v = f64_bits(b->v[i]);
        out->hist_flag = LAST_IS_FLOAT;
        out->stale = sample_is_stale(b->v[i]);
        return;
    }
    bool whole = b->kind == SAMPLE_HISTOGRAM;
    struct hist_words w = whole ? hist_words_of_int(b->ih[i]) : hist_words_of_float(b->h[i]);
    size_t buckets = w.layout.n_buckets[0] + w.layout.n_buckets[1];
    out->stale = hist_words_stale(&w);
    out->hist_flag = whole ? SLOT_LAST_HIST : SLOT_LAST_FLOAT_HIST;
    out->buckets = out->stale ? 0 : (uint16_t)MIN(buckets, (size_t)UINT16_MAX);
}

/* Reads the whole chunk: it must be what its record says of it. */
static errc look_at(struct snapshot_load *l, const struct snapshot_series *s,
    struct restored_chunk *out, struct err *e)
{
    int64_t last = INT64_MIN;
    struct sample_batch batch;
    *out = (struct restored_chunk){
        .enc = s->enc, .data = s->data, .mint = s->mint, .maxt = s->maxt
    };
    TRY(chunk_iter_reset(&l->iter, s->enc, s->data, e));
    for (;;) {
        TRY(chunk_iter_fill(&l->iter, &batch, e));
        if (!batch.n) break;
        bool rises = out->n ? batch.t[0] > last : batch.t[0] == s->mint;
        for (size_t i = 1; i < batch.n; i++) rises = rises && batch.t[i] > batch.t[i - 1];
        if (!rises) return err_set(e, ERR_CORRUPT, "memory snapshot: a chunk's times do not rise");
        last = batch.t[batch.n - 1];
        out->n += batch.n;
        newest_of(out, &batch);
    }
    if (!out->n || last != s->maxt)
        return err_set(e, ERR_CORRUPT, "memory snapshot: a chunk of other times than it says");
    return OK;
}

static errc load_series(struct snapshot_load *l, str rec, struct err *e)
{
    struct snapshot_series s;
    struct restored_chunk open;
    TRY(snapshot_series_decode(&s, rec, &l->a, e));
    if (s.has_chunk) TRY(look_at(l, &s, &open, e));
    TRY(head_replay_restore(l->to, s.ref, s.labels, s.has_chunk ? &open : NULL, e));
    l->n.series++;
    return OK;
}

static errc load_tombstones(struct snapshot_load *l, str rec, struct err *e)
{
    l->tombstones.n = 0;
    TRY(snapshot_tombstones_decode(&l->tombstones, rec, e));
    l->n.whole = true;
    for (size_t i = 0; i < l->tombstones.n; i++) {
        const struct snapshot_tombstone *t = &l->tombstones.at[i];
        head_tombstones_add(
            &head_replay_head(l->to)->tombstones, t->ref, t->deleted, DELETION_UNKNOWN);
    }
    return OK;
}

static errc load_exemplars(struct snapshot_load *l, str rec, struct err *e)
{
    if (!exemplars_cap(head_replay_head(l->to)->exemplars)) return OK;
    buf_reset(&l->again);
    buf_str(&l->again, rec);
    l->again.p[0] = REC_EXEMPLARS;
    TRY(exemplars_decode(&l->exemplars, buf_view(&l->again), e));
    for (size_t i = 0; i < l->exemplars.all.n; i++)
        l->n.unknown += !head_replay_restore_exemplar(l->to, &l->exemplars.all.at[i]);
    return OK;
}

errc snapshot_load_record(struct snapshot_load *l, str rec, struct err *e)
{
    arena_reset(&l->a, (struct arena_mark){ 0 });
    switch (rec.n ? rec.p[0] : 0) {
    case SNAPSHOT_SERIES: return load_series(l, rec, e);
    case SNAPSHOT_TOMBSTONES: return load_tombstones(l, rec, e);
    case SNAPSHOT_EXEMPLARS: return load_exemplars(l, rec, e);
    default:
        return err_set(e, ERR_CORRUPT, "memory snapshot: a record of an unknown type");
    }
}
