/* replay_refs.h — while a log is replayed: series ref -> slot.
 *
 * What        A table of 32-byte entries whose place is the low bits of the ref: refs are dense, so
 *             the samples of a scrape walk it in order.
 * Invariants  (1) An entry's ref never changes, its place does when the table grows: a reader goes
 *             on in the table that it began with, which knows all that was known then. (2) Refs
 *             whose low bits fall on each other turn the table into a hashed one.
 * Ownership   replay_refs_init/replay_refs_fini; tables that were outgrown live until then, or
 *             replay_refs_trim
 * Threads     one writer; any number of readers beside it, in the table that replay_refs_now gave
 *             them
 * Errors      none
 * Format      none
 */
#ifndef EPI_HEAD_REPLAY_REFS_H
#define EPI_HEAD_REPLAY_REFS_H

#include "base/account.h"
#include "model/sample.h"

#include <stdatomic.h>
#include <stddef.h>

/* of replay_ref.chunks */
#define REPLAY_REF_CHUNKS 0x3fffffffu
struct replay_ref {
    _Atomic sref ref;                          /* 0: free; release, when the rest is there */
    /* what is not after it need not be applied; a bound, it may be too low */
    _Atomic int64_t covered;
    _Atomic uint64_t since;                    /* the mark of the record that gave it its slot */
    _Atomic uint32_t slot;                     /* 0: none (yet); release, after covered and since */
    /* the writer's: its chunks of the chunk files; 0: none */
    uint32_t chunks : 30;
    /* the writer's: was given to a series that has another ref: stays so */
    uint32_t duplicate : 1;
    /* the writer's: a memory snapshot gave it its series */
    uint32_t restored : 1;
};
_Static_assert(sizeof(struct replay_ref) == 32, "two to a cache line");

/* cap: a power of two; an entry never lies in two cache lines */
struct replay_table {
    struct replay_table *older;
    size_t cap;
    bool hashed;
    _Alignas(64) struct replay_ref at[];
};
_Static_assert(offsetof(struct replay_table, at) == 64, "an entry is one cache line's");
struct replay_refs { struct replay_table *_Atomic now; size_t n; };

void replay_refs_init(struct replay_refs *r);
void replay_refs_fini(struct replay_refs *r);
/* room for so many; REQUIRES: no reader */
void replay_refs_reserve(struct replay_refs *r, size_t n);
void replay_refs_trim(struct replay_refs *r);  /* REQUIRES: no reader */
static inline struct replay_table *replay_refs_now(const struct replay_refs *r)
{
    return atomic_load_explicit(&r->now, memory_order_acquire);
}

static inline size_t replay_ref_home(const struct replay_table *t, sref ref)
{
    uint64_t x = ref;
    if (UNLIKELY(t->hashed)) {
        x = (x ^ x >> 32) * 0x9e3779b97f4a7c15u;
        x ^= x >> 29;
    }
    return (size_t)x & (t->cap - 1);
}

/* The entry of the ref, or a free one: its slot is 0 then. REQUIRES: ref != 0 */
static inline struct replay_ref *replay_ref_find(struct replay_table *t, sref ref)
{
    size_t i = replay_ref_home(t, ref);
    for (sref at;
         (at = atomic_load_explicit(&t->at[i].ref, memory_order_acquire)) != 0 && at != ref;)
        i = (i + 1) & (t->cap - 1);
    return &t->at[i];
}

/* The writer's: the entry of the ref, made if need be. Good until the next call. */
struct replay_ref *replay_ref_add(struct replay_refs *r, sref ref);

/* The writer's: from the record with this mark on, the ref is the slot's. */
static inline void replay_ref_give(
    struct replay_ref *x, uint64_t mark, uint32_t slot, int64_t covered)
{
    atomic_store_explicit(&x->since, mark, memory_order_relaxed);
    atomic_store_explicit(&x->covered, covered, memory_order_relaxed);
    atomic_store_explicit(&x->slot, slot, memory_order_release);
}
static inline uint32_t replay_ref_slot(const struct replay_ref *x)
{
    return atomic_load_explicit(&x->slot, memory_order_acquire);
}

/* A reader's: the slot that the ref had at that mark; 0: none. */
static inline uint32_t replay_ref_slot_at(const struct replay_ref *x, uint64_t mark)
{
    uint32_t slot = replay_ref_slot(x);
    return slot && LIKELY(atomic_load_explicit(&x->since, memory_order_relaxed) < mark) ? slot : 0;
}

#endif
