/* S3-FIFO: "FIFO queues are all you need for cache eviction" (Yang and others, SOSP 2023). A new
 * frame enters a small queue of a tenth of the budget. What was asked for again before it reaches
 * the end of that queue moves to the main queue, the rest (of a scan:
 * everything) goes, and only its fingerprint stays in a ghost table for a while; what is missed and
 * found there enters the main queue at once. The main queue gives frames that were used as many
 * further rounds as they had hits, at most three. A hit writes one counter and moves nothing.
 *
 *      miss -> LOADING -> READY in small --used again--> main --used--> main (next round)
 *                            '--not used--> ghost          '--not used--> gone
 *
 * A frame that leaves the table while it is pinned (forgotten, failed, or read again because the
 * file grew) is an orphan, freed by its last unpin.
 *
 * A frame of a direct source is LOADING while its read is in the ring, whether anybody waits for it
 * or not. Frames that are wanted together and lie side by side, or one extent apart, come by one
 * read.
 */
#include "io/page_cache.h"

#include "io/fs_impl.h"
#include "io/reader.h"
#include "io/ring.h"
#include "io/stall.h"
#include "io/work.h"

#include "base/budget.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/metric.h"

enum { SHARDS = 16, GHOSTS = 4096, FREQ_MAX = 3, SMALL_SHARE = 10 };
/* of one read by the ring: frames, and reads that are handed over at one go */
enum { LOAD_FRAMES = 16, LOADS = 16 };
enum frame_state { FRAME_LOADING, FRAME_READY, FRAME_ORPHAN };
enum frame_queue { QUEUE_SMALL, QUEUE_MAIN, QUEUES };

/* All fields: GUARDED_BY(shard.mu), but for data, n, sum and errnum, which are const once it is no
 * longer LOADING, and state, which is written under it (release). */
struct cache_frame {
    uint64_t file_id, extent, hash;
    uint32_t sum;
    uint8_t *data;
    size_t n;
    uint32_t extent_bytes, pins;
    int errnum;
    uint8_t freq, queue;
    bool by_ring; /* const: who waits for it reaps */
    _Atomic uint8_t state;
    struct cache_frame *newer, *older; /* in its queue, while READY */
};

struct ghost {
    uint32_t print, seq;
};

struct cache_shard {
    _Alignas(64) struct mtx mu; /* LOCK_IO_CACHE */
    struct cond loaded;         /* a frame is no longer LOADING */
    struct map frames;          /* hash -> LOADING and READY frames */
    struct cache_frame *newest[QUEUES], *oldest[QUEUES];
    uint64_t size[QUEUES]; /* bytes of the frames in each queue */
    struct ghost ghosts[GHOSTS];
    uint32_t evict_seq, main_n;
    uint64_t hits, misses, evictions;
};

ACCOUNT(cache_account, "page_cache")
static struct cache_shard shards[SHARDS];
/* relaxed: a figure; each shard acts on it at its next miss */
enum { CACHE_LIMIT = 40 << 20 };
static _Atomic uint64_t cache_limit = CACHE_LIMIT;
static _Atomic uint64_t cache_next_file = 1; /* relaxed: only its uniqueness matters */

__attribute__((constructor)) static void cache_init(void)
{
    for (size_t i = 0; i < SHARDS; i++) {
        mtx_init(&shards[i].mu, LOCK_IO_CACHE);
        cond_init(&shards[i].loaded);
    }
}

uint64_t cache_file_id(void)
{
    return atomic_fetch_add_explicit(&cache_next_file, 1, memory_order_relaxed);
}

static uint64_t cache_hash(uint64_t file_id, uint64_t extent)
{
    uint64_t key[2] = { file_id, extent };
    return hash_bytes(key, sizeof(key));
}

/* The map uses the low bits of the hash, so the shard is chosen by the high ones. */
static struct cache_shard *shard_of(uint64_t hash) { return &shards[hash >> 60]; }
_Static_assert(SHARDS == 16, "a shard is four bits of the hash");

static bool frame_is(const void *val, const void *key)
{
    const struct cache_frame *a = val, *b = key;
    return a->file_id == b->file_id && a->extent == b->extent;
}

static void queue_push_locked(struct cache_shard *s, struct cache_frame *fr, enum frame_queue q)
{
    fr->queue = q;
    fr->newer = NULL;
    fr->older = s->newest[q];
    if (fr->older) fr->older->newer = fr;
    else s->oldest[q] = fr;
    s->newest[q] = fr;
    s->size[q] += fr->extent_bytes;
    if (q == QUEUE_MAIN) s->main_n++;
}

