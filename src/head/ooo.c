#include "head/ooo.h"

#include "model/histogram.h"

ACCOUNT(ooo_account, "out_of_order")

enum { CAP_FIRST = 4, PAGE_BYTES = sizeof(struct ooo *) << OOO_PAGE_BITS };

typedef struct ooo **_Atomic ooo_page;

void ooo_table_init(struct ooo_table *t, struct reclaim *rc)
{
    *t = (struct ooo_table){ .reclaim = rc };
    mtx_init(&t->mu, LOCK_LEAF);
}

static void ooo_free(struct ooo *o)
{
    account_charge(&ooo_account, -(int64_t)o->charged);
    vec_fini(&o->closed);
    mem_free(o->open);
    mem_free(o);
}

static void ooo_fini(struct ooo *o)
{
    for (unsigned i = 0; i < o->n; i++) ooo_value_free(&o->open[i].x);
    ooo_free(o);
}

void ooo_table_fini(struct ooo_table *t)
{
    ooo_page *pages = atomic_load_explicit(&t->pages, memory_order_relaxed);
    for (size_t p = 0; p < t->n_pages; p++) {
        struct ooo **page = atomic_load_explicit(&pages[p], memory_order_relaxed);
        for (size_t i = 0; page && i < 1u << OOO_PAGE_BITS; i++)
            if (page[i]) ooo_fini(page[i]);
        if (page) account_charge(&ooo_account, -(int64_t)PAGE_BYTES);
        mem_free(page);
    }
    mem_free(pages);
    mtx_fini(&t->mu);
}

/* The place of a slot's entry; its page is made if need be. */
static struct ooo **ooo_place(struct ooo_table *t, uint32_t slot)
{
    uint32_t p = slot >> OOO_PAGE_BITS, i = slot & ((1u << OOO_PAGE_BITS) - 1);
    mtx_lock(&t->mu);
    ooo_page *pages = atomic_load_explicit(&t->pages, memory_order_relaxed);
    if (!pages) {
        pages = mem_zalloc(OOO_PAGES * sizeof(*pages));
        atomic_store_explicit(&t->pages, pages, memory_order_release);
    }
    struct ooo **page = atomic_load_explicit(&pages[p], memory_order_relaxed);
    if (!page) {
        page = mem_zalloc(PAGE_BYTES);
        account_charge(&ooo_account, PAGE_BYTES);
        t->n_pages = MAX(t->n_pages, (size_t)p + 1);
        atomic_store_explicit(&pages[p], page, memory_order_release);
    }
    mtx_unlock(&t->mu);
    return &page[i];
}

struct ooo *ooo_of(const struct ooo_table *t, const struct slot *s, uint32_t slot)
{
    if (LIKELY(!(slot_flags(s) & SLOT_OOO))) return NULL;
    ooo_page *pages = atomic_load_explicit(&t->pages, memory_order_acquire);
    struct ooo **page = atomic_load_explicit(&pages[slot >> OOO_PAGE_BITS], memory_order_acquire);
    struct ooo *o = page[slot & ((1u << OOO_PAGE_BITS) - 1)];
    assert(o);
    return o;
}

static void ooo_charge(struct ooo *o)
{
    size_t now = sizeof(*o) + o->closed.cap * sizeof(*o->closed.at) + o->cap * sizeof(*o->open);
    account_charge(&ooo_account, (int64_t)now - (int64_t)o->charged);
    o->charged = now;
}

struct ooo *ooo_make(struct ooo_table *t, struct slot *s, uint32_t slot)
{
    struct ooo *o = ooo_of(t, s, slot);
    if (o) return o;
    struct ooo **at = ooo_place(t, slot);
    assert(!*at);
    *at = o = NEW(struct ooo);
    ooo_charge(o);
    slot_flag(s, SLOT_OOO, 0);
    return o;
}

void ooo_drop(struct ooo_table *t, struct slot *s, uint32_t slot)
{
    struct ooo_array a;
    struct ooo *o = ooo_of(t, s, slot);
    if (!o) return;
    ooo_read_open(o, &a);
    ooo_array_retire(t, &a);
    *ooo_place(t, slot) = NULL;
    slot_flag(s, 0, SLOT_OOO);
    ooo_free(o);
}

void ooo_read_open(const struct ooo *o, struct ooo_array *out)
{
    out->n = o->n;
    out->after = o->after;
    if (o->n) memcpy(out->at, o->open, o->n * sizeof(*o->open));
}

