/* range_cache.c — pages, and the reads that bring them.
 *
 * A page that is missing is put into the table at once, in the state of loading, so that it is
 * fetched once whoever asks meanwhile. Pages that are to be fetched are joined to reads where they
 * lie near each other; a read waits in its source's queue until one of the source's SOURCE_READS
 * turns is free. Who waits for a page holds it, and lets it go when his time is over: the read ends
 * by itself, some time. What came is written to the file behind by the thread that read it, once
 * those who wait for it have been told; who needs a page that lies there reads it himself. */
#include "bucket/range_cache.h"

#include "base/account.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/frames.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/vec.h"
#include "bucket/page_file.h"
#include "io/work.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    READ_BYTES_MAX = 4 << 20,
    ALONE_BYTES = 1 << 20,
    ALONG_BYTES_ALWAYS = 256 << 10,
    WANTED_MAX = 1024
};
#define MS_NS INT64_C(1000000)

ACCOUNT(range_account, "bucket_caches")

/* Rings: one of a ring's head alone is empty. */
struct link { struct link *prev, *next; };

enum page_state { PAGE_LOADING, PAGE_READY, PAGE_FAILED, PAGE_ON_DISK };
struct page {
    struct range_source *s;
    uint64_t index;
    enum page_state state; /* all of these: GUARDED_BY(cache mu) */
    uint32_t refs;
    uint32_t slot, crc;        /* of the file behind; 0: it has none */
    uint8_t *at, *fresh;       /* fresh: of the read that is under way */
    struct frame_slab *slab;   /* of either; NULL: of the heap, as it is shorter than a page */
    size_t n;
    bool whole;                /* what the file behind had; of who reads it there */
    bool counted;              /* as bytes of who asked for it first */
    bool gone;                 /* from the table: nobody finds it any more */
    int64_t anew_ns;           /* range_again; 0: it was never wrong */
    errc rc;
    str why;                   /* heap */
    struct link used;          /* in the order of use; only of ready pages that nobody holds */
    struct link kept;          /* pages with a slot that nobody reads, in the order of reading */
    struct link mates;         /* of the source */
};
typedef VEC(struct page *) page_list;
typedef VEC(struct byte_span) span_list;

/* Bytes of one pin alone. */
struct alone {
    size_t n;
    uint8_t at[];
};

struct read {
    struct read *next;
    uint64_t off;
    size_t n;
    page_list pages; /* by index, each held; none: `alone` is what is read into */
    struct alone *alone;
    bool anew; /* const */
    bool done, left; /* GUARDED_BY(cache mu), of `alone`: it came; nobody waits any more */
    errc rc;
    str why;
};

struct range_cache {
    struct mtx mu; /* LOCK_LEAF */
    uint64_t budget;       /* const after init, with page_bytes and file */
    size_t page_bytes;
    struct page_file *file; /* NULL: none */
    struct map pages;      /* GUARDED_BY(mu), all of these */
    struct frames frames;
    struct link used, kept; /* rings: next was used last */
    uint64_t loading;       /* bytes */
    struct range_stats stats;
};

struct wanted { uint64_t from, to; }; /* pages */
struct range_source {
    _Atomic uint32_t refs;
    struct range_source_opts o; /* const after init, with id and what */
    uint64_t id;
    str what;
    _Atomic bool patient;
    struct cond came;          /* a read of it ended */
    struct read *first, *last; /* GUARDED_BY(cache mu), all of these */
    struct link pages;
    unsigned active;
    bool stuck;
    int64_t anew_ns;           /* the same of bytes that were read alone */
    VEC(struct wanted) wanted;
    uint64_t wanted_pages;
};

/* ---- rings */

static void ring_init(struct link *r) { r->prev = r->next = r; }
static bool ring_empty(const struct link *r) { return r->next == r; }
static void ring_put(struct link *r, struct link *l)
{
    *l = (struct link){ r, r->next };
    l->next->prev = l;
    r->next = l;
}
/* One that is in no ring is left as it is. */
static void ring_take(struct link *l)
{
    if (!l->next) return;
    l->prev->next = l->next;
    l->next->prev = l->prev;
    *l = (struct link){ 0 };
}

