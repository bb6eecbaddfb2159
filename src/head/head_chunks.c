/* head_chunks.c — order without strings.
 *
 * Symbols are sorted once, and every name and pair gets the rank of its text. Series are then
 * sorted by the ranks of their pairs: no label is expanded before its series is written. The sorted
 * texts are the symbols of the block.
 */
#include "head/head_chunks.h"

#include "chunk/chunk.h"
#include "chunk/chunk_encoder.h"
#include "chunk/recode.h"
#include "head/chunk_disk.h"
#include "head/head_impl.h"
#include "head/head_iter.h"
#include "head/mend.h"
#include "head/ooo_compact.h"
#include "head/ooo_iter.h"

#include <stdlib.h>

ACCOUNT(head_chunks_account, "head_compaction")

struct text { str s; uint32_t id; bool is_name; };
struct place { snum num; uint32_t slot, labels; };

struct head_chunks {
    struct head *head;
    struct reclaim_reader reader;              /* what was found stays in its place */
    bool cut;                                  /* selected: what isolation hides is not seen */
    struct isolation_reader isolation;
    struct left_out left;
    struct head_mend *mend;                    /* NULL: damage is an error, unless cut */
    int64_t mint, maxt;
    uint64_t last_ref;                         /* of late chunks; 0: those in order are asked for */
    const uint32_t *only;                      /* these n_only series; while it is opened */
    size_t n_only;
    VEC(struct text) texts;                    /* sorted */
    VEC(uint32_t) name_rank, pair_rank;        /* by number */
    VEC(struct place) series;                  /* in label order */
};

/* Symbols. */

static int text_cmp(const void *a, const void *b)
{
    return str_cmp(((const struct text *)a)->s, ((const struct text *)b)->s);
}

static void texts_gather(struct head_chunks *c)
{
    struct symbols *sy = &c->head->series.symbols;
    uint32_t names = symbols_n_names(sy), last_pair = 0;
    for (uint32_t i = 1; i <= names; i++) {
        const struct sym_name *n = symbols_name_at(sy, i);
        uint32_t pair = atomic_load_explicit(&n->first_pair, memory_order_acquire);
        if (pair) vec_push(&c->texts, ((struct text){ symbols_name(sy, i), i, true }));
        for (; pair;
             pair = atomic_load_explicit(&symbols_pair_at(sy, pair)->next, memory_order_acquire)) {
            vec_push(&c->texts, ((struct text){ symbols_value(sy, pair), pair, false }));
            last_pair = MAX(last_pair, pair);
        }
    }
    vec_reserve(&c->name_rank, (size_t)names + 1);
    vec_reserve(&c->pair_rank, (size_t)last_pair + 1);
    c->name_rank.n = (size_t)names + 1;
    c->pair_rank.n = (size_t)last_pair + 1;
    if (c->texts.n) qsort(c->texts.at, c->texts.n, sizeof(*c->texts.at), text_cmp);
    uint32_t rank = 0;
    for (size_t i = 0; i < c->texts.n; i++) {
        const struct text *t = &c->texts.at[i];
        if (i && !str_eq(t[-1].s, t->s)) rank++;
        if (t->is_name) c->name_rank.at[t->id] = rank;
        else c->pair_rank.at[t->id] = rank;
    }
}

struct head_symbol_set {
    struct symbol_set base;
    const struct head_chunks *c;
    size_t at;
    bool begun;
};

/* The empty string comes first: it is the key of all series. */
static errc symbols_next(struct symbol_set *base, bool *more, str *out, struct err *e)
{
    struct head_symbol_set *s = CONTAINER_OF(base, struct head_symbol_set, base);
    const struct head_chunks *c = s->c;
    (void)e;
    *out = STR_EMPTY;
    *more = !s->begun || s->at < c->texts.n;
    if (s->begun && *more) {
        *out = c->texts.at[s->at].s;
        while (s->at < c->texts.n && str_eq(c->texts.at[s->at].s, *out)) s->at++;
    }
    s->begun = true;
    return OK;
}

static void symbols_free(struct symbol_set *base)
{
    mem_free(CONTAINER_OF(base, struct head_symbol_set, base));
}
static const struct symbol_set_ops head_symbol_set_ops = { symbols_next, symbols_free };

