/* replay.c — see replay.h
 *
 * A run holds what one decoder made of its records: 16 bytes a sample, sorted by part and within a
 * part as the log has them.
 *
 *     staged    u32 slot | u32 ms after the run's base | u64 value bits
 *               u32 slot with RESET_BIT | 0            | u64 first chunk, index + 1
 *               u32 slot with ITEM_BIT  | 0            | u64 pointer to a replay_item
 *
 * Exemplars and metadata are no series' samples: they hang on the run, and are applied when it is
 * collected.
 *
 * What waits is applied when enough of it waits: then each part's slots and cells are fetched from
 * memory once for many samples.
 */
#include "head/replay.h"

#include "base/map.h"
#include "chunk/chunk.h"
#include "head/exemplars.h"
#include "head/head_impl.h"
#include "head/ooo_replay.h"
#include "head/replay_item.h"
#include "head/replay_refs.h"
#include "wal/record.h"

ACCOUNT(replay_account, "replay")

enum { PART_BITS = 8, PART_SLOTS = 1 << PART_BITS, PREFETCH_REFS = 16 };
#define RESET_BIT 0x80000000u
#define ITEM_BIT 0x40000000u
#define SLOT_BITS (ITEM_BIT - 1)

struct replay_chunk { struct closed_chunk c; uint32_t next; };
struct chunk_list { uint32_t first, last; };                   /* index + 1 */

struct staged { uint32_t slot, after; uint64_t v; };
_Static_assert(sizeof(struct staged) == 16, "four to a cache line");

struct replay_run {
    struct replay_run *next;
    int64_t base;
    uint32_t first_part, n_parts;
    uint32_t *end;                             /* of part first_part + i, as an index of at */
    struct staged *at;                         /* in the same piece of memory */
    size_t bytes;
    struct arena more;                         /* items, and the others */
    struct replay_other *others;               /* in the order of the log */
};

typedef VEC(sref) sref_list;

struct replay_decoder {
    struct replay_decoder *next;               /* among the idle */
    struct head_replay *replay;
    struct replay_table *refs;
    int64_t base, min_valid;
    VEC(struct staged) staged;
    VEC(uint32_t) in_part;                     /* of what is staged; zeros between runs */
    uint32_t first_part, last_part;
    struct replay_run *runs, **link;
    struct arena more;                         /* of the run that is made */
    struct replay_other *others, **last_other;
    bool with_st, with_exemplars, with_metadata;               /* what the head keeps */
    sref_list strange;                         /* unknown refs, neighbours told once */
    sref max_ref;
    uint64_t dropped, unknown[REPLAY_KINDS];
};

struct op { int64_t t; uint64_t v; };          /* T_RESET: v is the first chunk */
/* no sample has it: the oldest time that a series may have is the one after */
#define T_RESET INT64_MIN
/* v is a pointer to an item; a float of that time is one, too */
#define T_ITEM (INT64_MIN + 1)
struct applier {
    struct applier *next;
    struct open_ctx ctx;
    struct open_steps steps;
    VEC(struct op) ops;
    uint32_t end[PART_SLOTS];
    int64_t mint, maxt;
    uint64_t samples, dropped;
};

struct head_replay {
    struct head *head;
    struct replay_refs refs;
    VEC(struct chunk_list) lists;              /* const once records come, as are the chunks */
    VEC(struct replay_chunk) chunks;
    struct ooo_found late;                     /* the router's */
    /* by slot: its series was deleted and may begin anew */
    VEC(bool) deleted;
    /* all slots are below it; relaxed: who has a slot has passed a lock since */
    _Atomic uint32_t slots;
    struct replay_run *waiting, **link;
    size_t waiting_bytes;
    struct mtx mu;                             /* LOCK_LEAF */
    /* GUARDED_BY(mu): refs that were unknown when they were named */
    struct map strange;
    sref last_strange;                         /* of the late log */
    uint32_t late_after;                       /* the same: a deletion */
    /* by slot: the newest time before the damage, and of late samples in the chunk files */
    VEC(int64_t) undamaged;
    bool damaged;
    sref strange_max;                          /* GUARDED_BY(mu) */
    struct head_replay_stats stats;            /* unknown, dropped_old: GUARDED_BY(mu) */
    struct replay_decoder *idle_decoders;      /* GUARDED_BY(mu) */
    struct applier *idle_appliers;             /* GUARDED_BY(mu) */
};

struct head_replay *head_replay_begin(struct head *h)
{
    struct head_replay *r = NEW(struct head_replay);
    r->head = h;
    r->link = &r->waiting;
    mtx_init(&r->mu, LOCK_LEAF);
    replay_refs_init(&r->refs);
    return r;
}

void head_replay_reserve(struct head_replay *r, size_t chunks, size_t series)
{
    replay_refs_reserve(&r->refs, series);
    vec_reserve(&r->lists, series);
    vec_reserve(&r->chunks, chunks);
}

