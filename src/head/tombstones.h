/* tombstones.h — what was deleted of the head's series.
 *
 * What        A set of intervals by series ref, in shards: adding to a series or asking for it
 *             costs the same however many others have tombstones.
 * Invariants  each set is that of model/interval.h; a series without any has no entry
 * Ownership   init/fini in the caller's memory
 * Threads     any. Lock: LOCK_LEAF, one shard at a time, held for a series or, when what is old
 *             goes, for the 64th part of them
 * Errors      none
 * Format      none
 */
#ifndef EPI_HEAD_TOMBSTONES_H
#define EPI_HEAD_TOMBSTONES_H

#include "base/lock.h"
#include "base/map.h"
#include "model/interval.h"
#include "storage/appender.h"

enum { HEAD_TOMBSTONE_SHARDS = 64 };

struct head_tombstone_shard {
    struct rwlock mu;
    struct map by_ref;                         /* GUARDED_BY(mu); owns its entries */
};
struct head_tombstones {
    struct head_tombstone_shard shard[HEAD_TOMBSTONE_SHARDS];
    _Atomic uint32_t n;                        /* series; relaxed: 0 saves the look */
};

void head_tombstones_init(struct head_tombstones *t);
void head_tombstones_fini(struct head_tombstones *t);
/* an empty interval adds nothing */
void head_tombstones_add(struct head_tombstones *t, sref ref, struct interval deleted);
/* appends those of a series to out; ascending, disjoint */
void head_tombstones_get(struct head_tombstones *t, sref ref, intervals *out);
/* what ends before mint goes */
void head_tombstones_drop(struct head_tombstones *t, int64_t mint);
/* each series once, in no order; fn neither adds nor asks */
void head_tombstones_each(struct head_tombstones *t,
    void (*fn)(void *ctx, sref ref, const intervals *deleted), void *ctx);

#endif
