/* range_pages.c — the table of pages, their memory, and the file behind.
 *
 *   (none) --add--> LOADING --came--> READY --evict, with a copy--> ON_DISK --claim--> LOADING
 *                       |                 \--evict, without--> (none)
 *                       \--failed--> FAILED, gone from the table
 *
 * A copy in the file is kept beside the page in memory, so that what is evicted need not be written
 * then. Where no slot is free, the page whose copy was read longest ago gives up its own. */
#include "bucket/range_pages.h"

#include "base/account.h"
#include "base/crc32c.h"
#include "bucket/page_file.h"

#include <stdatomic.h>

ACCOUNT(range_account, "bucket_caches")

void range_pages_charge(int64_t bytes) { account_charge(&range_account, bytes); }

/* ---- rings */

static void ring_init(struct page_link *r) { r->prev = r->next = r; }
static bool ring_empty(const struct page_link *r) { return r->next == r; }
static void ring_put(struct page_link *r, struct page_link *l)
{
    *l = (struct page_link){ r, r->next };
    l->next->prev = l;
    r->next = l;
}
/* One that is in no ring is left as it is. */
static void ring_take(struct page_link *l)
{
    if (!l->next) return;
    l->prev->next = l->next;
    l->next->prev = l->prev;
    *l = (struct page_link){ 0 };
}

void page_owner_init(struct page_owner *o, uint64_t size_bytes)
{
    static _Atomic uint64_t ids;
    *o = (struct page_owner){ .size_bytes = size_bytes };
    o->id = 1 + atomic_fetch_add_explicit(&ids, 1, memory_order_relaxed);
    ring_init(&o->pages);
}

void range_pages_init(
    struct range_pages *t, uint64_t budget, size_t page_bytes, struct page_file *behind)
{
    *t = (struct range_pages){ .budget = budget, .page_bytes = page_bytes, .file = behind };
    mtx_init(&t->mu, LOCK_LEAF);
    frames_init(&t->frames, page_bytes);
    ring_init(&t->used);
    ring_init(&t->kept);
}

void range_pages_fini(struct range_pages *t)
{
    assert(!t->table.n);
    page_file_close(t->file);
    map_fini(&t->table);
    frames_fini(&t->frames);
    mtx_fini(&t->mu);
}

/* ---- the table */

struct page_key { const struct page_owner *o; uint64_t index; };
static uint64_t key_hash(struct page_key k)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15); /* 2^64 by the golden ratio */
    uint64_t h = (k.o->id * odd + k.index) * odd;
    return h ^ h >> 32;
}
static bool key_eq(const void *val, const void *key)
{
    const struct range_page *p = val;
    const struct page_key *k = key;
    return p->owner == k->o && p->index == k->index;
}

struct range_page *range_pages_find(
    const struct range_pages *t, const struct page_owner *o, uint64_t index)
{
    struct page_key k = { o, index };
    return map_find(&t->table, key_hash(k), key_eq, &k);
}

struct range_page *range_pages_add(struct range_pages *t, struct page_owner *o, uint64_t index)
{
    struct range_page *p = NEW(struct range_page);
    uint64_t off = index * t->page_bytes;
    *p = (struct range_page){ .owner = o, .index = index };
    p->n = (size_t)MIN((uint64_t)t->page_bytes, o->size_bytes - off);
    range_pages_charge(sizeof(*p));
    ring_put(&o->pages, &p->mates);
    map_put(&t->table, key_hash((struct page_key){ o, index }), p);
    t->loading += p->n;
    return p;
}

static void page_unmap(struct range_pages *t, struct range_page *p)
{
    struct page_key k = { p->owner, p->index };
    if (p->gone) return;
    p->gone = true;
    map_remove(&t->table, key_hash(k), key_eq, &k);
}

void range_page_hold(struct range_page *p)
{
    ring_take(&p->used);
    p->refs++;
}

/* ---- memory */

void range_page_room(struct range_pages *t, struct range_page *p)
{
    p->fresh = p->n == t->page_bytes ? frames_take(&t->frames, &p->slab) : mem_alloc(p->n);
}

static void page_room_give(struct range_pages *t, struct range_page *p, uint8_t *at)
{
    if (p->slab && at) frames_give(&t->frames, STEAL(p->slab), at);
    else mem_free(at);
}

static void slot_give(struct range_pages *t, struct range_page *p)
{
    if (!p->slot) return;
    ring_take(&p->kept);
    t->disk_bytes -= p->n;
    page_file_give(t->file, p->slot);
    p->slot = 0;
}

/* Its bytes are no longer in memory. */
static void page_empty(struct range_pages *t, struct range_page *p)
{
    if (!p->at) return;
    t->bytes -= p->n;
    range_pages_charge(-(int64_t)p->n);
    page_room_give(t, p, STEAL(p->at));
}

static void page_drop(struct range_pages *t, struct range_page *p)
{
    page_unmap(t, p);
    ring_take(&p->used);
    ring_take(&p->mates);
    slot_give(t, p);
    page_empty(t, p);
    range_pages_charge(-(int64_t)sizeof(*p));
    mem_free((void *)p->why.p);
    mem_free(p);
}

