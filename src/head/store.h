/* store.h — the memory of the series: slots, runs of timestamps, cells of samples, sealed chunks,
 * references to closed ones.
 *
 * What        The objects of which a head has millions, each kind in a slab of its own, and their
 *             layout. Indexes are 32 bits; 0: none.
 *
 *             slot (64 B, one cache line) ── run ──> ts_run ──> cells of 16 offsets       shared by
 *             the series of a target
 *                 │                    └─ first_cell … last_cell ──> cells of 480 bits    values of
 *                 the open chunk ├─ sealed ──> sealed chunk ──> next
 *                 full, not yet in the chunk files └─ closed ──> vector of 16-byte references
 *                 in the chunk files
 *             cold (16 B, by the same index): ref, labels
 *
 * Invariants  (1) What hangs on a slot is reached and changed under the slot's bytelock only; runs
 *             are shared, see ts_run. (2) All samples of a slot ascend in time: closed, sealed,
 *             open. (3) A slot's generation changes when its series goes.
 * Ownership   store_init/store_fini; slabs charge their accounts
 * Threads     slots are looked at by index without a lock; store_* take LOCK_LEAF for a moment
 * Errors      none
 * Format      in memory only
 */
#ifndef EPI_HEAD_STORE_H
#define EPI_HEAD_STORE_H

#include "base/lock.h"
#include "base/slab.h"
#include "base/vec.h"
#include "model/sample.h"

/* values of a chunk; see open_chunk.h */
enum coding { CODING_CONST, CODING_UP, CODING_DEC, CODING_XOR, CODING_BYTES };
enum slot_flags {
    SLOT_LIVE = 1,
    SLOT_LAST_HIST = 4,                        /* the newest sample is a histogram */
    SLOT_DYING = 8,
    SLOT_STALE = 16,
    SLOT_BYTES = 32,                           /* the open chunk is a byte_chunk: first_cell */
    SLOT_LAST_FLOAT_HIST = 64,                 /* the newest sample is one of floats */
    SLOT_OOO = 128
};
enum { SLOT_LAST_ANY_HIST = SLOT_LAST_HIST | SLOT_LAST_FLOAT_HIST };

struct slot {
    /* newest sample; written under mu, relaxed; INT64_MIN: none */
    _Atomic int64_t last_t;
    uint64_t last_v;                           /* its bits */
    /* timestamps of the open chunk: the first n of this run */
    uint32_t run;
    uint32_t first_cell;                       /* its values */
    /* under mu, relaxed; others guess by it what to prefetch */
    _Atomic uint32_t last_cell;
    uint32_t closed;                           /* vector of closed_ref, n_closed of them */
    uint32_t sealed;                           /* the oldest sealed chunk */
    /* low bits of the newest batch's id; 0: seen by all */
    uint32_t append_id;
    /* batches before it that somebody may not see: store.ids */
    uint32_t older_ids;
    uint16_t n;                                /* samples in the open chunk */
    uint16_t payload_bits;                     /* of its values in the cells */
    /* length of the chunk if it were encoded; of a histogram: the buckets of the newest one */
    uint16_t xor_bits;
    uint8_t xor_lead, xor_trail;
    /* falls: chunks begin with DEC, not UP; unit of UP and DEC */
    uint8_t coding : 2, falls : 1, unit : 5;
    uint8_t rice;                              /* UP, DEC: the state of the code */
    /* SLOT_LIVE const while the generation is; else under mu */
    _Atomic uint8_t flags;
    bytelock mu;                               /* LOCK_SERIES */
    uint16_t batch_n;                          /* samples of batch append_id */
    uint16_t n_closed;
    _Atomic uint32_t generation;               /* release when the slot is given away or taken */
};
_Static_assert(sizeof(struct slot) == 64, "a slot is one cache line");

struct cold { sref ref; uint32_t labels; uint32_t num; };
_Static_assert(sizeof(struct cold) == 16, "four to a cache line");

/* The times of chunks that began together. A series that holds n of it means the first n; who
 * appends another time than the run goes on with takes a copy of its own (a fork). Invariant:
 * offsets below n never change. */
