/* tombstones.h — what was deleted of the head's series, and by which deletion.
 *
 * What        Deletions by series ref, in shards: adding to a series or asking for it costs the
 *             same however many others have tombstones. Deletions have ascending numbers: late
 *             samples, which may come to where something was deleted, know the newest one before
 *             them, and are hidden by newer ones only. What comes in order lies behind all of them.
 * Invariants  (1) A series' deletions ascend and do not overlap: where two met the one that was
 *             added last stands. (2) Two that touch have different numbers. (3) A series without
 *             any has no entry.
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
/* of a deletion whose number is not known, such as those that Prometheus logged: newer than all */
#define DELETION_UNKNOWN UINT32_MAX

struct head_deletion { int64_t mint, maxt; uint32_t number; };
typedef VEC(struct head_deletion) head_deletions;
/* Adds the times of those with numbers beyond `after`: ascending, disjoint. REQUIRES: an empty
 * set, or one that ends before them. */
void head_deletions_since(const head_deletions *d, uint32_t after, intervals *out);
/* These together hide all of [mint, maxt]. */
bool head_deletions_cover(const head_deletions *d, uint32_t after, int64_t mint, int64_t maxt);

struct head_tombstone_shard {
    struct rwlock mu;
    struct map by_ref;                         /* GUARDED_BY(mu); owns its entries */
};
struct head_tombstones {
    struct head_tombstone_shard shard[HEAD_TOMBSTONE_SHARDS];
    _Atomic uint32_t n;                        /* series; relaxed: 0 saves the look */
    _Atomic bool unknown;                      /* some may have no number; relaxed */
};

void head_tombstones_init(struct head_tombstones *t);
void head_tombstones_fini(struct head_tombstones *t);
/* an empty interval adds nothing */
void head_tombstones_add(
    struct head_tombstones *t, sref ref, struct interval deleted, uint32_t number);
/* appends those of a series to out; ascending, disjoint */
void head_tombstones_get(struct head_tombstones *t, sref ref, intervals *out);
/* the same, one by one */
void head_tombstones_list(struct head_tombstones *t, sref ref, head_deletions *out);
/* Those without a number get this one. */
void head_tombstones_number(struct head_tombstones *t, uint32_t number);
/* what ends before mint goes */
void head_tombstones_drop(struct head_tombstones *t, int64_t mint);
/* each series once, in no order; fn neither adds nor asks */
void head_tombstones_each(struct head_tombstones *t,
    void (*fn)(void *ctx, sref ref, const head_deletions *deleted), void *ctx);

#endif
