#include "head/lookup.h"

#include "base/account.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/prng.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

ACCOUNT(lookup_account, "lookup")
COUNTER(lookup_hits, "epimetheus_head_lookup_hits_total", "Series found by the raw bytes of their labels.")
COUNTER(lookup_misses, "epimetheus_head_lookup_misses_total", "Look-ups by raw label bytes that were not known.")
COUNTER(lookup_evictions, "epimetheus_head_lookup_evictions_total", "Entries of the look-up cache that made room for others.")

enum { LOOKUP_CAP_MIN = 64, LOOKUP_BATCH = 32 };
#define USED_BIT ((uint64_t)1 << 63)

void lookup_init(struct lookup *l, size_t max_bytes)
{
    memset(l, 0, sizeof(*l));
    prng_secret(l->secret, sizeof(l->secret));
    size_t cap = max_bytes / LOOKUP_SHARDS / sizeof(struct lookup_entry);
    l->cap_max = (uint32_t)MAX(MIN(cap, (size_t)1 << 26), LOOKUP_CAP_MIN);
}

void lookup_fini(struct lookup *l)
{
    for (unsigned i = 0; i < LOOKUP_SHARDS; i++) {
        account_charge(&lookup_account, -(int64_t)l->shard[i].cap * (int64_t)sizeof(struct lookup_entry));
        mem_free(l->shard[i].at);
        l->shard[i].at = NULL;
        l->shard[i].cap = 0;
    }
}

static XXH128_hash_t lookup_hash(const struct lookup *l, str raw)
{
    return XXH3_128bits_withSecret(raw.p, raw.n, l->secret, sizeof(l->secret));
}
static struct lookup_shard *lookup_shard_of(struct lookup *l, XXH128_hash_t h) { return &l->shard[h.high64 % LOOKUP_SHARDS]; }
static uint32_t lookup_home(const struct lookup_shard *s, uint64_t lo) { return (uint32_t)(((lo >> 32) * s->cap) >> 32); }
static uint32_t lookup_step(const struct lookup_shard *s, uint32_t i) { return i + 1 == s->cap ? 0 : i + 1; }

static uint64_t lookup_find_locked(struct lookup_shard *s, XXH128_hash_t h)
{
    if (!s->cap) return 0;
    uint32_t i = lookup_home(s, h.low64);
    for (unsigned k = 0; k < LOOKUP_WINDOW; k++, i = lookup_step(s, i)) {
        struct lookup_entry *e = &s->at[i];
        if (e->lo != h.low64 || e->hi != h.high64 || !e->handle) continue;
        e->handle |= USED_BIT;
        return e->handle & ~USED_BIT;
    }
    return 0;
}

static uint64_t lookup_find(struct lookup *l, XXH128_hash_t h)
{
    struct lookup_shard *s = lookup_shard_of(l, h);
    bytelock_lock(&s->mu, LOCK_LEAF);
    uint64_t handle = lookup_find_locked(s, h);
    bytelock_unlock(&s->mu, LOCK_LEAF);
    return handle;
}

uint64_t lookup_get(struct lookup *l, str raw)
{
    uint64_t handle = lookup_find(l, lookup_hash(l, raw));
    metric_inc(handle ? &lookup_hits : &lookup_misses);
    return handle;
}

void lookup_get_batch(struct lookup *l, const str *raw, size_t n, uint64_t *handles)
{
    size_t hits = 0;
    for (size_t from = 0; from < n; from += LOOKUP_BATCH) {
        XXH128_hash_t h[LOOKUP_BATCH];
        size_t k = MIN(n - from, (size_t)LOOKUP_BATCH);
        for (size_t i = 0; i < k; i++) {
            h[i] = lookup_hash(l, raw[from + i]);
            struct lookup_shard *s = lookup_shard_of(l, h[i]);
            /* A guess without the lock: a table that is replaced meanwhile costs a useless prefetch, nothing else. */
            bytelock_lock(&s->mu, LOCK_LEAF);
            if (s->cap) __builtin_prefetch(&s->at[lookup_home(s, h[i].low64)], 1);
            bytelock_unlock(&s->mu, LOCK_LEAF);
        }
        for (size_t i = 0; i < k; i++) {
            handles[from + i] = lookup_find(l, h[i]);
            hits += handles[from + i] != 0;
        }
    }
    metric_add(&lookup_hits, (double)hits);
    metric_add(&lookup_misses, (double)(n - hits));
}

/* A free place in the window of h, or NULL. */
static struct lookup_entry *lookup_free_place(struct lookup_shard *s, uint64_t lo)
{
    uint32_t i = lookup_home(s, lo);
    for (unsigned k = 0; k < LOOKUP_WINDOW; k++, i = lookup_step(s, i))
        if (!s->at[i].handle) return &s->at[i];
    return NULL;
}

/* Grows by half, more if a window overflows; entries that still find no place at the largest size are dropped: it is a cache. */
static bool lookup_grow(struct lookup_shard *s, uint32_t cap_max)
{
    if (s->cap >= cap_max) return false;
    uint32_t cap = s->cap ? s->cap + s->cap / 2 : LOOKUP_CAP_MIN;
    if (cap > cap_max) cap = cap_max;
    struct lookup_shard g = { .cap = cap, .at = mem_zalloc(cap * sizeof(*g.at)) };
    for (uint32_t i = 0; i < s->cap; i++) {
        if (!s->at[i].handle) continue;
        struct lookup_entry *e = lookup_free_place(&g, s->at[i].lo);
        if (!e) continue;
        *e = s->at[i];
        g.n++;
    }
    account_charge(&lookup_account, ((int64_t)cap - s->cap) * (int64_t)sizeof(*g.at));
    mem_free(s->at);
    s->at = g.at;
    s->cap = g.cap;
    s->n = g.n;
    return true;
}

static struct lookup_entry *lookup_evict(struct lookup_shard *s, uint64_t lo)
{
    uint32_t home = lookup_home(s, lo), i = home;
    for (unsigned k = 0; k < LOOKUP_WINDOW; k++, i = lookup_step(s, i)) {
        if (!(s->at[i].handle & USED_BIT)) return &s->at[i];
        s->at[i].handle &= ~USED_BIT;
    }
    return &s->at[home];
}

void lookup_put(struct lookup *l, str raw, uint64_t handle)
{
    assert(handle && !(handle & USED_BIT));
    XXH128_hash_t h = lookup_hash(l, raw);
    struct lookup_shard *s = lookup_shard_of(l, h);
    bool evicted = false;
    bytelock_lock(&s->mu, LOCK_LEAF);
    struct lookup_entry *e = NULL;
    uint32_t i = s->cap ? lookup_home(s, h.low64) : 0;
    for (unsigned k = 0; s->cap && k < LOOKUP_WINDOW && !e; k++, i = lookup_step(s, i))
        if (s->at[i].handle && s->at[i].lo == h.low64 && s->at[i].hi == h.high64) e = &s->at[i];
    if (!e) {
        if (s->n >= s->cap - s->cap / 4) lookup_grow(s, l->cap_max);
        while (!(e = lookup_free_place(s, h.low64)) && lookup_grow(s, l->cap_max)) {}
        evicted = !e;
        if (e) s->n++;
        else e = lookup_evict(s, h.low64);
    }
    *e = (struct lookup_entry){ h.low64, h.high64, handle | USED_BIT };
    bytelock_unlock(&s->mu, LOCK_LEAF);
    if (evicted) metric_inc(&lookup_evictions);
}
