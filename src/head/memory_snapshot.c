#include "head/memory_snapshot.h"

#include "base/map.h"
#include "chunk/chunk.h"
#include "chunk/chunk_iter.h"
#include "head/exemplars.h"
#include "head/head_impl.h"
#include "head/snapshot_codec.h"
#include "wal/rec_histogram.h"
#include "wal/wal.h"

#include <stdlib.h>

enum { FLUSH_BYTES = 1 << 20, EXEMPLARS_A_RECORD = 10000 };

struct writing {
    struct head *h;
    struct wal *to;
    struct wal_batch *batch;
    struct chunk_copy *copy;
    struct buf bytes;                          /* of an open chunk */
    struct chunk_iter iter;                    /* of one held as bytes */
    struct buf last;                           /* its newest histogram */
    struct arena labels;                       /* of one series */
    struct map refs;                           /* hash of labels -> ref; of exemplars only */
    VEC(struct ref_exemplar) exemplars;
    struct arena kept;                         /* of exemplars that wait */
    struct memory_snapshot_counts n;
};

static errc flush(struct writing *w, size_t from_bytes, struct err *e)
{
    if (wal_batch_bytes(w->batch) < from_bytes) return OK;
    errc rc = wal_commit(w->to, STEAL(w->batch), e);
    w->batch = wal_batch_new(w->to);
    return rc;
}

static uint64_t labels_key(struct labels l)
{
    uint64_t h = l.n;
    for (size_t i = 0; i < l.n; i++)
        h = h * 0x9e3779b97f4a7c15u + hash_str(l.at[i].name) * 31 + hash_str(l.at[i].value);
    return h ? h : 1;
}

/* The newest sample of a chunk that is held as bytes. A hint but that of gauges says what came
 * before, which is not known here. */
static errc take_last(struct writing *w, struct snapshot_series *s, struct err *e)
{
    struct rec_histogram r;
    buf_reset(&w->last);
    TRY(chunk_iter_reset(&w->iter, s->enc, s->data, e));
    for (struct sample_batch b; !w->iter.ended;) {
        TRY(chunk_iter_fill(&w->iter, &b, e));
        if (!b.n || !w->iter.ended) continue;
        if (b.kind == SAMPLE_FLOAT) {
            s->last = b.v[b.n - 1];
            return OK;
        }
        r = b.kind == SAMPLE_HISTOGRAM ? rec_histogram_of_int(b.ih[b.n - 1])
                                       : rec_histogram_of_float(b.h[b.n - 1]);
        if (r.hint != RESET_GAUGE) r.hint = RESET_UNKNOWN;
        rec_histogram_encode(&w->last, &r);
        s->last_histogram = buf_view(&w->last);
    }
    return OK;
}

/* The open chunk of a slot, if it has one. */
static errc take_chunk(
    struct writing *w, uint32_t slot_i, struct snapshot_series *s, struct err *e)
{
    struct store *st = &w->h->store;
    struct slot *slot = store_slot(st, slot_i);
    slot_lock(slot);
    assert(!slot->sealed);
    s->has_chunk = slot->n > 0;
    if (s->has_chunk) open_copy(st, slot, w->copy);
    slot_unlock(slot);
    if (!s->has_chunk) return OK;
    s->enc = chunk_copy_enc(w->copy);
    buf_reset(&w->bytes);
    (void)chunk_copy_encode(w->copy, &w->bytes);
    s->data = buf_view(&w->bytes);
    s->mint = w->copy->mint;
    s->maxt = w->copy->maxt;
    w->n.chunks++;
    if (w->copy->coding == CODING_BYTES) return take_last(w, s, e);
    s->last = f64_of_bits(w->copy->last_v);
    return OK;
}