static void queue_remove_locked(struct cache_shard *s, struct cache_frame *fr)
{
    enum frame_queue q = fr->queue;
    if (fr->newer) fr->newer->older = fr->older;
    else s->newest[q] = fr->older;
    if (fr->older) fr->older->newer = fr->newer;
    else s->oldest[q] = fr->newer;
    s->size[q] -= fr->extent_bytes;
    if (q == QUEUE_MAIN) s->main_n--;
}

static enum frame_state frame_state(const struct cache_frame *fr)
{
    return atomic_load_explicit(&fr->state, memory_order_acquire);
}
static void frame_set_state(struct cache_frame *fr, enum frame_state state)
{
    atomic_store_explicit(&fr->state, state, memory_order_release);
}

static void frame_free(struct cache_frame *fr)
{
    if (fr->data) account_charge(&cache_account, -(int64_t)fr->extent_bytes);
    mem_free(fr->data);
    mem_free(fr);
}

/* Takes a READY frame out of the cache; freed now, or by its last unpin. */
static void frame_drop_locked(struct cache_shard *s, struct cache_frame *fr)
{
    mtx_assert_held(&s->mu);
    queue_remove_locked(s, fr);
    map_remove(&s->frames, fr->hash, frame_is, fr);
    frame_set_state(fr, FRAME_ORPHAN);
    if (!fr->pins) frame_free(fr);
}

static void ghost_put_locked(struct cache_shard *s, uint64_t hash)
{
    s->ghosts[hash % GHOSTS] = (struct ghost){ (uint32_t)(hash >> 24), ++s->evict_seq };
}

/* A ghost counts for as many evictions as there are frames in the main queue. */
static bool ghost_take_locked(struct cache_shard *s, uint64_t hash)
{
    struct ghost *g = &s->ghosts[hash % GHOSTS];
    bool hit = g->seq && g->print == (uint32_t)(hash >> 24) && s->evict_seq - g->seq <= s->main_n;
    if (hit) g->seq = 0;
    return hit;
}

/* One step at the old end of a queue: a used frame moves on, an unused one goes. False: there is
 * nothing to take. */
static bool evict_step_locked(struct cache_shard *s, enum frame_queue q)
{
    struct cache_frame *fr = s->oldest[q];
    if (!fr) return false;
    if (fr->pins || fr->freq) {
        queue_remove_locked(s, fr);
        if (q == QUEUE_MAIN && fr->freq) fr->freq--;
        if (q == QUEUE_SMALL) fr->freq = 0;
        queue_push_locked(s, fr, QUEUE_MAIN);
        return true;
    }
    if (q == QUEUE_SMALL) ghost_put_locked(s, fr->hash);
    s->evictions++;
    frame_drop_locked(s, fr);
    return true;
}

/* Brings the shard within its share. Bounded: after FREQ_MAX + 1 rounds only pinned frames are
 * left. */
static void evict_locked(struct cache_shard *s)
{
    uint64_t share = atomic_load_explicit(&cache_limit, memory_order_relaxed) / SHARDS;
    size_t steps = (s->frames.n + 1) * (FREQ_MAX + 2);
    while (s->size[QUEUE_SMALL] + s->size[QUEUE_MAIN] > share && steps-- > 0) {
        enum frame_queue q = s->size[QUEUE_SMALL] > share / SMALL_SHARE ? QUEUE_SMALL : QUEUE_MAIN;
        if (!evict_step_locked(s, q) &&
            !evict_step_locked(s, q == QUEUE_MAIN ? QUEUE_SMALL : QUEUE_MAIN))
            return;
    }
}

static uint32_t frame_sum(const struct cache_frame *fr) { return crc32c(0, fr->data, fr->n); }

errc cache_check(const struct cache_frame *fr, const struct file *f, struct err *e)
{
    if (frame_sum(fr) == fr->sum) return OK;
    return err_set(
        e, ERR_CORRUPT, "%.*s: cached bytes were changed in memory", STR_ARG(file_path(f)));
}

#ifdef EPI_FAULTS
static errc hit_check(const struct cache_frame *fr, const struct file *f, struct err *e)
{
    return cache_check(fr, f, e);
}
#else
static errc hit_check(const struct cache_frame *fr, const struct file *f, struct err *e)
{
    (void)fr, (void)f, (void)e;
    return OK;
}
#endif

