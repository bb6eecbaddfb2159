#include "head/ooo_parts.h"

#include "chunk/chunk_iter.h"
#include "head/chunk_disk.h"
#include "head/head_iter.h"
#include "head/mend.h"
#include "storage/clip.h"
#include "storage/merge_iter.h"

#include <stdlib.h>

ACCOUNT(parts_account, "ooo_iterators")

/* One late chunk, or the open array. */
struct part_iter {
    struct sample_iter base;
    const struct ooo_part *part;
    int64_t mint;                              /* grows with seek */
    struct buf bytes;
    struct chunk_iter chunk;
    uint32_t at;                               /* in the array */
    bool loaded, ended;
    const struct chunk_encoder *made;          /* chunks in place of a damaged one; or NULL */
    size_t next_made;
    errc failed;
    struct err why;
};

/* The bytes come into the iterator's own memory: an error of reading is known before anything is
 * shown. */
static errc part_load(struct part_iter *it, struct err *e)
{
    const struct ooo_part *p = it->part;
    struct chunk_disk *disk = p->of->head->opts.disk;
    struct chunk_pin pin = { 0 };
    it->loaded = true;
    if (p->bytes.n) return chunk_iter_reset(&it->chunk, p->chunk.enc, p->bytes, e);
    if (!p->chunk.disk_ref) return OK;
    if (!disk) return err_set(e, ERR_NOT_FOUND, "head: no chunk files");
    TRY(chunk_disk_pin(disk, p->chunk.disk_ref, 0, &pin, e));
    buf_reset(&it->bytes);
    buf_str(&it->bytes, pin.data);
    TRY(chunk_disk_unpin(disk, &pin, e));
    return chunk_iter_reset(&it->chunk, p->chunk.enc, buf_view(&it->bytes), e);
}

/* The next of the chunks in place of a damaged one; or it is the end. */
static errc part_next_made(struct part_iter *it, struct err *e)
{
    it->ended = !it->made || it->next_made == it->made->chunks.n;
    if (it->ended) return OK;
    size_t i = it->next_made++;
    return chunk_iter_reset(
        &it->chunk, it->made->chunks.at[i].enc, encoded_chunk_data(it->made, i), e);
}

static errc part_load_or_mend(struct part_iter *it, struct err *e)
{
    const struct ooo_part *p = it->part;
    const struct ooo_chunk *c = &p->chunk;
    errc rc = part_load(it, e);
    if (rc != ERR_CORRUPT || !p->of->of.mend || !c->disk_ref) return rc;
    struct head_lost lost = { p->of->of.ref, c->mint, c->maxt, c->disk_ref, c->n, c->enc, true };
    it->made = head_mend_get(p->of->of.mend, &lost);
    return part_next_made(it, e);
}

static void part_read_open(struct part_iter *it, struct sample_batch *out)
{
    const struct ooo_array *a = &it->part->of->open;
    for (; it->at < a->n && out->n < SAMPLE_BATCH; it->at++, out->n++) {
        out->t[out->n] = a->at[it->at].t;
        out->v[out->n] = a->at[it->at].x.v;
    }
}

static errc part_step(struct part_iter *it, struct sample_batch *out, struct err *e)
{
    const struct ooo_part *p = it->part;
    if (!it->loaded) TRY(part_load_or_mend(it, e));
    if (it->ended) return OK;
    if (!p->chunk.disk_ref && !p->bytes.n) part_read_open(it, out);
    else TRY(chunk_iter_fill(&it->chunk, out, e));
    if (!out->n) TRY(part_next_made(it, e));
    if (sample_batch_clip(out, it->chunk.st, it->mint, p->of->of.maxt, ooo_part_hidden(p)))
        it->ended = true;
    return OK;
}

static errc part_fill(struct sample_iter *base, struct sample_batch *out, struct err *e)
{
    struct part_iter *it = CONTAINER_OF(base, struct part_iter, base);
    out->kind = SAMPLE_FLOAT;
    out->st = NULL;
    out->n = 0;
    while (it->failed == OK && !out->n && !it->ended) {
        it->failed = part_step(it, out, &it->why);
        if (it->failed == OK) continue;
        out->n = 0;
        it->ended = head_leaves_out(it->part->of->of.left, it->failed, &it->why);
        if (it->ended) it->failed = OK;
    }
    if (it->failed == OK) return OK;
    out->n = 0;
    return err_set(e, it->failed, "%.*s", STR_ARG(err_str(&it->why)));
}

