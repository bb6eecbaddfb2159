/* ooo_commit.c — see ooo_commit.h
 *
 *     stage    a copy of the series' array takes the samples; one that is full is put aside, and an
 *              empty one goes on
 *     write    arrays that were put aside become chunks in the chunk files, which gives references
 *     log      in the order of the samples: [marker of a cut][samples up to the next cut] …; before
 *              it all the number of the newest deletion, if the log does not have it already, and
 *              once more where something of the series was deleted: damage takes the lesser part
 *     publish  under the lock of each series: the references, the array
 *
 * As Prometheus does it each cut begins a record of its own, so that replay meets the marker where
 * the array was cut. A marker names the chunk; without one it names the newest chunk of the series,
 * which holds what was logged before, or 0.
 */
#include "head/ooo_commit.h"

#include "base/fault.h"
#include "base/map.h"
#include "head/batch_log.h"
#include "head/deletions.h"
#include "storage/changes.h"
#include "wal/rec_histogram.h"
#include "wal/wal.h"

ACCOUNT(commit_account, "ooo_commits")

/* A series that the batch touches. */
struct stage {
    uint32_t slot, generation;
    sref ref;
    bool begun;                                /* it had an array, or got one */
    uint64_t last_ref;                         /* of its newest chunk; 0: none */
    struct ooo_array array;
    head_deletions deleted;                    /* of the series */
};

/* A full array, on its way to a chunk. */
struct cut { struct stage *of; struct ooo_array array; size_t first, n; };    /* its chunks */

/* What is to be logged, in order: a cut (index + 1), a beginning (neither), or a sample. */
struct event { struct stage *of; size_t cut; bool sample; int64_t t; struct ooo_value x; };

struct late_batch {
    struct head *head;
    struct arena arena;
    struct map by_slot;                        /* to stages */
    VEC(struct stage *) stages;
    VEC(struct cut *) cuts;
    VEC(struct event) events;
    struct buf bytes;                          /* of the chunks */
    VEC(struct chunk_desc) descs;
    VEC(chunk_ref) refs;
    VEC(uint16_t) counts;                      /* samples of the chunks */
    size_t chunks;
    struct ooo_taken taken;
    int64_t mint, maxt;
    uint32_t deletions;                        /* the newest one */
    bool some_deleted;                         /* of a series that it touches */
};

static uint64_t slot_hash(uint32_t slot) { return hash_bytes(&slot, sizeof(slot)); }

/* REQUIRES: the baton, until late_fini */
static void late_init(struct late_batch *b, struct head *h)
{
    *b = (struct late_batch){ .head = h, .mint = INT64_MAX, .maxt = INT64_MIN };
    arena_init(&b->arena, &commit_account, 0);
    buf_init(&b->bytes, &commit_account, 0);
    b->deletions = atomic_load_explicit(&h->deletions, memory_order_relaxed);
}

static void late_fini(struct late_batch *b)
{
    map_fini(&b->by_slot);
    for (size_t i = 0; i < b->stages.n; i++) vec_fini(&b->stages.at[i]->deleted);
    vec_fini(&b->stages);
    vec_fini(&b->cuts);
    vec_fini(&b->events);
    vec_fini(&b->descs);
    vec_fini(&b->refs);
    vec_fini(&b->counts);
    buf_fini(&b->bytes);
    arena_fini(&b->arena);
}

/* The series as this batch leaves it so far; NULL: it is gone. */
static struct stage *late_stage(struct late_batch *b, uint32_t slot, uint32_t generation)
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
    head_tombstones_list(&b->head->tombstones, st->ref, &st->deleted);
    b->some_deleted = b->some_deleted || st->deleted.n;
    map_put(&b->by_slot, hash, st);
    vec_push(&b->stages, st);
    return st;
}

static size_t late_cut(struct late_batch *b, struct stage *st)
{
    struct cut *c = arena_alloc(&b->arena, sizeof(*c));
    *c = (struct cut){ .of = st, .array = st->array };
    vec_push(&b->cuts, c);
    st->array.n = 0;
    st->array.after = b->deletions;
    return b->cuts.n;
}

static void late_put(struct late_batch *b, const struct ooo_put *p)
{
    struct stage *st = late_stage(b, p->slot, p->generation);
    if (!st) return;
    bool behind = ooo_is_behind(&st->array, p->t, &st->deleted, b->deletions);
    bool full = behind || st->array.n == OOO_CAP;
    if (full || !st->begun) {
        size_t cut = full ? late_cut(b, st) : 0;
        vec_push(&b->events, ((struct event){ .of = st, .cut = cut }));
        st->begun = true;
        b->chunks++;
    }
    struct ooo_value x = ooo_value_copy(&p->x);
    if (!ooo_insert(&st->array, p->t, &x)) {
        ooo_value_free(&x);
        return;
    }
    vec_push(&b->events, ((struct event){ .of = st, .sample = true, .t = p->t, .x = x }));
    if (x.kind == SAMPLE_FLOAT) b->taken.floats++;
    else b->taken.histograms++;
    b->mint = MIN(b->mint, p->t);
    b->maxt = MAX(b->maxt, p->t);
}

