/* postings.c — see the header for the layout of a list's word and block.
 *
 * The newest run of a block is not in its bytes: it stands in `tail` and grows there. A reader
 * loads the word, then tail, then used: if the appender closed the tail between the two loads the
 * reader finds the run in the bytes, too, and drops its copy. The other way round, used then tail,
 * a run could be missed.
 */
#include "head/postings.h"

#include "base/account.h"

#include <stdlib.h>

ACCOUNT(postings_account, "postings")

enum { VARINT32_MAX = 5, RUN_MAX_BYTES = 2 * VARINT32_MAX + 1, RADIX_FROM = 256 };
#define INLINE_BIT ((uint64_t)1 << 63)

struct plist {
    uint32_t cap;                              /* of bytes */
    _Atomic uint32_t used;                     /* appender: release; readers: acquire */
    _Atomic uint64_t tail;                     /* start << 32 | length; after used */
    _Atomic uint32_t count;                    /* relaxed: a figure */
    uint32_t closed_end;                       /* end of the newest run in bytes; appender only */
    uint8_t bytes[];
};

static size_t plist_size(uint32_t cap) { return sizeof(struct plist) + cap; }

static void plist_free(void *ctx, void *p)
{
    (void)ctx;
    struct plist *l = p;
    account_charge(&postings_account, -(int64_t)plist_size(l->cap));
    mem_free(l);
}

static struct plist *plist_new(uint32_t cap)
{
    size_t size = (plist_size(cap) + 15) & ~(size_t)15;
    struct plist *l = mem_alloc(size);
    *l = (struct plist){ .cap = (uint32_t)(size - sizeof(*l)) };
    account_charge(&postings_account, (int64_t)size);
    return l;
}

static size_t put_uvarint(uint8_t *at, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) at[n++] = (uint8_t)(v | 0x80);
    at[n++] = (uint8_t)v;
    return n;
}

static uint64_t get_uvarint(const uint8_t **at)
{
    uint64_t v = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t b = *(*at)++;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) return v;
    }
}

static size_t put_run(uint8_t *at, snum before, snum start, uint32_t len)
{
    size_t n = put_uvarint(at, (uint64_t)(start - before) << 1 | (len > 1));
    return len > 1 ? n + put_uvarint(at + n, len - 2) : n;
}

static struct plist *word_list(uint64_t w) { return (struct plist *)(uintptr_t)w; }
static uint64_t list_word(struct plist *l) { return (uint64_t)(uintptr_t)l; }
static uint64_t pack(snum start, uint32_t len) { return (uint64_t)start << 32 | len; }

/* Moves the tail into the bytes and starts another; false: no room. */
static bool plist_close_tail(struct plist *l, snum s)
{
    uint32_t used = atomic_load_explicit(&l->used, memory_order_relaxed);
    if (l->cap - used < RUN_MAX_BYTES) {
        uint8_t room[RUN_MAX_BYTES];
        uint64_t t = atomic_load_explicit(&l->tail, memory_order_relaxed);
        if (l->cap - used < put_run(room, l->closed_end, (snum)(t >> 32), (uint32_t)t))
            return false;
    }
    uint64_t tail = atomic_load_explicit(&l->tail, memory_order_relaxed);
    used += (uint32_t)put_run(l->bytes + used, l->closed_end, (snum)(tail >> 32), (uint32_t)tail);
    l->closed_end = (snum)(tail >> 32) + (uint32_t)tail;
    atomic_store_explicit(&l->used, used, memory_order_release);
    atomic_store_explicit(&l->tail, pack(s, 1), memory_order_release);
    return true;
}

static struct plist *plist_grown(const struct plist *l)
{
    struct plist *g = plist_new(l->cap + l->cap / 2 + 16);
    uint32_t used = atomic_load_explicit(&l->used, memory_order_relaxed);
    memcpy(g->bytes, l->bytes, used);
    atomic_store_explicit(&g->used, used, memory_order_relaxed);
    atomic_store_explicit(
        &g->tail, atomic_load_explicit(&l->tail, memory_order_relaxed), memory_order_relaxed);
    atomic_store_explicit(
        &g->count, atomic_load_explicit(&l->count, memory_order_relaxed), memory_order_relaxed);
    g->closed_end = l->closed_end;
    return g;
}