void head_replay_chunk(struct head_replay *r, const struct head_replay_chunk *c)
{
    /* also when the log knows it no more: nobody else may find the chunk */
    series_reserve_ref(&r->head->series, c->ref);
    if (!c->ref) return;
    if (c->ooo) {
        struct ooo_chunk late = { c->mint, c->maxt, c->disk_ref, c->samples, c->encoding };
        ooo_found_add(&r->late, c->ref, &late);
        return;
    }
    if (c->maxt < head_min_valid_time(r->head)) return;        /* is in a block */
    struct replay_ref *x = replay_ref_add(&r->refs, c->ref);
    if (!x->chunks) {
        vec_push(&r->lists, ((struct chunk_list){ 0 }));
        x->chunks = (uint32_t)r->lists.n & REPLAY_REF_CHUNKS;
    }
    struct chunk_list *l = &r->lists.at[x->chunks - 1];
    if (l->last && c->mint <= r->chunks.at[l->last - 1].c.maxt) return;
    vec_push(&r->chunks,
        ((struct replay_chunk){ { c->mint, c->maxt, c->disk_ref, c->samples, c->encoding }, 0 }));
    uint32_t i = (uint32_t)r->chunks.n;
    if (l->last) r->chunks.at[l->last - 1].next = i;
    else l->first = i;
    l->last = i;
}

static void note_strange(struct head_replay *r, sref ref)
{
    uint64_t hash = hash_bytes(&ref, sizeof(ref));
    r->strange_max = MAX(r->strange_max, ref);
    if (!map_find(&r->strange, hash, NULL, NULL)) map_put(&r->strange, hash, r);
}

/* ---- the router ---- */

static uint8_t hist_flag_of(uint8_t enc)
{
    if (chunk_enc_is_float(enc)) return LAST_IS_FLOAT;
    bool whole = enc == CHUNK_HISTOGRAM || enc == CHUNK_HISTOGRAM_ST;
    return whole ? SLOT_LAST_HIST : SLOT_LAST_FLOAT_HIST;
}

/* A series' chunks are those of the list from now on, and nothing else is there. */
static void slot_reset_locked(struct head_replay *r, struct slot *s, uint32_t first_chunk)
{
    struct head *h = r->head;
    uint64_t gone = s->n_closed + (s->n > 0), attached = 0;
    for (uint32_t q = s->sealed; q; q = ((struct sealed *)slab_at(&h->store.sealed, q))->next)
        gone++;
    open_drop(&h->store, s);
    store_drop_closed(&h->store, s, s->n_closed);
    slot_set_last_t(s, INT64_MIN);
    slot_set_last(&h->store, s, LAST_IS_FLOAT, 0);
    for (uint32_t i = first_chunk; i; i = r->chunks.at[i - 1].next) {
        const struct closed_chunk *c = &r->chunks.at[i - 1].c;
        store_add_closed(&h->store, s, c);
        slot_set_last(&h->store, s, hist_flag_of(c->enc), 0);
        slot_set_last_t(s, c->maxt);
        head_saw_time(h, c->mint, c->maxt);
        attached++;
    }
    atomic_fetch_add_explicit(&h->n_chunks, attached - gone, memory_order_relaxed);
}

static bool slot_has_labels(const struct head_replay *r, uint32_t slot, struct labels labels)
{
    const struct series_index *x = &r->head->series;
    const uint8_t *at;
    if (series_pairs(x, store_cold(x->store, slot)->labels, &at) != labels.n) return false;
    for (size_t i = 0; i < labels.n; i++) {
        const struct sym_pair *p = symbols_pair_at(&x->symbols, series_next_pair(&at));
        if (!str_eq(symbols_name(&x->symbols, p->name), labels.at[i].name)) return false;
        if (!str_eq(symbols_text(&x->symbols, p->text), labels.at[i].value)) return false;
    }
    return true;
}

static uint32_t router_slot(struct head_replay *r, sref ref)
{
    return ref ? replay_ref_slot(replay_ref_find(replay_refs_now(&r->refs), ref)) : 0;
}

bool head_replay_moves_series(struct head_replay *r, sref ref, struct labels labels)
{
    uint32_t slot = router_slot(r, ref);
    return slot && !slot_has_labels(r, slot, labels);
}

bool head_replay_moves_tombstone(struct head_replay *r, sref ref, int64_t mint, int64_t maxt)
{
    return tombstone_is_end(mint, maxt) && router_slot(r, ref);
}

static void slot_made(struct head_replay *r, uint32_t slot)
{
    while (r->deleted.n <= slot) vec_push(&r->deleted, false);
    if (slot >= atomic_load_explicit(&r->slots, memory_order_relaxed))
        atomic_store_explicit(&r->slots, slot + 1, memory_order_relaxed);
}

/* From here on the series of the slot has the chunks of x only: what its first ref counted as
 * covered may be so no longer. */