struct symbol_set *head_chunks_symbols(struct head_chunks *c)
{
    struct head_symbol_set *s = NEW(struct head_symbol_set);
    s->base.ops = &head_symbol_set_ops;
    s->c = c;
    return &s->base;
}

/* The order of series. */

/* The first pairs in which two series differ. False: one has all that the other has, and *order
 * says which has more. */
static inline bool places_differ(const struct series_index *x, const struct place *a,
    const struct place *b, uint32_t *ia, uint32_t *ib, int *order)
{
    const uint8_t *pa, *pb;
    size_t na = series_pairs(x, a->labels, &pa), nb = series_pairs(x, b->labels, &pb);
    for (size_t i = 0; i < na && i < nb; i++) {
        *ia = series_next_pair(&pa);
        *ib = series_next_pair(&pb);
        if (*ia != *ib) return true;
    }
    *order = (na > nb) - (na < nb);
    return false;
}

static int place_cmp(const void *a, const void *b, void *ctx)
{
    const struct head_chunks *c = ctx;
    const struct series_index *x = &c->head->series;
    uint32_t ia, ib;
    int order;
    if (!places_differ(x, a, b, &ia, &ib, &order)) return order;
    uint32_t name_a = symbols_pair_at(&x->symbols, ia)->name,
             name_b = symbols_pair_at(&x->symbols, ib)->name;
    if (name_a != name_b) return c->name_rank.at[name_a] < c->name_rank.at[name_b] ? -1 : 1;
    return c->pair_rank.at[ia] < c->pair_rank.at[ib] ? -1 : 1;
}

static void series_add(struct head_chunks *c, snum n)
{
    struct head *h = c->head;
    uint32_t slot = series_slot_of(&h->series, n);
    if (slot)
        vec_push(&c->series, ((struct place){ n, slot, store_cold(&h->store, slot)->labels }));
}

static void series_gather(struct head_chunks *c, snum last)
{
    struct head *h = c->head;
    for (size_t i = 0; i < c->n_only; i++) series_add(c, c->only[i]);
    if (c->only) return;
    for (snum n = 1; n <= last; n++) {
        uint32_t slot = series_slot_of(&h->series, n);
        if (!slot) continue;
        if (!c->last_ref || slot_flags(store_slot(&h->store, slot)) & SLOT_OOO)
            vec_push(&c->series, ((struct place){ n, slot, store_cold(&h->store, slot)->labels }));
    }
}

static int64_t bytes_of(const struct head_chunks *c)
{
    size_t n = c->texts.cap * sizeof(*c->texts.at) + c->series.cap * sizeof(*c->series.at);
    return (int64_t)(n + (c->name_rank.cap + c->pair_rank.cap) * sizeof(uint32_t));
}

static void chunks_open(struct head_chunks **out, const struct head_chunks *of)
{
    struct head_chunks *c = NEW(struct head_chunks);
    struct head *h = of->head;
    *c = *of;
    reclaim_enter(&h->reclaim, &c->reader);
    series_gather(c, atomic_load_explicit(&h->series.last_num, memory_order_acquire));
    /* after the series: it knows the pairs of all of them */
    texts_gather(c);
    if (c->series.n) qsort_r(c->series.at, c->series.n, sizeof(*c->series.at), place_cmp, c);
    account_charge(&head_chunks_account, bytes_of(c));
    c->only = NULL;
    *out = c;
}

errc head_chunks_open(
    struct head_chunks **out, struct head *h, int64_t mint, int64_t maxt, struct err *e)
{
    (void)e;
    head_wait_appenders(h);
    chunks_open(out, &(struct head_chunks){ .head = h, .mint = mint, .maxt = maxt });
    return OK;
}

errc head_chunks_open_some(struct head_chunks **out, struct head *h, const uint32_t *nums, size_t n,
    int64_t mint, int64_t maxt, struct err *e)
{
    (void)e;
    assert(nums);
    head_wait_appenders(h);
    chunks_open(out,
        &(struct head_chunks){ .head = h, .mint = mint, .maxt = maxt, .only = nums, .n_only = n });
    return OK;
}

