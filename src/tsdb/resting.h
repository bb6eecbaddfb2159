/* resting.h — blocks that could not be compacted for the disk's sake, and how long they are left
 * alone.
 *
 * What        A compaction that failed would fail again, after it has read and written as much:
 *             its blocks rest for a minute, and twice as long after each failure. If the disk was
 *             full, the rest ends when there is room for what they are to become.
 * Invariants  what another failure adds is never less than before; a block that is gone is
 *             forgotten
 * Ownership   zero is empty; resting_fini frees
 * Threads     one
 * Errors      none
 * Format      none
 */
#ifndef EPI_TSDB_RESTING_H
#define EPI_TSDB_RESTING_H

#include "base/err.h"
#include "base/ulid.h"
#include "base/vec.h"

struct resting_block { ulid id; int64_t pause_ns, until_ns; uint64_t room; };
struct resting { VEC(struct resting_block) at; };
void resting_fini(struct resting *r);

/* A compaction of these n blocks, together of that many bytes, failed for why, with free_bytes on
 * the disk. For how long they rest. */
int64_t resting_put(struct resting *r, const ulid *ids, size_t n, uint64_t bytes, errc why,
    uint64_t free_bytes, int64_t now_ns);
bool resting_is(const struct resting *r, ulid id, uint64_t free_bytes, int64_t now_ns);
/* Forgets those of which there is none any more. */
void resting_keep(struct resting *r, const ulid *there, size_t n);

#endif
