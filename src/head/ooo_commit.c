/* ooo_commit.c — see ooo_commit.h
 *
 *     stage    a copy of the series' array takes the samples; one that is full is put aside, and an
 *              empty one goes on
 *     write    arrays that were put aside become chunks in the chunk files, which gives references
 *     log      in the order of the samples: [marker of a cut][samples up to the next cut] …
 *     publish  under the lock of each series: the references, the array
 *
 * As Prometheus does it each cut begins a record of its own, so that replay meets the marker where
 * the array was cut. A marker names the chunk; without one it names the newest chunk of the series,
 * which holds what was logged before, or 0.
 */
#include "head/ooo_commit.h"

#include "base/fault.h"
#include "base/map.h"
#include "chunk/chunk.h"
#include "wal/record.h"
#include "wal/wal.h"

ACCOUNT(commit_account, "ooo_commits")

/* A series that the batch touches. */
struct stage {
    uint32_t slot, generation;
    sref ref;
    bool begun;                                /* it had an array, or got one */
    uint64_t last_ref;                         /* of its newest chunk; 0: none */
    struct ooo_array array;
};

/* A full array, on its way to a chunk. */
struct cut { struct stage *of; struct ooo_array array; struct chunk_desc desc; chunk_ref ref; };

/* What is to be logged, in order: a cut (index + 1), a beginning (neither), or a sample. */
struct event { struct stage *of; size_t cut; bool sample; int64_t t; double v; };

struct batch {
    struct head *head;
    struct arena arena;
    struct map by_slot;                        /* to stages */
    VEC(struct stage *) stages;
    VEC(struct cut *) cuts;
    VEC(struct event) events;
    struct buf bytes;                          /* of the chunks */
    size_t taken, chunks;
    int64_t mint, maxt;
};

static uint64_t slot_hash(uint32_t slot) { return hash_bytes(&slot, sizeof(slot)); }

static void batch_init(struct batch *b, struct head *h)
{
    *b = (struct batch){ .head = h, .mint = INT64_MAX, .maxt = INT64_MIN };
    arena_init(&b->arena, &commit_account, 0);
    buf_init(&b->bytes, &commit_account, 0);
}

static void batch_fini(struct batch *b)
{
    map_fini(&b->by_slot);
    vec_fini(&b->stages);
    vec_fini(&b->cuts);
    vec_fini(&b->events);
    buf_fini(&b->bytes);
    arena_fini(&b->arena);
}

/* The series as this batch leaves it so far; NULL: it is gone. */
static struct stage *batch_stage(struct batch *b, uint32_t slot, uint32_t generation)
{
    uint64_t hash = slot_hash(slot);
    struct stage *st = map_find(&b->by_slot, hash, NULL, NULL);
    if (st) return st;
    struct slot *s = store_slot(&b->head->store, slot);
    st = ANEW(&b->arena, struct stage);
    *st = (struct stage){ .slot = slot, .generation = generation };
    slot_lock(s);
    bool lives = series_generation(s) == generation;
    const struct ooo *o = lives ? ooo_of(&b->head->ooo, s, slot) : NULL;
    if (o) {
        ooo_read_open(o, &st->array);
        st->begun = o->n > 0;
        st->last_ref = o->closed.n ? vec_last(&o->closed).disk_ref : 0;
    }
    slot_unlock(s);
    if (!lives) return NULL;
    st->ref = store_cold(&b->head->store, slot)->ref;
    map_put(&b->by_slot, hash, st);
    vec_push(&b->stages, st);
    return st;
}

static size_t batch_cut(struct batch *b, struct stage *st)
{
    struct cut *c = arena_alloc(&b->arena, sizeof(*c));
    *c = (struct cut){ .of = st, .array = st->array };
    vec_push(&b->cuts, c);
    st->array.n = 0;
    return b->cuts.n;
}

static void batch_put(struct batch *b, const struct ooo_put *p)
{
    struct stage *st = batch_stage(b, p->slot, p->generation);
    if (!st) return;
    bool full = st->array.n == OOO_CAP;
    if (full || !st->begun) {
        size_t cut = full ? batch_cut(b, st) : 0;
        vec_push(&b->events, ((struct event){ .of = st, .cut = cut }));
        st->begun = true;
        b->chunks++;
    }
    if (!ooo_insert(&st->array, p->t, p->v)) return;
    vec_push(&b->events, ((struct event){ .of = st, .sample = true, .t = p->t, .v = p->v }));
    b->taken++;
    b->mint = MIN(b->mint, p->t);
    b->maxt = MAX(b->maxt, p->t);
}

/* Writes the chunks of the cuts. */
static errc batch_write(struct batch *b, struct err *e)
{
    struct head *h = b->head;
    if (!b->cuts.n) return OK;
    if (!h->opts.disk) return err_set(e, ERR_UNSUPPORTED, "head: no chunk files");
    struct chunk_desc *desc = arena_array(&b->arena, b->cuts.n, sizeof(*desc));
    chunk_ref *refs = arena_array(&b->arena, b->cuts.n, sizeof(*refs));
    for (size_t i = 0; i < b->cuts.n; i++)
        ooo_encode(&b->cuts.at[i]->array, b->cuts.at[i]->of->ref, &b->bytes, &desc[i]);
    const uint8_t *at = b->bytes.p;
    for (size_t i = 0; i < b->cuts.n; i++) {
        desc[i].data.p = at;
        at += desc[i].data.n;
    }
    baton_take(&h->writing);
    errc rc = chunk_disk_write(h->opts.disk, desc, b->cuts.n, refs, e);
    baton_give(&h->writing);
    for (size_t i = 0; rc == OK && i < b->cuts.n; i++) {
        b->cuts.at[i]->desc = desc[i];
        b->cuts.at[i]->ref = refs[i];
    }
    return rc;
}