errc head_chunks_open_ooo(struct head_chunks **out, struct head *h, int64_t mint, int64_t maxt,
    uint64_t last_ref, struct err *e)
{
    (void)e;
    assert(last_ref);
    chunks_open(out, &(struct head_chunks){
                         .head = h, .mint = mint, .maxt = maxt, .last_ref = last_ref });
    return OK;
}

void head_chunks_mend(struct head_chunks *c, struct head_mend *m) { c->mend = m; }

struct head_mend *head_chunks_mended_by(const struct head_chunks *c) { return c->mend; }

errc head_chunks_check(const struct head_chunks *c, struct err *e)
{
    if (!c->mend || !head_mend_wanted(c->mend)) return OK;
    return err_set(e, ERR_CORRUPT, "head: chunks on the disk are damaged");
}

bool head_chunks_next(const struct head_chunks *c, size_t *at, uint32_t *num, uint32_t *slot)
{
    if (*at == c->series.n) return false;
    *num = c->series.at[*at].num;
    *slot = c->series.at[*at].slot;
    ++*at;
    return true;
}

/* The empty string is symbol 0. */
void head_chunks_nums(const struct head_chunks *c, uint32_t slot, label_num_list *out)
{
    const struct series_index *x = &c->head->series;
    const uint8_t *at;
    out->n = 0;
    for (size_t n = series_pairs(x, store_cold(x->store, slot)->labels, &at); n; n--) {
        uint32_t pair = series_next_pair(&at);
        uint32_t name = symbols_pair_at(&x->symbols, pair)->name;
        vec_push(out,
            ((struct label_num){ c->name_rank.at[name] + 1, c->pair_rank.at[pair] + 1 }));
    }
}

/* By the texts: the order of few series is cheaper had so than by ranks of all symbols. */
static int place_text_cmp(const void *a, const void *b, void *ctx)
{
    const struct head_chunks *c = ctx;
    const struct series_index *x = &c->head->series;
    uint32_t ia, ib;
    int order;
    if (!places_differ(x, a, b, &ia, &ib, &order)) return order;
    const struct sym_pair *p = symbols_pair_at(&x->symbols, ia),
                          *q = symbols_pair_at(&x->symbols, ib);
    if (p->name != q->name)
        return str_cmp(symbols_name(&x->symbols, p->name), symbols_name(&x->symbols, q->name));
    return str_cmp(symbols_value(&x->symbols, ia), symbols_value(&x->symbols, ib));
}

errc head_chunks_select(struct head_chunks **out, struct head *h, struct matchers ms, int64_t mint,
    int64_t maxt, struct err *e)
{
    struct head_chunks *c = NEW(struct head_chunks);
    runs found = { 0 };
    c->head = h;
    c->mint = mint;
    c->maxt = maxt;
    c->cut = true;
    left_out_init(&c->left);
    reclaim_enter(&h->reclaim, &c->reader);
    isolation_enter(&h->isolation, &c->isolation);
    errc rc = head_select(h, ms, &found, e);
    for (size_t i = 0; rc == OK && i < found.n; i++)
        for (snum n = found.at[i].start; n < found.at[i].end; n++) series_add(c, n);
    vec_fini(&found);
    if (c->series.n)
        qsort_r(c->series.at, c->series.n, sizeof(*c->series.at), place_text_cmp, c);
    account_charge(&head_chunks_account, bytes_of(c));
    if (rc != OK) head_chunks_close(c);
    else *out = c;
    return rc;
}

void head_chunks_close(struct head_chunks *c)
{
    if (!c) return;
    account_charge(&head_chunks_account, -bytes_of(c));
    if (c->cut) isolation_leave(&c->head->isolation, &c->isolation);
    if (c->cut) left_out_fini(&c->left);
    reclaim_leave(&c->head->reclaim, &c->reader);
    vec_fini(&c->texts);
    vec_fini(&c->name_rank);
    vec_fini(&c->pair_rank);
    vec_fini(&c->series);
    mem_free(c);
}

/* Chunks. */

