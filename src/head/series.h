/* series.h — which series there are: labels -> slot, series number -> slot, slot -> labels.
 *
 * What        A series is found or made by its labels, gets a series ref, a slot and a series
 *             number, and its place in the postings.
 * Invariants  (1) Labels exist once. (2) Refs and series numbers ascend in the order of creation,
 *             under one lock, so that postings are only ever appended to. (3) The series record is
 *             queued in the log in the same critical section. (4) A series number is never used
 *             again in a process; its slot is, with another generation.
 * Ownership   series_init/series_fini; borrows store, symbols and reclaim
 * Threads     series_get, series_remove: LOCK_HEAD_CREATE, taken inside. The rest: readers of the
 *             reclaim, without a lock.
 * Errors      ERR_BAD_INPUT: no labels, an empty or doubled name, too long; ERR_LIMIT: no room for
 *             text or series numbers
 * Format      none
 */
#ifndef EPI_HEAD_SERIES_H
#define EPI_HEAD_SERIES_H

#include "head/postings.h"
#include "head/store.h"
#include "head/symbols.h"
#include "storage/appender.h"

struct wal;

enum {
    SERIES_LIKE_MAX = 32,
    SERIES_TABLES = 256,
    NUM_PAGE_BITS = 14,
    NUM_PAGES = 1 << (32 - NUM_PAGE_BITS),
    SERIES_GENERATION_MASK = 0x7fffffff
};

/* hash (high half) and slot of a series; the position is the hash scaled to cap, so growing is a
 * sweep that reads nothing else. */
struct series_table { uint64_t *at; uint32_t cap, n; };

struct series_index {
    struct mtx create;                         /* LOCK_HEAD_CREATE */
    _Atomic uint32_t waiting;                  /* threads at the door of `create`; relaxed */
    struct cond passed;                        /* one of them was in */
    struct store *store;
    struct symbols symbols;
    struct reclaim *reclaim;
    /* GUARDED_BY(create): of the series asked for last; 0 where it had none, or pairs went since */
    uint32_t last_pairs[SERIES_LIKE_MAX];
    VEC(uint32_t) key_pairs;                   /* GUARDED_BY(create): of the key at hand */
    VEC(uint8_t) key_enc;                      /* GUARDED_BY(create) */
    /* GUARDED_BY(create): uvarint count, uvarint pair numbers in the order of names */
    struct pages labels;
    struct series_table table[SERIES_TABLES];  /* GUARDED_BY(create) */
    _Atomic uint32_t *_Atomic *num_pages;      /* series number -> slot; 0: gone */
    /* release, after the slot is in its place and the postings hold it */
    _Atomic uint32_t last_num;
    _Atomic uint64_t last_ref;                 /* GUARDED_BY(create) for writing */
    _Atomic uint64_t n_series;                 /* relaxed: a figure */
    postings all;
    size_t labels_max_bytes;                   /* const */
    uint64_t seed;
};

void series_init(
    struct series_index *x, struct store *s, struct reclaim *rc, size_t labels_max_bytes);
void series_fini(struct series_index *x);

/* The slot of the series with these labels, made if need be (then *made). wal NULL: not logged. ref
 * 0: the next one. */
MUST_USE errc series_get(struct series_index *x, struct labels l, struct wal *wal, sref ref,
    uint32_t *slot, bool *made, struct err *e);
uint32_t series_find(struct series_index *x, struct labels l);  /* its slot; 0: there is none */
/* it and all below are never given */
void series_reserve_ref(struct series_index *x, sref ref);

/* Those of these series that are marked SLOT_DYING and hold nothing go: out of the tables, the
 * postings and the symbols. How many. wal NULL: the log does not say so. */
size_t series_remove(struct series_index *x, const runs *nums, struct wal *wal);

static inline uint32_t series_slot_of(const struct series_index *x, snum n)
{
    _Atomic uint32_t *page =
        atomic_load_explicit(&x->num_pages[n >> NUM_PAGE_BITS], memory_order_acquire);
    return page ? atomic_load_explicit(&page[n & ((1u << NUM_PAGE_BITS) - 1)], memory_order_acquire)
                : 0;
}
/* All series that there are, by their numbers: `for (struct series_walk w = series_walk_of(x);
 * series_walk_next(x, &w);)`. Those that come meanwhile are not met. */
struct series_walk {
    snum n, last;
    uint32_t slot;
};
static inline struct series_walk series_walk_of(const struct series_index *x)
{
    return (struct series_walk){ .last = atomic_load_explicit(&x->last_num, memory_order_acquire) };
}
static inline bool series_walk_next(const struct series_index *x, struct series_walk *w)
{
    while (w->n < w->last)
        if ((w->slot = series_slot_of(x, ++w->n))) return true;
    return false;
}
/* It is asked for soon. */
static inline void series_slot_ahead(const struct series_index *x, snum n)
{
    _Atomic uint32_t *page =
        atomic_load_explicit(&x->num_pages[n >> NUM_PAGE_BITS], memory_order_acquire);
    if (page) __builtin_prefetch(&page[n & ((1u << NUM_PAGE_BITS) - 1)]);
}
static inline uint32_t series_generation(const struct slot *s)
{
    return atomic_load_explicit(&s->generation, memory_order_acquire);
}
/* Of the series with this number. */
static inline uint32_t series_generation_of(const struct series_index *x, snum n)
{
    uint32_t g = (uint32_t)((x->seed + n) & SERIES_GENERATION_MASK);
    return g ? g : 1;
}
/* 0: it is gone */
static inline series_handle series_handle_of_num(const struct series_index *x, snum n)
{
    uint32_t slot = series_slot_of(x, n);
    return slot ? (uint64_t)series_generation_of(x, n) << 32 | slot : 0;
}
static inline series_handle series_handle_of(const struct series_index *x, uint32_t slot)
{
    return (uint64_t)series_generation(store_slot(x->store, slot)) << 32 | slot;
}

/* Pairs that one reader met last, by number: the series of an answer have most in common. */
enum { LABEL_CACHE = 256 };
struct label_cache { struct { uint32_t pair; struct label l; } at[LABEL_CACHE]; };

/* The pairs of a series; strings lie in the symbols and stay as long as the reader does, the array
 * lies in the arena. False: the series is gone. */
bool series_labels(
    const struct series_index *x, snum n, uint32_t slot, struct arena *a, struct labels *out);
/* The same with a cache of the reader's, which begins as zeros. */
bool series_labels_cached(const struct series_index *x, snum n, uint32_t slot,
    struct label_cache *c, struct arena *a, struct labels *out);
/* Has the series this pair? REQUIRES: the slot is there */
bool series_has_pair(const struct series_index *x, uint32_t slot, uint32_t pair);
/* count; *at: the first number's varint */
size_t series_pairs(const struct series_index *x, uint32_t labels, const uint8_t **at);
uint32_t series_next_pair(const uint8_t **at);

#endif