static struct io_count *count_of(const struct cache_source *src)
{
    return &io_work.by[src->direct ? IO_DIRECT : IO_BUFFERED];
}

/* ---- finding ---- */

static void unpin_locked(struct cache_frame *fr, struct cache_frame **dead)
{
    assert(fr->pins > 0);
    *dead = --fr->pins == 0 && frame_state(fr) == FRAME_ORPHAN ? fr : NULL;
}

static bool frame_loaded(void *ctx) { return frame_state(ctx) != FRAME_LOADING; }

/* Until the frame is no longer LOADING; it may be gone then. */
static void wait_loaded_locked(struct cache_shard *s, struct cache_frame *fr) REQUIRES(s->mu)
{
    struct cache_frame *dead;
    fr->pins++;
    if (fr->by_ring) {
        mtx_unlock(&s->mu);
        ring_await(frame_loaded, fr);
        mtx_lock(&s->mu);
    } else {
        while (frame_state(fr) == FRAME_LOADING) cond_wait(&s->loaded, &s->mu);
    }
    unpin_locked(fr, &dead);
    if (dead) frame_free(dead);
}

static struct cache_frame *frame_new_locked(
    struct cache_shard *s, const struct cache_frame *key, uint32_t pins)
{
    struct cache_frame *fresh = NEW(struct cache_frame);
    *fresh = *key;
    fresh->pins = pins;
    map_put(&s->frames, fresh->hash, fresh);
    return fresh;
}

/* The frame, pinned, READY; or NULL: *mine is a LOADING one in the table that the caller has to
 * fill. */
static struct cache_frame *cache_find(struct cache_shard *s, const struct cache_frame *key,
    size_t need, struct io_count *count, struct cache_frame **mine)
{
    int64_t since = 0;
    mtx_lock(&s->mu);
    struct cache_frame *fr;
    while (
        (fr = map_find(&s->frames, key->hash, frame_is, key)) && frame_state(fr) == FRAME_LOADING) {
        if (!since) since = clock_mono_ns();
        wait_loaded_locked(s, fr);
    }
    if (since) count->stalled_ns += (uint64_t)(clock_mono_ns() - since);
    if (fr && fr->n >= need) {
        fr->pins++;
        if (fr->freq < FREQ_MAX) fr->freq++;
        s->hits++;
        count->hits++;
        mtx_unlock(&s->mu);
        return fr;
    }
    if (fr) frame_drop_locked(s, fr);
    s->misses++;
    count->misses++;
    *mine = frame_new_locked(s, key, 1);
    mtx_unlock(&s->mu);
    return NULL;
}

/* ---- loading ---- */

/* data: the frame's from here on; NULL: it failed. */
static void cache_publish(struct cache_frame *fr, uint8_t *data, size_t n, int errnum)
{
    struct cache_shard *s = shard_of(fr->hash);
    struct cache_frame *dead = NULL;
    fr->data = data;
    fr->n = n;
    fr->errnum = errnum;
    if (data) {
        fr->sum = frame_sum(fr);
        account_charge(&cache_account, fr->extent_bytes);
    }
    mtx_lock(&s->mu);
    if (data) {
        bool again = ghost_take_locked(s, fr->hash);
        frame_set_state(fr, FRAME_READY);
        queue_push_locked(s, fr, again ? QUEUE_MAIN : QUEUE_SMALL);
        evict_locked(s);
    } else {
        map_remove(&s->frames, fr->hash, frame_is, fr);
        if (!fr->pins) dead = fr;
        frame_set_state(fr, FRAME_ORPHAN);
    }
    cond_broadcast(&s->loaded);
    mtx_unlock(&s->mu);
    if (dead) frame_free(dead);
}

static errc load_by_read(struct cache_frame *fr, const struct cache_source *src, struct err *e)
{
    uint8_t *data = mem_alloc(fr->extent_bytes);
    size_t got = 0;
    errc rc = file_pread(src->file, data, fr->extent_bytes, fr->extent * fr->extent_bytes, &got, e);
    if (rc != OK) {
        mem_free(data);
        data = NULL;
    }
    cache_publish(fr, data, got, 0);
    return rc;
}

/* One read of the ring and the frames that it fills, extent by extent; NULL: one between two of
 * them that is not wanted. */
struct load {
    struct ring_read read;
    struct cache_source *src;
    size_t n;
    struct cache_frame *at[LOAD_FRAMES];
};

