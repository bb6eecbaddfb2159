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
 * Each source has a slot for each of its extents: one word with the frame's address and how often
 * it is pinned. So a hit takes no lock: it finds the slot by arithmetic and adds a pin to the very
 * word that says which frame is there. A frame goes by taking the word of its address and no pin
 * out of the slot; whoever comes then finds another word. Slots lie in arrays that double, made
 * when they are first needed and never moved, so that a file may grow under its readers.
 *
 * A frame that leaves its slot while it is pinned (failed, or read again because the file grew) is
 * an orphan: it takes its pins along, and is freed by its last unpin.
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
 * longer LOADING, state, which is written under it (release), freq (relaxed: a hint), orphaned. */
enum { FRAME_BY_RING = 1, FRAME_AHEAD = 2 };
struct cache_frame {
    cache_slot *slot; /* const */
    uint64_t hash;    /* const: of file and extent */
    uint8_t *data;
    struct cache_frame *newer, *older; /* in its queue, while READY */
    uint32_t n, sum;
    uint32_t extent_bytes; /* const */
    int errnum;
    /* pins that it took along, less those given back since it left its slot; acq_rel */
    _Atomic int32_t orphaned;
    _Atomic uint8_t state, freq;
    uint8_t queue;
    _Atomic uint8_t how; /* FRAME_BY_RING: who waits for it reaps; FRAME_AHEAD: not pinned yet */
};
_Static_assert(sizeof(struct cache_frame) == 64, "a hit looks at one cache line of it");

struct ghost {
    uint32_t print, seq;
};

struct cache_shard {
    _Alignas(64) struct mtx mu; /* LOCK_IO_CACHE */
    struct cond loaded;         /* a frame is no longer LOADING */
    struct cache_frame *newest[QUEUES], *oldest[QUEUES];
    uint64_t size[QUEUES]; /* bytes of the frames in each queue */
    struct ghost ghosts[GHOSTS];
    uint32_t evict_seq, main_n, small_n;
    uint64_t evictions;
};

ACCOUNT(cache_account, "page_cache")
static struct cache_shard shards[SHARDS];
/* relaxed: a figure; each shard acts on it at its next miss */
enum { CACHE_LIMIT = 40 << 20 };
static _Atomic uint64_t cache_limit = CACHE_LIMIT;
static _Atomic uint64_t cache_next_file = 1; /* relaxed: only its uniqueness matters */
/* relaxed: figures; of hits, what each thread has told */
enum { HITS_TOLD = 64 };
static _Atomic uint64_t cache_hits, cache_misses;

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

/* Ghosts use the low bits of the hash, so the shard is chosen by the high ones. */
static struct cache_shard *shard_of(uint64_t hash) { return &shards[hash >> 60]; }
_Static_assert(SHARDS == 16, "a shard is four bits of the hash");

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
    else s->small_n++;
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
    else s->small_n--;
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

/* ---- slots: the address of a frame, a multiple of FRAME_ALIGN, and its pins above it ---- */

enum { FRAME_ALIGN = 64, FRAME_BITS = 42 };
#define PIN_ONE ((uint64_t)1 << FRAME_BITS)
#define PINS_FULL ((uint64_t)-PIN_ONE)

static uint64_t word_of(const struct cache_frame *fr, uint64_t pins)
{
    uint64_t at = (uintptr_t)fr / FRAME_ALIGN;
    assert(at < PIN_ONE);
    return at | pins * PIN_ONE;
}
static struct cache_frame *word_frame(uint64_t word)
{
    return (struct cache_frame *)(uintptr_t)((word & (PIN_ONE - 1)) * FRAME_ALIGN);
}

/* The array k has the slots of as many extents as all before it, and SLOTS_FIRST more. */
static unsigned slots_place(uint64_t *extent)
{
    uint64_t x = *extent + SLOTS_FIRST;
    unsigned k = 63u - (unsigned)__builtin_clzll(x) - SLOTS_FIRST_BITS;
    *extent = x - ((uint64_t)SLOTS_FIRST << k);
    return k;
}

