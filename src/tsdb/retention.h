/* retention.h — which blocks are beyond what is to be kept.
 *
 * What        By time: those that end a retention or more before the newest one ends. By size: the
 *             oldest ones, until the rest fits.
 * Invariants  pure
 * Ownership   borrows the list; vec_fini frees the result
 * Threads     pure
 * Errors      none
 * Format      none
 */
#ifndef EPI_TSDB_RETENTION_H
#define EPI_TSDB_RETENTION_H

#include "base/ulid.h"
#include "base/vec.h"

struct block_list;
/* 0: no limit; percent of the file system, in place of bytes */
struct retention { int64_t ms; uint64_t bytes; double percent; };
/* appends */
void retention_doomed(
    ulid_list *out, const struct retention *r, const struct block_list *l, uint64_t head_bytes);

#endif
