/* merge.h — several queriers seen as one.
 *
 * What        Merges series sets by labels (a heap), samples of equal series by time, and lists of
 *             names and values.
 * Invariants  (1) Series come out in label order, each label set once. (2) Of samples with equal
 *             times one is kept: the one that Prometheus keeps, if its sources stand in the same
 *             order (head, then blocks by minTime). (3) With one source nothing is added to its
 *             cost.
 * Ownership   merge_querier takes over the queriers of the list; freeing the result frees them
 * Threads     as querier.h
 * Errors      the first one of a source ends the whole
 * Format      none
 */
#ifndef EPI_STORAGE_MERGE_H
#define EPI_STORAGE_MERGE_H

#include "storage/querier.h"

/* n may be 0: a querier that finds nothing, and says so. */
struct querier *merge_querier(struct querier *const *all, size_t n);

#endif