/* What was gathered since the last cut becomes records. */
static void log_flush(struct wal_batch *to, ref_markers *markers, ref_samples *samples)
{
    if (markers->n) {
        markers_encode(wal_batch_room(to), markers->at, markers->n);
        wal_batch_seal(to);
    }
    if (samples->n) {
        samples_encode(wal_batch_room(to), samples->at, samples->n);
        wal_batch_seal(to);
    }
    markers->n = samples->n = 0;
}

static errc batch_log(struct batch *b, struct err *e)
{
    struct wal *wbl = atomic_load_explicit(&b->head->wbl, memory_order_acquire);
    if (!wbl || !b->events.n) return OK;
    struct wal_batch *to = wal_batch_new(wbl);
    ref_markers markers = { 0 };
    ref_samples samples = { 0 };
    for (size_t i = 0; i < b->events.n; i++) {
        const struct event *x = &b->events.at[i];
        if (x->sample) {
            vec_push(&samples, ((struct ref_sample){ .ref = x->of->ref, .t = x->t, .v = x->v }));
            continue;
        }
        log_flush(to, &markers, &samples);
        uint64_t newest = fault_dropped("ooo.marker_ref") ? 0 : x->of->last_ref;
        uint64_t chunk = x->cut ? b->cuts.at[x->cut - 1]->ref : newest;
        vec_push(&markers, ((struct ref_marker){ x->of->ref, chunk }));
    }
    log_flush(to, &markers, &samples);
    vec_fini(&markers);
    vec_fini(&samples);
    return wal_commit(wbl, to, e);
}

static void publish_cut(struct head *h, const struct cut *c)
{
    struct slot *s = store_slot(&h->store, c->of->slot);
    slot_lock(s);
    if (series_generation(s) == c->of->generation) {
        struct ooo_chunk chunk = { c->desc.mint, c->desc.maxt, c->ref, c->array.n, c->desc.enc };
        ooo_add_closed(ooo_make(&h->ooo, s, c->of->slot), &chunk);
    }
    slot_unlock(s);
}

/* The array first: a query that comes in between finds samples of it twice, never not at all. */
static void batch_publish(struct batch *b)
{
    struct head *h = b->head;
    if (b->taken) head_saw_ooo_time(h, b->mint, b->maxt);
    for (size_t i = 0; i < b->cuts.n; i++) publish_cut(h, b->cuts.at[i]);
    for (size_t i = 0; i < b->stages.n; i++) {
        const struct stage *st = b->stages.at[i];
        struct slot *s = store_slot(&h->store, st->slot);
        slot_lock(s);
        if (series_generation(s) == st->generation && st->begun) {
            ooo_set_open(ooo_make(&h->ooo, s, st->slot), &st->array);
            slot_flag(s, 0, SLOT_DYING);
        }
        slot_unlock(s);
    }
    atomic_fetch_add_explicit(&h->n_chunks, b->chunks, memory_order_relaxed);
    metric_add(&head_chunks_created, (double)b->chunks);
}

static errc batch_run(struct batch *b, struct err *e)
{
    TRY_IN(e, batch_write(b, e), "out-of-order chunks");
    TRY_IN(e, batch_log(b, e), "out-of-order log");
    batch_publish(b);
    return OK;
}

errc ooo_commit(
    struct head *h, const struct ooo_put *puts, size_t n, size_t *taken, struct err *e)
{
    struct batch b;
    batch_init(&b, h);
    baton_take(&h->ooo_baton);
    for (size_t i = 0; i < n; i++) batch_put(&b, &puts[i]);
    errc rc = batch_run(&b, e);
    baton_give(&h->ooo_baton);
    *taken = rc == OK ? b.taken : 0;
    batch_fini(&b);
    return rc;
}

/* ---- sealing --------------------------------------------------------------------------------- */

/* Some series at a time: commits get their turn in between. */
enum { SEAL_SERIES = 512 };

static void seal_one(struct batch *b, uint32_t slot)
{
    struct slot *s = store_slot(&b->head->store, slot);
    struct stage *st = batch_stage(b, slot, series_generation(s));
    if (!st || !st->array.n) return;
    (void)batch_cut(b, st);
}

errc ooo_seal_all(struct head *h, struct err *e)
{
    struct reclaim_reader me;
    errc rc = OK;
    reclaim_enter(&h->reclaim, &me);
    snum last = atomic_load_explicit(&h->series.last_num, memory_order_acquire);
    for (snum n = 1; rc == OK && n <= last;) {
        struct batch b;
        batch_init(&b, h);
        baton_take(&h->ooo_baton);
        for (; n <= last && b.cuts.n < SEAL_SERIES; n++) {
            uint32_t slot = series_slot_of(&h->series, n);
            if (slot && slot_flags(store_slot(&h->store, slot)) & SLOT_OOO) seal_one(&b, slot);
        }
        rc = batch_write(&b, e);
        if (rc == OK) batch_publish(&b);
        baton_give(&h->ooo_baton);
        batch_fini(&b);
    }
    reclaim_leave(&h->reclaim, &me);
    return rc;
}