static void slot_uncover(struct head_replay *r, uint32_t slot)
{
    struct replay_ref *first =
        replay_ref_find(replay_refs_now(&r->refs), store_cold(&r->head->store, slot)->ref);
    atomic_store_explicit(&first->covered, INT64_MIN, memory_order_relaxed);
}

/* The series goes on under the ref that the log gave it last: its next chunks are then found where
 * the log will have read that record. Under the first ref they would be passed over there, written
 * once more, and stand twice in the chunk files. */
static void slot_rename(struct head_replay *r, uint32_t slot, sref ref)
{
    struct cold *cold = store_cold(&r->head->store, slot);
    head_deletions deleted = { 0 };
    head_tombstones_list(&r->head->tombstones, cold->ref, &deleted);
    for (size_t i = 0; i < deleted.n; i++) {
        const struct head_deletion *x = &deleted.at[i];
        head_tombstones_add(&r->head->tombstones, ref, (struct interval){ x->mint, x->maxt },
            x->number);
    }
    vec_fini(&deleted);
    vec_push(&r->head->other_refs, cold->ref);
    cold->ref = ref;
}

/* ---- a memory snapshot ---- */

struct head *head_replay_head(const struct head_replay *r) { return r->head; }
uint32_t head_replay_slot(struct head_replay *r, sref ref) { return router_slot(r, ref); }
void head_replay_loaded(struct head_replay *r, uint64_t samples) { r->stats.samples += samples; }

static errc restore_open(
    struct head_replay *r, uint32_t slot, const struct restored_chunk *c, struct err *e)
{
    struct store *st = &r->head->store;
    struct slot *s = store_slot(st, slot);
    struct byte_restored x = { c->enc, c->data, c->mint, c->maxt, c->n };
    slot_lock(s);
    errc rc = byte_chunk_restore(st, s, &x, e);
    if (rc == OK) {
        s->last_v = c->last_v;
        slot_set_last(st, s, c->hist_flag, c->buckets);
        slot_set_stale(st, s, c->stale);
    }
    slot_unlock(s);
    if (rc != OK) return rc;
    atomic_fetch_add_explicit(&r->head->n_chunks, 1, memory_order_relaxed);
    head_saw_time(r->head, c->mint, c->maxt);
    return OK;
}

errc head_replay_restore(struct head_replay *r, sref ref, struct labels labels,
    const struct restored_chunk *open, struct err *e)
{
    uint32_t slot;
    bool made;
    series_reserve_ref(&r->head->series, ref);
    if (!ref) return err_set(e, ERR_CORRUPT, "memory snapshot: a series with ref 0");
    TRY(series_get(&r->head->series, labels, NULL, ref, &slot, &made, e));
    struct replay_ref *x = replay_ref_add(&r->refs, ref);
    if (!made || replay_ref_slot(x))
        return err_set(e, ERR_CORRUPT, "memory snapshot: series ref %" PRIu64 " twice", ref);
    slot_made(r, slot);
    ooo_found_attach(&r->late, r->head, slot, ref);
    r->stats.series++;
    metric_inc(&head_series_created);
    struct chunk_list list = x->chunks ? r->lists.at[x->chunks - 1] : (struct chunk_list){ 0 };
    int64_t covered = list.last ? r->chunks.at[list.last - 1].c.maxt : INT64_MIN;
    struct slot *s = store_slot(&r->head->store, slot);
    slot_lock(s);
    if (list.first) slot_reset_locked(r, s, list.first);
    slot_unlock(s);
    bool ahead = open && covered < open->mint;
    x->restored = true;
    replay_ref_give(x, 0, slot, ahead ? open->maxt : covered);
    return ahead ? restore_open(r, slot, open, e) : OK;
}

bool head_replay_restore_exemplar(struct head_replay *r, const struct ref_exemplar *x)
{
    SCOPED(arena_fini) struct arena a = { 0 };
    uint32_t slot = router_slot(r, x->ref);
    struct exemplar ex = { x->labels, x->v, x->t, false };
    if (slot) replay_other_apply(r->head, replay_other_exemplar(&a, slot, &ex));
    return slot != 0;
}

/* ---- the router, on ---- */