void ooo_set_open(struct ooo *o, const struct ooo_array *a)
{
    assert(a->n <= OOO_CAP);
    if (!a->n || a->n > o->cap) {
        mem_free(o->open);
        o->open = NULL;
        o->cap = a->n ? CAP_FIRST : 0;
        while (o->cap < a->n) o->cap = (uint8_t)(o->cap * 2);
        if (o->cap) o->open = mem_alloc_array(o->cap, sizeof(*o->open));
        ooo_charge(o);
    }
    if (a->n) memcpy(o->open, a->at, a->n * sizeof(*o->open));
    o->n = (uint8_t)a->n;
    o->after = a->after;
}

void ooo_add_closed(struct ooo *o, const struct ooo_chunk *c)
{
    vec_push(&o->closed, *c);
    ooo_charge(o);
}

size_t ooo_drop_closed(struct ooo *o, uint64_t last_ref)
{
    size_t n = 0, kept = 0;
    while (n < o->closed.n && o->closed.at[n].disk_ref <= last_ref) n++;
    for (size_t i = n; i < o->closed.n; i++) o->closed.at[kept++] = o->closed.at[i];
    o->closed.n = kept;
    if (n && !kept) vec_fini(&o->closed);
    ooo_charge(o);
    return n;
}

void ooo_span(const struct ooo *o, int64_t *mint, int64_t *maxt)
{
    if (o->n) {
        *mint = MIN(*mint, ooo_open_mint(o));
        *maxt = MAX(*maxt, ooo_open_maxt(o));
    }
    for (size_t i = 0; i < o->closed.n; i++) {
        *mint = MIN(*mint, o->closed.at[i].mint);
        *maxt = MAX(*maxt, o->closed.at[i].maxt);
    }
}

bool ooo_overlaps(const struct ooo *o, int64_t mint, int64_t maxt)
{
    if (o->n && ooo_open_mint(o) <= maxt && ooo_open_maxt(o) >= mint) return true;
    for (size_t i = 0; i < o->closed.n; i++)
        if (o->closed.at[i].mint <= maxt && o->closed.at[i].maxt >= mint) return true;
    return false;
}

bool ooo_shows(
    const struct ooo *o, int64_t mint, int64_t maxt, const head_deletions *deleted)
{
    if (o->n && ooo_open_mint(o) <= maxt && ooo_open_maxt(o) >= mint) return true;
    for (size_t i = 0; i < o->closed.n; i++) {
        const struct ooo_chunk *c = &o->closed.at[i];
        if (c->mint <= maxt && c->maxt >= mint &&
            !head_deletions_cover(deleted, c->after, c->mint, c->maxt))
            return true;
    }
    return false;
}

/* Is a deletion from the array's `after` to `now` to tell it from a sample of that time? */
static bool tells(const struct ooo_array *a, const struct head_deletion *x, uint32_t now, int64_t t)
{
    return x->number > a->after && x->number <= now && x->mint <= t && t <= x->maxt;
}

bool ooo_is_behind(struct ooo_array *a, int64_t t, const head_deletions *deleted, uint32_t now)
{
    bool behind = false, hides = false;
    if (!a->n) a->after = now;
    for (size_t i = 0; i < deleted->n && !behind; i++) behind = tells(a, &deleted->at[i], now, t);
    for (size_t i = 0; i < deleted->n && behind && !hides; i++)
        for (uint32_t k = 0; k < a->n && !hides; k++)
            hides = tells(a, &deleted->at[i], now, a->at[k].t);
    if (behind && !hides) a->after = now;
    return hides;
}

bool ooo_insert(struct ooo_array *a, int64_t t, const struct ooo_value *x)
{
    uint32_t i = a->n;
    assert(a->n < OOO_CAP);
    while (i > 0 && a->at[i - 1].t > t) i--;   /* late samples come in order, mostly */
    if (i > 0 && a->at[i - 1].t == t) return false;
    memmove(&a->at[i + 1], &a->at[i], (a->n - i) * sizeof(a->at[0]));
    a->at[i] = (struct ooo_sample){ t, *x };
    a->n++;
    return true;
}

/* Values. */

/* One piece of memory: what is copied, then its arrays. */
struct piece { uint8_t *at; };
enum { PIECE_HEAD = 16 };                      /* before it: how long it is */

static void *piece_take(struct piece *p, const void *from, size_t bytes)
{
    void *to = p->at;
    if (bytes) memcpy(to, from, bytes);
    p->at += (bytes + 7) / 8 * 8;
    return to;
}

static struct piece piece_new(size_t bytes)
{
    bytes += PIECE_HEAD;
    uint8_t *at = mem_alloc(bytes);
    memcpy(at, &bytes, sizeof(bytes));
    account_charge(&ooo_account, (int64_t)bytes);
    return (struct piece){ at + PIECE_HEAD };
}

static void piece_free(void *p)
{
    size_t bytes;
    uint8_t *at = (uint8_t *)p - PIECE_HEAD;
    memcpy(&bytes, at, sizeof(bytes));
    account_charge(&ooo_account, -(int64_t)bytes);
    mem_free(at);
}