/* NULL: nothing of its array was ever read. */
static cache_slot *slot_find(const struct cache_source *src, uint64_t extent)
{
    unsigned k = slots_place(&extent);
    if (UNLIKELY(k >= SLOT_ARRAYS)) return NULL;
    cache_slot *at = atomic_load_explicit(&src->slots[k], memory_order_acquire);
    return at ? at + extent : NULL;
}

/* NULL: so far into a file nothing is kept. */
static cache_slot *slot_make(struct cache_source *src, uint64_t extent)
{
    cache_slot *slot = slot_find(src, extent), *none = NULL;
    unsigned k = slots_place(&extent);
    if (slot || k >= SLOT_ARRAYS) return slot;
    cache_slot *fresh = mem_zalloc(((size_t)SLOTS_FIRST << k) * sizeof(*fresh));
    if (!atomic_compare_exchange_strong_explicit(
            &src->slots[k], &none, fresh, memory_order_acq_rel, memory_order_acquire)) {
        mem_free((void *)fresh);
        fresh = none;
    }
    return fresh + extent;
}

/* The frame of a slot, pinned; NULL: there is none. */
static struct cache_frame *slot_pin(cache_slot *slot)
{
    uint64_t word = slot ? atomic_load_explicit(slot, memory_order_relaxed) : 0;
    while (word) {
        assert(word < PINS_FULL);
        if (LIKELY(atomic_compare_exchange_weak_explicit(
                slot, &word, word + PIN_ONE, memory_order_acquire, memory_order_relaxed)))
            return word_frame(word);
    }
    return NULL;
}

static bool slot_fill(struct cache_frame *fr, uint64_t pins)
{
    uint64_t none = 0;
    return atomic_compare_exchange_strong_explicit(
        fr->slot, &none, word_of(fr, pins), memory_order_release, memory_order_relaxed);
}

/* The frame leaves its slot, unless it is pinned. */
static bool slot_vacate(struct cache_frame *fr)
{
    uint64_t word = word_of(fr, 0);
    return atomic_compare_exchange_strong_explicit(
        fr->slot, &word, 0, memory_order_acquire, memory_order_relaxed);
}

/* The frame leaves its slot, with its pins; freed now, or by its last unpin. */
static void frame_orphan(struct cache_frame *fr)
{
    frame_set_state(fr, FRAME_ORPHAN);
    uint64_t word = atomic_exchange_explicit(fr->slot, 0, memory_order_acq_rel);
    assert(word_frame(word) == fr);
    int32_t pins = (int32_t)(word / PIN_ONE);
    if (atomic_fetch_add_explicit(&fr->orphaned, pins, memory_order_acq_rel) + pins == 0)
        frame_free(fr);
}

void cache_unpin(struct cache_frame *fr)
{
    cache_slot *slot = fr->slot;
    uint64_t word = atomic_load_explicit(slot, memory_order_relaxed);
    while (LIKELY(word_frame(word) == fr)) {
        assert(word >= PIN_ONE);
        if (LIKELY(atomic_compare_exchange_weak_explicit(
                slot, &word, word - PIN_ONE, memory_order_release, memory_order_relaxed)))
            return;
    }
    if (atomic_fetch_sub_explicit(&fr->orphaned, 1, memory_order_acq_rel) == 1) frame_free(fr);
}

/* Takes a READY frame out of the cache. */
static void frame_drop_locked(struct cache_shard *s, struct cache_frame *fr)
{
    mtx_assert_held(&s->mu);
    queue_remove_locked(s, fr);
    frame_orphan(fr);
}

/* ---- making room ---- */

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
    uint8_t freq = atomic_load_explicit(&fr->freq, memory_order_relaxed);
    bool stays = freq || !slot_vacate(fr);
    queue_remove_locked(s, fr);
    if (stays) {
        if (q == QUEUE_SMALL || !freq) freq = 1;
        atomic_store_explicit(&fr->freq, freq - 1, memory_order_relaxed);
        queue_push_locked(s, fr, QUEUE_MAIN);
        return true;
    }
    if (q == QUEUE_SMALL) ghost_put_locked(s, fr->hash);
    s->evictions++;
    frame_free(fr);
    return true;
}