errc head_replay_series(struct head_replay *r, replay_mark mark, sref ref, struct labels labels,
    struct replay_reset *out, struct err *e)
{
    uint32_t slot;
    bool made;
    *out = (struct replay_reset){ 0 };
    series_reserve_ref(&r->head->series, ref);
    if (!ref) return err_set(e, ERR_BAD_INPUT, "a series record with ref 0");
    TRY(series_get(&r->head->series, labels, NULL, ref, &slot, &made, e));
    slot_made(r, slot);
    ooo_found_attach(&r->late, r->head, slot, ref);
    struct replay_ref *x = replay_ref_add(&r->refs, ref);
    struct chunk_list list = x->chunks ? r->lists.at[x->chunks - 1] : (struct chunk_list){ 0 };
    if (made) {
        r->stats.series++;
        metric_inc(&head_series_created);
        struct slot *s = store_slot(&r->head->store, slot);
        slot_lock(s);
        if (list.first) slot_reset_locked(r, s, list.first);   /* nobody else knows the slot */
        slot_unlock(s);
        if (!x->duplicate)
            replay_ref_give(
                x, mark, slot, list.last ? r->chunks.at[list.last - 1].c.maxt : INT64_MIN);
        return OK;
    }
    sref first = store_cold(&r->head->store, slot)->ref;
    /* a checkpoint that is newer than the snapshot says it again */
    if (x->restored && first == ref && replay_ref_slot(x) == slot) return OK;
    /* a series that begins anew: what is logged from here on names this ref */
    if (r->deleted.at[slot]) {
        store_cold(&r->head->store, slot)->ref = ref;
    } else {
        r->stats.duplicates += first != ref;
        x->duplicate = true;
        slot_uncover(r, slot);
        if (first != ref) slot_rename(r, slot, ref);
    }
    r->deleted.at[slot] = false;
    uint32_t had = replay_ref_slot(x);
    if (had != slot) replay_ref_give(x, mark, slot, INT64_MIN);
    *out = (struct replay_reset){ slot, list.first };
    return OK;
}

/* Later deletions have higher numbers than any that was read. */
static void saw_deletion(struct head_replay *r, uint32_t number)
{
    uint32_t newest = atomic_load_explicit(&r->head->deletions, memory_order_relaxed);
    if (number > newest && number < DELETION_UNKNOWN)
        atomic_store_explicit(&r->head->deletions, number, memory_order_relaxed);
}

void head_replay_damage(struct head_replay *r)
{
    const struct store *st = &r->head->store;
    uint32_t slots = atomic_load_explicit(&r->slots, memory_order_relaxed);
    if (r->damaged) return;
    r->damaged = true;
    for (uint32_t i = 0; i < slots; i++) {
        struct slot *s = store_slot(st, i);
        int64_t newest = i ? slot_last_t(s) : INT64_MIN;       /* nobody appends */
        const struct ooo *late = i ? ooo_of(&r->head->ooo, s, i) : NULL;
        for (size_t k = 0; late && k < late->closed.n; k++)
            newest = MAX(newest, late->closed.at[k].maxt);
        vec_push(&r->undamaged, newest);
    }
}

struct interval head_replay_behind_damage(struct head_replay *r, sref ref, struct interval x)
{
    uint32_t slot = r->damaged ? router_slot(r, ref) : 0;
    bool there = slot && slot < r->undamaged.n && !tombstone_is_end(x.mint, x.maxt);
    if (!there || r->undamaged.at[slot] < x.mint) return x;
    if (r->undamaged.at[slot] >= x.maxt) return (struct interval){ 1, 0 };
    return (struct interval){ r->undamaged.at[slot] + 1, x.maxt };
}

void head_replay_tombstone(struct head_replay *r, sref ref, int64_t mint, int64_t maxt,
    uint32_t number, struct replay_reset *out)
{
    *out = (struct replay_reset){ 0 };
    series_reserve_ref(&r->head->series, ref);
    saw_deletion(r, number);
    bool old = maxt < head_min_valid_time(r->head);            /* may be of late samples */
    uint32_t slot = router_slot(r, ref);
    if (old && (!slot || tombstone_is_end(mint, maxt))) return;
    if (!slot) {
        mtx_lock(&r->mu);
        r->stats.unknown[REPLAY_TOMBSTONES]++;
        note_strange(r, ref);
        mtx_unlock(&r->mu);
    } else if (tombstone_is_end(mint, maxt)) {                 /* the series was deleted */
        r->deleted.at[slot] = true;
        ooo_found_attach(&r->late, r->head, slot, 0);
        atomic_store_explicit(
            &replay_ref_find(replay_refs_now(&r->refs), ref)->slot, 0, memory_order_release);
        out->slot = slot;
    } else {
        head_tombstones_add(&r->head->tombstones, store_cold(&r->head->store, slot)->ref,
            head_replay_behind_damage(r, ref, (struct interval){ mint, maxt }), number);
    }
}

/* ---- decoders ---- */

/* Begins another run: its times lie around `t`. */
static void decoder_begin_run(struct replay_decoder *d, int64_t t)
{
    d->staged.n = 0;
    d->base = t < INT64_MIN / 2 ? INT64_MIN : t - (1ll << 31);
    d->first_part = UINT32_MAX;
    d->last_part = 0;
}