static errc part_seek(struct sample_iter *base, int64_t t, struct err *e)
{
    struct part_iter *it = CONTAINER_OF(base, struct part_iter, base);
    (void)e;
    it->mint = MAX(it->mint, t);
    return OK;
}

static void part_free(struct sample_iter *base)
{
    struct part_iter *it = CONTAINER_OF(base, struct part_iter, base);
    buf_fini(&it->bytes);
    chunk_iter_fini(&it->chunk);
    account_charge(&parts_account, -(int64_t)sizeof(*it));
    mem_free(it);
}

static const struct sample_iter_ops part_iter_ops = { part_fill, part_seek, part_free };

static void part_iter_reset(struct sample_iter **it, const struct ooo_part *part)
{
    if (!*it || (*it)->ops != &part_iter_ops) {
        sample_iter_free(*it);
        struct part_iter *made = NEW(struct part_iter);
        made->base.ops = &part_iter_ops;
        buf_init(&made->bytes, &parts_account, 0);
        chunk_iter_init(&made->chunk);
        account_charge(&parts_account, sizeof(*made));
        *it = &made->base;
    }
    struct part_iter *p = CONTAINER_OF(*it, struct part_iter, base);
    p->part = part;
    p->mint = part->of->of.mint;
    p->at = 0;
    p->loaded = p->ended = false;
    p->made = NULL;
    p->next_made = 0;
    p->failed = OK;
    p->why.n = 0;
}

/* What is in order from the first to the last of these times. */
static void in_order_reset(
    struct sample_iter **it, const struct ooo_parts *p, int64_t mint, int64_t maxt)
{
    if (!head_iter_is(*it)) {
        sample_iter_free(*it);
        *it = head_iter_new(p->head);
    }
    head_iter_reset(*it,
        &(struct head_iter_of){ p->of.slot, p->of.generation, p->of.ref, MAX(mint, p->of.mint),
            MIN(maxt, p->of.maxt), p->of.reader, p->of.left });
}

static errc part_iterate(struct series *base, struct sample_iter **it, struct err *e)
{
    struct ooo_part *p = CONTAINER_OF(base, struct ooo_part, base);
    (void)e;
    if (p->in_order) in_order_reset(it, p->of, p->mint, p->maxt);
    else part_iter_reset(it, p);
    return OK;
}

static const struct series_ops part_ops = { .iterate = part_iterate };

void ooo_parts_init(struct ooo_parts *p, struct head *h) { *p = (struct ooo_parts){ .head = h }; }

void ooo_parts_fini(struct ooo_parts *p)
{
    vec_fini(&p->all);
    vec_fini(&p->sources);
    vec_fini(&p->deleted);
    for (size_t i = 0; i < p->hidden.n; i++) vec_fini(&p->hidden.at[i].by);
    vec_fini(&p->hidden);
    chunk_encoder_fini(&p->encoder);
}

static void part_push(struct ooo_parts *p, struct ooo_part part)
{
    if (part.maxt < p->of.mint || part.mint > p->of.maxt) return;
    part.base.ops = &part_ops;
    part.of = p;
    vec_push(&p->all, part);
}

static void take_in_order(struct ooo_parts *p, const struct slot *s)
{
    const struct store *st = &p->head->store;
    for (unsigned i = 0; i < s->n_closed; i++) {
        struct closed_chunk c = store_get_closed(st, s, i);
        part_push(p, (struct ooo_part){ .in_order = true, .mint = c.mint, .maxt = c.maxt });
    }
    for (uint32_t i = s->sealed; i;) {
        const struct sealed *q = slab_at(&st->sealed, i);
        int64_t from = sealed_mint(st, q);
        part_push(p, (struct ooo_part){ .in_order = true, .mint = from, .maxt = q->maxt });
        i = q->next;
    }
    if (!s->n) return;
    int64_t from = open_mint(st, s);       /* an open chunk has no end, as there */
    part_push(p, (struct ooo_part){ .in_order = true, .mint = from, .maxt = INT64_MAX });
}

