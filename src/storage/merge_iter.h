/* merge_iter.h — samples of one series from several sources, by time.
 *
 * What        A sample iterator over the iterators of several series with equal labels.
 * Invariants  (1) Of samples with equal times one is kept: the one that Prometheus keeps for the
 *             same order of sources. (2) A counter histogram that follows a sample of another
 *             source has no hint of a reset.
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