struct range_cache *range_cache_new(
    uint64_t budget_bytes, size_t page_bytes, struct page_file *behind)
{
    struct range_cache *c = NEW(struct range_cache);
    mtx_init(&c->mu, LOCK_LEAF);
    c->budget = budget_bytes;
    c->page_bytes = page_bytes;
    c->file = behind;
    frames_init(&c->frames, page_bytes);
    ring_init(&c->used);
    ring_init(&c->kept);
    return c;
}

void range_cache_free(struct range_cache *c)
{
    if (!c) return;
    assert(!c->pages.n);
    page_file_close(c->file);
    map_fini(&c->pages);
    frames_fini(&c->frames);
    mtx_fini(&c->mu);
    mem_free(c);
}

size_t range_cache_page_bytes(const struct range_cache *c) { return c->page_bytes; }

struct range_stats range_cache_stats(struct range_cache *c)
{
    mtx_lock(&c->mu);
    struct range_stats s = c->stats;
    mtx_unlock(&c->mu);
    return s;
}

/* ---- pages; all with the lock held */

struct page_key { const struct range_source *s; uint64_t index; };
static uint64_t key_hash(struct page_key k)
{
    const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15); /* 2^64 by the golden ratio */
    uint64_t h = (k.s->id * odd + k.index) * odd;
    return h ^ h >> 32;
}
static bool key_eq(const void *val, const void *key)
{
    const struct page *p = val;
    const struct page_key *k = key;
    return p->s == k->s && p->index == k->index;
}

static struct page *page_find(struct range_cache *c, struct page_key k)
{
    return map_find(&c->pages, key_hash(k), key_eq, &k);
}

static void page_hold(struct page *p)
{
    ring_take(&p->used);
    p->refs++;
}

static uint8_t *page_room(struct range_cache *c, struct page *p)
{
    return p->n == c->page_bytes ? frames_take(&c->frames, &p->slab) : mem_alloc(p->n);
}

static void page_room_give(struct range_cache *c, struct page *p, uint8_t *at)
{
    if (p->slab && at) frames_give(&c->frames, STEAL(p->slab), at);
    else mem_free(at);
}

/* Who asks for it from here on has another. */
static void page_unmap(struct range_cache *c, struct page *p)
{
    struct page_key k = { p->s, p->index };
    if (p->gone) return;
    p->gone = true;
    map_remove(&c->pages, key_hash(k), key_eq, &k);
}

static void slot_give(struct range_cache *c, struct page *p)
{
    if (!p->slot) return;
    ring_take(&p->kept);
    c->stats.disk_bytes -= p->n;
    page_file_give(c->file, p->slot);
    p->slot = 0;
}

/* Its bytes are no longer in memory. */
static void page_empty(struct range_cache *c, struct page *p)
{
    if (!p->at) return;
    c->stats.bytes -= p->n;
    account_charge(&range_account, -(int64_t)p->n);
    page_room_give(c, p, STEAL(p->at));
}

static void page_drop(struct range_cache *c, struct page *p)
{
    page_unmap(c, p);
    ring_take(&p->used);
    ring_take(&p->mates);
    slot_give(c, p);
    page_empty(c, p);
    account_charge(&range_account, -(int64_t)sizeof(*p));
    mem_free((void *)p->why.p);
    mem_free(p);
}

static void page_let_go(struct range_cache *c, struct page *p)
{
    assert(p->refs > 0);
    if (--p->refs) return;
    if (p->state == PAGE_READY && !p->gone) ring_put(&c->used, &p->used);
    else page_drop(c, p);
}

static void evict(struct range_cache *c)
{
    while (c->stats.bytes > c->budget && !ring_empty(&c->used)) {
        struct page *p = CONTAINER_OF(c->used.prev, struct page, used);
        c->stats.evicted++;
        if (p->slot) {
            ring_take(&p->used);
            page_empty(c, p);
            p->state = PAGE_ON_DISK;
        } else {
            page_drop(c, p);
        }
    }
}

static struct page *page_new(struct range_source *s, uint64_t index)
{
    struct range_cache *c = s->o.cache;
    struct page *p = NEW(struct page);
    uint64_t off = index * c->page_bytes;
    *p = (struct page){ .s = s, .index = index };
    p->n = (size_t)MIN((uint64_t)c->page_bytes, s->o.size_bytes - off);
    account_charge(&range_account, sizeof(*p));
    ring_put(&s->pages, &p->mates);
    map_put(&c->pages, key_hash((struct page_key){ s, index }), p);
    c->loading += p->n;
    return p;
}