struct head_chunk_set {
    struct chunk_series_set base;
    struct head_chunks *c;
    size_t at;
    struct arena labels;
    label_num_list nums;
    intervals deleted;
    VEC(struct closed_chunk) closed;
    VEC(struct chunk_copy *) copies;           /* room; the first n_copies are in use */
    size_t n_copies;
    bool open;                                 /* the last copy is of the open chunk */
    struct buf bytes;                          /* of the series' chunks */
    VEC(size_t) offsets;                       /* where each begins in bytes */
    VEC(struct chunk_view) views;
    struct buf whole;                          /* of a chunk that is written in part */
    int64_t maxt;                              /* of what may be seen of this series */
    bool late, hides;                          /* it has late samples; newest ones are hidden */
    uint32_t generation;
    struct sample_iter *seen, *seen_late;      /* of odd series, used again */
    struct chunk_encoder late_chunks;
    struct chunk_series series;
};

static struct chunk_copy *next_copy(struct head_chunk_set *s)
{
    if (s->n_copies == s->copies.n) {
        struct chunk_copy *c = mem_alloc(sizeof(*c));
        c->bytes = (struct buf){ 0 };
        vec_push(&s->copies, c);
    }
    return s->copies.at[s->n_copies++];
}

static void copy_slot(struct head_chunk_set *s, uint32_t slot_i)
{
    const struct store *st = &s->c->head->store;
    struct slot *slot = store_slot(st, slot_i);
    s->closed.n = s->n_copies = 0;
    slot_lock(slot);
    for (unsigned i = 0; i < slot->n_closed; i++)
        vec_push(&s->closed, store_get_closed(st, slot, i));
    for (uint32_t i = slot->sealed; i; i = ((struct sealed *)slab_at(&st->sealed, i))->next) {
        sealed_copy(st, slab_at(&st->sealed, i), next_copy(s));
    }
    s->open = slot->n > 0;
    if (s->open) open_copy(st, slot, next_copy(s));
    const struct ooo *o = s->c->cut ? ooo_of(&s->c->head->ooo, slot, slot_i) : NULL;
    s->late = o && ooo_overlaps(o, s->c->mint, s->c->maxt);
    s->hides = s->c->cut && isolation_hidden(st, slot, &s->c->isolation) > 0;
    s->generation = series_generation(slot);
    slot_unlock(slot);
}

static bool is_hidden(const struct head_chunk_set *s, int64_t mint, int64_t maxt)
{
    return maxt < s->c->mint || mint > s->maxt || intervals_cover(&s->deleted, mint, maxt);
}

static bool is_whole(const struct head_chunk_set *s, int64_t mint, int64_t maxt)
{
    return mint >= s->c->mint && maxt <= s->maxt && !intervals_meet(&s->deleted, mint, maxt);
}

static void view_push(struct head_chunk_set *s, int64_t mint, int64_t maxt, uint8_t enc, size_t n)
{
    vec_push(&s->offsets, s->bytes.n - n);
    vec_push(&s->views, ((struct chunk_view){ mint, maxt, enc, { NULL, n } }));
}

/* What may be shown of a chunk of which some may not. */
static errc add_part(struct head_chunk_set *s, uint8_t enc, str chunk, struct err *e)
{
    struct recoded r;
    TRY(chunk_recode(&r, &s->bytes, enc, chunk, s->c->mint, s->maxt, &s->deleted, e));
    if (r.n) view_push(s, r.mint, r.maxt, enc, r.bytes);
    return OK;
}

static errc add_from_disk(struct head_chunk_set *s, const struct closed_chunk *c, struct err *e)
{
    struct chunk_disk *disk = s->c->head->opts.disk;
    struct chunk_pin pin = { 0 };
    if (!disk) return err_set(e, ERR_NOT_FOUND, "head: no chunk files");
    TRY(chunk_disk_pin(disk, c->disk_ref, 0, &pin, e));
    errc rc = OK;
    if (is_whole(s, c->mint, c->maxt)) {
        buf_str(&s->bytes, pin.data);
        view_push(s, c->mint, c->maxt, pin.enc, pin.data.n);
    } else {
        rc = add_part(s, pin.enc, pin.data, e);
    }
    errc un = chunk_disk_unpin(disk, &pin, e);
    return un != OK ? un : rc;
}

