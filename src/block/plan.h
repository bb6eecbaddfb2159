/* plan.h — which blocks are to be compacted next.
 *
 * What        From the metas of all blocks to the group that comes first: overlapping ones, then
 *             aligned windows of the leveled ranges, then blocks full of tombstones.
 * Invariants  pure: the same metas give the same plan
 * Ownership   borrows metas; the plan is a vector of indexes
 * Threads     pure functions
 * Errors      none
 * Format      none
 */
#ifndef EPI_BLOCK_PLAN_H
#define EPI_BLOCK_PLAN_H

#include "block/meta_codec.h"
#include "base/vec.h"

/* indexes into the metas, by minTime */
typedef VEC(size_t) block_picks;

enum { PLAN_RANGES_MAX = 10 };
/* ranges ascend: 2 h, 6 h, … */
struct plan_opts { int64_t ranges[PLAN_RANGES_MAX]; size_t n_ranges; bool overlapping; };

/* min * 3^i up to max_ms; always at least the first. */
void plan_ranges(struct plan_opts *o, int64_t min_ms, int64_t max_ms);
/* Empties out, then fills it; empty: nothing is to be done. */
void plan_blocks(
    block_picks *out, const struct plan_opts *o, const struct block_meta *const *metas, size_t n);

#endif
