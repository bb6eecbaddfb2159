/* range_pages.h — the pages of a range cache: in memory, in the file behind it, or on their way.
 *
 * What        A table of pages by owner and index, within a budget of memory. A page is put there
 *             in the state of loading, and comes or fails. Of those that nobody holds the one used
 *             longest ago goes first: to the file behind where a copy lies there, else for good.
 * Invariants  (1) A page that came is whole and as it came. (2) Of an owner and an index there is
 *             at most one page in the table; one that went from it lives as long as it is held.
 *             (3) A page in the file has the checksum of what was written; what comes back
 *             otherwise is fetched anew.
 * Ownership   the table's; pages of an owner go before it does. The file behind is taken over
 * Threads     all with the lock held, but for range_pages_write, range_pages_load and
 *             range_pages_charge. Of a page that loads, `fresh` and `whole` belong to the one
 *             thread that loads it
 * Errors      none: a page that failed says why
 * Format      none
 */
#ifndef EPI_BUCKET_RANGE_PAGES_H
#define EPI_BUCKET_RANGE_PAGES_H

#include "base/err.h"
#include "base/frames.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/vec.h"

struct page_file;

/* Rings: one of a ring's head alone is empty. */
struct page_link { struct page_link *prev, *next; };

/* Whose pages they are: bytes from 0 to size_bytes. */
struct page_owner {
    uint64_t id, size_bytes;               /* const after init */
    struct page_link pages;                /* GUARDED_BY(table mu) */
};
void page_owner_init(struct page_owner *o, uint64_t size_bytes);

enum page_state { PAGE_LOADING, PAGE_READY, PAGE_FAILED, PAGE_ON_DISK };
struct range_page {
    struct page_owner *owner;              /* const, with index and n */
    uint64_t index;
    size_t n;                              /* bytes; less than a page at the owner's end */
    enum page_state state;                 /* all of these: GUARDED_BY(table mu) */
    uint32_t refs;
    uint32_t slot, crc;                    /* of the file behind; 0: it has none */
    uint8_t *at, *fresh;                   /* fresh: of the read that is under way */
    struct frame_slab *slab;               /* of either; NULL: of the heap, as it is short */
    bool whole;                            /* what the file behind had; of who reads it there */
    bool counted;                          /* the owner's own; false of a page that was added */
    bool gone;                             /* from the table: nobody finds it any more */
    int64_t anew_ns;                       /* the owner's own; 0 of a page that was added */
    errc rc;                               /* of a page that failed, with why */
    str why;                               /* heap */
    struct page_link used;                 /* in the order of use; of ready ones nobody holds */
    struct page_link kept;                 /* with a slot nobody reads, in the order of reading */
    struct page_link mates;                /* of the owner */
};
typedef VEC(struct range_page *) page_list;

struct range_pages {
    struct mtx mu;                         /* LOCK_LEAF */
    uint64_t budget;                       /* const after init, with page_bytes and file */
    size_t page_bytes;
    struct page_file *file;                /* NULL: none */
    struct map table;                      /* GUARDED_BY(mu), all of these */
    struct frames frames;
    struct page_link used, kept;           /* rings: next was used last */
    uint64_t bytes, disk_bytes, loading;   /* in memory, in the file, on their way */
    uint64_t evicted;                      /* pages, so far */
};
void range_pages_init(
    struct range_pages *t, uint64_t budget, size_t page_bytes, struct page_file *behind);
void range_pages_fini(struct range_pages *t); /* REQUIRES: no pages */
/* Bytes beside the pages that count as the caches' own; any thread, without the lock too. */
void range_pages_charge(int64_t bytes);

struct range_page *range_pages_find(
    const struct range_pages *t, const struct page_owner *o, uint64_t index);
/* One that loads and that nobody holds. REQUIRES: there is none */
struct range_page *range_pages_add(struct range_pages *t, struct page_owner *o, uint64_t index);
void range_page_hold(struct range_page *p);
/* The last who held it; over the budget it goes by range_pages_evict */
void range_page_release(struct range_pages *t, struct range_page *p);
void range_pages_evict(struct range_pages *t);
/* Who asks for it from here on finds none; it ends with who holds it. */
void range_page_forget(struct range_pages *t, struct range_page *p);
void range_pages_forget(struct range_pages *t, struct page_owner *o); /* all of its */

/* Memory for what is to come, at p->fresh. */
void range_page_room(struct range_pages *t, struct range_page *p);
/* It is there, as p->fresh has it; or it failed. */
void range_page_came(struct range_pages *t, struct range_page *p);
void range_page_failed(struct range_pages *t, struct range_page *p, errc rc, str why);

/* Pages on their way to the file behind, each held. */
struct page_spill { struct range_page *p; uint32_t slot; };
typedef VEC(struct page_spill) page_spills;
/* One that is ready; nothing where no slot is to be had. */
void range_pages_spill(struct range_pages *t, struct range_page *p, page_spills *out);
/* Writes them and lets them go. Takes the lock, which is not held; ends v. */
void range_pages_write(struct range_pages *t, page_spills *v);
/* One that is on the disk loads from here on: it is for range_pages_load. */
void range_page_claim(struct range_pages *t, struct range_page *p, page_list *out);
/* Reads those that were claimed, each held. Those that did not come back whole are appended to
 * `fresh`: they load on. Takes the lock, which is not held, and leaves it held. */
void range_pages_load(struct range_pages *t, const page_list *v, page_list *fresh);

#endif