/* ---- reads */

static void read_free(struct read *r)
{
    vec_fini(&r->pages);
    mem_free((void *)r->why.p);
    mem_free(r);
}

/* Where its bytes go: memory for its pages, or its own. Of a page that loads nobody else touches
 * these. */
static void read_places(const struct range_source *s, const struct read *r, span_list *out)
{
    uint64_t at = r->off;
    mtx_lock(&s->o.cache->mu);
    if (r->alone) vec_push(out, ((struct byte_span){ r->alone->at, r->n }));
    for (size_t i = 0; i < r->pages.n; i++) {
        struct page *p = r->pages.at[i];
        uint64_t begin = p->index * s->o.cache->page_bytes;
        if (begin > at) vec_push(out, ((struct byte_span){ NULL, (size_t)(begin - at) }));
        p->fresh = page_room(s->o.cache, p);
        vec_push(out, ((struct byte_span){ p->fresh, p->n }));
        at = begin + p->n;
    }
    mtx_unlock(&s->o.cache->mu);
}

static void page_fill(struct range_cache *c, struct page *p, uint8_t *bytes)
{
    p->at = bytes;
    p->state = PAGE_READY;
    c->stats.bytes += p->n;
    account_charge(&range_account, (int64_t)p->n);
}

/* It ended, well or not. */
static void read_told(struct range_source *s, struct read *r)
{
    struct range_cache *c = s->o.cache;
    for (size_t i = 0; i < r->pages.n; i++) {
        struct page *p = r->pages.at[i];
        c->loading -= p->n;
        p->rc = r->rc;
        if (r->rc == OK) {
            page_fill(c, p, STEAL(p->fresh));
        } else {
            page_unmap(c, p);
            page_room_give(c, p, STEAL(p->fresh));
            p->why = mem_str(r->why);
            p->state = PAGE_FAILED;
        }
        page_let_go(c, p);
    }
    s->stuck = false;
    evict(c);
}

/* ---- the file behind */

/* A page that is to be written, held. */
struct spill { struct page *p; uint32_t slot; };
typedef VEC(struct spill) spill_list;

/* With the lock; 0: none is to be had. The page that was read longest ago makes room. */
static uint32_t slot_for(struct range_cache *c)
{
    uint32_t slot = page_file_take(c->file);
    if (slot || ring_empty(&c->kept)) return slot;
    struct page *last = CONTAINER_OF(c->kept.prev, struct page, kept);
    slot_give(c, last);
    if (last->state == PAGE_ON_DISK) page_drop(c, last);
    return page_file_take(c->file);
}

/* With the lock. */
static void spill_add(struct range_cache *c, struct page *p, spill_list *out)
{
    uint32_t slot = c->file && !page_file_rests(c->file) ? slot_for(c) : 0;
    if (!slot) return;
    p->refs++;
    vec_push(out, ((struct spill){ p, slot }));
}

/* How many of them, from the first on, went to the disk: those in slots in a row by one write. */
static size_t spill_write(struct range_cache *c, const struct spill *v, size_t n)
{
    enum { AT_ONCE = 64 };
    str bytes[AT_ONCE];
    size_t k = 0;
    for (; k < MIN(n, (size_t)AT_ONCE) && v[k].slot == v[0].slot + k; k++) {
        struct page *p = v[k].p;
        if (k && v[k - 1].p->n != c->page_bytes) break;
        bytes[k] = str_of(p->at, p->n);
        p->crc = crc32c(0, p->at, p->n);
    }
    return page_file_put(c->file, v[0].slot, bytes, k) ? k : 0;
}

/* Without the lock; lets them go. */
static void spill_all(struct range_cache *c, spill_list *v)
{
    size_t done = 0, n = 1;
    while (done < v->n && n) {
        n = spill_write(c, v->at + done, v->n - done);
        done += n;
    }
    if (!v->n) return;
    mtx_lock(&c->mu);
    for (size_t i = 0; i < v->n; i++) {
        struct page *p = v->at[i].p;
        if (i >= done || p->gone) {
            page_file_give(c->file, v->at[i].slot);
        } else {
            p->slot = v->at[i].slot;
            c->stats.disk_bytes += p->n;
            ring_put(&c->kept, &p->kept);
        }
        page_let_go(c, p);
    }
    evict(c);
    mtx_unlock(&c->mu);
    vec_fini(v);
}

