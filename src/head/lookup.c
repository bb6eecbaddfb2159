/* A cuckoo table of buckets that are cache lines: an entry is in the first of its two buckets,
 * mostly, or in the second. When both are full, others move to their other bucket to make room, up
 * to three in a row; that fails when the shard is full to some 95 parts in a hundred, and then it
 * is made anew, a quarter to a seventh larger: 16 bytes an entry and few free ones, and never more
 * than one shard twice at the same time. Its sizes are those in which the allocator counts. */
#include "head/lookup.h"

#include "base/account.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/prng.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

ACCOUNT(lookup_account, "lookup")
COUNTER(lookup_hits, "epimetheus_head_lookup_hits_total",
    "Series found by the raw bytes of their labels.")
COUNTER(lookup_misses, "epimetheus_head_lookup_misses_total",
    "Look-ups by raw label bytes that were not known.")
COUNTER(lookup_evictions, "epimetheus_head_lookup_evictions_total",
    "Entries of the look-up cache that made room for others.")

enum { LOOKUP_CAP_MIN = 4, MOVES_MAX = 3 };
#define USED_BIT ((uint32_t)1 << 31)

void lookup_init(struct lookup *l, size_t max_bytes)
{
    memset(l, 0, sizeof(*l));
    prng_secret(l->secret, sizeof(l->secret));
    size_t cap = max_bytes / LOOKUP_SHARDS / sizeof(struct lookup_bucket);
    l->cap_max = (uint32_t)MAX(MIN(cap, (size_t)1 << 26), LOOKUP_CAP_MIN);
}

static void lookup_charge(int64_t buckets)
{
    account_charge(&lookup_account, buckets * (int64_t)sizeof(struct lookup_bucket));
}

void lookup_fini(struct lookup *l)
{
    for (unsigned i = 0; i < LOOKUP_SHARDS; i++) {
        lookup_charge(-(int64_t)l->shard[i].cap);
        mem_free(l->shard[i].at);
        l->shard[i].at = NULL;
        l->shard[i].cap = 0;
    }
}

struct lookup_key { uint64_t lo; uint32_t hi, shard; };

static struct lookup_key lookup_key_of(const struct lookup *l, str raw)
{
    XXH128_hash_t h = XXH3_128bits_withSecret(raw.p, raw.n, l->secret, sizeof(l->secret));
    return (struct lookup_key){ h.low64, (uint32_t)(h.high64 >> 33),
        (uint32_t)(h.high64 % LOOKUP_SHARDS) };
}
static uint32_t lookup_first(const struct lookup_shard *s, uint64_t lo)
{
    return (uint32_t)(((lo >> 32) * s->cap) >> 32);
}
static uint32_t lookup_second(const struct lookup_shard *s, uint64_t lo)
{
    return (uint32_t)(((lo & UINT32_MAX) * s->cap) >> 32);
}

static struct lookup_entry *bucket_find(struct lookup_bucket *b, struct lookup_key key)
{
    for (unsigned k = 0; k < LOOKUP_BUCKET; k++) {
        struct lookup_entry *e = &b->at[k];
        if (e->lo == key.lo && (e->hi & ~USED_BIT) == key.hi && e->num) return e;
    }
    return NULL;
}

static struct lookup_entry *lookup_find_locked(struct lookup_shard *s, struct lookup_key key)
{
    if (!s->cap) return NULL;
    struct lookup_entry *e = bucket_find(&s->at[lookup_first(s, key.lo)], key);
    return e ? e : bucket_find(&s->at[lookup_second(s, key.lo)], key);
}

static uint32_t lookup_find(struct lookup *l, struct lookup_key key)
{
    struct lookup_shard *s = &l->shard[key.shard];
    bytelock_lock(&s->mu, LOCK_LEAF);
    struct lookup_entry *e = lookup_find_locked(s, key);
    uint32_t num = e ? e->num : 0;
    if (e && !(e->hi & USED_BIT)) e->hi |= USED_BIT;
    bytelock_unlock(&s->mu, LOCK_LEAF);
    return num;
}

uint32_t lookup_get(struct lookup *l, str raw)
{
    uint32_t num = lookup_find(l, lookup_key_of(l, raw));
    metric_inc(num ? &lookup_hits : &lookup_misses);
    return num;
}

void lookup_get_batch(struct lookup *l, const str *raw, size_t n, uint32_t *nums)
{
    struct lookup_key keys[LOOKUP_BATCH];
    size_t hits = 0;
    assert(n <= LOOKUP_BATCH);
    for (size_t i = 0; i < n; i++) {
        keys[i] = lookup_key_of(l, raw[i]);
        struct lookup_shard *s = &l->shard[keys[i].shard];
        /* A table that is replaced meanwhile costs a useless prefetch, nothing else. */
        bytelock_lock(&s->mu, LOCK_LEAF);
        if (s->cap) {
            __builtin_prefetch(&s->at[lookup_first(s, keys[i].lo)], 1);
            __builtin_prefetch(&s->at[lookup_second(s, keys[i].lo)], 1);
        }
        bytelock_unlock(&s->mu, LOCK_LEAF);
    }
    for (size_t i = 0; i < n; i++) {
        nums[i] = lookup_find(l, keys[i]);
        hits += nums[i] != 0;
    }
    metric_add(&lookup_hits, (double)hits);
    metric_add(&lookup_misses, (double)(n - hits));
}

/* Making room. */

static struct lookup_entry *bucket_free(struct lookup_bucket *b)
{
    for (unsigned k = 0; k < LOOKUP_BUCKET; k++)
        if (!b->at[k].num) return &b->at[k];
    return NULL;
}

