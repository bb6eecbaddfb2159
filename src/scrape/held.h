/* held.h — pages that were scraped before the storage can take them.
 *
 * What        While the log is replayed, what scrapes bring waits here, packed: pages, failures,
 *             and ends of targets. When the storage is there all of it is stored, in the order in
 *             which it came, with the times that it had.
 * Invariants  (1) Nothing is lost without a word: a page for which there is no room becomes a
 *             failure of its scrape, which is counted. (2) Who stores what was held is the only one
 *             who touches its target's cache meanwhile.
 * Ownership   held_init/held_fini; what is held keeps its target and its configuration
 * Threads     any; held_store: one
 * Errors      none
 * Format      none
 */
#ifndef EPI_SCRAPE_HELD_H
#define EPI_SCRAPE_HELD_H

#include "base/lock.h"
#include "scrape/apply.h"

struct held_entry;
struct held {
    struct mtx mu;                         /* LOCK_LEAF */
    struct held_entry *first, **link;      /* GUARDED_BY(mu) */
    size_t bytes, max_bytes;               /* GUARDED_BY(mu): packed pages */
    bool open;                             /* GUARDED_BY(mu): nothing is held any more */
};
void held_init(struct held *h, bool open, size_t max_bytes);
void held_fini(struct held *h);

/* Is everything to be held? Who was told so must not touch the target's cache. */
bool held_is_on(struct held *h);

/* False: nothing is held any more, the caller stores it. release(ctx) when it is stored or thrown
 * away. page NULL: the target's end, at t_ms. */
struct held_owner { void (*release)(void *ctx); void *ctx; };
MUST_USE bool held_put(struct held *h, struct target *t, const struct scrape_page *page,
    int64_t t_ms, int64_t start_mono_ns, struct held_owner owner);

/* Stores what is held, and what comes meanwhile; then nothing is held any more. */
void held_store(struct held *h, struct appendable *st);

#endif