struct replay_decoder *head_replay_decoder(struct head_replay *r)
{
    mtx_lock(&r->mu);
    struct replay_decoder *d = r->idle_decoders;
    if (d) r->idle_decoders = d->next;
    mtx_unlock(&r->mu);
    if (!d) d = NEW(struct replay_decoder);
    d->replay = r;
    d->refs = replay_refs_now(&r->refs);
    d->min_valid = head_min_valid_time(r->head);
    d->runs = NULL;
    d->link = &d->runs;
    for (size_t parts = head_replay_parts(r); d->in_part.n < parts;) vec_push(&d->in_part, 0);
    d->staged.n = 0;
    d->others = NULL;
    d->last_other = &d->others;
    d->with_st =
        atomic_load_explicit(&r->head->store.float_enc, memory_order_relaxed) == CHUNK_XOR2;
    d->with_exemplars = exemplars_cap(r->head->exemplars) > 0;
    d->with_metadata = r->head->opts.keeps.metadata;
    return d;
}

/* What is staged becomes a run: each part's samples moved together, in their order. */
static void decoder_end_run(struct replay_decoder *d)
{
    if (!d->staged.n && !d->others) return;
    if (!d->staged.n) decoder_begin_run(d, 0);
    uint32_t n_parts = d->staged.n ? d->last_part - d->first_part + 1 : 0, sum = 0;
    uint32_t *in_part = n_parts ? d->in_part.at + d->first_part : NULL;
    size_t bytes = sizeof(struct replay_run) + d->staged.n * sizeof(struct staged) +
                   n_parts * sizeof(uint32_t);
    struct replay_run *run = mem_alloc(bytes);
    *run = (struct replay_run){ .base = d->base,
        .first_part = d->first_part,
        .n_parts = n_parts,
        .at = (void *)(run + 1),
        .bytes = bytes + d->more.used,
        .more = d->more,
        .others = d->others };
    d->more = (struct arena){ 0 };
    d->others = NULL;
    d->last_other = &d->others;
    run->end = (uint32_t *)(void *)(run->at + d->staged.n);
    for (uint32_t i = 0; i < n_parts; i++) {
        /* first where the part begins; each sample moves it on */
        run->end[i] = sum;
        sum += in_part[i];
        in_part[i] = 0;
    }
    for (size_t i = 0; i < d->staged.n; i++) {
        const struct staged *x = &d->staged.at[i];
        uint32_t part = (x->slot & SLOT_BITS) >> PART_BITS;
        run->at[run->end[part - d->first_part]++] = *x;
    }
    account_charge(&replay_account, (int64_t)run->bytes);
    *d->link = run;
    d->link = &run->next;
}

static inline void decoder_stage(struct replay_decoder *d, uint32_t slot, struct staged x)
{
    uint32_t part = slot >> PART_BITS;
    assert(part < d->in_part.n);
    d->in_part.at[part]++;
    d->first_part = MIN(d->first_part, part);
    d->last_part = MAX(d->last_part, part);
    vec_push(&d->staged, x);
}

static void decoder_unknown(struct replay_decoder *d, enum replay_kind kind, sref ref)
{
    d->unknown[kind]++;
    if (!d->strange.n || vec_last(&d->strange) != ref) vec_push(&d->strange, ref);
}

static void decoder_item(struct replay_decoder *d, uint32_t slot, const struct replay_item *x)
{
    if (!d->staged.n) decoder_begin_run(d, x->t);
    assert(slot <= SLOT_BITS);
    decoder_stage(d, slot, (struct staged){ slot | ITEM_BIT, 0, (uintptr_t)x });
}

/* A sample that need not be applied: the closed chunks have it, or a block. */
static bool is_covered(const struct replay_decoder *d, const struct replay_ref *x, int64_t t)
{
    return t <= atomic_load_explicit(&x->covered, memory_order_relaxed) || t < d->min_valid;
}

/* A sample that does not go the short way: of an unknown ref, with a start timestamp, or first or
 * far away in its run. */
static __attribute__((noinline)) void decoder_odd(
    struct replay_decoder *d, uint32_t slot, const struct ref_sample *s)
{
    if (!slot) {
        if (s->t >= d->min_valid) decoder_unknown(d, REPLAY_SAMPLES, s->ref);
        return;
    }
    if ((s->st && d->with_st) || s->t == T_ITEM) {
        decoder_item(d, slot, replay_item_float(&d->more, s->t, s->st, s->v));
        return;
    }
    if (d->staged.n) decoder_end_run(d);
    decoder_begin_run(d, s->t);
    uint32_t after = (uint32_t)((uint64_t)s->t - (uint64_t)d->base);
    decoder_stage(d, slot, (struct staged){ slot, after, f64_bits(s->v) });
}