static const struct int_histogram *copy_whole(const struct int_histogram *h)
{
    size_t bytes = sizeof(*h) + h->n_custom * sizeof(double);
    bytes += (h->pos.n_spans + h->neg.n_spans) * sizeof(struct span);
    bytes += (h->pos.n + h->neg.n) * sizeof(int64_t);
    struct piece p = piece_new(bytes);
    struct int_histogram *c = piece_take(&p, h, sizeof(*h));
    c->pos.spans = piece_take(&p, h->pos.spans, h->pos.n_spans * sizeof(struct span));
    c->neg.spans = piece_take(&p, h->neg.spans, h->neg.n_spans * sizeof(struct span));
    c->pos.deltas = piece_take(&p, h->pos.deltas, h->pos.n * sizeof(int64_t));
    c->neg.deltas = piece_take(&p, h->neg.deltas, h->neg.n * sizeof(int64_t));
    c->custom = piece_take(&p, h->custom, h->n_custom * sizeof(double));
    return c;
}

static const struct histogram *copy_floats(const struct histogram *h)
{
    size_t bytes = sizeof(*h) + h->n_custom * sizeof(double);
    bytes += (h->pos.n_spans + h->neg.n_spans) * sizeof(struct span);
    bytes += (h->pos.n + h->neg.n) * sizeof(double);
    struct piece p = piece_new(bytes);
    struct histogram *c = piece_take(&p, h, sizeof(*h));
    c->pos.spans = piece_take(&p, h->pos.spans, h->pos.n_spans * sizeof(struct span));
    c->neg.spans = piece_take(&p, h->neg.spans, h->neg.n_spans * sizeof(struct span));
    c->pos.at = piece_take(&p, h->pos.at, h->pos.n * sizeof(double));
    c->neg.at = piece_take(&p, h->neg.at, h->neg.n * sizeof(double));
    c->custom = piece_take(&p, h->custom, h->n_custom * sizeof(double));
    return c;
}

struct ooo_value ooo_value_copy(const struct ooo_value *x)
{
    struct ooo_value c = *x;
    if (x->kind == SAMPLE_HISTOGRAM) c.ih = copy_whole(x->ih);
    if (x->kind == SAMPLE_FLOAT_HISTOGRAM) c.h = copy_floats(x->h);
    return c;
}

static void *value_piece(const struct ooo_value *x)
{
    if (x->kind == SAMPLE_FLOAT) return NULL;
    return x->kind == SAMPLE_HISTOGRAM ? (void *)(uintptr_t)x->ih : (void *)(uintptr_t)x->h;
}

void ooo_value_free(const struct ooo_value *x)
{
    void *p = value_piece(x);
    if (p) piece_free(p);
}

static void piece_end(void *ctx, void *p)
{
    (void)ctx;
    piece_free(p);
}

void ooo_array_retire(struct ooo_table *t, const struct ooo_array *a)
{
    for (uint32_t i = 0; i < a->n; i++) {
        void *p = value_piece(&a->at[i].x);
        if (p) reclaim_retire(t->reclaim, p, NULL, piece_end);
    }
}

/* Chunks. */

bool ooo_is_plain(const struct store *st, const struct ooo_array *a)
{
    if (atomic_load_explicit(&st->float_enc, memory_order_relaxed) != CHUNK_XOR) return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (a->at[i].x.kind != SAMPLE_FLOAT) return false;
    return true;
}

void ooo_encode(const struct store *st, const struct ooo_array *a, struct chunk_encoder *w)
{
    struct chunk_rules by = { .rule = CHUNKS_FIXED,
        .floats = atomic_load_explicit(&st->float_enc, memory_order_relaxed),
        .hist_st = st->histogram_st };
    struct sample_batch b = { .n = 0 };
    int64_t starts[OOO_CAP];
    assert(a->n > 0);
    chunk_encoder_begin(w, &by);
    for (uint32_t i = 0; i < a->n; i++) {
        const struct ooo_sample *s = &a->at[i];
        b.kind = s->x.kind;
        starts[b.n] = s->x.st;
        b.t[b.n] = s->t;
        if (b.kind == SAMPLE_FLOAT) b.v[b.n] = s->x.v;
        else if (b.kind == SAMPLE_HISTOGRAM) b.ih[b.n] = s->x.ih;
        else b.h[b.n] = s->x.h;
        b.n++;
        if (i + 1 < a->n && a->at[i + 1].x.kind == b.kind) continue;
        b.st = starts;
        chunk_encoder_put(w, &b);
        b.n = 0;
    }
    chunk_encoder_end(w);
}