static void load_done(struct ring_read *r, str bytes, int errnum)
{
    struct load *l = CONTAINER_OF(r, struct load, read);
    size_t step = l->src->extent_bytes;
    for (size_t i = 0; i < l->n; i++) {
        if (!l->at[i]) continue;
        str part = str_slice(bytes, MIN(i * step, bytes.n), MIN((i + 1) * step, bytes.n));
        uint8_t *data = errnum ? NULL : mem_alloc(step);
        if (data) memcpy(data, part.p, part.n);
        cache_publish(l->at[i], data, part.n, errnum);
    }
    atomic_fetch_sub_explicit(&l->src->loading, 1, memory_order_release);
    mem_free(l);
}

static struct load *load_new(struct cache_source *src, struct cache_frame *first)
{
    struct load *l = NEW(struct load);
    l->src = src;
    l->read = (struct ring_read){ .fd = file_fd(src->file),
        .n = src->extent_bytes,
        .off = first->extent * src->extent_bytes,
        .device = src->device,
        .done = load_done };
    l->at[l->n++] = first;
    atomic_fetch_add_explicit(&src->loading, 1, memory_order_relaxed);
    return l;
}

/* The frame of an extent a little behind the load's last: true: it comes with it. */
static bool load_join(struct load *l, struct cache_frame *fr)
{
    enum { GAP = 1 };
    uint64_t step = l->src->extent_bytes, place = fr->extent - l->read.off / step;
    if (place > l->n + GAP || place >= LOAD_FRAMES || (place + 1) * step > RING_READ_MAX)
        return false;
    l->at[place] = fr;
    l->n = (size_t)place + 1;
    l->read.n = (uint32_t)(l->n * step);
    return true;
}

static errc load_by_ring(struct cache_frame *fr, struct cache_source *src, struct err *e)
{
    struct ring_read *one = &load_new(src, fr)->read;
    int64_t t0 = stall_begin();
    ring_submit(&one, 1);
    ring_await(frame_loaded, fr);
    stall_end(STALL_READ, t0);
    return fr->data ? OK : fs_errno(e, fr->errnum, "read", src->file->fs, file_path(src->file));
}

static errc load(struct cache_frame *fr, struct cache_source *src, struct io_count *count,
    size_t need, struct err *e)
{
    int64_t since = clock_mono_ns();
    errc rc = src->direct ? load_by_ring(fr, src, e) : load_by_read(fr, src, e);
    count->stalled_ns += (uint64_t)(clock_mono_ns() - since);
    if (rc == OK && fr->n < need)
        rc = err_set(e, ERR_IO, "%.*s: cut short at %" PRIu64, STR_ARG(file_path(src->file)),
            fr->extent * fr->extent_bytes + fr->n);
    return rc;
}

static struct cache_frame key_of(const struct cache_source *src, uint64_t extent)
{
    return (struct cache_frame){ .file_id = src->id,
        .extent = extent,
        .extent_bytes = src->extent_bytes,
        .hash = cache_hash(src->id, extent),
        .by_ring = src->direct };
}

errc cache_pin(
    struct cache_frame **out, struct cache_source *src, uint64_t extent, size_t need, struct err *e)
{
    assert(need > 0 && need <= src->extent_bytes);
    struct cache_frame key = key_of(src, extent), *fresh = NULL;
    struct io_count *count = count_of(src);
    struct cache_frame *fr = cache_find(shard_of(key.hash), &key, need, count, &fresh);
    errc rc = fr ? hit_check(fr, src->file, e) : load(fresh, src, count, need, e);
    if (!fr) fr = fresh;
    if (rc != OK) cache_unpin(fr);
    else *out = fr;
    return rc;
}

/* The fresh frame of an extent that is not there and not under way. */
static struct cache_frame *want_one(const struct cache_source *src, uint64_t extent)
{
    struct cache_frame key = key_of(src, extent), *fresh = NULL;
    struct cache_shard *s = shard_of(key.hash);
    mtx_lock(&s->mu);
    if (!map_find(&s->frames, key.hash, frame_is, &key)) fresh = frame_new_locked(s, &key, 0);
    mtx_unlock(&s->mu);
    return fresh;
}

void cache_want(struct cache_source *src, uint64_t from, uint64_t to)
{
    struct ring_read *reads[LOADS];
    struct load *open = NULL;
    size_t n = 0;
    assert(src->direct);
    for (uint64_t x = from; x < to; x++) {
        struct cache_frame *fr = want_one(src, x);
        if (!fr || (open && load_join(open, fr))) continue;
        if (n == LOADS) {
            ring_submit(reads, n);
            n = 0;
        }
        open = load_new(src, fr);
        reads[n++] = &open->read;
    }
    if (n) ring_submit(reads, n);
}