void replay_decode_samples(
    struct replay_decoder *d, replay_mark mark, const struct ref_sample *s, size_t n)
{
    struct replay_table *refs = d->refs;
    int64_t min_valid = d->min_valid;
    bool with_st = d->with_st;
    vec_reserve(&d->staged, d->staged.n + n);
    for (const struct ref_sample *end = s + n; s < end; s++) {
        if (s + PREFETCH_REFS < end)
            __builtin_prefetch(&refs->at[replay_ref_home(refs, s[PREFETCH_REFS].ref)]);
        const struct replay_ref *x = replay_ref_find(refs, s->ref);
        uint32_t slot = replay_ref_slot_at(x, mark);
        /* T_RESET is never after */
        bool covered =
            s->t <= atomic_load_explicit(&x->covered, memory_order_relaxed) || s->t < min_valid;
        if (slot && covered) {
            d->dropped++;
            continue;
        }
        uint64_t after = (uint64_t)s->t - (uint64_t)d->base;
        bool odd = !slot || (with_st && s->st) || s->t == T_ITEM;
        if (UNLIKELY(odd || !d->staged.n || after > UINT32_MAX)) {
            decoder_odd(d, slot, s);
            continue;
        }
        decoder_stage(d, slot, (struct staged){ slot, (uint32_t)after, f64_bits(s->v) });
    }
}

void replay_decode_reset(struct replay_decoder *d, const struct replay_reset *x)
{
    if (!d->staged.n) decoder_begin_run(d, 0);
    decoder_stage(d, x->slot, (struct staged){ x->slot | RESET_BIT, 0, x->first_chunk });
}

/* The slot that a record of another kind than samples names; 0: none, and that is noted. */
static uint32_t decoder_slot(struct replay_decoder *d, replay_mark mark, enum replay_kind kind,
    sref ref, int64_t t, const struct replay_ref **x)
{
    d->max_ref = MAX(d->max_ref, ref);
    *x = ref ? replay_ref_find(d->refs, ref) : NULL;
    uint32_t slot = *x ? replay_ref_slot_at(*x, mark) : 0;
    if (!slot && t >= d->min_valid) decoder_unknown(d, kind, ref);
    return slot;
}

void replay_decode_histograms(
    struct replay_decoder *d, replay_mark mark, const struct ref_histogram *h, size_t n)
{
    const struct replay_ref *x;
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = decoder_slot(d, mark, REPLAY_HISTOGRAMS, h[i].ref, h[i].t, &x);
        if (!slot) continue;
        const struct replay_item *item =
            is_covered(d, x, h[i].t) ? NULL : replay_item_histogram(&d->more, &h[i]);
        if (item) decoder_item(d, slot, item);
        else d->dropped++;
    }
}

static void decoder_other(struct replay_decoder *d, struct replay_other *o)
{
    *d->last_other = o;
    d->last_other = &o->next;
}

void replay_decode_exemplars(
    struct replay_decoder *d, replay_mark mark, const struct ref_exemplar *e, size_t n)
{
    const struct replay_ref *x;
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = decoder_slot(d, mark, REPLAY_EXEMPLARS, e[i].ref, e[i].t, &x);
        if (!slot || e[i].t < d->min_valid || !d->with_exemplars) continue;
        struct exemplar ex = { e[i].labels, e[i].v, e[i].t, false };
        decoder_other(d, replay_other_exemplar(&d->more, slot, &ex));
    }
}

void replay_decode_metadata(
    struct replay_decoder *d, replay_mark mark, const struct ref_metadata *m, size_t n)
{
    const struct replay_ref *x;
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = decoder_slot(d, mark, REPLAY_METADATA, m[i].ref, INT64_MAX, &x);
        if (!slot || !d->with_metadata) continue;
        decoder_other(d, replay_other_metadata(&d->more, slot, &m[i].meta));
    }
}

static void decoder_counts(struct head_replay *r, struct replay_decoder *d)
{
    r->stats.dropped_old += d->dropped;
    d->dropped = 0;
    for (unsigned k = 0; k < REPLAY_KINDS; k++) {
        r->stats.unknown[k] += d->unknown[k];
        d->unknown[k] = 0;
    }
    for (size_t i = 0; i < d->strange.n; i++) note_strange(r, d->strange.at[i]);
    d->strange.n = 0;
}

struct replay_run *head_replay_decoded(struct head_replay *r, struct replay_decoder *d)
{
    decoder_end_run(d);
    if (d->max_ref) series_reserve_ref(&r->head->series, d->max_ref);
    d->max_ref = 0;
    struct replay_run *made = d->runs;
    mtx_lock(&r->mu);
    decoder_counts(r, d);
    d->next = r->idle_decoders;
    r->idle_decoders = d;
    mtx_unlock(&r->mu);
    return made;
}

/* ---- applying ---- */

void head_replay_collect(struct head_replay *r, struct replay_run *more)
{
    replay_refs_trim(&r->refs);
    *r->link = more;
    for (; *r->link; r->link = &(*r->link)->next) {
        const struct replay_run *run = *r->link;
        for (const struct replay_other *o = run->others; o; o = o->next)
            replay_other_apply(r->head, o);
        r->waiting_bytes += run->bytes;
    }
}