/* Pages that lie there, held and in the state of loading since the lock was held last. Those that
 * did not come back whole are fresh ones: they are to be read. Takes the lock. */
static void kept_read(struct range_source *s, const page_list *v, page_list *fresh)
{
    struct range_cache *c = s->o.cache;
    mtx_lock(&c->mu);
    for (size_t i = 0; i < v->n; i++) v->at[i]->fresh = page_room(c, v->at[i]);
    mtx_unlock(&c->mu);
    for (size_t i = 0; i < v->n; i++) {
        struct page *p = v->at[i];
        p->whole = page_file_get(c->file, p->slot, p->fresh, p->n) &&
                   crc32c(0, p->fresh, p->n) == p->crc;
    }
    mtx_lock(&c->mu);
    for (size_t i = 0; i < v->n; i++) {
        struct page *p = v->at[i];
        if (p->whole) {
            c->loading -= p->n;
            page_fill(c, p, STEAL(p->fresh));
            ring_put(&c->kept, &p->kept);
        } else {
            slot_give(c, p);
            page_room_give(c, p, STEAL(p->fresh));
            vec_push(fresh, p);
        }
    }
    cond_broadcast(&s->came);
}

/* With the lock. */
static void kept_take(struct range_cache *c, struct page *p, page_list *out)
{
    ring_take(&p->kept);
    p->state = PAGE_LOADING;
    c->loading += p->n;
    c->stats.disk_hits++;
    vec_push(out, p);
}

static void read_run(struct range_source *s, struct read *r)
{
    struct range_cache *c = s->o.cache;
    struct err e = { 0 };
    span_list to = { 0 };
    spill_list spill = { 0 };
    read_places(s, r, &to);
    errc rc = s->o.fill(s->o.ctx, r->off, (struct spans){ to.at, to.n }, r->anew, &e);
    vec_fini(&to);
    mtx_lock(&c->mu);
    r->rc = rc;
    if (rc != OK) r->why = mem_str(err_str(&e));
    c->stats.reads++;
    if (rc == OK) c->stats.read_bytes += r->n;
    for (size_t i = 0; rc == OK && i < r->pages.n; i++) spill_add(c, r->pages.at[i], &spill);
    read_told(s, r);
    r->done = true;
    /* r is its waiter's from the unlocking on, if somebody waits for it */
    bool mine = !r->alone || r->left;
    cond_broadcast(&s->came);
    mtx_unlock(&c->mu);
    spill_all(c, &spill);
    if (!mine) return;
    mem_free(r->alone);
    read_free(r);
}

static struct read *read_next(struct range_source *s)
{
    struct range_cache *c = s->o.cache;
    mtx_lock(&c->mu);
    struct read *r = s->first;
    if (r) s->first = r->next;
    else s->active--;
    mtx_unlock(&c->mu);
    return r;
}

static void source_work(void *ctx)
{
    struct range_source *s = ctx;
    struct read *r;
    while ((r = read_next(s)) != NULL) read_run(s, r);
    range_source_unref(s);
}

/* Nobody reads: what waits is refused. */
static void reads_refuse(struct range_source *s)
{
    struct range_cache *c = s->o.cache;
    mtx_lock(&c->mu);
    s->active--;
    while (!s->active && s->first) {
        struct read *r = s->first;
        s->first = r->next;
        r->rc = ERR_LIMIT;
        r->why = mem_str(S("too many reads wait for a bucket"));
        read_told(s, r);
        r->done = true;
        if (r->alone && !r->left) continue; /* its waiter's */
        mem_free(r->alone);
        read_free(r);
    }
    cond_broadcast(&s->came);
    mtx_unlock(&c->mu);
}

/* Appends them to the queue; how many threads are to come for them. */
static unsigned reads_queue(struct range_source *s, struct read *list)
{
    unsigned come = 0;
    while (list) {
        struct read *r = list;
        list = r->next;
        r->next = NULL;
        if (s->first) s->last->next = r;
        else s->first = r;
        s->last = r;
        if (s->active < SOURCE_READS) {
            s->active++;
            come++;
        }
    }
    return come;
}