void postings_append(postings *p, snum s, struct reclaim *rc)
{
    uint64_t w = atomic_load_explicit(&p->word, memory_order_relaxed);
    if (!w) {
        atomic_store_explicit(&p->word, INLINE_BIT | pack(s, 0) >> 1 | 1, memory_order_release);
        return;
    }
    if (w & INLINE_BIT) {
        snum start = (snum)(w << 1 >> 32);
        uint32_t len = (uint32_t)w & 0x7fffffff;
        assert(s >= start + len);
        if (s == start + len) {
            atomic_store_explicit(&p->word, w + 1, memory_order_release);
            return;
        }
        struct plist *l = plist_new(8);
        l->closed_end = start + len;
        atomic_store_explicit(
            &l->used, (uint32_t)put_run(l->bytes, 0, start, len), memory_order_relaxed);
        atomic_store_explicit(&l->tail, pack(s, 1), memory_order_relaxed);
        atomic_store_explicit(&l->count, len + 1, memory_order_relaxed);
        atomic_store_explicit(&p->word, list_word(l), memory_order_release);
        return;
    }
    struct plist *l = word_list(w);
    uint64_t tail = atomic_load_explicit(&l->tail, memory_order_relaxed);
    assert(s >= (snum)(tail >> 32) + (uint32_t)tail);
    if (s == (snum)(tail >> 32) + (uint32_t)tail) {
        atomic_store_explicit(&l->tail, tail + 1, memory_order_release);
    } else if (!plist_close_tail(l, s)) {
        struct plist *g = plist_grown(l);
        bool ok = plist_close_tail(g, s);
        assert(ok);
        atomic_fetch_add_explicit(&g->count, 1, memory_order_relaxed);
        atomic_store_explicit(&p->word, list_word(g), memory_order_release);
        reclaim_retire(rc, l, NULL, plist_free);
        return;
    }
    atomic_fetch_add_explicit(&l->count, 1, memory_order_relaxed);
}

/* Joins with the last run behind `from`. */
static void read_push(runs *out, size_t from, snum start, snum end)
{
    if (out->n > from && out->at[out->n - 1].end == start) out->at[out->n - 1].end = end;
    else vec_push(out, ((struct run){ start, end }));
}

/* Behind what `out` has before `from`. */
static void read_behind(const postings *p, runs *out, size_t from)
{
    uint64_t w = atomic_load_explicit(&p->word, memory_order_acquire);
    if (!w) return;
    if (w & INLINE_BIT) {
        snum start = (snum)(w << 1 >> 32);
        read_push(out, from, start, start + ((uint32_t)w & 0x7fffffff));
        return;
    }
    struct plist *l = word_list(w);
    uint64_t tail = atomic_load_explicit(&l->tail, memory_order_acquire);
    const uint8_t *at = l->bytes, *end = at + atomic_load_explicit(&l->used, memory_order_acquire);
    snum before = 0;
    while (at < end) {
        uint64_t d = get_uvarint(&at);
        snum start = before + (snum)(d >> 1);
        before = start + (d & 1 ? (uint32_t)get_uvarint(&at) + 2 : 1);
        assert(start < before);
        read_push(out, from, start, before);
    }
    snum start = (snum)(tail >> 32);
    if (start >= before) read_push(out, from, start, start + (uint32_t)tail);
}

void postings_read(const postings *p, runs *out)
{
    size_t had = out->n;
    read_behind(p, out, had ? had - 1 : 0);
    assert(!had || out->n == had || out->at[had - 1].end <= out->at[had].start);
}

void postings_gather(const postings *p, runs *out) { read_behind(p, out, out->n); }

uint32_t postings_bytes(const postings *p)
{
    uint64_t w = atomic_load_explicit(&p->word, memory_order_acquire);
    if (!w || w & INLINE_BIT) return 1;
    return 1 + atomic_load_explicit(&word_list(w)->used, memory_order_relaxed);
}

uint64_t postings_count(const postings *p)
{
    uint64_t w = atomic_load_explicit(&p->word, memory_order_acquire);
    if (!w) return 0;
    if (w & INLINE_BIT) return (uint32_t)w & 0x7fffffff;
    return atomic_load_explicit(&word_list(w)->count, memory_order_relaxed);
}

/* The word of a list that holds just these runs. */
static uint64_t word_of_runs(const runs *r)
{
    if (!r->n) return 0;
    struct run last = r->at[r->n - 1];
    if (r->n == 1) return INLINE_BIT | pack(last.start, 0) >> 1 | (last.end - last.start);
    size_t size = 0;
    uint8_t room[RUN_MAX_BYTES];
    for (size_t i = 0; i + 1 < r->n; i++)
        size +=
            put_run(room, i ? r->at[i - 1].end : 0, r->at[i].start, r->at[i].end - r->at[i].start);
    struct plist *l = plist_new((uint32_t)size);
    size_t used = 0;
    for (size_t i = 0; i + 1 < r->n; i++)
        used += put_run(l->bytes + used, i ? r->at[i - 1].end : 0, r->at[i].start,
            r->at[i].end - r->at[i].start);
    l->closed_end = r->at[r->n - 2].end;
    atomic_store_explicit(&l->used, (uint32_t)used, memory_order_relaxed);
    atomic_store_explicit(&l->tail, pack(last.start, last.end - last.start), memory_order_relaxed);
    atomic_store_explicit(&l->count, (uint32_t)runs_count(r), memory_order_relaxed);
    return list_word(l);
}