size_t head_replay_waiting_bytes(const struct head_replay *r) { return r->waiting_bytes; }

size_t head_replay_parts(const struct head_replay *r)
{
    return (atomic_load_explicit(&r->slots, memory_order_relaxed) + (1u << PART_BITS) - 1) >>
           PART_BITS;
}

struct part_of { const struct staged *at; size_t n; };

static struct part_of run_part(const struct replay_run *run, size_t part)
{
    if (part < run->first_part || part - run->first_part >= run->n_parts)
        return (struct part_of){ 0 };
    size_t i = part - run->first_part, from = i ? run->end[i - 1] : 0;
    return (struct part_of){ run->at + from, run->end[i] - from };
}

static struct applier *applier_take(struct head_replay *r)
{
    mtx_lock(&r->mu);
    struct applier *a = r->idle_appliers;
    if (a) r->idle_appliers = a->next;
    mtx_unlock(&r->mu);
    if (a) return a;
    a = NEW(struct applier);
    open_ctx_init(&a->ctx, &r->head->store);
    a->ctx.steps = &a->steps;
    return a;
}

static void applier_give(struct head_replay *r, struct applier *a)
{
    mtx_lock(&r->mu);
    a->next = r->idle_appliers;
    r->idle_appliers = a;
    mtx_unlock(&r->mu);
}

/* The part's samples of all runs, series by series; of a series in the order of the log. */
static void applier_gather(const struct head_replay *r, struct applier *a, size_t part)
{
    uint32_t n[PART_SLOTS] = { 0 }, sum = 0;
    for (const struct replay_run *run = r->waiting; run; run = run->next) {
        struct part_of p = run_part(run, part);
        for (size_t i = 0; i < p.n; i++) n[p.at[i].slot % PART_SLOTS]++;
    }
    for (unsigned i = 0; i < PART_SLOTS; i++) {
        /* first where the series begins; each sample moves it on */
        a->end[i] = sum;
        sum += n[i];
    }
    vec_reserve(&a->ops, sum);
    for (const struct replay_run *run = r->waiting; run; run = run->next) {
        struct part_of p = run_part(run, part);
        for (size_t i = 0; i < p.n; i++) {
            const struct staged *x = &p.at[i];
            int64_t t = (int64_t)((uint64_t)run->base + x->after);
            if (UNLIKELY(x->slot > SLOT_BITS)) t = x->slot & RESET_BIT ? T_RESET : T_ITEM;
            a->ops.at[a->end[x->slot % PART_SLOTS]++] = (struct op){ t, x->v };
        }
    }
}

/* A late sample: it is in the log with its batch. As in Prometheus the head's times reach to it all
 * the same, unless a closed chunk has it. */
static void apply_refused(struct head_replay *r, struct applier *a, const struct slot *s, int64_t t)
{
    const struct store *st = &r->head->store;
    a->dropped++;
    if (s->n_closed && t <= store_get_closed(st, s, s->n_closed - 1u).maxt) return;
    a->mint = MIN(a->mint, t);
    a->maxt = MAX(a->maxt, t);
}

/* One series' share. */
static void apply_series(struct head_replay *r, struct applier *a, uint32_t slot,
    const struct op *op, const struct op *end)
{
    struct slot *s = store_slot(&r->head->store, slot);
    slot_lock(s);
    for (; op < end; op++) {
        if (UNLIKELY(op->t == T_RESET)) {
            slot_reset_locked(r, s, (uint32_t)op->v);
            continue;
        }
        const struct replay_item *item = NULL;
        if (UNLIKELY(op->t == T_ITEM)) item = (const void *)(uintptr_t)op->v;
        int64_t t = item ? item->t : op->t;
        if (t <= slot_last_t(s)) {
            apply_refused(r, a, s, t);
            continue;
        }
        if (item) replay_item_apply(&a->ctx, slot, s, item);
        else if (LIKELY(slot_takes_plain(&r->head->store, s)))
            open_append(&a->ctx, slot, s, t, f64_of_bits(op->v));
        else byte_append_float(&a->ctx, slot, s, t, 0, f64_of_bits(op->v));
        a->samples++;
        a->mint = MIN(a->mint, t);
        a->maxt = MAX(a->maxt, t);
    }
    slot_unlock(s);
}

void head_replay_apply(struct head_replay *r, size_t part)
{
    struct applier *a = applier_take(r);
    const struct store *st = &r->head->store;
    a->mint = INT64_MAX;
    a->maxt = INT64_MIN;
    applier_gather(r, a, part);
    uint32_t first = (uint32_t)part * PART_SLOTS;
    for (uint32_t i = 0, from = 0; i < PART_SLOTS; from = a->end[i++]) {
        if (from == a->end[i]) continue;
        if (i + 2 < PART_SLOTS) __builtin_prefetch(store_slot(st, first + i + 2), 1);
        if (i + 1 < PART_SLOTS)
            __builtin_prefetch(store_cell(st, slot_last_cell(store_slot(st, first + i + 1))), 1);
        apply_series(r, a, first + i, a->ops.at + from, a->ops.at + a->end[i]);
    }
    if (a->mint <= a->maxt) head_saw_time(r->head, a->mint, a->maxt);
    head_count_opened(r->head, &a->ctx);
    applier_give(r, a);
}

