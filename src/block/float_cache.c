/* float_cache.c — shards of a map and a ring.
 *
 * Entries that are used get a mark. Who needs room walks the ring: an entry with a mark loses it,
 * one without goes. Of chunks that are not there a table of their last readers is kept, a few bits
 * a chunk: only who finds his own trace there keeps what he decodes.
 */
#include "block/float_cache.h"

#include "base/account.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metric.h"
#include "chunk/narrow.h"

ACCOUNT(float_cache_account, "decoded_chunks")
/* traces of all shards: of as many chunks, times FLOAT_CACHE_STRIDE, as the cache may hold */
enum { SHARDS = 16, TRACES = 1 << 9, DEFAULT_LIMIT_BYTES = 24 << 20 };

struct entry {
    struct float_key key;
    struct entry *next, *prev;             /* the ring */
    bool used;
    bool idle;                             /* since it was looked at for its age */
    struct narrow w;
    uint8_t columns[];
};

struct shard {
    struct mtx mu;                         /* LOCK_LEAF */
    struct map map;                        /* GUARDED_BY(mu): owns the entries */
    struct entry *hand;                    /* GUARDED_BY(mu): who is looked at next; NULL: none */
    uint64_t limit;                        /* GUARDED_BY(mu) */
    /* relaxed: written under mu, read by who shows them */
    _Atomic uint64_t bytes, hits, misses, evictions;
    uint16_t traces[TRACES];               /* GUARDED_BY(mu) */
};
static struct shard shards[SHARDS];
static _Atomic uint64_t last_block;        /* relaxed: a number */
static _Atomic int64_t age_ns;             /* relaxed: when ages are looked at next */

/* Under the lock: nobody else writes. */
static void count(_Atomic uint64_t *c, uint64_t n)
{
    atomic_store_explicit(
        c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}
static uint64_t counted(const _Atomic uint64_t *c)
{
    return atomic_load_explicit(c, memory_order_relaxed);
}

__attribute__((constructor)) static void float_cache_begin(void)
{
    for (size_t i = 0; i < SHARDS; i++) {
        mtx_init(&shards[i].mu, LOCK_LEAF);
        shards[i].limit = DEFAULT_LIMIT_BYTES / SHARDS;
    }
}

uint64_t float_cache_block_id(void)
{
    return atomic_fetch_add_explicit(&last_block, 1, memory_order_relaxed) + 1;
}

static uint64_t key_hash(struct float_key k)
{
    uint64_t h = (k.ref ^ k.block * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    return h ^ h >> 29;
}

static bool entry_is(const void *val, const void *key)
{
    const struct float_key *a = &((const struct entry *)val)->key, *b = key;
    return a->block == b->block && a->ref == b->ref;
}

static struct shard *shard_of(uint64_t hash) { return &shards[hash >> 60]; }
static uint64_t entry_bytes(const struct entry *x)
{
    return sizeof(*x) + narrow_bytes(&x->w) + sizeof(struct map_entry);
}

static void entry_drop_locked(struct shard *s, struct entry *x) REQUIRES(s->mu)
{
    mtx_assert_held(&s->mu);
    uint64_t n = entry_bytes(x);
    (void)map_remove(&s->map, key_hash(x->key), entry_is, &x->key);
    s->hand = x->next == x ? NULL : x->next;
    x->prev->next = x->next;
    x->next->prev = x->prev;
    count(&s->bytes, 0 - n);
    account_charge(&float_cache_account, -(int64_t)n);
    mem_free(x);
}

static void shard_make_room_locked(struct shard *s, uint64_t n) REQUIRES(s->mu)
{
    mtx_assert_held(&s->mu);
    while (s->hand && counted(&s->bytes) + n > s->limit) {
        if (s->hand->used) {
            s->hand->used = false;
            s->hand = s->hand->next;
            continue;
        }
        entry_drop_locked(s, s->hand);
        count(&s->evictions, 1);
    }
}

/* Was it here before? From now on it was. */
static bool shard_trace_locked(struct shard *s, uint64_t hash) REQUIRES(s->mu)
{
    uint16_t *at = &s->traces[(hash >> 16) % TRACES], trace = (uint16_t)hash | 1;
    mtx_assert_held(&s->mu);
    bool known = *at == trace;
    *at = trace;
    return known;
}

size_t float_cache_get(
    struct float_key k, int64_t *t, double *v, size_t cap, enum float_found *found)
{
    uint64_t hash = key_hash(k);
    struct shard *s = shard_of(hash);
    size_t n = 0;
    *found = FLOATS_THERE;
    mtx_lock(&s->mu);
    struct entry *x = map_find(&s->map, hash, entry_is, &k);
    if (x && x->w.n <= cap) {
        narrow_get(&x->w, x->columns, t, v);
        n = x->w.n;
        x->used = true;
        x->idle = false;
    } else if (!x) {
        *found = s->limit && shard_trace_locked(s, hash) ? FLOATS_WANTED : FLOATS_UNKNOWN;
    }
    count(n ? &s->hits : &s->misses, 1);
    mtx_unlock(&s->mu);
    return n;
}

void float_cache_put(struct float_key k, const int64_t *t, const double *v, size_t n)
{
    uint64_t hash = key_hash(k);
    struct shard *s = shard_of(hash);
    struct narrow w;
    if (!n || n > NARROW_SAMPLES_MAX) return;
    narrow_of(&w, t, v, n);
    struct entry *x = mem_alloc(sizeof(*x) + narrow_bytes(&w));
    *x = (struct entry){ .key = k, .w = w };
    narrow_put(&w, x->columns, t, v);
    uint64_t bytes = entry_bytes(x);
    mtx_lock(&s->mu);
    bool fits = bytes <= s->limit && !map_find(&s->map, hash, entry_is, &k);
    if (fits) {
        shard_make_room_locked(s, bytes);
        map_put(&s->map, hash, x);
        x->next = s->hand ? s->hand : x;
        x->prev = s->hand ? s->hand->prev : x;
        x->prev->next = x->next->prev = x;
        if (!s->hand) s->hand = x;
        count(&s->bytes, bytes);
        account_charge(&float_cache_account, (int64_t)bytes);
    }
    mtx_unlock(&s->mu);
    if (!fits) mem_free(x);
}

/* Entries that `goes` says go. */
static void drop_if(bool (*goes)(struct entry *x, uint64_t block), uint64_t block)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &shards[i];
        mtx_lock(&s->mu);
        for (size_t left = s->map.n; left > 0; left--) {
            if (goes(s->hand, block)) entry_drop_locked(s, s->hand);
            else s->hand = s->hand->next;
        }
        mtx_unlock(&s->mu);
    }
}