void postings_remove(postings *p, const runs *dead, struct reclaim *rc)
{
    uint64_t w = atomic_load_explicit(&p->word, memory_order_relaxed);
    runs all = { 0 }, left = { 0 };
    postings_read(p, &all);
    runs_sub(&left, &all, dead);
    if (runs_count(&left) != runs_count(&all)) {
        atomic_store_explicit(&p->word, word_of_runs(&left), memory_order_release);
        if (w && !(w & INLINE_BIT)) reclaim_retire(rc, word_list(w), NULL, plist_free);
    }
    vec_fini(&all);
    vec_fini(&left);
}

void postings_fini(postings *p)
{
    uint64_t w = atomic_load_explicit(&p->word, memory_order_relaxed);
    if (w && !(w & INLINE_BIT)) plist_free(NULL, word_list(w));
    atomic_store_explicit(&p->word, 0, memory_order_relaxed);
}

uint64_t runs_count(const runs *r)
{
    uint64_t n = 0;
    for (size_t i = 0; i < r->n; i++) n += r->at[i].end - r->at[i].start;
    return n;
}

void runs_push(runs *r, snum start, snum end)
{
    assert(start < end && (!r->n || r->at[r->n - 1].end <= start));
    if (r->n && r->at[r->n - 1].end == start) r->at[r->n - 1].end = end;
    else vec_push(r, ((struct run){ start, end }));
}

bool runs_has(const runs *r, snum s)
{
    size_t lo = 0, hi = r->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (r->at[mid].end <= s) lo = mid + 1;
        else hi = mid;
    }
    return lo < r->n && r->at[lo].start <= s;
}

/* The first i >= from whose end is greater than s: steps that double, then halves. */
static size_t runs_gallop(const runs *r, size_t from, snum s)
{
    size_t step = 1, lo = from;
    while (lo + step < r->n && r->at[lo + step].end <= s) {
        lo += step;
        step *= 2;
    }
    size_t hi = MIN(lo + step, r->n);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (r->at[mid].end <= s) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

void runs_and(runs *out, const runs *a, const runs *b)
{
    out->n = 0;
    for (size_t i = 0, j = 0; i < a->n && j < b->n;) {
        snum start = MAX(a->at[i].start, b->at[j].start), end = MIN(a->at[i].end, b->at[j].end);
        if (start < end) runs_push(out, start, end);
        if (a->at[i].end <= b->at[j].end) i = runs_gallop(a, i, MAX(a->at[i].end, b->at[j].start));
        else j = runs_gallop(b, j, MAX(b->at[j].end, a->at[i].start));
    }
}

void runs_sub(runs *out, const runs *a, const runs *b)
{
    out->n = 0;
    size_t j = 0;
    for (size_t i = 0; i < a->n; i++) {
        snum start = a->at[i].start, end = a->at[i].end;
        j = runs_gallop(b, j, start);
        for (size_t k = j; k < b->n && b->at[k].start < end && start < end; k++) {
            if (b->at[k].start > start) runs_push(out, start, b->at[k].start);
            start = MAX(start, b->at[k].end);
        }
        if (start < end) runs_push(out, start, end);
    }
}

static int run_cmp(const void *a, const void *b)
{
    snum x = ((const struct run *)a)->start, y = ((const struct run *)b)->start;
    return (x > y) - (x < y);
}

/* By the digits of the starts, the lowest first; a digit that all have in common is passed over. */
static void runs_order(runs *r)
{
    enum { BITS = 11, DIGITS = 1 << BITS };
    runs other = { 0 };
    snum all = 0, common = ~0u;
    for (size_t i = 0; i < r->n; i++) all |= r->at[i].start, common &= r->at[i].start;
    vec_reserve(&other, r->n);
    for (unsigned shift = 0; shift < 32; shift += BITS) {
        uint32_t place[DIGITS] = { 0 }, sum = 0;
        if (!((all & ~common) >> shift & (DIGITS - 1))) continue;
        for (size_t i = 0; i < r->n; i++) place[r->at[i].start >> shift & (DIGITS - 1)]++;
        for (size_t d = 0; d < DIGITS; d++) {
            uint32_t n = place[d];
            place[d] = sum;
            sum += n;
        }
        for (size_t i = 0; i < r->n; i++)
            other.at[place[r->at[i].start >> shift & (DIGITS - 1)]++] = r->at[i];
        other.n = r->n;
        runs was = *r;
        *r = other;
        other = was;
    }
    vec_fini(&other);
}

void runs_sort(runs *r)
{
    if (r->n < 2) return;
    bool sorted = true;
    for (size_t i = 1; i < r->n && sorted; i++) sorted = r->at[i - 1].end < r->at[i].start;
    if (sorted) return;
    if (r->n < RADIX_FROM) qsort(r->at, r->n, sizeof(*r->at), run_cmp);
    else runs_order(r);
    size_t n = 0;
    for (size_t i = 1; i < r->n; i++) {
        if (r->at[i].start <= r->at[n].end) r->at[n].end = MAX(r->at[n].end, r->at[i].end);
        else r->at[++n] = r->at[i];
    }
    r->n = n + 1;
}