static void cut_encode(struct late_batch *b, struct cut *c, struct chunk_encoder *w)
{
    c->first = b->descs.n;
    ooo_encode(&b->head->store, &c->array, w);
    for (c->n = 0; c->n < w->chunks.n; c->n++) {
        const struct encoded_chunk *x = &w->chunks.at[c->n];
        str data = encoded_chunk_data(w, c->n);
        vec_push(&b->descs, ((struct chunk_desc){ .series = c->of->ref,
                                .mint = x->mint,
                                .maxt = x->maxt,
                                .enc = x->enc,
                                .ooo = true,
                                .data = { NULL, data.n } }));
        vec_push(&b->counts, ooo_chunk_samples(w, c->n));
        buf_str(&b->bytes, data);
    }
}

/* Writes the chunks of the cuts. */
static errc late_write(struct late_batch *b, struct err *e)
{
    struct head *h = b->head;
    struct chunk_encoder w = { 0 };
    if (!b->cuts.n) return OK;
    if (!h->opts.disk) return err_set(e, ERR_UNSUPPORTED, "head: no chunk files");
    for (size_t i = 0; i < b->cuts.n; i++) cut_encode(b, b->cuts.at[i], &w);
    chunk_encoder_fini(&w);
    const uint8_t *at = b->bytes.p;
    for (size_t i = 0; i < b->descs.n; i++) {
        b->descs.at[i].data.p = at;
        at += b->descs.at[i].data.n;
    }
    vec_reserve(&b->refs, b->descs.n);
    baton_take(&h->writing);
    errc rc = chunk_disk_write(h->opts.disk, b->descs.at, b->descs.n, b->refs.at, e);
    baton_give(&h->writing);
    b->refs.n = b->descs.n;
    return rc;
}

/* What was gathered since the last cut becomes records. */
struct gathered {
    ref_markers markers;
    ref_samples samples;
    VEC(struct ref_histogram) histograms[2];   /* of integers, of floats */
    bool with_st;
};

static void log_flush(struct wal_batch *to, struct gathered *g)
{
    if (g->markers.n) {
        markers_encode(wal_batch_room(to), g->markers.at, g->markers.n);
        wal_batch_seal(to);
    }
    if (g->samples.n) {
        if (g->with_st) samples_encode_v2(wal_batch_room(to), g->samples.at, g->samples.n);
        else samples_encode(wal_batch_room(to), g->samples.at, g->samples.n);
        wal_batch_seal(to);
    }
    for (int k = 0; k < 2; k++) {
        if (g->histograms[k].n)
            batch_log_histograms(to, g->histograms[k].at, g->histograms[k].n, k == 1, g->with_st);
        g->histograms[k].n = 0;
    }
    g->markers.n = g->samples.n = 0;
}

static void log_sample(struct gathered *g, const struct event *x)
{
    sref ref = x->of->ref;
    struct ref_histogram h = { .ref = ref, .t = x->t, .st = x->x.st };
    switch (x->x.kind) {
    case SAMPLE_FLOAT:
        vec_push(&g->samples, ((struct ref_sample){ ref, x->t, x->x.v, x->x.st }));
        return;
    case SAMPLE_HISTOGRAM: h.h = rec_histogram_of_int(x->x.ih); break;
    default: h.h = rec_histogram_of_float(x->x.h); break;
    }
    vec_push(&g->histograms[x->x.kind == SAMPLE_FLOAT_HISTOGRAM], h);
}

static void log_cut(const struct late_batch *b, struct gathered *g, const struct event *x)
{
    const struct cut *c = x->cut ? b->cuts.at[x->cut - 1] : NULL;
    uint64_t newest = fault_dropped("ooo.marker_ref") ? 0 : x->of->last_ref;
    if (!c) vec_push(&g->markers, ((struct ref_marker){ x->of->ref, newest }));
    for (size_t i = 0; c && i < c->n; i++)
        vec_push(&g->markers, ((struct ref_marker){ x->of->ref, b->refs.at[c->first + i] }));
}

