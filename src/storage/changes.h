/* changes.h — which times of the data changed since somebody looked.
 *
 * What        Who shows samples, or takes some away, notes of which times they are, before anybody
 *             is told that it was done. Who keeps what was made of samples remembers the number of
 *             the last note before it looked at them, and asks later from when on they may differ.
 *             Times are noted in cells of four seconds and of nine minutes, which are used again
 *             after 4.6 hours and 25 days.
 * Invariants  (1) What is noted under the lock that shows it is never missed: who read the number,
 *             and looked then, either saw it or will be told. (2) What is shown bit by bit stands
 *             between changes_begin and changes_end: meanwhile all times may have changed.
 *             (3) More may be told than changed, never less.
 * Ownership   changes_init/changes_fini in the owner's memory; outlives who notes and who asks
 * Threads     any. Lock: LOCK_LEAF, for who notes; who asks takes none
 * Errors      none
 * Format      none
 */
#ifndef EPI_STORAGE_CHANGES_H
#define EPI_STORAGE_CHANGES_H

#include "base/lock.h"

#include <stdatomic.h>

enum { CHANGES_FINE_BITS = 12, CHANGES_COARSE_BITS = 19, CHANGES_CELLS = 4096 };

struct changes {
    uint64_t id;                       /* const: no other has it, or had */
    struct mtx mu;                     /* LOCK_LEAF: one notes at a time */
    /* written under mu: the cells first, then the number; release */
    _Atomic uint64_t last, everything;
    _Atomic uint32_t under_way;
    /* the number of the last note of a cell's times; cell t >> bits, modulo their number */
    _Atomic uint64_t *fine, *coarse;
};
void changes_init(struct changes *c);
void changes_fini(struct changes *c);

/* [mint, maxt] changed, and that is seen, or is from when the caller's lock is given up; empty:
 * nothing. */
void changes_note(struct changes *c, int64_t mint, int64_t maxt);
void changes_note_all(struct changes *c);
/* In between samples of [mint, maxt] come or go one by one; empty: none did. */
void changes_begin(struct changes *c);
void changes_end(struct changes *c, int64_t mint, int64_t maxt);

/* The number of the last note: to be read before looking at any sample. */
static inline uint64_t changes_last(const struct changes *c)
{
    return atomic_load_explicit(&c->last, memory_order_acquire);
}
/* The first time of [mint, maxt] from which on something may have changed since note `since`;
 * INT64_MAX: nothing did, in none of them. */
int64_t changes_first(const struct changes *c, uint64_t since, int64_t mint, int64_t maxt);

#endif
