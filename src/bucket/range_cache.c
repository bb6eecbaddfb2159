/* range_cache.c — sources, and the reads that bring their pages (range_pages.h).
 *
 * A page that is missing is put into the table at once, in the state of loading, so that it is
 * fetched once whoever asks meanwhile. Pages that are to be fetched are joined to reads where they
 * lie near each other; a read waits in its source's queue until one of the source's SOURCE_READS
 * turns is free. Who waits for a page holds it, and lets it go when his time is over: the read ends
 * by itself, some time. What came is written to the file behind by the thread that read it, once
 * those who wait for it have been told; who needs a page that lies there reads it himself. */
#include "bucket/range_cache.h"

#include "base/clock.h"
#include "bucket/range_pages.h"
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
    struct range_pages pages;
    struct range_stats stats; /* GUARDED_BY(pages.mu); what the pages count is not in it */
};

struct wanted { uint64_t from, to; }; /* pages */
struct range_source {
    _Atomic uint32_t refs;
    struct range_source_opts o; /* const after init, with what */
    str what;
    struct page_owner own;
    _Atomic bool patient;
    struct cond came;          /* a read of it ended */
    struct read *first, *last; /* GUARDED_BY(cache mu), all of these */
    unsigned active;
    bool stuck;
    int64_t anew_ns;           /* the same of bytes that were read alone */
    VEC(struct wanted) wanted;
    uint64_t wanted_pages;
};

struct range_cache *range_cache_new(
    uint64_t budget_bytes, size_t page_bytes, struct page_file *behind)
{
    struct range_cache *c = NEW(struct range_cache);
    range_pages_init(&c->pages, budget_bytes, page_bytes, behind);
    return c;
}

void range_cache_free(struct range_cache *c)
{
    if (!c) return;
    range_pages_fini(&c->pages);
    mem_free(c);
}

size_t range_cache_page_bytes(const struct range_cache *c) { return c->pages.page_bytes; }

struct range_stats range_cache_stats(struct range_cache *c)
{
    mtx_lock(&c->pages.mu);
    struct range_stats s = c->stats;
    s.evicted = c->pages.evicted;
    s.bytes = c->pages.bytes;
    s.disk_bytes = c->pages.disk_bytes;
    mtx_unlock(&c->pages.mu);
    return s;
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
    struct range_pages *t = &s->o.cache->pages;
    uint64_t at = r->off;
    mtx_lock(&t->mu);
    if (r->alone) vec_push(out, ((struct byte_span){ r->alone->at, r->n }));
    for (size_t i = 0; i < r->pages.n; i++) {
        struct range_page *p = r->pages.at[i];
        uint64_t begin = p->index * t->page_bytes;
        if (begin > at) vec_push(out, ((struct byte_span){ NULL, (size_t)(begin - at) }));
        range_page_room(t, p);
        vec_push(out, ((struct byte_span){ p->fresh, p->n }));
        at = begin + p->n;
    }
    mtx_unlock(&t->mu);
}

/* It ended, well or not. */
static void read_told(struct range_source *s, struct read *r)
{
    struct range_pages *t = &s->o.cache->pages;
    for (size_t i = 0; i < r->pages.n; i++) {
        struct range_page *p = r->pages.at[i];
        if (r->rc == OK) range_page_came(t, p);
        else range_page_failed(t, p, r->rc, r->why);
        range_page_release(t, p);
    }
    s->stuck = false;
    range_pages_evict(t);
}

static void read_run(struct range_source *s, struct read *r)
{
    struct range_pages *t = &s->o.cache->pages;
    struct err e = { 0 };
    span_list to = { 0 };
    page_spills spill = { 0 };
    read_places(s, r, &to);
    errc rc = s->o.fill(s->o.ctx, r->off, (struct spans){ to.at, to.n }, r->anew, &e);
    vec_fini(&to);
    mtx_lock(&t->mu);
    r->rc = rc;
    if (rc != OK) r->why = mem_str(err_str(&e));
    s->o.cache->stats.reads++;
    if (rc == OK) s->o.cache->stats.read_bytes += r->n;
    for (size_t i = 0; rc == OK && i < r->pages.n; i++)
        range_pages_spill(t, r->pages.at[i], &spill);
    read_told(s, r);
    r->done = true;
    /* r is its waiter's from the unlocking on, if somebody waits for it */
    bool mine = !r->alone || r->left;
    cond_broadcast(&s->came);
    mtx_unlock(&t->mu);
    range_pages_write(t, &spill);
    if (!mine) return;
    mem_free(r->alone);
    read_free(r);
}