/* Brings the shard within its share. Bounded: after FREQ_MAX + 1 rounds only pinned frames are
 * left. */
static void evict_locked(struct cache_shard *s)
{
    uint64_t share = atomic_load_explicit(&cache_limit, memory_order_relaxed) / SHARDS;
    size_t steps = ((size_t)s->small_n + s->main_n + 1) * (FREQ_MAX + 2);
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

static bool frame_loaded(void *ctx) { return frame_state(ctx) != FRAME_LOADING; }

/* Of a pinned frame. */
static void wait_loaded(struct cache_frame *fr, struct io_count *count)
{
    if (frame_loaded(fr)) return;
    int64_t since = clock_mono_ns();
    if (atomic_load_explicit(&fr->how, memory_order_relaxed) & FRAME_BY_RING) {
        ring_await(frame_loaded, fr);
    } else {
        struct cache_shard *s = shard_of(fr->hash);
        mtx_lock(&s->mu);
        while (!frame_loaded(fr)) cond_wait(&s->loaded, &s->mu);
        mtx_unlock(&s->mu);
    }
    count->stalled_ns += (uint64_t)(clock_mono_ns() - since);
}

/* LOADING, and in its slot; NULL: somebody was faster. */
static struct cache_frame *frame_new(
    const struct cache_source *src, uint64_t extent, cache_slot *slot, uint64_t pins)
{
    struct cache_frame *fr = mem_aligned(FRAME_ALIGN, sizeof(*fr));
    *fr = (struct cache_frame){ .slot = slot,
        .hash = cache_hash(src->id, extent),
        .how = (uint8_t)((src->direct ? FRAME_BY_RING : 0) | (pins ? 0 : FRAME_AHEAD)),
        .extent_bytes = src->extent_bytes };
    if (slot_fill(fr, pins)) return fr;
    mem_free(fr);
    return NULL;
}

/* A pinned frame that is shorter than what is asked for: the file has grown since. */
static void frame_outgrown(struct cache_frame *fr)
{
    struct cache_shard *s = shard_of(fr->hash);
    mtx_lock(&s->mu);
    if (frame_state(fr) == FRAME_READY) frame_drop_locked(s, fr);
    mtx_unlock(&s->mu);
}

static void count_hit(struct io_count *count)
{
    if (UNLIKELY(++count->hits % HITS_TOLD == 0))
        atomic_fetch_add_explicit(&cache_hits, HITS_TOLD, memory_order_relaxed);
}

/* What this thread has not told. */
static uint64_t hits_untold(void)
{
    return io_work.by[IO_BUFFERED].hits % HITS_TOLD + io_work.by[IO_DIRECT].hits % HITS_TOLD;
}

static bool frame_serves(const struct cache_frame *fr, size_t need)
{
    return frame_state(fr) == FRAME_READY && fr->n >= need;
}

/* What was read ahead came from the disk for who pins it first. */
static void frame_first_hit(struct cache_frame *fr)
{
    uint8_t how = atomic_fetch_and_explicit(&fr->how, (uint8_t)~FRAME_AHEAD, memory_order_relaxed);
    io_work.ahead += (how & FRAME_AHEAD) != 0;
}

static void frame_hit(struct cache_frame *fr, struct io_count *count)
{
    uint8_t freq = atomic_load_explicit(&fr->freq, memory_order_relaxed);
    if (UNLIKELY(freq == 0)) frame_first_hit(fr);
    if (freq < FREQ_MAX) atomic_store_explicit(&fr->freq, freq + 1, memory_order_relaxed);
    count_hit(count);
}

/* ---- loading ---- */

/* data: the frame's from here on; NULL: it failed. Who has not pinned it does not look at it any
 * more. */
static void cache_publish(struct cache_frame *fr, uint8_t *data, size_t n, int errnum)
{
    struct cache_shard *s = shard_of(fr->hash);
    fr->data = data;
    fr->n = (uint32_t)n;
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
        frame_orphan(fr);
    }
    cond_broadcast(&s->loaded);
    mtx_unlock(&s->mu);
}