static void take_late(struct ooo_parts *p, const struct ooo *o)
{
    uint64_t last = p->of.last_ref;
    for (size_t i = 0; i < o->closed.n; i++) {
        const struct ooo_chunk *c = &o->closed.at[i];
        if (last && c->disk_ref > last) break;
        part_push(p, (struct ooo_part){ .mint = c->mint, .maxt = c->maxt, .chunk = *c });
    }
    if (last || !o->n) return;
    ooo_read_open(o, &p->open);
}

/* The array as the chunks that it would become: so histograms get the hints that they have there.
 * Plain floats are read as they are. */
static void take_open(struct ooo_parts *p)
{
    const struct store *st = &p->head->store;
    struct ooo_part all = { .mint = p->open.at[0].t,
        .maxt = p->open.at[p->open.n - 1].t,
        .chunk.after = p->open.after };
    if (ooo_is_plain(st, &p->open)) {
        part_push(p, all);
        return;
    }
    ooo_encode(st, &p->open, &p->encoder);
    for (size_t i = 0; i < p->encoder.chunks.n; i++) {
        const struct encoded_chunk *c = &p->encoder.chunks.at[i];
        part_push(p, (struct ooo_part){ .mint = c->mint,
                         .maxt = c->maxt,
                         .chunk.enc = c->enc,
                         .chunk.after = p->open.after,
                         .bytes = encoded_chunk_data(&p->encoder, i) });
    }
}

/* At equal times what is in order first, then by the order of writing, the open array last. */
static int part_cmp(const void *a, const void *b)
{
    const struct ooo_part *x = a, *y = b;
    if (x->mint != y->mint) return x->mint < y->mint ? -1 : 1;
    if (x->in_order != y->in_order) return x->in_order ? -1 : 1;
    uint64_t rx = x->chunk.disk_ref - 1, ry = y->chunk.disk_ref - 1;
    return (rx > ry) - (rx < ry);
}

/* The set that hides something of a part. */
static size_t hidden_of(struct ooo_parts *p, uint32_t after)
{
    for (size_t i = 0; i < p->n_hidden; i++)
        if (p->hidden.at[i].after == after) return i;
    if (p->n_hidden == p->hidden.n) vec_push(&p->hidden, ((struct ooo_hidden){ 0 }));
    struct ooo_hidden *x = &p->hidden.at[p->n_hidden];
    x->after = after;
    x->by.n = 0;
    head_deletions_since(&p->deleted, after, &x->by);
    return p->n_hidden++;
}

void ooo_parts_take(struct ooo_parts *p, const struct ooo_parts_of *of)
{
    struct head *h = p->head;
    struct slot *s = store_slot(&h->store, of->slot);
    p->of = *of;
    p->all.n = p->sources.n = p->deleted.n = p->n_hidden = 0;
    p->open.n = 0;
    slot_lock(s);
    if (series_generation(s) == of->generation) {
        const struct ooo *o = ooo_of(&h->ooo, s, of->slot);
        if (of->reader) take_in_order(p, s);
        if (o) take_late(p, o);
    }
    slot_unlock(s);
    if (p->open.n) take_open(p);
    head_tombstones_list(&h->tombstones, of->ref, &p->deleted);
    for (size_t i = 0; i < p->all.n; i++)
        p->all.at[i].hidden = hidden_of(p, p->all.at[i].chunk.after);
    if (p->all.n) qsort(p->all.at, p->all.n, sizeof(*p->all.at), part_cmp);
    for (size_t i = 0; i < p->all.n; i++) vec_push(&p->sources, &p->all.at[i].base);
}

size_t ooo_parts_group(const struct ooo_parts *p, size_t first)
{
    size_t end = first + 1;
    int64_t reach = p->all.at[first].maxt;
    for (; end < p->all.n && p->all.at[end].mint <= reach; end++)
        reach = MAX(reach, p->all.at[end].maxt);
    return end;
}

errc ooo_parts_open(
    struct ooo_parts *p, size_t first, size_t end, struct sample_iter **it, struct err *e)
{
    const struct ooo_part *from = &p->all.at[first], *to = &p->all.at[end - 1];
    if (ooo_parts_group(p, first) == end && end - first > 1)
        return merge_iter_open(it, p->sources.at + first, end - first, e);
    if (from->in_order) in_order_reset(it, p, from->mint, to->maxt);
    else part_iter_reset(it, from);
    return OK;
}
