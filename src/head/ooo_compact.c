#include "head/ooo_compact.h"

#include "base/fault.h"
#include "head/ooo_commit.h"
#include "head/ooo_parts.h"
#include "wal/wal.h"

ACCOUNT(compact_account, "ooo_compaction")

/* ---- beginning and end ----------------------------------------------------------------------- */

/* Times and newest reference of all closed late chunks. REQUIRES: the baton: no chunk comes. */
static void span_of(struct head *h, struct ooo_span *out)
{
    for (struct series_walk w = series_walk_of(&h->series); series_walk_next(&h->series, &w);) {
        uint32_t i = w.slot;
        struct slot *s = store_slot(&h->store, i);
        if (!(slot_flags(s) & SLOT_OOO)) continue;
        slot_lock(s);
        const struct ooo *o = ooo_of(&h->ooo, s, i);
        for (size_t k = 0; o && k < o->closed.n; k++) {
            out->mint = MIN(out->mint, o->closed.at[k].mint);
            out->maxt = MAX(out->maxt, o->closed.at[k].maxt);
            if (o->closed.at[k].disk_ref <= out->last_ref) continue;
            out->last_ref = o->closed.at[k].disk_ref;
            out->last.series = store_cold(&h->store, i)->ref;
            out->last.mint = o->closed.at[k].mint;
            out->last.maxt = o->closed.at[k].maxt;
        }
        slot_unlock(s);
    }
}

errc head_ooo_begin(struct head *h, struct ooo_span *out, struct err *e)
{
    struct wal *wbl = atomic_load_explicit(&h->wbl, memory_order_acquire);
    struct ooo_span s = { .mint = INT64_MAX, .maxt = INT64_MIN };
    if (wbl) {
        baton_take(&h->ooo_baton);             /* what is logged is in its array */
        errc rc = wal_rotate(wbl, &s.last_segment, e);
        h->told_deletion = 0;
        baton_give(&h->ooo_baton);
        if (rc != OK) return rc;
        s.logged = true;
    }
    TRY(ooo_seal_all(h, e));
    baton_take(&h->ooo_baton);
    span_of(h, &s);
    baton_give(&h->ooo_baton);
    *out = s;
    if (s.logged && fault_dropped("ooo.blocks_first")) return wal_truncate(wbl, s.last_segment, e);
    return OK;
}

/* Drops the chunks; what is left of late samples is in the times. */
static uint64_t drop_closed(struct head *h, uint64_t last_ref)
{
    int64_t mint = INT64_MAX, maxt = INT64_MIN;
    uint64_t gone = 0;
    for (struct series_walk w = series_walk_of(&h->series); series_walk_next(&h->series, &w);) {
        uint32_t i = w.slot;
        struct slot *s = store_slot(&h->store, i);
        if (!(slot_flags(s) & SLOT_OOO)) continue;
        slot_lock(s);
        struct ooo *o = ooo_of(&h->ooo, s, i);
        if (o) {
            gone += ooo_drop_closed(o, last_ref);
            ooo_span(o, &mint, &maxt);
            if (!o->n && !o->closed.n) ooo_drop(&h->ooo, s, i);
        }
        slot_unlock(s);
    }
    atomic_store_explicit(&h->min_ooo_time, mint, memory_order_relaxed);
    atomic_store_explicit(&h->max_ooo_time, maxt, memory_order_relaxed);
    return gone;
}

errc head_ooo_end(struct head *h, const struct ooo_span *s, struct err *e)
{
    struct wal *wbl = atomic_load_explicit(&h->wbl, memory_order_acquire);
    if (s->mint <= s->maxt) {
        baton_take(&h->ooo_baton);             /* the times are not raised and lowered meanwhile */
        uint64_t gone = drop_closed(h, s->last_ref);
        baton_give(&h->ooo_baton);
        atomic_fetch_sub_explicit(&h->n_chunks, gone, memory_order_relaxed);
        metric_add(&head_chunks_removed, (double)gone);
        head_collect(h, head_min_time(h));
        head_drop_tombstones(h, head_min_time(h));
    }
    if (!wbl || !s->logged) return OK;
    TRY(wal_truncate(wbl, s->last_segment, e));
    /* a checkpoint forgets what was deleted of these samples: they must not come back after it */
    return fault_dropped("ooo.gone_fsync") ? OK : wal_sync(wbl, e);
}

/* ---- series of a block ----------------------------------------------------------------------- */

struct ooo_chunk_set {
    struct chunk_series_set base;
    struct head_chunks *c;
    struct head *head;
    struct ooo_parts parts;
    struct sample_iter *group;
    size_t at;
    int64_t mint, maxt;
    uint64_t last_ref;
    label_num_list nums;
    struct buf bytes;                          /* of the series' chunks */
    VEC(size_t) offsets;                       /* where each begins in bytes */
    VEC(struct chunk_view) views;
    struct chunk_encoder encoder;
    struct chunk_series series;
};

static void view_push(struct ooo_chunk_set *s, const struct chunk_view *v, str bytes)
{
    vec_push(&s->offsets, s->bytes.n);
    buf_str(&s->bytes, bytes);
    vec_push(&s->views, ((struct chunk_view){ v->mint, v->maxt, v->enc, { NULL, bytes.n } }));
}