static errc load_by_read(
    struct cache_frame *fr, const struct cache_source *src, uint64_t extent, struct err *e)
{
    uint8_t *data = mem_alloc(src->extent_bytes);
    size_t got = 0;
    errc rc = file_pread(src->file, data, src->extent_bytes, extent * src->extent_bytes, &got, e);
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

static struct load *load_new(
    struct cache_source *src, struct cache_frame *first, uint64_t extent)
{
    struct load *l = NEW(struct load);
    l->src = src;
    l->read = (struct ring_read){ .fd = file_fd(src->file),
        .n = src->extent_bytes,
        .off = extent * src->extent_bytes,
        .device = src->device,
        .done = load_done };
    l->at[l->n++] = first;
    atomic_fetch_add_explicit(&src->loading, 1, memory_order_relaxed);
    return l;
}

/* The frame of an extent a little behind the load's last: true: it comes with it. */
static bool load_join(struct load *l, struct cache_frame *fr, uint64_t extent)
{
    enum { GAP = 1 };
    uint64_t step = l->src->extent_bytes, place = extent - l->read.off / step;
    if (place > l->n + GAP || place >= LOAD_FRAMES || (place + 1) * step > RING_READ_MAX)
        return false;
    l->at[place] = fr;
    l->n = (size_t)place + 1;
    l->read.n = (uint32_t)(l->n * step);
    return true;
}

static errc load_by_ring(
    struct cache_frame *fr, struct cache_source *src, uint64_t extent, struct err *e)
{
    struct ring_read *one = &load_new(src, fr, extent)->read;
    int64_t t0 = stall_begin();
    ring_submit(&one, 1);
    ring_await(frame_loaded, fr);
    stall_end(STALL_READ, t0);
    return fr->data ? OK : fs_errno(e, fr->errnum, "read", src->file->fs, file_path(src->file));
}

static errc load(struct cache_frame *fr, struct cache_source *src, uint64_t extent, size_t need,
    struct err *e)
{
    struct io_count *count = count_of(src);
    int64_t since = clock_mono_ns();
    count->misses++;
    atomic_fetch_add_explicit(&cache_misses, 1, memory_order_relaxed);
    errc rc = src->direct ? load_by_ring(fr, src, extent, e) : load_by_read(fr, src, extent, e);
    count->stalled_ns += (uint64_t)(clock_mono_ns() - since);
    if (rc == OK && fr->n < need)
        rc = err_set(e, ERR_IO, "%.*s: cut short at %" PRIu64, STR_ARG(file_path(src->file)),
            extent * src->extent_bytes + fr->n);
    return rc;
}

/* fr: what is in the slot, pinned, if anything. *out is pinned, also where it fails. */
static errc pin_slowly(struct cache_frame **out, struct cache_frame *fr, struct cache_source *src,
    uint64_t extent, size_t need, struct err *e)
{
    cache_slot *slot = slot_make(src, extent);
    if (!slot)
        return err_set(e, ERR_LIMIT, "%.*s: too long to be read here past %" PRIu64,
            STR_ARG(file_path(src->file)), extent * src->extent_bytes);
    for (;; fr = slot_pin(slot)) {
        if (!fr) {
            *out = frame_new(src, extent, slot, 1);
            if (*out) return load(*out, src, extent, need, e);
            continue;
        }
        wait_loaded(fr, count_of(src));
        *out = fr;
        if (frame_serves(fr, need)) {
            frame_hit(fr, count_of(src));
            return hit_check(fr, src->file, e);
        }
        frame_outgrown(fr);
        cache_unpin(fr);
        *out = NULL;
    }
}

errc cache_pin(
    struct cache_frame **out, struct cache_source *src, uint64_t extent, size_t need, struct err *e)
{
    assert(need > 0 && need <= src->extent_bytes);
    struct cache_frame *fr = slot_pin(slot_find(src, extent)), *got = fr;
    errc rc;
    if (LIKELY(fr && frame_serves(fr, need))) {
        frame_hit(fr, count_of(src));
        rc = hit_check(fr, src->file, e);
    } else {
        got = NULL;
        rc = pin_slowly(&got, fr, src, extent, need, e);
    }
    if (LIKELY(rc == OK)) *out = got;
    else if (got) cache_unpin(got);
    return rc;
}

/* The fresh frame of an extent that is not there and not under way. */
static struct cache_frame *want_one(struct cache_source *src, uint64_t extent)
{
    cache_slot *slot = slot_make(src, extent);
    if (!slot || atomic_load_explicit(slot, memory_order_relaxed)) return NULL;
    return frame_new(src, extent, slot, 0);
}

void cache_want(struct cache_source *src, uint64_t from, uint64_t to)
{
    struct ring_read *reads[LOADS];
    struct load *open = NULL;
    size_t n = 0;
    assert(src->direct);
    for (uint64_t x = from; x < to; x++) {
        struct cache_frame *fr = want_one(src, x);
        if (!fr || (open && load_join(open, fr, x))) continue;
        if (n == LOADS) {
            ring_submit(reads, n);
            n = 0;
        }
        open = load_new(src, fr, x);
        reads[n++] = &open->read;
    }
    if (n) ring_submit(reads, n);
}

str cache_bytes(const struct cache_frame *fr) { return str_of(fr->data, fr->n); }

/* Of a file that is closed: nobody pins its frames or is loading them, but they may be evicted
 * until the lock is taken. */
static void slot_forget(cache_slot *slot, uint64_t hash)
{
    struct cache_shard *s = shard_of(hash);
    mtx_lock(&s->mu);
    struct cache_frame *fr = word_frame(atomic_load_explicit(slot, memory_order_relaxed));
    if (fr) frame_drop_locked(s, fr);
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
    uint64_t extent = 0;
    for (unsigned k = 0; k < SLOT_ARRAYS; k++) {
        cache_slot *at = atomic_exchange_explicit(&src->slots[k], NULL, memory_order_acquire);
        size_t n = (size_t)SLOTS_FIRST << k;
        for (size_t i = 0; at && i < n; i++)
            if (atomic_load_explicit(&at[i], memory_order_relaxed))
                slot_forget(&at[i], cache_hash(src->id, extent + i));
        mem_free((void *)at);
        extent += n;
    }
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
                                   atomic_load_explicit(&cache_limit, memory_order_relaxed),
        .hits = atomic_load_explicit(&cache_hits, memory_order_relaxed) + hits_untold(),
        .misses = atomic_load_explicit(&cache_misses, memory_order_relaxed) };
    for (size_t i = 0; i < SHARDS; i++) {
        struct cache_shard *s = &shards[i];
        mtx_lock(&s->mu);
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

static _Atomic uint64_t cache_most; /* relaxed: a figure; 0: not set */
static uint64_t most_now(void)
{
    uint64_t most = atomic_load_explicit(&cache_most, memory_order_relaxed),
             budget = budget_limit();
    if (most) return most;
    return budget ? MIN((uint64_t)CACHE_LIMIT, budget / 4) : CACHE_LIMIT;
}

void cache_set_most(uint64_t bytes)
{
    atomic_store_explicit(&cache_most, bytes, memory_order_relaxed);
    cache_set_limit(most_now());
}

/* What is too much goes first from here. */
static void cache_yield(uint64_t too_much)
{
    uint64_t most = most_now(), size = cache_stats().size_bytes;
    cache_set_limit(!too_much ? most : size > too_much ? MIN(most, size - too_much) : 0);
}
BUDGET_CACHE(page_cache, cache_yield)