static errc add_mended(
    struct head_chunk_set *s, sref ref, const struct closed_chunk *c, struct err *e)
{
    struct head_lost lost = { ref, c->mint, c->maxt, c->disk_ref, c->n, c->enc, false };
    const struct chunk_encoder *made = head_mend_get(s->c->mend, &lost);
    for (size_t i = 0; made && i < made->chunks.n; i++) {
        const struct encoded_chunk *x = &made->chunks.at[i];
        str data = encoded_chunk_data(made, i);
        bool whole = is_whole(s, x->mint, x->maxt);
        if (is_hidden(s, x->mint, x->maxt)) continue;
        if (whole) buf_str(&s->bytes, data);
        if (whole) view_push(s, x->mint, x->maxt, x->enc, data.n);
        else TRY(add_part(s, x->enc, data, e));
    }
    return OK;
}

/* One that is damaged a reader does without; for a block the log may have it. */
static errc add_closed(
    struct head_chunk_set *s, sref ref, const struct closed_chunk *c, struct err *e)
{
    struct err why = { 0 };
    if (is_hidden(s, c->mint, c->maxt)) return OK;
    errc rc = add_from_disk(s, c, &why);
    if (rc == ERR_CORRUPT && s->c->mend) return add_mended(s, ref, c, e);
    if (rc == OK || head_leaves_out(s->c->cut ? &s->c->left : NULL, rc, &why)) return OK;
    return err_set(e, rc, "%s", why.msg);
}

/* Prometheus cuts an open chunk to the range of the block, also where nothing is cut off: what is
 * written anew does not say whether it began with a reset. */
static errc add_copy(struct head_chunk_set *s, struct chunk_copy *c, bool open, struct err *e)
{
    if (!c->n || is_hidden(s, c->mint, c->maxt)) return OK;
    uint8_t enc = chunk_copy_enc(c);
    if (is_whole(s, c->mint, c->maxt)) {
        size_t n = chunk_copy_encode(c, &s->bytes);
        view_push(s, c->mint, c->maxt, enc, n);
        if (open && !s->c->cut && !chunk_enc_is_float(enc))
            hist_chunk_forget(enc, s->bytes.p + s->bytes.n - n);
        return OK;
    }
    buf_reset(&s->whole);
    (void)chunk_copy_encode(c, &s->whole);
    return add_part(s, enc, buf_view(&s->whole), e);
}

/* Selected series that are odd. In one with late samples all are read by time, for chunks of its
 * own. In one of whose newest samples some are hidden what may be seen ends with the last that is
 * not. */

static struct head_iter_of odd_of(const struct head_chunk_set *s, const struct place *p)
{
    struct head_chunks *c = s->c;
    sref ref = store_cold(&c->head->store, p->slot)->ref;
    return (struct head_iter_of){
        p->slot, s->generation, ref, c->mint, c->maxt, &c->isolation, &c->left
    };
}

static errc last_seen(struct head_chunk_set *s, const struct place *p, struct err *e)
{
    struct head_iter_of of = odd_of(s, p);
    if (!s->seen) s->seen = head_iter_new(s->c->head);
    head_iter_reset(s->seen, &of);
    s->maxt = INT64_MIN;
    for (struct sample_batch b = { .n = 1 }; b.n;) {
        TRY(sample_iter_fill(s->seen, &b, e));
        if (b.n) s->maxt = b.t[b.n - 1];
    }
    return OK;
}

static errc gather_late(struct head_chunk_set *s, const struct place *p, struct err *e)
{
    struct head_iter_of of = odd_of(s, p);
    if (!s->seen_late) s->seen_late = ooo_iter_new(s->c->head);
    ooo_iter_reset(s->seen_late, &of);
    chunk_encoder_begin(
        &s->late_chunks, &(struct chunk_rules){ CHUNKS_BY_BYTES, .floats = CHUNK_XOR });
    for (struct sample_batch b = { .n = 1 }; b.n;) {
        TRY(sample_iter_fill(s->seen_late, &b, e));
        chunk_encoder_put(&s->late_chunks, &b);
    }
    chunk_encoder_end(&s->late_chunks);
    return OK;
}