/* Without the lock. */
static void readers_call(struct range_source *s, unsigned n)
{
    for (; n; n--) {
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
        if (pool_submit(s->o.pool, source_work, s)) continue;
        reads_refuse(s);
        range_source_unref(s);
    }
}

/* New pages, by index, as reads; the last first in the list, which does not matter. */
static struct read *reads_of(struct range_source *s, page_list *fresh)
{
    struct range_cache *c = s->o.cache;
    struct read *list = NULL;
    for (size_t i = 0, k; i < fresh->n; i = k) {
        struct read *r = NEW(struct read);
        r->off = fresh->at[i]->index * c->page_bytes;
        for (k = i; k < fresh->n; k++) {
            struct page *p = fresh->at[k];
            uint64_t at = p->index * c->page_bytes;
            if (k > i && (at - (r->off + r->n) > s->o.gap_bytes ||
                             at + p->n - r->off > READ_BYTES_MAX))
                break;
            r->n = (size_t)(at + p->n - r->off);
            r->anew = r->anew || p->anew_ns;
            p->refs++;
            vec_push(&r->pages, p);
        }
        r->next = list;
        list = r;
    }
    return list;
}

static int by_index(const void *a, const void *b)
{
    const struct page *const *x = a, *const *y = b;
    return ((*x)->index > (*y)->index) - ((*x)->index < (*y)->index);
}

/* A page that is not there is read along if there is room for it; few of those that are read anyway
 * always do: a read of their own would cost more. */
static void along_add(struct range_source *s, uint64_t index, page_list *fresh)
{
    struct range_cache *c = s->o.cache;
    bool few = fresh->n && fresh->n * c->page_bytes < ALONG_BYTES_ALWAYS;
    if ((few || c->loading < c->budget / 2) && !page_find(c, (struct page_key){ s, index }))
        vec_push(fresh, page_new(s, index));
}

/* What was announced and is not there. */
static void wanted_take(struct range_source *s, page_list *fresh)
{
    for (size_t i = 0; i < s->wanted.n; i++)
        for (uint64_t k = s->wanted.at[i].from; k < s->wanted.at[i].to; k++)
            along_add(s, k, fresh);
    s->wanted.n = 0;
    s->wanted_pages = 0;
}

/* What lies beside them and is not there, to the ends of their stretches. */
static void along_take(struct range_source *s, page_list *fresh)
{
    uint64_t page = s->o.cache->page_bytes, step = s->o.along.bytes / page;
    uint64_t from = (s->o.along.from + page - 1) / page, to = s->o.along.to / page;
    size_t n = step > 1 ? fresh->n : 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t at = fresh->at[i]->index, first = at / step * step;
        if (at < from || at >= to) continue;
        for (uint64_t k = MAX(first, from); k < MIN(first + step, to); k++) along_add(s, k, fresh);
    }
}

/* Starts to read the fresh pages; gives the lock back. */
static void fresh_read(struct range_source *s, page_list *fresh)
{
    if (fresh->n > 1) qsort(fresh->at, fresh->n, sizeof(*fresh->at), by_index);
    unsigned come = reads_queue(s, reads_of(s, fresh));
    mtx_unlock(&s->o.cache->mu);
    readers_call(s, come);
    vec_fini(fresh);
}

/* ---- waiting */

static bool is_patient(const struct range_source *s)
{
    return atomic_load_explicit(&s->patient, memory_order_relaxed);
}

static errc late(struct range_source *s, struct err *e)
{
    s->stuck = true;
    return err_set(e, ERR_TIMEOUT, "%.*s: nothing came within %" PRId64 " ms", STR_ARG(s->what),
        s->o.patience_ms);
}

static errc refused(const struct range_source *s, struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "%.*s: an earlier read hangs", STR_ARG(s->what));
}

/* Until when; from tell_ns on the pool knows of it. */
struct waiting { int64_t until, tell_ns; };

static struct waiting waiting_since(const struct range_source *s, int64_t now)
{
    return (struct waiting){ now + s->o.patience_ms * MS_NS, now + POOL_WAITS_NS };
}