void head_replay_applied(struct head_replay *r)
{
    for (struct replay_run *run = r->waiting, *next; run; run = next) {
        next = run->next;
        account_charge(&replay_account, -(int64_t)run->bytes);
        arena_fini(&run->more);
        mem_free(run);
    }
    r->waiting = NULL;
    r->link = &r->waiting;
    r->waiting_bytes = 0;
}

/* ---- the late log ---- */

void head_replay_late_after(struct head_replay *r, uint32_t number)
{
    r->late_after = MAX(r->late_after, number);
    saw_deletion(r, number);
}

static uint32_t late_slot(struct head_replay *r, sref ref, uint64_t *unknown)
{
    uint32_t slot = router_slot(r, ref);
    if (slot) return slot;
    ++*unknown;
    if (r->last_strange != ref) r->stats.late_series++;
    r->last_strange = ref;
    series_reserve_ref(&r->head->series, ref);
    return 0;
}

errc head_replay_late(
    struct head_replay *r, const struct ref_sample *s, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t slot = late_slot(r, s[i].ref, &r->stats.late_unknown);
        struct ooo_value x = { .st = r->head->opts.keeps.start_times ? s[i].st : 0, .v = s[i].v };
        if (slot) TRY(ooo_replay_put(r->head, slot, s[i].t, &x, r->late_after, e));
        r->stats.late_samples += slot != 0;
    }
    return OK;
}

errc head_replay_late_histogram(
    struct head_replay *r, sref ref, const struct ooo_sample *s, struct err *e)
{
    uint32_t slot = late_slot(r, ref, &r->stats.late_histograms);
    struct ooo_value x = s->x;
    if (!slot) return OK;
    if (!r->head->opts.keeps.start_times) x.st = 0;
    r->stats.late_samples++;
    return ooo_replay_put(r->head, slot, s->t, &x, r->late_after, e);
}

/* An array that became several chunks has a marker for each, and the last one counts: chunks are
 * found in the order of their writing, so where the last one is all are. */
void head_replay_markers(struct head_replay *r, const struct ref_marker *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && m[i + 1].ref == m[i].ref) continue;
        uint32_t slot = late_slot(r, m[i].ref, &r->stats.late_markers);
        if (slot) ooo_replay_cut(r->head, slot, m[i].chunk);
    }
}

/* ---- the end ---- */

static void replay_free(struct head_replay *r)
{
    for (struct replay_decoder *d = r->idle_decoders, *next; d; d = next) {
        next = d->next;
        vec_fini(&d->staged);
        vec_fini(&d->in_part);
        vec_fini(&d->strange);
        arena_fini(&d->more);
        mem_free(d);
    }
    for (struct applier *a = r->idle_appliers, *next; a; a = next) {
        next = a->next;
        vec_fini(&a->ops);
        mem_free(a);
    }
    replay_refs_fini(&r->refs);
    vec_fini(&r->lists);
    vec_fini(&r->chunks);
    ooo_found_fini(&r->late);
    vec_fini(&r->deleted);
    vec_fini(&r->undamaged);
    map_fini(&r->strange);
    mtx_fini(&r->mu);
    mem_free(r);
}

void head_replay_drop(struct head_replay *r)
{
    if (!r) return;
    for (struct applier *a = r->idle_appliers; a; a = a->next) open_ctx_release(&a->ctx);
    head_replay_applied(r);
    replay_free(r);
}

void head_replay_finish(struct head_replay *r, struct head_replay_stats *stats)
{
    struct head *h = r->head;
    for (struct applier *a = r->idle_appliers; a; a = a->next) {
        open_ctx_release(&a->ctx);
        r->stats.samples += a->samples;
        r->stats.dropped_old += a->dropped;
    }
    head_replay_applied(r);
    r->stats.chunks = r->chunks.n;
    r->stats.unknown[REPLAY_SERIES] = r->strange.n;
    series_reserve_ref(&r->head->series, r->strange_max);
    /* As in Prometheus: what was seen counts, not what is left; and where the newest block ends the
     * head begins, whatever it holds. */
    int64_t valid = head_min_valid_time(h), mint = head_min_time(h);
    head_collect(h, valid);
    head_drop_tombstones(h, valid);
    atomic_store_explicit(
        &h->min_time, valid == INT64_MIN ? mint : valid, memory_order_relaxed);
    if (valid != INT64_MIN) head_saw_time(h, valid, valid);
    if (stats) *stats = r->stats;
    replay_free(r);
}