static errc add_late(struct head_chunk_set *s, const struct place *p, struct err *e)
{
    TRY(gather_late(s, p, e));
    s->closed.n = s->n_copies = 0;
    for (size_t i = 0; i < s->late_chunks.chunks.n; i++) {
        const struct encoded_chunk *c = &s->late_chunks.chunks.at[i];
        buf_str(&s->bytes, encoded_chunk_data(&s->late_chunks, i));
        view_push(s, c->mint, c->maxt, c->enc, c->n);
    }
    return OK;
}

static errc set_step(struct head_chunk_set *s, const struct place *p, struct err *e)
{
    struct head *h = s->c->head;
    s->views.n = s->offsets.n = s->deleted.n = 0;
    buf_reset(&s->bytes);
    sref ref = store_cold(&h->store, p->slot)->ref;
    head_tombstones_get(&h->tombstones, ref, &s->deleted);
    copy_slot(s, p->slot);
    s->maxt = s->c->maxt;
    if (s->late) TRY(add_late(s, p, e));
    else if (s->hides) TRY(last_seen(s, p, e));
    for (size_t i = 0; i < s->closed.n; i++) TRY(add_closed(s, ref, &s->closed.at[i], e));
    for (size_t i = 0; i < s->n_copies; i++)
        TRY(add_copy(s, s->copies.at[i], s->open && i + 1 == s->n_copies, e));
    for (size_t i = 0; i < s->views.n; i++) s->views.at[i].data.p = s->bytes.p + s->offsets.at[i];
    return OK;
}

/* Selected ones as texts. False: it was collected meanwhile. */
static bool set_labels(struct head_chunk_set *s, const struct place *p)
{
    const struct series_index *x = &s->c->head->series;
    s->series = (struct chunk_series){ 0 };
    if (!s->c->cut) {
        head_chunks_nums(s->c, p->slot, &s->nums);
        s->series.nums = (struct label_nums){ s->nums.at, s->nums.n };
        return true;
    }
    arena_reset(&s->labels, (struct arena_mark){ 0 });
    return series_labels(x, p->num, p->slot, &s->labels, &s->series.labels);
}

static errc set_next(struct chunk_series_set *base, const struct chunk_series **out, struct err *e)
{
    struct head_chunk_set *s = CONTAINER_OF(base, struct head_chunk_set, base);
    *out = NULL;
    while (s->at < s->c->series.n) {
        const struct place *p = &s->c->series.at[s->at++];
        /* collected meanwhile: it held nothing */
        if (series_slot_of(&s->c->head->series, p->num) != p->slot) continue;
        TRY_IN(e, set_step(s, p, e), "head");
        if (!s->views.n || !set_labels(s, p)) continue;
        s->series.chunks = s->views.at;
        s->series.n = s->views.n;
        *out = &s->series;
        return OK;
    }
    return head_chunks_check(s->c, e);
}

static void set_free(struct chunk_series_set *base)
{
    struct head_chunk_set *s = CONTAINER_OF(base, struct head_chunk_set, base);
    for (size_t i = 0; i < s->copies.n; i++) {
        buf_fini(&s->copies.at[i]->bytes);
        mem_free(s->copies.at[i]);
    }
    vec_fini(&s->copies);
    chunk_encoder_fini(&s->late_chunks);
    sample_iter_free(s->seen);
    sample_iter_free(s->seen_late);
    vec_fini(&s->closed);
    vec_fini(&s->deleted);
    vec_fini(&s->offsets);
    vec_fini(&s->views);
    buf_fini(&s->whole);
    buf_fini(&s->bytes);
    vec_fini(&s->nums);
    arena_fini(&s->labels);
    mem_free(s);
}
static void set_warn(struct chunk_series_set *base, str_list *out)
{
    struct head_chunks *c = CONTAINER_OF(base, struct head_chunk_set, base)->c;
    if (c->cut) left_out_list(&c->left, out);
}
static const struct chunk_series_set_ops head_chunk_set_ops = { set_next, set_free, set_warn };

struct chunk_series_set *head_chunks_series(struct head_chunks *c)
{
    if (c->last_ref) return ooo_chunk_set_new(c, c->head, c->mint, c->maxt, c->last_ref);
    struct head_chunk_set *s = NEW(struct head_chunk_set);
    s->base.ops = &head_chunk_set_ops;
    s->c = c;
    buf_init(&s->bytes, &head_chunks_account, 0);
    return &s->base;
}