static uint32_t lookup_other(const struct lookup_shard *s, uint32_t bucket, uint64_t lo)
{
    uint32_t first = lookup_first(s, lo);
    return first == bucket ? lookup_second(s, lo) : first;
}

/* A free place in this bucket, made by up to `depth` moves in a row if need be; NULL: there is
 * none. */
static struct lookup_entry *bucket_room(struct lookup_shard *s, uint32_t bucket, unsigned depth)
{
    struct lookup_bucket *b = &s->at[bucket];
    struct lookup_entry *free = bucket_free(b);
    for (unsigned far = 0; !free && far < depth; far++) {
        for (unsigned k = 0; !free && k < LOOKUP_BUCKET; k++) {
            struct lookup_entry e = b->at[k];
            uint32_t other = lookup_other(s, bucket, e.lo);
            struct lookup_entry *to = other == bucket ? NULL : bucket_room(s, other, far);
            /* a round of moves may have come back here */
            if (!to || memcmp(&e, &b->at[k], sizeof(e)) != 0) continue;
            *to = e;
            b->at[k] = (struct lookup_entry){ 0 };
            free = &b->at[k];
        }
        if (!free) free = bucket_free(b);
    }
    return free;
}

static struct lookup_entry *lookup_room(struct lookup_shard *s, uint64_t lo)
{
    if (!s->cap) return NULL;
    uint32_t first = lookup_first(s, lo), second = lookup_second(s, lo);
    struct lookup_entry *e = bucket_free(&s->at[first]);
    if (!e) e = bucket_free(&s->at[second]);
    if (!e) e = bucket_room(s, first, MOVES_MAX);
    return e ? e : bucket_room(s, second, MOVES_MAX);
}

/* The next of 4, 5, 6, 7, 8, 10, 12, 14, 16, 20 …: four steps to a doubling. */
static uint32_t lookup_larger(uint32_t cap)
{
    return cap < LOOKUP_CAP_MIN ? LOOKUP_CAP_MIN : cap + (1u << (31 - __builtin_clz(cap))) / 4;
}

/* False: some found no place, and nothing was changed. */
static bool lookup_remake(struct lookup_shard *s, uint32_t cap,
    bool (*alive)(const void *ctx, uint32_t num), const void *ctx)
{
    struct lookup_shard g = { .cap = cap, .at = cap ? mem_zalloc(cap * sizeof(*g.at)) : NULL };
    bool fits = true;
    for (uint32_t i = 0; fits && i < s->cap; i++) {
        for (unsigned k = 0; fits && k < LOOKUP_BUCKET; k++) {
            const struct lookup_entry *e = &s->at[i].at[k];
            if (!e->num || (alive && !alive(ctx, e->num))) continue;
            struct lookup_entry *to = lookup_room(&g, e->lo);
            fits = to != NULL;
            if (fits) *to = *e;
            g.n += fits;
        }
    }
    if (fits) {
        lookup_charge((int64_t)cap - s->cap);
        mem_free(s->at);
        s->at = g.at;
        s->cap = g.cap;
        s->n = g.n;
    } else {
        mem_free(g.at);
    }
    return fits;
}

static bool lookup_grow(struct lookup_shard *s, uint32_t cap_max)
{
    for (uint32_t cap = s->cap; cap < cap_max;) {
        cap = MIN(lookup_larger(cap), cap_max);
        if (lookup_remake(s, cap, NULL, NULL)) return true;
    }
    return false;
}

static struct lookup_entry *lookup_evict(struct lookup_shard *s, uint64_t lo)
{
    struct lookup_bucket *both[] = { &s->at[lookup_first(s, lo)], &s->at[lookup_second(s, lo)] };
    for (unsigned k = 0; k < 2 * LOOKUP_BUCKET; k++) {
        struct lookup_entry *e = &both[k % 2]->at[k / 2];
        if (!(e->hi & USED_BIT)) return e;
        e->hi &= ~USED_BIT;
    }
    return &both[0]->at[0];
}

void lookup_put(struct lookup *l, str raw, uint32_t num)
{
    assert(num);
    struct lookup_key key = lookup_key_of(l, raw);
    struct lookup_shard *s = &l->shard[key.shard];
    bool evicted = false;
    bytelock_lock(&s->mu, LOCK_LEAF);
    struct lookup_entry *e = lookup_find_locked(s, key);
    if (!e) {
        while (!(e = lookup_room(s, key.lo)) && lookup_grow(s, l->cap_max)) {}
        evicted = !e;
        if (e) s->n++;
        else e = lookup_evict(s, key.lo);
    }
    /* not yet used: what comes once is the first to go */
    *e = (struct lookup_entry){ key.lo, key.hi, num };
    bytelock_unlock(&s->mu, LOCK_LEAF);
    if (evicted) metric_inc(&lookup_evictions);
}

void lookup_sweep(struct lookup *l, bool (*alive)(const void *ctx, uint32_t num), const void *ctx)
{
    for (unsigned i = 0; i < LOOKUP_SHARDS; i++) {
        struct lookup_shard *s = &l->shard[i];
        bytelock_lock(&s->mu, LOCK_LEAF);
        uint32_t n = 0, cap = 0;
        for (uint32_t b = 0; b < s->cap; b++)
            for (unsigned k = 0; k < LOOKUP_BUCKET; k++)
                n += s->at[b].at[k].num && alive(ctx, s->at[b].at[k].num);
        while ((uint64_t)cap * LOOKUP_BUCKET * 9 / 10 < n) cap = lookup_larger(cap);
        for (; n < s->n && cap <= s->cap && !lookup_remake(s, cap, alive, ctx);
             cap = lookup_larger(cap)) {}
        bytelock_unlock(&s->mu, LOCK_LEAF);
    }
}