void range_page_release(struct range_pages *t, struct range_page *p)
{
    assert(p->refs > 0);
    if (--p->refs) return;
    if (p->state == PAGE_READY && !p->gone) ring_put(&t->used, &p->used);
    else page_drop(t, p);
}

void range_page_forget(struct range_pages *t, struct range_page *p)
{
    page_unmap(t, p);
    if (!p->refs) page_drop(t, p);
}

void range_pages_forget(struct range_pages *t, struct page_owner *o)
{
    for (struct page_link *l = o->pages.next, *next; l != &o->pages; l = next) {
        next = l->next;
        range_page_forget(t, CONTAINER_OF(l, struct range_page, mates));
    }
}

void range_pages_evict(struct range_pages *t)
{
    while (t->bytes > t->budget && !ring_empty(&t->used)) {
        struct range_page *p = CONTAINER_OF(t->used.prev, struct range_page, used);
        t->evicted++;
        if (p->slot) {
            ring_take(&p->used);
            page_empty(t, p);
            p->state = PAGE_ON_DISK;
        } else {
            page_drop(t, p);
        }
    }
}

void range_page_came(struct range_pages *t, struct range_page *p)
{
    assert(p->state == PAGE_LOADING);
    t->loading -= p->n;
    p->at = STEAL(p->fresh);
    p->state = PAGE_READY;
    t->bytes += p->n;
    range_pages_charge((int64_t)p->n);
}

void range_page_failed(struct range_pages *t, struct range_page *p, errc rc, str why)
{
    assert(p->state == PAGE_LOADING);
    t->loading -= p->n;
    page_unmap(t, p);
    page_room_give(t, p, STEAL(p->fresh));
    p->rc = rc;
    p->why = mem_str(why);
    p->state = PAGE_FAILED;
}

/* ---- the file behind */

/* 0: none is to be had. The page that was read longest ago makes room. */
static uint32_t slot_for(struct range_pages *t)
{
    uint32_t slot = page_file_take(t->file);
    if (slot || ring_empty(&t->kept)) return slot;
    struct range_page *last = CONTAINER_OF(t->kept.prev, struct range_page, kept);
    slot_give(t, last);
    if (last->state == PAGE_ON_DISK) page_drop(t, last);
    return page_file_take(t->file);
}

void range_pages_spill(struct range_pages *t, struct range_page *p, page_spills *out)
{
    uint32_t slot = t->file && !page_file_rests(t->file) ? slot_for(t) : 0;
    if (!slot) return;
    range_page_hold(p);
    vec_push(out, ((struct page_spill){ p, slot }));
}

/* How many of them, from the first on, went to the disk: those in slots in a row by one write. */
static size_t spill_write(struct range_pages *t, const struct page_spill *v, size_t n)
{
    enum { AT_ONCE = 64 };
    str bytes[AT_ONCE];
    size_t k = 0;
    for (; k < MIN(n, (size_t)AT_ONCE) && v[k].slot == v[0].slot + k; k++) {
        struct range_page *p = v[k].p;
        if (k && v[k - 1].p->n != t->page_bytes) break;
        bytes[k] = str_of(p->at, p->n);
        p->crc = crc32c(0, p->at, p->n);
    }
    return page_file_put(t->file, v[0].slot, bytes, k) ? k : 0;
}

void range_pages_write(struct range_pages *t, page_spills *v)
{
    size_t done = 0, n = 1;
    while (done < v->n && n) {
        n = spill_write(t, v->at + done, v->n - done);
        done += n;
    }
    if (!v->n) return;
    mtx_lock(&t->mu);
    for (size_t i = 0; i < v->n; i++) {
        struct range_page *p = v->at[i].p;
        if (i >= done || p->gone) {
            page_file_give(t->file, v->at[i].slot);
        } else {
            p->slot = v->at[i].slot;
            t->disk_bytes += p->n;
            ring_put(&t->kept, &p->kept);
        }
        range_page_release(t, p);
    }
    range_pages_evict(t);
    mtx_unlock(&t->mu);
    vec_fini(v);
}

void range_page_claim(struct range_pages *t, struct range_page *p, page_list *out)
{
    assert(p->state == PAGE_ON_DISK);
    ring_take(&p->kept);
    p->state = PAGE_LOADING;
    t->loading += p->n;
    vec_push(out, p);
}

void range_pages_load(struct range_pages *t, const page_list *v, page_list *fresh)
{
    mtx_lock(&t->mu);
    for (size_t i = 0; i < v->n; i++) range_page_room(t, v->at[i]);
    mtx_unlock(&t->mu);
    for (size_t i = 0; i < v->n; i++) {
        struct range_page *p = v->at[i];
        p->whole = page_file_get(t->file, p->slot, p->fresh, p->n) &&
                   crc32c(0, p->fresh, p->n) == p->crc;
    }
    mtx_lock(&t->mu);
    for (size_t i = 0; i < v->n; i++) {
        struct range_page *p = v->at[i];
        if (p->whole) {
            range_page_came(t, p);
            ring_put(&t->kept, &p->kept);
        } else {
            slot_give(t, p);
            page_room_give(t, p, STEAL(p->fresh));
            vec_push(fresh, p);
        }
    }
}
