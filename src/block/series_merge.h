/* series_merge.h — the series of several sets of chunks as one set.
 *
 * What        Merges sets by labels; the chunks of equal series as chunk_merge has it.
 * Invariants  (1) Of samples with equal times one is kept, as Prometheus would choose it. (2)
 *             What the sources name as deleted is cut out; series of which nothing is left have
 *             no chunks.
 * Ownership   series_merge takes over the sets, also when it fails, but not the list of them
 * Threads     one thread at a time
 * Errors      those of the sets and of chunk_merge
 * Format      none
 */
#ifndef EPI_BLOCK_SERIES_MERGE_H
#define EPI_BLOCK_SERIES_MERGE_H

#include "storage/chunk_series.h"

MUST_USE errc series_merge(struct chunk_series_set **out, struct chunk_series_set *const *sets,
    size_t n, struct err *e);

#endif