static errc late_log(struct late_batch *b, struct err *e)
{
    struct wal *wbl = atomic_load_explicit(&b->head->wbl, memory_order_acquire);
    if (!wbl || !b->events.n) return OK;
    struct wal_batch *to = wal_batch_new(wbl);
    bool tell = b->deletions && (b->some_deleted || b->deletions != b->head->told_deletion);
    if (tell && !fault_dropped("ooo.deletion_number")) {
        deletion_encode(wal_batch_room(to), b->deletions);
        wal_batch_seal(to);
    }
    struct gathered g = { .with_st = b->head->opts.keeps.start_times };
    for (size_t i = 0; i < b->events.n; i++) {
        const struct event *x = &b->events.at[i];
        if (!x->sample) log_flush(to, &g);
        if (x->sample) log_sample(&g, x);
        else log_cut(b, &g, x);
    }
    log_flush(to, &g);
    vec_fini(&g.markers);
    vec_fini(&g.samples);
    for (int k = 0; k < 2; k++) vec_fini(&g.histograms[k]);
    TRY(wal_commit(wbl, to, e));
    b->head->told_deletion = b->deletions;
    return OK;
}

static void publish_cut(const struct late_batch *b, const struct cut *c)
{
    struct head *h = b->head;
    struct slot *s = store_slot(&h->store, c->of->slot);
    slot_lock(s);
    for (size_t i = c->first; i < c->first + c->n; i++) {
        const struct chunk_desc *d = &b->descs.at[i];
        struct ooo_chunk chunk = { d->mint, d->maxt, b->refs.at[i], b->counts.at[i], d->enc,
            c->array.after };
        if (series_generation(s) == c->of->generation)
            ooo_add_closed(ooo_make(&h->ooo, s, c->of->slot), &chunk);
    }
    slot_unlock(s);
}

/* The chunks first: a query that comes in between finds samples of an array twice, never not at
 * all. Then nobody looks into an array that was cut but queries that are open. */
static void late_publish(struct late_batch *b)
{
    struct head *h = b->head;
    if (h->opts.changes) changes_begin(h->opts.changes);
    if (b->mint <= b->maxt) head_saw_ooo_time(h, b->mint, b->maxt);
    for (size_t i = 0; i < b->cuts.n; i++) publish_cut(b, b->cuts.at[i]);
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
    if (h->opts.changes) changes_end(h->opts.changes, b->mint, b->maxt);
    for (size_t i = 0; i < b->cuts.n; i++) ooo_array_retire(&h->ooo, &b->cuts.at[i]->array);
    atomic_fetch_add_explicit(&h->n_chunks, b->chunks, memory_order_relaxed);
    metric_add(&head_chunks_created, (double)b->chunks);
}

/* What came with the batch was never shown. */
static void late_forget(struct late_batch *b)
{
    for (size_t i = 0; i < b->events.n; i++)
        if (b->events.at[i].sample) ooo_value_free(&b->events.at[i].x);
    b->taken = (struct ooo_taken){ 0 };
}

static errc late_run(struct late_batch *b, struct err *e)
{
    TRY_IN(e, late_write(b, e), "out-of-order chunks");
    TRY_IN(e, late_log(b, e), "out-of-order log");
    late_publish(b);
    return OK;
}

errc ooo_commit(
    struct head *h, const struct ooo_put *puts, size_t n, struct ooo_taken *taken, struct err *e)
{
    struct late_batch b;
    *taken = (struct ooo_taken){ 0 };
    baton_take(&h->ooo_baton);
    errc rc = head_deletions_number(h, e);
    if (rc == OK) {
        late_init(&b, h);
        for (size_t i = 0; i < n; i++) late_put(&b, &puts[i]);
        rc = late_run(&b, e);
        if (rc != OK) late_forget(&b);
        *taken = b.taken;
        late_fini(&b);
    }
    baton_give(&h->ooo_baton);
    return rc;
}

/* ---- sealing --------------------------------------------------------------------------------- */

/* Some series at a time: commits get their turn in between. */
enum { SEAL_SERIES = 512 };

static void seal_one(struct late_batch *b, uint32_t slot)
{
    struct slot *s = store_slot(&b->head->store, slot);
    struct stage *st = late_stage(b, slot, series_generation(s));
    if (!st || !st->array.n) return;
    (void)late_cut(b, st);
}

errc ooo_seal_all(struct head *h, struct err *e)
{
    struct reclaim_reader me;
    errc rc = OK;
    reclaim_enter(&h->reclaim, &me);
    snum last = atomic_load_explicit(&h->series.last_num, memory_order_acquire);
    for (snum n = 1; rc == OK && n <= last;) {
        struct late_batch b;
        baton_take(&h->ooo_baton);
        late_init(&b, h);
        for (; n <= last && b.cuts.n < SEAL_SERIES; n++) {
            uint32_t slot = series_slot_of(&h->series, n);
            if (slot && slot_flags(store_slot(&h->store, slot)) & SLOT_OOO) seal_one(&b, slot);
        }
        rc = late_write(&b, e);
        if (rc == OK) late_publish(&b);
        late_fini(&b);
        baton_give(&h->ooo_baton);
    }
    reclaim_leave(&h->reclaim, &me);
    return rc;
}
