#include "head/ooo_replay.h"

#include "base/fault.h"

#include <stdlib.h>

/* ---- chunks that were found ------------------------------------------------------------------ */

void ooo_found_fini(struct ooo_found *f) { vec_fini(&f->all); }

void ooo_found_add(struct ooo_found *f, sref ref, const struct ooo_chunk *c)
{
    assert(!f->sorted);
    vec_push(&f->all, ((struct ooo_found_chunk){ ref, *c }));
}

/* In a file and over files references ascend. */
static int found_cmp(const void *a, const void *b)
{
    const struct ooo_found_chunk *x = a, *y = b;
    if (x->ref != y->ref) return x->ref < y->ref ? -1 : 1;
    return (x->chunk.disk_ref > y->chunk.disk_ref) - (x->chunk.disk_ref < y->chunk.disk_ref);
}

/* The first chunk of this ref or a later one. */
static size_t found_first(struct ooo_found *f, sref ref)
{
    size_t lo = 0, hi = f->all.n;
    if (!f->sorted && f->all.n) qsort(f->all.at, f->all.n, sizeof(*f->all.at), found_cmp);
    f->sorted = true;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (f->all.at[mid].ref < ref) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

void ooo_found_attach(struct ooo_found *f, struct head *h, uint32_t slot, sref ref)
{
    size_t i = found_first(f, ref), n = 0;
    int64_t mint = INT64_MAX, maxt = INT64_MIN;
    struct slot *s = store_slot(&h->store, slot);
    slot_lock(s);
    struct ooo *o = ooo_of(&h->ooo, s, slot);
    uint64_t gone = o ? o->closed.n + (o->n > 0) : 0;
    ooo_drop(&h->ooo, s, slot);
    for (; ref && i < f->all.n && f->all.at[i].ref == ref; i++, n++) {
        const struct ooo_chunk *c = &f->all.at[i].chunk;
        ooo_add_closed(ooo_make(&h->ooo, s, slot), c);
        mint = MIN(mint, c->mint);
        maxt = MAX(maxt, c->maxt);
    }
    slot_unlock(s);
    if (n) head_saw_ooo_time(h, mint, maxt);
    atomic_fetch_add_explicit(&h->n_chunks, n - gone, memory_order_relaxed);
}

/* ---- the log --------------------------------------------------------------------------------- */

/* Has the series this very chunk already? A replay before this one may have made it. */
static bool cut_is_known(
    struct head *h, struct ooo *o, const struct chunk_desc *desc, uint32_t after)
{
    bool known = false;
    for (size_t i = 0; i < o->closed.n && !known; i++) {
        struct ooo_chunk *c = &o->closed.at[i];
        struct chunk_pin pin = { 0 };
        if (c->mint != desc->mint || c->maxt != desc->maxt || c->enc != desc->enc) continue;
        if (chunk_disk_pin(h->opts.disk, c->disk_ref, desc->data.n, &pin, NULL) != OK) continue;
        known = str_eq(pin.data, desc->data);
        known = chunk_disk_unpin(h->opts.disk, &pin, NULL) == OK && known;
        if (known) c->after = after;
    }
    return known;
}

/* One chunk of an array that was cut. The entry is changed by nobody but the replay. */
static errc cut_write_one(struct head *h, uint32_t slot, const struct chunk_encoder *w, size_t i,
    struct err *e)
{
    struct slot *s = store_slot(&h->store, slot);
    struct ooo *o = ooo_of(&h->ooo, s, slot);
    const struct encoded_chunk *c = &w->chunks.at[i];
    struct chunk_desc desc = { .series = store_cold(&h->store, slot)->ref,
        .mint = c->mint,
        .maxt = c->maxt,
        .enc = c->enc,
        .ooo = true,
        .data = encoded_chunk_data(w, i) };
    chunk_ref ref = 0;
    if (cut_is_known(h, o, &desc, o->after)) return OK;
    baton_take(&h->writing);
    errc rc = chunk_disk_write(h->opts.disk, &desc, 1, &ref, e);
    baton_give(&h->writing);
    if (rc != OK) return rc;
    slot_lock(s);
    ooo_add_closed(o,
        &(struct ooo_chunk){ c->mint, c->maxt, ref, ooo_chunk_samples(w, i), c->enc, o->after });
    slot_unlock(s);
    return OK;
}

static errc cut_write(struct head *h, uint32_t slot, const struct ooo_array *a, struct err *e)
{
    struct chunk_encoder w = { 0 };
    errc rc = OK;
    if (!h->opts.disk) return err_set(e, ERR_UNSUPPORTED, "head: no chunk files");
    ooo_encode(&h->store, a, &w);
    for (size_t i = 0; rc == OK && i < w.chunks.n; i++) rc = cut_write_one(h, slot, &w, i, e);
    chunk_encoder_fini(&w);
    return rc;
}

/* ooo_is_behind of the series */
static bool put_is_behind(
    struct head *h, uint32_t slot, struct ooo_array *a, int64_t t, uint32_t now)
{
    head_deletions deleted = { 0 };
    head_tombstones_list(&h->tombstones, store_cold(&h->store, slot)->ref, &deleted);
    bool behind = ooo_is_behind(a, t, &deleted, now);
    vec_fini(&deleted);
    return behind;
}

errc ooo_replay_put(struct head *h, uint32_t slot, int64_t t, const struct ooo_value *x,
    uint32_t now, struct err *e)
{
    struct slot *s = store_slot(&h->store, slot);
    struct ooo_array a = { .n = 0 }, cut = { .n = 0 };
    slot_lock(s);
    const struct ooo *o = ooo_of(&h->ooo, s, slot);
    if (o) ooo_read_open(o, &a);
    slot_unlock(s);
    if (put_is_behind(h, slot, &a, t, now) || a.n == OOO_CAP) {
        TRY(cut_write(h, slot, &a, e));
        cut = a;
        a.n = 0;
        a.after = now;
    }
    bool begins = !a.n;
    struct ooo_value own = ooo_value_copy(x);
    if (!ooo_insert(&a, t, &own)) {
        ooo_value_free(&own);
        return OK;
    }
    slot_lock(s);
    ooo_set_open(ooo_make(&h->ooo, s, slot), &a);
    slot_unlock(s);
    ooo_array_retire(&h->ooo, &cut);
    if (begins) {
        atomic_fetch_add_explicit(&h->n_chunks, 1, memory_order_relaxed);
        metric_inc(&head_chunks_created);
    }
    head_saw_ooo_time(h, t, t);
    return OK;
}

/* The chunk with that reference, and those before it that the same array became, hold what the
 * array holds. */
static void settle(struct ooo *o, size_t newest)
{
    for (size_t i = newest + 1, left = o->n; i-- > 0 && left;) {
        struct ooo_chunk *c = &o->closed.at[i];
        if (c->n > left || c->mint < ooo_open_mint(o) || c->maxt > ooo_open_maxt(o)) return;
        c->after = o->after;
        left -= c->n;
    }
}

void ooo_replay_cut(struct head *h, uint32_t slot, uint64_t disk_ref)
{
    static const struct ooo_array none = { 0 };
    struct ooo_array was = { .n = 0 };
    struct slot *s = store_slot(&h->store, slot);
    slot_lock(s);
    struct ooo *o = ooo_of(&h->ooo, s, slot);
    bool held = o && (!disk_ref || fault_dropped("ooo.marker_chunk"));
    for (size_t i = 0; o && !held && i < o->closed.n; i++) {
        held = o->closed.at[i].disk_ref == disk_ref;
        if (held) settle(o, i);
    }
    if (held) ooo_read_open(o, &was);
    if (held) ooo_set_open(o, &none);
    if (held && !o->closed.n) ooo_drop(&h->ooo, s, slot);
    slot_unlock(s);
    ooo_array_retire(&h->ooo, &was);
}