enum { CELL_OFFSETS = 16, RUN_CELLS = 16, RUN_MAX = CELL_OFFSETS * RUN_CELLS };
struct ts_run {
    int64_t base;                              /* the first time; const */
    int64_t range_end;                         /* cut_align of it; const */
    /* where the chunk ends, from the quarter on; written before n passes the quarter */
    int64_t next_at;
    _Atomic uint32_t refs;
    _Atomic uint16_t n;                        /* release */
    bytelock mu;                               /* LOCK_HEAD_RUN: pushing */
    uint8_t spare;
    _Atomic uint32_t cell[RUN_CELLS];          /* of uint32_t offset[16]: ms after base */
    uint32_t pad[8];
};
_Static_assert(sizeof(struct ts_run) == 128, "two cache lines");

/* 480 bits of values behind the number of the next cell: w[0] holds that in its high half. Or 16
 * offsets of a run. */
enum { CELL_BITS = 480, CELL_HEAD_BITS = 32 };
union cell { uint64_t w[8]; uint32_t offset[CELL_OFFSETS]; };

struct sealed {
    uint32_t slot, generation, next, queue_next;
    uint32_t run, first_cell;
    int64_t maxt;
    uint64_t last_v;
    uint16_t n, payload_bits;
    uint8_t coding, unit;
    bool dropped;                              /* no longer the slot's: the writer only frees it */
    uint8_t spare[9];
};
_Static_assert(sizeof(struct sealed) == 56, "as small as it gets");

/* A closed chunk in 16 bytes; file 0: what does not fit stands in store.wide[offset]. */
struct closed_ref { uint16_t file, n_enc; uint32_t offset; int32_t mint; uint32_t length_ms; };
struct closed_wide { int64_t mint, maxt; uint64_t disk_ref; uint32_t n; uint8_t enc; };
_Static_assert(sizeof(struct closed_ref) == 16, "four to a cache line");
/* taken apart */
struct closed_chunk { int64_t mint, maxt; uint64_t disk_ref; uint32_t n; uint8_t enc; };

/* newest: no id of it or behind it is greater. depth: how many there are from it to the end of the
 * chain, at most */
struct batch_id { uint32_t next, id, newest; uint16_t n, depth; };

/* vectors of 1, 2, 4 … 256; longer ones lie on the heap */
enum { CLOSED_CLASSES = 9 };
struct store {
    struct slab slots, cold;                   /* LOCK_HEAD_CREATE */
    struct mtx mu;                             /* LOCK_LEAF: all below */
    struct slab cells, runs, sealed, wide, ids, bytes, closed[CLOSED_CLASSES], closed_heap;
    /* the queue to the chunk files, by queue_next; 0: empty. Entered under the slot's lock too, so
     * that the chunks of a series stand in it in their order whoever sealed them */
    uint32_t sealed_first, sealed_last;
    /* slots that bear SLOT_STALE: whose newest sample is a stale marker; relaxed */
    _Atomic int64_t n_stale;
    /* slots whose newest sample is a histogram, and the buckets of those; relaxed */
    _Atomic int64_t n_hist, n_hist_buckets;
    /* of chunks that are begun: XOR or XOR2; histograms with start timestamps; an open XOR chunk
     * ends where XOR2 shall begin, since start timestamps are to be kept. Relaxed */
    _Atomic uint8_t float_enc;
    bool histogram_st, keep_st;                /* const */
    /* of closed_ref.mint; set once by the first; INT64_MIN: not yet */
    _Atomic int64_t time_base;
    int64_t chunk_range_ms;                    /* const */
    uint32_t samples_per_chunk;                /* const */
};

void store_init(struct store *s, int64_t chunk_range_ms, uint32_t samples_per_chunk);
void store_fini(struct store *s);
/* Memory in which nothing lies goes back to the system. */
void store_trim(struct store *s);

/* Powers of two a page: an index is a shift and a mask away. */
static inline void *store_at(const struct slab *s, uint32_t i, unsigned size_log2)
{
    unsigned per_page_log2 = 18 - size_log2;
    uint8_t *page = atomic_load_explicit(&s->pages[i >> per_page_log2], memory_order_acquire);
    return page + ((size_t)(i & ((1u << per_page_log2) - 1)) << size_log2);
}
static inline struct slot *store_slot(const struct store *s, uint32_t i)
{
    return store_at(&s->slots, i, 6);
}
static inline struct cold *store_cold(const struct store *s, uint32_t i)
{
    return store_at(&s->cold, i, 4);
}
static inline union cell *store_cell(const struct store *s, uint32_t i)
{
    return store_at(&s->cells, i, 6);
}
static inline struct ts_run *store_run(const struct store *s, uint32_t i)
{
    return store_at(&s->runs, i, 7);
}