/* As in Prometheus' blocks of late samples chunks end by their length alone. */
static errc group_encode(struct ooo_chunk_set *s, size_t first, size_t end, struct err *e)
{
    struct chunk_rules by = { .rule = CHUNKS_BY_BYTES, .floats = CHUNK_XOR };
    struct sample_batch b = { .n = 0 };
    TRY(ooo_parts_open(&s->parts, first, end, &s->group, e));
    chunk_encoder_begin(&s->encoder, &by);
    do {
        TRY(sample_iter_fill(s->group, &b, e));
        if (b.n) chunk_encoder_put(&s->encoder, &b);
    } while (b.n);
    chunk_encoder_end(&s->encoder);
    for (size_t i = 0; i < s->encoder.chunks.n; i++) {
        const struct encoded_chunk *c = &s->encoder.chunks.at[i];
        struct chunk_view v = { c->mint, c->maxt, c->enc, { 0 } };
        view_push(s, &v, encoded_chunk_data(&s->encoder, i));
    }
    return OK;
}

/* A chunk as it is, if it overlaps nothing and nothing of it is to be left out. */
static errc chunk_copy_whole(struct ooo_chunk_set *s, const struct ooo_part *p, struct err *e)
{
    struct chunk_pin pin = { 0 };
    struct chunk_disk *disk = s->head->opts.disk;
    struct chunk_view v = { p->mint, p->maxt, p->chunk.enc, { 0 } };
    TRY(chunk_disk_pin(disk, p->chunk.disk_ref, 0, &pin, e));
    view_push(s, &v, pin.data);
    return chunk_disk_unpin(disk, &pin, e);
}

static errc set_step(struct ooo_chunk_set *s, uint32_t slot, struct err *e)
{
    struct ooo_parts_of of = { .slot = slot,
        .generation = series_generation(store_slot(&s->head->store, slot)),
        .ref = store_cold(&s->head->store, slot)->ref,
        .mint = s->mint,
        .maxt = s->maxt,
        .mend = head_chunks_mended_by(s->c),
        .last_ref = s->last_ref };
    ooo_parts_take(&s->parts, &of);
    s->views.n = s->offsets.n = 0;
    buf_reset(&s->bytes);
    for (size_t i = 0, end; i < s->parts.all.n; i = end) {
        const struct ooo_part *p = &s->parts.all.at[i];
        end = ooo_parts_group(&s->parts, i);
        bool whole = end == i + 1 && p->mint >= s->mint && p->maxt <= s->maxt &&
                     !intervals_meet(ooo_part_hidden(p), p->mint, p->maxt);
        errc rc = whole ? chunk_copy_whole(s, p, e) : ERR_CORRUPT;
        if (rc == ERR_CORRUPT && (!whole || s->parts.of.mend)) rc = group_encode(s, i, end, e);
        TRY(rc);
    }
    for (size_t i = 0; i < s->views.n; i++) s->views.at[i].data.p = s->bytes.p + s->offsets.at[i];
    return OK;
}

static errc set_next(
    struct chunk_series_set *base, const struct chunk_series **out, struct err *e)
{
    struct ooo_chunk_set *s = CONTAINER_OF(base, struct ooo_chunk_set, base);
    snum num;
    uint32_t slot;
    *out = NULL;
    while (head_chunks_next(s->c, &s->at, &num, &slot)) {
        if (series_slot_of(&s->head->series, num) != slot) continue;   /* collected meanwhile */
        TRY_IN(e, set_step(s, slot, e), "head: late samples");
        if (!s->views.n) continue;
        head_chunks_nums(s->c, slot, &s->nums);
        s->series = (struct chunk_series){ .chunks = s->views.at,
            .n = s->views.n,
            .nums = { s->nums.at, s->nums.n } };
        *out = &s->series;
        return OK;
    }
    return head_chunks_check(s->c, e);
}

static void set_free(struct chunk_series_set *base)
{
    struct ooo_chunk_set *s = CONTAINER_OF(base, struct ooo_chunk_set, base);
    sample_iter_free(s->group);
    ooo_parts_fini(&s->parts);
    vec_fini(&s->offsets);
    vec_fini(&s->views);
    buf_fini(&s->bytes);
    chunk_encoder_fini(&s->encoder);
    vec_fini(&s->nums);
    mem_free(s);
}
static const struct chunk_series_set_ops ooo_chunk_set_ops = { set_next, set_free };

struct chunk_series_set *ooo_chunk_set_new(
    struct head_chunks *c, struct head *h, int64_t mint, int64_t maxt, uint64_t last_ref)
{
    struct ooo_chunk_set *s = NEW(struct ooo_chunk_set);
    s->base.ops = &ooo_chunk_set_ops;
    s->c = c;
    s->head = h;
    s->mint = mint;
    s->maxt = maxt;
    s->last_ref = last_ref;
    ooo_parts_init(&s->parts, h);
    buf_init(&s->bytes, &compact_account, 0);
    return &s->base;
}