/* With the lock; false: nothing came in all the time. */
static bool came_wait(struct range_source *s, struct waiting *w)
{
    struct mtx *mu = &s->o.cache->mu;
    int64_t until = is_patient(s) ? INT64_MAX : w->until;
    if (w->tell_ns < until) {
        if (cond_wait_until(&s->came, mu, w->tell_ns)) return true;
        w->tell_ns = INT64_MAX;
        mtx_unlock(mu);
        pool_waits();
        mtx_lock(mu);
        return true;
    }
    if (until < INT64_MAX) return cond_wait_until(&s->came, mu, until);
    cond_wait(&s->came, mu);
    return true;
}

/* With the lock; one page that is held. */
static errc page_await(
    struct range_source *s, struct page *p, struct waiting *w, struct err *e)
{
    while (p->state == PAGE_LOADING)
        if (!came_wait(s, w) && p->state == PAGE_LOADING) return late(s, e);
    if (p->state == PAGE_READY) return OK;
    return err_set(e, p->rc, "%.*s: %.*s", STR_ARG(s->what), STR_ARG(p->why));
}

/* Threads of the pool fetch: what it was for is told to the thread that uses it first. */
static void page_count(struct page *p)
{
    if (!p->counted) io_work.bucket_bytes += p->n;
    p->counted = true;
}

/* Holds the pages [from, to] when they are there. */
static errc pages_need(struct range_source *s, uint64_t from, uint64_t to, page_list *out,
    int64_t *waited_ns, struct err *e)
{
    struct range_cache *c = s->o.cache;
    page_list fresh = { 0 }, kept = { 0 };
    int64_t since = clock_mono_ns();
    struct waiting w = waiting_since(s, since);
    bool stuck = false, waited = false;
    for (uint64_t k = from; k <= to && !stuck; k++) {
        struct page *p = page_find(c, (struct page_key){ s, k });
        stuck = (!p || p->state == PAGE_LOADING) && s->stuck && !is_patient(s);
        if (stuck) break;
        waited = waited || !p || p->state != PAGE_READY;
        if (p) {
            c->stats.hits++;
            if (p->state == PAGE_ON_DISK) kept_take(c, p, &kept);
        } else {
            c->stats.misses++;
            p = page_new(s, k);
            vec_push(&fresh, p);
        }
        page_hold(p);
        vec_push(out, p);
    }
    if (fresh.n) wanted_take(s, &fresh);
    along_take(s, &fresh);
    fresh_read(s, &fresh);
    if (kept.n) {
        kept_read(s, &kept, &fresh);
        fresh_read(s, &fresh);
        vec_fini(&kept);
    }
    mtx_lock(&c->mu);
    errc rc = stuck ? refused(s, e) : OK;
    for (size_t i = 0; rc == OK && i < out->n; i++) rc = page_await(s, out->at[i], &w, e);
    for (size_t i = 0; rc == OK && i < out->n; i++) page_count(out->at[i]);
    *waited_ns = waited ? clock_mono_ns() - since + 1 : 0;
    return rc;
}

static void pages_let_go(struct range_cache *c, page_list *v)
{
    for (size_t i = 0; i < v->n; i++) page_let_go(c, v->at[i]);
    v->n = 0;
    evict(c);
}

/* ---- pins: a page, or bytes of their own with the lowest bit set */

static struct alone *alone_new(size_t n)
{
    struct alone *a = mem_alloc(sizeof(*a) + n);
    a->n = n;
    account_charge(&range_account, (int64_t)n);
    return a;
}
static void alone_free(struct alone *a)
{
    account_charge(&range_account, -(int64_t)a->n);
    mem_free(a);
}
static void alone_give(struct alone *a, struct range_pin *out)
{
    *out = (struct range_pin){ str_of(a->at, a->n), (void *)((uintptr_t)a | 1) };
}

