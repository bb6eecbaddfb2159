/* merge_iter.h — samples of one series from several sources, by time.
 *
 * What        A sample iterator over the iterators of several series with equal labels.
 * Invariants  of samples with equal times one is kept: the one that Prometheus keeps for the same
 *             order of sources
 * Ownership   the iterator owns those of its sources; series are borrowed
 * Threads     one thread at a time
 * Errors      the first one of a source, for good
 * Format      none
 */
#ifndef EPI_STORAGE_MERGE_ITER_H
#define EPI_STORAGE_MERGE_ITER_H

#include "storage/querier.h"

/* *it: NULL, or any iterator of an earlier series, which is used again or freed. */
MUST_USE errc merge_iter_open(
    struct sample_iter **it, struct series *const *sources, size_t n, struct err *e);

#endif
