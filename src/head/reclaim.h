/* reclaim.h — when may be freed what queries still look at without a lock?
 *
 * What        A query announces itself for as long as it lives, I/O and all (which is too long for
 *             base/epoch). What is unlinked is retired; it is freed when every query that was there
 *             at that time is gone; at once if there is none. What is cheap to free, whoever leaves
 *             frees, a few of it; what takes locks waits for reclaim_run: no query cleans up behind
 *             a collection.
 * Invariants  what a reader could reach when it entered, or later, stays allocated until it leaves
 * Ownership   a retired thing belongs to the reclaim, which ends it with the given function
 * Threads     any. Lock: LOCK_LEAF; the functions run outside it.
 * Errors      none
 * Format      none
 */
#ifndef EPI_HEAD_RECLAIM_H
#define EPI_HEAD_RECLAIM_H

#include "base/lock.h"
#include "base/vec.h"

struct reclaim_reader { struct reclaim_reader *prev, *next; uint64_t seq; };
struct retired { uint64_t seq; void *ctx, *p; void (*end)(void *ctx, void *p); };
/* those from `from` on wait; ascending seq */
struct retired_queue { VEC(struct retired) all; size_t from; };
struct reclaim {
    struct mtx mu;
    uint64_t seq;                              /* GUARDED_BY(mu); grows with each retirement */
    /* GUARDED_BY(mu); a ring in the order of entering, this is its anchor */
    struct reclaim_reader readers;
    struct retired_queue light, heavy;         /* GUARDED_BY(mu) */
};

void reclaim_init(struct reclaim *r);
void reclaim_fini(struct reclaim *r);          /* ends all; REQUIRES: no readers */
void reclaim_enter(struct reclaim *r, struct reclaim_reader *me);
void reclaim_leave(struct reclaim *r, struct reclaim_reader *me);
/* end takes no lock */
void reclaim_retire(struct reclaim *r, void *p, void *ctx, void (*end)(void *ctx, void *p));
/* end may take locks; it runs here, or in reclaim_run */
void reclaim_retire_heavy(struct reclaim *r, void *p, void *ctx, void (*end)(void *ctx, void *p));
/* Ends all that nobody can look at any more. REQUIRES: no lock is held */
void reclaim_run(struct reclaim *r);

#endif