/* Past the pages: it would push out more than it is likely to bring back. */
static errc pin_alone(
    struct range_source *s, uint64_t off, size_t n, struct range_pin *out, struct err *e)
{
    struct range_cache *c = s->o.cache;
    struct read *r = NEW(struct read);
    *r = (struct read){ .off = off, .n = n, .alone = alone_new(n) };
    int64_t since = clock_mono_ns();
    struct waiting w = waiting_since(s, since);
    mtx_lock(&c->mu);
    if (s->stuck && !is_patient(s)) {
        mtx_unlock(&c->mu);
        alone_free(r->alone);
        read_free(r);
        return refused(s, e);
    }
    c->stats.misses++;
    r->anew = s->anew_ns && since - s->anew_ns < RANGE_AGAIN_MS * MS_NS;
    unsigned come = reads_queue(s, r);
    mtx_unlock(&c->mu);
    readers_call(s, come);
    mtx_lock(&c->mu);
    errc rc = OK;
    while (!r->done && rc == OK)
        if (!came_wait(s, &w) && !r->done) rc = late(s, e);
    r->left = !r->done;
    bool left = r->left;
    if (left) account_charge(&range_account, -(int64_t)n);
    mtx_unlock(&c->mu);
    if (left) return rc;
    rc = r->rc == OK ? OK : err_set(e, r->rc, "%.*s: %.*s", STR_ARG(s->what), STR_ARG(r->why));
    if (rc == OK) io_work.bucket_bytes += n;
    if (rc == OK) alone_give(r->alone, out);
    else alone_free(r->alone);
    if (rc == OK) out->waited_ns = clock_mono_ns() - since + 1;
    read_free(r);
    return rc;
}

/* Of several pages, one after the other. */
static void pin_copy(struct range_cache *c, const page_list *v, uint64_t off, struct alone *a)
{
    size_t done = 0;
    for (size_t i = 0; i < v->n; i++) {
        const struct page *p = v->at[i];
        size_t skip = (size_t)(off + done - p->index * c->page_bytes),
               step = MIN(a->n - done, p->n - skip);
        memcpy(a->at + done, p->at + skip, step);
        done += step;
    }
    assert(done == a->n);
}

errc range_pin(struct range_source *s, uint64_t off, size_t n, struct range_pin *out, struct err *e)
{
    struct range_cache *c = s->o.cache;
    page_list v = { 0 };
    int64_t waited_ns = 0;
    assert(n > 0 && off + n <= s->o.size_bytes);
    if (n > ALONE_BYTES) return pin_alone(s, off, n, out, e);
    uint64_t from = off / c->page_bytes, to = (off + n - 1) / c->page_bytes;
    mtx_lock(&c->mu);
    struct page *p = from == to ? page_find(c, (struct page_key){ s, from }) : NULL;
    errc rc = OK;
    if (p && p->state == PAGE_READY) {
        c->stats.hits++;
        page_hold(p);
        page_count(p);
    } else {
        rc = pages_need(s, from, to, &v, &waited_ns, e);
        p = rc == OK && from == to ? v.at[0] : NULL;
        if (rc != OK) pages_let_go(c, &v);
    }
    mtx_unlock(&c->mu);
    if (rc == OK && p) {
        *out = (struct range_pin){ str_of(p->at + (off - from * c->page_bytes), n), p };
    } else if (rc == OK) {
        struct alone *a = alone_new(n);
        pin_copy(c, &v, off, a);
        mtx_lock(&c->mu);
        pages_let_go(c, &v);
        mtx_unlock(&c->mu);
        alone_give(a, out);
    }
    if (rc == OK) out->waited_ns = waited_ns;
    vec_fini(&v);
    return rc;
}

void range_unpin(struct range_source *s, void *frame)
{
    struct range_cache *c = s->o.cache;
    if ((uintptr_t)frame & 1) {
        alone_free((struct alone *)((uintptr_t)frame & ~(uintptr_t)1));
        return;
    }
    mtx_lock(&c->mu);
    page_let_go(c, frame);
    evict(c);
    mtx_unlock(&c->mu);
}

void range_want(struct range_source *s, uint64_t off, uint64_t n)
{
    struct range_cache *c = s->o.cache;
    if (!n || off >= s->o.size_bytes) return;
    n = MIN(n, s->o.size_bytes - off);
    struct wanted w = { off / c->page_bytes, (off + n - 1) / c->page_bytes + 1 };
    mtx_lock(&c->mu);
    struct wanted *last = s->wanted.n ? &vec_last(&s->wanted) : NULL;
    if (last && w.from >= last->from && w.from <= last->to) {
        s->wanted_pages += w.to > last->to ? w.to - last->to : 0;
        last->to = MAX(last->to, w.to);
    } else {
        vec_push(&s->wanted, w);
        s->wanted_pages += w.to - w.from;
    }
    if (s->wanted_pages * c->page_bytes < READ_BYTES_MAX && s->wanted.n < WANTED_MAX) {
        mtx_unlock(&c->mu);
        return;
    }
    page_list fresh = { 0 };
    wanted_take(s, &fresh);
    along_take(s, &fresh);
    fresh_read(s, &fresh);
}

