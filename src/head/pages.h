/* pages.h — short byte strings by the million, addressed by 32 bits.
 *
 * What        Pages of 64 KiB filled from the front; a string has a handle (page number and
 *             offset). What is longer than a page gets one of its own. A page whose strings are all
 *             given back can be freed whole.
 * Invariants  a string never moves; handle 0 is never given; a page counts its live bytes
 * Ownership   pages_init/pages_fini; charged to the account per page
 * Threads     pages_at: any, beside pages_take. take, give and free_page: the owner locks.
 * Errors      pages_take: 0 when 2^16 pages are full (4 GiB)
 * Format      none
 */
#ifndef EPI_HEAD_PAGES_H
#define EPI_HEAD_PAGES_H

#include "base/account.h"
#include "base/vec.h"

#include <stdatomic.h>

enum { PAGES_BYTES = 1 << 16, PAGES_MAX = 1 << 16 };

struct page_info { uint32_t live, cap; };
struct pages {
    /* PAGES_MAX entries; release store when a page is made */
    uint8_t *_Atomic *dir;
    VEC(struct page_info) info;
    VEC(uint32_t) unused;                      /* numbers of freed pages */
    /* where the next string goes; at == PAGES_BYTES: a new page */
    uint32_t current, at;
    struct account *acc;
};

void pages_init(struct pages *p, struct account *acc);
void pages_fini(struct pages *p);
MUST_USE uint32_t pages_take(struct pages *p, size_t n);

static inline uint8_t *pages_at(const struct pages *p, uint32_t handle)
{
    return atomic_load_explicit(&p->dir[handle >> 16], memory_order_acquire) + (handle & 0xffff);
}

/* Gives n bytes back. True: nothing lives on that page any more; when no reader sees it, call
 * pages_free_page(handle >> 16). */
bool pages_give(struct pages *p, uint32_t handle, size_t n);
void pages_free_page(struct pages *p, uint32_t page);

#endif