static struct read *read_next(struct range_source *s)
{
    struct range_pages *t = &s->o.cache->pages;
    mtx_lock(&t->mu);
    struct read *r = s->first;
    if (r) s->first = r->next;
    else s->active--;
    mtx_unlock(&t->mu);
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
    struct range_pages *t = &s->o.cache->pages;
    mtx_lock(&t->mu);
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
    mtx_unlock(&t->mu);
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
    struct range_pages *t = &s->o.cache->pages;
    struct read *list = NULL;
    for (size_t i = 0, k; i < fresh->n; i = k) {
        struct read *r = NEW(struct read);
        r->off = fresh->at[i]->index * t->page_bytes;
        for (k = i; k < fresh->n; k++) {
            struct range_page *p = fresh->at[k];
            uint64_t at = p->index * t->page_bytes;
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
    const struct range_page *const *x = a, *const *y = b;
    return ((*x)->index > (*y)->index) - ((*x)->index < (*y)->index);
}

/* A page that is not there is read along if there is room for it; few of those that are read anyway
 * always do: a read of their own would cost more. */
static void along_add(struct range_source *s, uint64_t index, page_list *fresh)
{
    struct range_pages *t = &s->o.cache->pages;
    bool few = fresh->n && fresh->n * t->page_bytes < ALONG_BYTES_ALWAYS;
    if ((few || t->loading < t->budget / 2) && !range_pages_find(t, &s->own, index))
        vec_push(fresh, range_pages_add(t, &s->own, index));
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
    uint64_t page = s->o.cache->pages.page_bytes, step = s->o.along.bytes / page;
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
    mtx_unlock(&s->o.cache->pages.mu);
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
    struct mtx *mu = &s->o.cache->pages.mu;
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
    struct range_source *s, struct range_page *p, struct waiting *w, struct err *e)
{
    while (p->state == PAGE_LOADING)
        if (!came_wait(s, w) && p->state == PAGE_LOADING) return late(s, e);
    if (p->state == PAGE_READY) return OK;
    return err_set(e, p->rc, "%.*s: %.*s", STR_ARG(s->what), STR_ARG(p->why));
}

/* Threads of the pool fetch: what it was for is told to the thread that uses it first. */
static void page_count(struct range_page *p)
{
    if (!p->counted) io_work.bucket_bytes += p->n;
    p->counted = true;
}

/* Holds the pages [from, to] when they are there. */
static errc pages_need(struct range_source *s, uint64_t from, uint64_t to, page_list *out,
    int64_t *waited_ns, struct err *e)
{
    struct range_pages *t = &s->o.cache->pages;
    page_list fresh = { 0 }, kept = { 0 };
    int64_t since = clock_mono_ns();
    struct waiting w = waiting_since(s, since);
    bool stuck = false, waited = false;
    for (uint64_t k = from; k <= to && !stuck; k++) {
        struct range_page *p = range_pages_find(t, &s->own, k);
        stuck = (!p || p->state == PAGE_LOADING) && s->stuck && !is_patient(s);
        if (stuck) break;
        waited = waited || !p || p->state != PAGE_READY;
        if (p) {
            s->o.cache->stats.hits++;
            if (p->state == PAGE_ON_DISK) {
                s->o.cache->stats.disk_hits++;
                range_page_claim(t, p, &kept);
            }
        } else {
            s->o.cache->stats.misses++;
            p = range_pages_add(t, &s->own, k);
            vec_push(&fresh, p);
        }
        range_page_hold(p);
        vec_push(out, p);
    }
    if (fresh.n) wanted_take(s, &fresh);
    along_take(s, &fresh);
    fresh_read(s, &fresh);
    if (kept.n) {
        range_pages_load(t, &kept, &fresh);
        cond_broadcast(&s->came);
        fresh_read(s, &fresh);
        vec_fini(&kept);
    }
    mtx_lock(&t->mu);
    errc rc = stuck ? refused(s, e) : OK;
    for (size_t i = 0; rc == OK && i < out->n; i++) rc = page_await(s, out->at[i], &w, e);
    for (size_t i = 0; rc == OK && i < out->n; i++) page_count(out->at[i]);
    *waited_ns = waited ? clock_mono_ns() - since + 1 : 0;
    return rc;
}

static void pages_release(struct range_pages *t, page_list *v)
{
    for (size_t i = 0; i < v->n; i++) range_page_release(t, v->at[i]);
    v->n = 0;
    range_pages_evict(t);
}

/* ---- pins: a page, or bytes of their own with the lowest bit set */

static struct alone *alone_new(size_t n)
{
    struct alone *a = mem_alloc(sizeof(*a) + n);
    a->n = n;
    range_pages_charge((int64_t)n);
    return a;
}
static void alone_free(struct alone *a)
{
    range_pages_charge(-(int64_t)a->n);
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
    struct range_pages *t = &s->o.cache->pages;
    struct read *r = NEW(struct read);
    *r = (struct read){ .off = off, .n = n, .alone = alone_new(n) };
    int64_t since = clock_mono_ns();
    struct waiting w = waiting_since(s, since);
    mtx_lock(&t->mu);
    if (s->stuck && !is_patient(s)) {
        mtx_unlock(&t->mu);
        alone_free(r->alone);
        read_free(r);
        return refused(s, e);
    }
    s->o.cache->stats.misses++;
    r->anew = s->anew_ns && since - s->anew_ns < RANGE_AGAIN_MS * MS_NS;
    unsigned come = reads_queue(s, r);
    mtx_unlock(&t->mu);
    readers_call(s, come);
    mtx_lock(&t->mu);
    errc rc = OK;
    while (!r->done && rc == OK)
        if (!came_wait(s, &w) && !r->done) rc = late(s, e);
    r->left = !r->done;
    bool left = r->left;
    if (left) range_pages_charge(-(int64_t)n);
    mtx_unlock(&t->mu);
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
static void pin_copy(const struct range_pages *t, const page_list *v, uint64_t off, struct alone *a)
{
    size_t done = 0;
    for (size_t i = 0; i < v->n; i++) {
        const struct range_page *p = v->at[i];
        size_t skip = (size_t)(off + done - p->index * t->page_bytes),
               step = MIN(a->n - done, p->n - skip);
        memcpy(a->at + done, p->at + skip, step);
        done += step;
    }
    assert(done == a->n);
}

errc range_pin(struct range_source *s, uint64_t off, size_t n, struct range_pin *out, struct err *e)
{
    struct range_pages *t = &s->o.cache->pages;
    page_list v = { 0 };
    int64_t waited_ns = 0;
    assert(n > 0 && off + n <= s->o.size_bytes);
    if (n > ALONE_BYTES) return pin_alone(s, off, n, out, e);
    uint64_t from = off / t->page_bytes, to = (off + n - 1) / t->page_bytes;
    mtx_lock(&t->mu);
    struct range_page *p = from == to ? range_pages_find(t, &s->own, from) : NULL;
    errc rc = OK;
    if (p && p->state == PAGE_READY) {
        s->o.cache->stats.hits++;
        range_page_hold(p);
        page_count(p);
    } else {
        rc = pages_need(s, from, to, &v, &waited_ns, e);
        p = rc == OK && from == to ? v.at[0] : NULL;
        if (rc != OK) pages_release(t, &v);
    }
    mtx_unlock(&t->mu);
    if (rc == OK && p) {
        *out = (struct range_pin){ str_of(p->at + (off - from * t->page_bytes), n), p };
    } else if (rc == OK) {
        struct alone *a = alone_new(n);
        pin_copy(t, &v, off, a);
        mtx_lock(&t->mu);
        pages_release(t, &v);
        mtx_unlock(&t->mu);
        alone_give(a, out);
    }
    if (rc == OK) out->waited_ns = waited_ns;
    vec_fini(&v);
    return rc;
}

void range_unpin(struct range_source *s, void *frame)
{
    struct range_pages *t = &s->o.cache->pages;
    if ((uintptr_t)frame & 1) {
        alone_free((struct alone *)((uintptr_t)frame & ~(uintptr_t)1));
        return;
    }
    mtx_lock(&t->mu);
    range_page_release(t, frame);
    range_pages_evict(t);
    mtx_unlock(&t->mu);
}

void range_want(struct range_source *s, uint64_t off, uint64_t n)
{
    struct range_pages *t = &s->o.cache->pages;
    if (!n || off >= s->o.size_bytes) return;
    n = MIN(n, s->o.size_bytes - off);
    struct wanted w = { off / t->page_bytes, (off + n - 1) / t->page_bytes + 1 };
    mtx_lock(&t->mu);
    struct wanted *last = s->wanted.n ? &vec_last(&s->wanted) : NULL;
    if (last && w.from >= last->from && w.from <= last->to) {
        s->wanted_pages += w.to > last->to ? w.to - last->to : 0;
        last->to = MAX(last->to, w.to);
    } else {
        vec_push(&s->wanted, w);
        s->wanted_pages += w.to - w.from;
    }
    if (s->wanted_pages * t->page_bytes < READ_BYTES_MAX && s->wanted.n < WANTED_MAX) {
        mtx_unlock(&t->mu);
        return;
    }
    page_list fresh = { 0 };
    wanted_take(s, &fresh);
    along_take(s, &fresh);
    fresh_read(s, &fresh);
}

void range_put(struct range_source *s, uint64_t off, str bytes)
{
    struct range_pages *t = &s->o.cache->pages;
    uint64_t page = t->page_bytes, end = MIN(off + bytes.n, s->o.size_bytes);
    page_spills spill = { 0 };
    mtx_lock(&t->mu);
    for (uint64_t k = (off + page - 1) / page; k * page < end; k++) {
        bool whole = (k + 1) * page <= end || end == s->o.size_bytes;
        if (!whole || range_pages_find(t, &s->own, k)) continue;
        struct range_page *p = range_pages_add(t, &s->own, k);
        range_page_room(t, p);
        memcpy(p->fresh, bytes.p + (k * page - off), p->n);
        range_page_came(t, p);
        range_page_hold(p);
        range_pages_spill(t, p, &spill);
        range_page_release(t, p);
    }
    range_pages_evict(t);
    mtx_unlock(&t->mu);
    range_pages_write(t, &spill);
}

/* ---- sources */

struct range_source *range_source_new(const struct range_source_opts *o)
{
    struct range_source *s = NEW(struct range_source);
    s->o = *o;
    page_owner_init(&s->own, o->size_bytes);
    s->what = mem_str(str_z(o->what));
    s->o.what = NULL;
    atomic_init(&s->refs, 1);
    cond_init(&s->came);
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
    struct range_pages *t = &s->o.cache->pages;
    mtx_lock(&t->mu);
    range_pages_forget(t, &s->own);
    mtx_unlock(&t->mu);
}

/* With the lock. Is it to be read anew, or is it being so? *fresh: it is no longer here. */
static bool page_again(struct range_pages *t, struct range_page *p, int64_t now, bool *fresh)
{
    bool loads = p->state == PAGE_LOADING,
         just = p->anew_ns && now - p->anew_ns < RANGE_AGAIN_MS * MS_NS;
    *fresh = !loads && !just;
    if (!*fresh) return loads;
    range_page_forget(t, p);
    return true;
}

bool range_again(struct range_source *s, uint64_t off, uint64_t n)
{
    struct range_pages *t = &s->o.cache->pages;
    page_list pages = { 0 };
    int64_t now = clock_mono_ns();
    assert(n > 0 && off + n <= s->o.size_bytes);
    uint64_t first = off / t->page_bytes, last = (off + n - 1) / t->page_bytes;
    bool any = false;
    mtx_lock(&t->mu);
    if (n > ALONE_BYTES) {
        any = !s->anew_ns || now - s->anew_ns >= RANGE_AGAIN_MS * MS_NS;
        if (any) s->anew_ns = now;
        last = first;
    }
    for (uint64_t k = first; k <= last; k++) {
        struct range_page *p = range_pages_find(t, &s->own, k);
        bool fresh = true;
        if (p && page_again(t, p, now, &fresh)) any = true;
        if (!fresh) continue;
        any = true;
        p = range_pages_add(t, &s->own, k);
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
