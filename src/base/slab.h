/* slab.h — objects of one size by the million.
 *
 * What        Pages of 256 KiB cut into equal objects; addressed by pointer or by a dense 32-bit
 *             index. A slab that may shrink gives pages back whose objects are all freed (but one,
 *             which waits to be filled again); the others keep theirs, so that a stale index may
 *             still be looked at. Objects that will be freed together are taken in one colour:
 *             pages are of one colour, so that they run empty together, too. What is free gathers
 *             at the ends of pages, and slab_trim() gives that back as well.
 * Invariants  an object never moves; indexes of freed objects are handed out again, lowest page
 *             first, in a page the lowest first; index 0 is never used
 * Ownership   slab_init/slab_fini; the account is charged for pages and their maps
 * Threads     slab_at: any, also beside slab_take; the rest: the owner locks
 * Errors      none (2^32 objects are asserted)
 * Format      none
 */
#ifndef EPI_BASE_SLAB_H
#define EPI_BASE_SLAB_H

#include "base/account.h"

#include <stdatomic.h>

enum { SLAB_PAGE_BYTES = 256 << 10, SLAB_DIR = 1 << 16 };

enum { SLAB_COLOURS = 6 };
/* A bit each object that was freed, NULL: none was yet, and no bit in a word below the first;
 * objects in use; those from `fresh` on were never handed out. */
struct slab_page { uint64_t *freed; uint16_t first, live, fresh; uint8_t colour; bool untrimmed; };
struct slab {
    /* SLAB_DIR entries, reserved at init; release store when a page is made, NULL: given back */
    uint8_t *_Atomic *pages;
    struct slab_page *info;                    /* of n_pages, in steps of 64 */
    /* pages with room; pages without objects. A bit a page, none in a word below the first */
    struct slab_set { uint64_t *bits; uint32_t first, words; } roomy[SLAB_COLOURS], blank;
    uint32_t n_pages, per_page, n_live;
    uint64_t inverse;                          /* of per_page, in 2^-64, rounded up; const */
    uint32_t n_held;                           /* pages in memory */
    uint32_t n_maps;                           /* pages that have a map of freed objects */
    /* of a slab that shrinks: the blank page that is in memory; 0: none */
    uint32_t empty;
    uint32_t size;
    bool shrinks;
    struct account *acc;
};

/* 8 <= object_bytes <= 4096 */
void slab_init(struct slab *s, struct account *acc, size_t object_bytes);
void slab_init_shrinking(struct slab *s, struct account *acc, size_t object_bytes);
void slab_fini(struct slab *s);
/* the index of a zeroed object; colour < SLAB_COLOURS */
uint32_t slab_take_in(struct slab *s, unsigned colour);
static inline uint32_t slab_take(struct slab *s) { return slab_take_in(s, 0); }
/* REQUIRES: no reader holds it (epochs) */
void slab_give(struct slab *s, uint32_t index);

/* Of a slab that shrinks: memory in which no object lies goes back to the system, of at most `most`
 * pages from *page on, if objects of them were freed since they were last looked at. False: there
 * are no more pages. */
bool slab_trim(struct slab *s, uint32_t *page, uint32_t most);

/* For a slab that mirrors another one by index and is never taken from: zeroed objects up to this
 * index are there. */
void slab_reach(struct slab *s, uint32_t index);
/* no index is as high */
static inline uint32_t slab_end(const struct slab *s) { return s->n_pages * s->per_page; }

/* Exact for all of 32 bits, and a multiplication where a division would take most of a look-up. */
static inline uint32_t slab_page_of(const struct slab *s, uint32_t index)
{
    return (uint32_t)((unsigned __int128)s->inverse * index >> 64);
}

static inline void *slab_at(const struct slab *s, uint32_t index)
{
    uint32_t page = slab_page_of(s, index);
    uint8_t *at = atomic_load_explicit(&s->pages[page], memory_order_acquire);
    return at + (size_t)(index - page * s->per_page) * s->size;
}

#endif