static inline void slot_lock(struct slot *s) { bytelock_lock(&s->mu, LOCK_SERIES); }
static inline void slot_unlock(struct slot *s) { bytelock_unlock(&s->mu, LOCK_SERIES); }
static inline int64_t slot_last_t(const struct slot *s)
{
    return atomic_load_explicit(&s->last_t, memory_order_relaxed);
}
static inline void slot_set_last_t(struct slot *s, int64_t t)
{
    atomic_store_explicit(&s->last_t, t, memory_order_relaxed);
}
static inline uint32_t slot_last_cell(const struct slot *s)
{
    return atomic_load_explicit(&s->last_cell, memory_order_relaxed);
}
static inline void slot_set_last_cell(struct slot *s, uint32_t c)
{
    atomic_store_explicit(&s->last_cell, c, memory_order_relaxed);
}
static inline uint8_t slot_flags(const struct slot *s)
{
    return atomic_load_explicit(&s->flags, memory_order_relaxed);
}
/* REQUIRES: slot locked, or not yet published */
static inline void slot_flag(struct slot *s, uint8_t set, uint8_t clear)
{
    atomic_store_explicit(
        &s->flags, (uint8_t)((slot_flags(s) | set) & ~clear), memory_order_relaxed);
}

/* Whether the newest sample is a stale marker. REQUIRES: slot locked. */
static inline void slot_set_stale(struct store *st, struct slot *s, bool stale)
{
    if (LIKELY(stale == ((slot_flags(s) & SLOT_STALE) != 0))) return;
    slot_flag(s, stale ? SLOT_STALE : 0, stale ? 0 : SLOT_STALE);
    atomic_fetch_add_explicit(&st->n_stale, stale ? 1 : -1, memory_order_relaxed);
}

/* A small stock of cells, so that the lock is taken once in many. One thread's. The chunks of a
 * page's series end together: their first cells are taken up by the chunks that follow, the later
 * ones leave whole pages empty, because cells lie together by their place in the chunk. */
enum { CELL_STOCK = 16, CELL_PLACES = SLAB_COLOURS };
struct cell_stock { struct { uint32_t at[CELL_STOCK], n; } of[CELL_PLACES]; };
/* zeroed; nth of its chunk or run, from 0 */
uint32_t store_take_cell(struct store *s, struct cell_stock *stock, unsigned nth);
void store_drain_stock(struct store *s, struct cell_stock *stock);
void store_give_cells(struct store *s, uint32_t first_cell);               /* the whole chain */

/* one reference, one time */
uint32_t store_new_run(struct store *s, int64_t t, struct cell_stock *stock);
/* first n, and t */
uint32_t store_fork_run(
    struct store *s, uint32_t run, uint16_t n, int64_t t, struct cell_stock *stock);
void store_unref_run(struct store *s, uint32_t run);
static inline void store_ref_run(struct store *s, uint32_t run)
{
    atomic_fetch_add_explicit(&store_run(s, run)->refs, 1, memory_order_relaxed);
}
/* Makes t the time after the first n; false: the run goes on with another one. REQUIRES: the caller
 * holds a reference. */
bool store_extend_run(
    struct store *s, uint32_t run, uint16_t n, int64_t t, struct cell_stock *stock);
static inline uint32_t run_offset(const struct store *s, const struct ts_run *r, unsigned i)
{
    uint32_t c = atomic_load_explicit(&r->cell[i / CELL_OFFSETS], memory_order_acquire);
    return store_cell(s, c)->offset[i % CELL_OFFSETS];
}
void store_run_times(const struct store *s, uint32_t run, unsigned n, int64_t *t);

/* Closed references of a slot; slot locked. */
void store_add_closed(struct store *s, struct slot *slot, const struct closed_chunk *c);
/* i < n_closed */
struct closed_chunk store_get_closed(const struct store *s, const struct slot *slot, unsigned i);
void store_drop_closed(struct store *s, struct slot *slot, unsigned n);    /* the first n */

#endif