static bool entry_of(struct entry *x, uint64_t block) { return x->key.block == block; }

void float_cache_forget(uint64_t block) { drop_if(entry_of, block); }

static bool entry_idle(struct entry *x, uint64_t block)
{
    (void)block;
    bool idle = x->idle;
    x->idle = true;
    return idle;
}

void float_cache_age(int64_t now_ns)
{
    int64_t due = atomic_load_explicit(&age_ns, memory_order_relaxed);
    bool mine = now_ns >= due && atomic_compare_exchange_strong_explicit(&age_ns, &due,
                                     now_ns + FLOAT_CACHE_IDLE_NS, memory_order_relaxed,
                                     memory_order_relaxed);
    if (mine) drop_if(entry_idle, 0);
}

void float_cache_set_limit(uint64_t bytes)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &shards[i];
        mtx_lock(&s->mu);
        s->limit = bytes / SHARDS;
        shard_make_room_locked(s, 0);
        mtx_unlock(&s->mu);
    }
}

struct float_cache_stats float_cache_stats(void)
{
    struct float_cache_stats all = { 0 };
    for (size_t i = 0; i < SHARDS; i++) {
        const struct shard *s = &shards[i];
        all.hits += counted(&s->hits);
        all.misses += counted(&s->misses);
        all.evictions += counted(&s->evictions);
        all.size_bytes += counted(&s->bytes);
    }
    return all;
}

static double read_hits(void *ctx UNUSED) { return (double)float_cache_stats().hits; }
static double read_misses(void *ctx UNUSED) { return (double)float_cache_stats().misses; }
static double read_evictions(void *ctx UNUSED) { return (double)float_cache_stats().evictions; }
static double read_bytes(void *ctx UNUSED) { return (double)float_cache_stats().size_bytes; }
METRIC_DEFINE(cache_hits, METRIC_COUNTER, "epimetheus_decoded_chunk_cache_hits_total",
    "Chunks of blocks that queries found decoded in memory.", .read = read_hits)
METRIC_DEFINE(cache_misses, METRIC_COUNTER, "epimetheus_decoded_chunk_cache_misses_total",
    "Chunks of blocks that queries had to decode.", .read = read_misses)
METRIC_DEFINE(cache_evictions, METRIC_COUNTER, "epimetheus_decoded_chunk_cache_evictions_total",
    "Decoded chunks that made room for others.", .read = read_evictions)
METRIC_DEFINE(cache_bytes, METRIC_GAUGE, "epimetheus_decoded_chunk_cache_bytes",
    "What decoded chunks take up.", .read = read_bytes)
