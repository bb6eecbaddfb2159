#include "head/ooo.h"

#include "chunk/chunk.h"
#include "chunk/xor.h"

ACCOUNT(ooo_account, "out_of_order")

enum { CAP_FIRST = 4, PAGE_BYTES = sizeof(struct ooo *) << OOO_PAGE_BITS };

typedef struct ooo **_Atomic ooo_page;

void ooo_table_init(struct ooo_table *t)
{
    *t = (struct ooo_table){ 0 };
    mtx_init(&t->mu, LOCK_LEAF);
}

static void ooo_free(struct ooo *o)
{
    account_charge(&ooo_account, -(int64_t)o->charged);
    vec_fini(&o->closed);
    mem_free(o->open);
    mem_free(o);
}

void ooo_table_fini(struct ooo_table *t)
{
    ooo_page *pages = atomic_load_explicit(&t->pages, memory_order_relaxed);
    for (size_t p = 0; pages && p < OOO_PAGES; p++) {
        struct ooo **page = atomic_load_explicit(&pages[p], memory_order_relaxed);
        for (size_t i = 0; page && i < 1u << OOO_PAGE_BITS; i++)
            if (page[i]) ooo_free(page[i]);
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
    struct ooo *o = ooo_of(t, s, slot);
    if (!o) return;
    *ooo_place(t, slot) = NULL;
    slot_flag(s, 0, SLOT_OOO);
    ooo_free(o);
}

void ooo_read_open(const struct ooo *o, struct ooo_array *out)
{
    out->n = o->n;
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

bool ooo_shows(const struct ooo *o, int64_t mint, int64_t maxt, const intervals *deleted)
{
    if (o->n && ooo_open_mint(o) <= maxt && ooo_open_maxt(o) >= mint) return true;
    for (size_t i = 0; i < o->closed.n; i++) {
        const struct ooo_chunk *c = &o->closed.at[i];
        if (c->mint <= maxt && c->maxt >= mint && !intervals_cover(deleted, c->mint, c->maxt))
            return true;
    }
    return false;
}

bool ooo_insert(struct ooo_array *a, int64_t t, double v)
{
    uint32_t i = a->n;
    assert(a->n < OOO_CAP);
    while (i > 0 && a->at[i - 1].t > t) i--;   /* late samples come in order, mostly */
    if (i > 0 && a->at[i - 1].t == t) return false;
    memmove(&a->at[i + 1], &a->at[i], (a->n - i) * sizeof(a->at[0]));
    a->at[i] = (struct ooo_sample){ t, f64_bits(v) };
    a->n++;
    return true;
}

void ooo_encode(const struct ooo_array *a, sref ref, struct buf *bytes, struct chunk_desc *desc)
{
    int64_t t[OOO_CAP];
    double v[OOO_CAP];
    assert(a->n > 0);
    for (uint32_t i = 0; i < a->n; i++) {
        t[i] = a->at[i].t;
        v[i] = f64_of_bits(a->at[i].v);
    }
    size_t n = xor_encode(buf_room(bytes, XOR_ROOM(a->n)), t, v, a->n);
    buf_commit(bytes, n);
    *desc = (struct chunk_desc){ .series = ref, .mint = t[0], .maxt = t[a->n - 1],
        .enc = CHUNK_XOR, .ooo = true, .data = { NULL, n } };
}