void range_put(struct range_source *s, uint64_t off, str bytes)
{
    struct range_cache *c = s->o.cache;
    uint64_t page = c->page_bytes, end = MIN(off + bytes.n, s->o.size_bytes);
    spill_list spill = { 0 };
    mtx_lock(&c->mu);
    for (uint64_t k = (off + page - 1) / page; k * page < end; k++) {
        bool whole = (k + 1) * page <= end || end == s->o.size_bytes;
        if (!whole || page_find(c, (struct page_key){ s, k })) continue;
        struct page *p = page_new(s, k);
        c->loading -= p->n;
        page_fill(c, p, page_room(c, p));
        memcpy(p->at, bytes.p + (k * page - off), p->n);
        page_hold(p);
        spill_add(c, p, &spill);
        page_let_go(c, p);
    }
    evict(c);
    mtx_unlock(&c->mu);
    spill_all(c, &spill);
}

/* ---- sources */

struct range_source *range_source_new(const struct range_source_opts *o)
{
    static _Atomic uint64_t ids;
    struct range_source *s = NEW(struct range_source);
    s->o = *o;
    s->id = 1 + atomic_fetch_add_explicit(&ids, 1, memory_order_relaxed);
    s->what = mem_str(str_z(o->what));
    s->o.what = NULL;
    atomic_init(&s->refs, 1);
    cond_init(&s->came);
    ring_init(&s->pages);
    return s;
}

struct range_source *range_source_ref(struct range_source *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}
uint64_t range_source_size(const struct range_source *s) { return s->o.size_bytes; }

void range_source_patient(struct range_source *s, bool patient)
{
    atomic_store_explicit(&s->patient, patient, memory_order_relaxed);
}

/* At the end no read runs and nobody pins: then they all go. */
void range_source_forget(struct range_source *s)
{
    struct range_cache *c = s->o.cache;
    mtx_lock(&c->mu);
    for (struct link *l = s->pages.next, *next; l != &s->pages; l = next) {
        struct page *p = CONTAINER_OF(l, struct page, mates);
        next = l->next;
        page_unmap(c, p);
        if (!p->refs) page_drop(c, p);
    }
    mtx_unlock(&c->mu);
}

/* With the lock. Is it to be read anew, or is it being so? *fresh: it is no longer here. */
static bool page_again(struct range_cache *c, struct page *p, int64_t now, bool *fresh)
{
    bool loads = p->state == PAGE_LOADING,
         just = p->anew_ns && now - p->anew_ns < RANGE_AGAIN_MS * MS_NS;
    *fresh = !loads && !just;
    if (!*fresh) return loads;
    page_unmap(c, p);
    if (!p->refs) page_drop(c, p);
    return true;
}

bool range_again(struct range_source *s, uint64_t off, uint64_t n)
{
    struct range_cache *c = s->o.cache;
    page_list pages = { 0 };
    int64_t now = clock_mono_ns();
    assert(n > 0 && off + n <= s->o.size_bytes);
    uint64_t first = off / c->page_bytes, last = (off + n - 1) / c->page_bytes;
    bool any = false;
    mtx_lock(&c->mu);
    if (n > ALONE_BYTES) {
        any = !s->anew_ns || now - s->anew_ns >= RANGE_AGAIN_MS * MS_NS;
        if (any) s->anew_ns = now;
        last = first;
    }
    for (uint64_t k = first; k <= last; k++) {
        struct page *p = page_find(c, (struct page_key){ s, k });
        bool fresh = true;
        if (p && page_again(c, p, now, &fresh)) any = true;
        if (!fresh) continue;
        any = true;
        p = page_new(s, k);
        p->anew_ns = now;
        vec_push(&pages, p);
    }
    fresh_read(s, &pages);
    return any;
}

void range_source_unref(struct range_source *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    range_source_forget(s);
    if (s->o.free) s->o.free(s->o.ctx);
    vec_fini(&s->wanted);
    cond_fini(&s->came);
    mem_free((void *)s->what.p);
    mem_free(s);
}