str cache_bytes(const struct cache_frame *fr) { return str_of(fr->data, fr->n); }

void cache_unpin(struct cache_frame *fr)
{
    struct cache_shard *s = shard_of(fr->hash);
    struct cache_frame *dead;
    mtx_lock(&s->mu);
    unpin_locked(fr, &dead);
    mtx_unlock(&s->mu);
    if (dead) frame_free(dead);
}

/* The frames of a file that is closed: nobody is loading them. */
static void shard_forget(struct cache_shard *s, uint64_t file_id)
{
    mtx_lock(&s->mu);
    for (unsigned q = 0; q < QUEUES; q++) {
        struct cache_frame *older;
        for (struct cache_frame *fr = s->newest[q]; fr; fr = older) {
            older = fr->older;
            if (fr->file_id == file_id) frame_drop_locked(s, fr);
        }
    }
    mtx_unlock(&s->mu);
}

static bool source_at_rest(void *ctx)
{
    const struct cache_source *src = ctx;
    return !atomic_load_explicit(&src->loading, memory_order_acquire);
}

void cache_forget(struct cache_source *src)
{
    if (src->direct) ring_await(source_at_rest, src);
    for (size_t i = 0; i < SHARDS; i++) shard_forget(&shards[i], src->id);
}

void cache_set_limit(uint64_t bytes)
{
    atomic_store_explicit(&cache_limit, bytes, memory_order_relaxed);
    for (size_t i = 0; i < SHARDS; i++) {
        mtx_lock(&shards[i].mu);
        evict_locked(&shards[i]);
        mtx_unlock(&shards[i].mu);
    }
}

struct cache_stats cache_stats(void)
{
    struct cache_stats sum = { .limit_bytes =
                                   atomic_load_explicit(&cache_limit, memory_order_relaxed) };
    for (size_t i = 0; i < SHARDS; i++) {
        struct cache_shard *s = &shards[i];
        mtx_lock(&s->mu);
        sum.hits += s->hits;
        sum.misses += s->misses;
        sum.evictions += s->evictions;
        sum.size_bytes += s->size[QUEUE_SMALL] + s->size[QUEUE_MAIN];
        mtx_unlock(&s->mu);
    }
    return sum;
}

/* ---- the same as metrics ---- */

enum cache_figure { FIGURE_HITS, FIGURE_MISSES, FIGURE_EVICTIONS, FIGURE_SIZE, FIGURE_LIMIT };
static double cache_figure(void *ctx)
{
    struct cache_stats s = cache_stats();
    switch ((enum cache_figure)(uintptr_t)ctx) {
    case FIGURE_HITS: return (double)s.hits;
    case FIGURE_MISSES: return (double)s.misses;
    case FIGURE_EVICTIONS: return (double)s.evictions;
    case FIGURE_SIZE: return (double)s.size_bytes;
    default: return (double)s.limit_bytes;
    }
}

#define CACHE_METRIC(var, kind, name, help, figure)                                                \
    METRIC_DEFINE(var, kind, "epimetheus_page_cache_" name, help, .read = cache_figure,            \
        .read_ctx = (void *)(uintptr_t)(figure))
CACHE_METRIC(m_hits, METRIC_COUNTER, "hits_total",
    "Reads that found their extent in the page cache.", FIGURE_HITS)
CACHE_METRIC(m_misses, METRIC_COUNTER, "misses_total", "Reads that had to fetch their extent.",
    FIGURE_MISSES)
CACHE_METRIC(m_evictions, METRIC_COUNTER, "evictions_total", "Extents that made room for others.",
    FIGURE_EVICTIONS)
CACHE_METRIC(
    m_size, METRIC_GAUGE, "size_bytes", "Bytes of the extents in the page cache.", FIGURE_SIZE)
CACHE_METRIC(
    m_limit, METRIC_GAUGE, "limit_bytes", "Bytes that the page cache may hold.", FIGURE_LIMIT)

/* A quarter of the budget at most; what is too much goes first from here. */
static void cache_yield(uint64_t too_much)
{
    uint64_t most = MIN((uint64_t)CACHE_LIMIT, budget_limit() / 4), size = cache_stats().size_bytes;
    cache_set_limit(!too_much ? most : size > too_much ? MIN(most, size - too_much) : 0);
}
BUDGET_CACHE(page_cache, cache_yield)