static errc write_series(struct writing *w, bool index, struct err *e)
{
    struct head *h = w->h;
    for (struct series_walk at = series_walk_of(&h->series); series_walk_next(&h->series, &at);) {
        struct snapshot_series s = { 0 };
        uint32_t slot = at.slot;
        arena_reset(&w->labels, (struct arena_mark){ 0 });
        if (!series_labels(&h->series, at.n, slot, &w->labels, &s.labels)) continue;
        s.ref = store_cold(&h->store, slot)->ref;
        TRY(take_chunk(w, slot, &s, e));
        snapshot_series_encode(wal_batch_room(w->batch), &s);
        wal_batch_seal(w->batch);
        if (index && !map_find(&w->refs, labels_key(s.labels), NULL, NULL))
            map_put(&w->refs, labels_key(s.labels), (void *)(uintptr_t)s.ref);
        w->n.series++;
        TRY(flush(w, FLUSH_BYTES, e));
    }
    return OK;
}

static void tombstones_gather(void *ctx, sref ref, const head_deletions *deleted)
{
    snapshot_tombstones *all = ctx;
    intervals times = { 0 };
    head_deletions_since(deleted, 0, &times);
    for (size_t i = 0; i < times.n; i++)
        vec_push(all, ((struct snapshot_tombstone){ ref, times.at[i] }));
    vec_fini(&times);
}

static int tombstone_cmp(const void *a, const void *b)
{
    const struct snapshot_tombstone *x = a, *y = b;
    if (x->ref != y->ref) return x->ref < y->ref ? -1 : 1;
    return (x->deleted.mint > y->deleted.mint) - (x->deleted.mint < y->deleted.mint);
}

static void write_tombstones(struct writing *w)
{
    snapshot_tombstones all = { 0 };
    head_tombstones_each(&w->h->tombstones, tombstones_gather, &all);
    if (all.n) qsort(all.at, all.n, sizeof(*all.at), tombstone_cmp);
    snapshot_tombstones_encode(wal_batch_room(w->batch), all.at, all.n);
    wal_batch_seal(w->batch);
    w->n.tombstones = all.n;
    vec_fini(&all);
}

/* The log's record of exemplars under the type byte of a snapshot. */
static void put_exemplars(struct writing *w)
{
    if (!w->exemplars.n) return;
    struct buf *b = wal_batch_room(w->batch);
    exemplars_encode(b, w->exemplars.at, w->exemplars.n);
    b->p[0] = SNAPSHOT_EXEMPLARS;
    wal_batch_seal(w->batch);
    w->n.exemplars += w->exemplars.n;
    w->exemplars.n = 0;
    arena_reset(&w->kept, (struct arena_mark){ 0 });
}

/* Exemplars of series that are gone are of no use to a start. */
static errc take_exemplar(
    void *ctx, struct labels series, const struct exemplar *x, struct err *e)
{
    struct writing *w = ctx;
    (void)e;
    sref ref = (sref)(uintptr_t)map_find(&w->refs, labels_key(series), NULL, NULL);
    if (!ref) return OK;
    vec_push(&w->exemplars,
        ((struct ref_exemplar){ ref, x->t, x->v, labels_copy(&w->kept, x->labels) }));
    if (w->exemplars.n == EXEMPLARS_A_RECORD) put_exemplars(w);
    return OK;
}

static errc write_all(struct writing *w, struct err *e)
{
    bool some = exemplars_cap(w->h->exemplars) > 0;
    TRY(write_series(w, some, e));
    write_tombstones(w);
    if (some) TRY(exemplars_each(w->h->exemplars, take_exemplar, w, e));
    put_exemplars(w);
    return flush(w, 0, e);
}

errc memory_snapshot_write(
    struct head *h, struct wal *to, struct memory_snapshot_counts *out, struct err *e)
{
    struct writing w = { .h = h, .to = to, .batch = wal_batch_new(to) };
    struct reclaim_reader reader;
    w.copy = mem_zalloc(sizeof(*w.copy));
    chunk_iter_init(&w.iter);
    reclaim_enter(&h->reclaim, &reader);
    errc rc = write_all(&w, e);
    reclaim_leave(&h->reclaim, &reader);
    wal_batch_drop(to, w.batch);
    buf_fini(&w.copy->bytes);
    mem_free(w.copy);
    buf_fini(&w.bytes);
    buf_fini(&w.last);
    chunk_iter_fini(&w.iter);
    arena_fini(&w.labels);
    arena_fini(&w.kept);
    map_fini(&w.refs);
    vec_fini(&w.exemplars);
    *out = w.n;
    return rc;
}
