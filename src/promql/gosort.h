/* gosort.h — the sort and the heap whose order of equal elements decides what a query shows.
 *
 * What        Pattern-defeating quicksort and binary heap that make the same comparisons and swaps
 *             as Go's sort and container/heap.
 * Invariants  the same sequence of less() answers gives the same order, ties included
 * Ownership   none: works on the caller's elements through less and swap
 * Threads     none
 * Errors      none
 * Format      none
 */
#ifndef EPI_PROMQL_GOSORT_H
#define EPI_PROMQL_GOSORT_H

#include "base/defs.h"

struct gosort_ops {
    bool (*less)(void *ctx, size_t i, size_t j);
    void (*swap)(void *ctx, size_t i, size_t j);
};
void gosort(const struct gosort_ops *ops, void *ctx, size_t n);

/* after element i was put at the end */
void goheap_up(const struct gosort_ops *ops, void *ctx, size_t i);
/* after element 0 was replaced */
void goheap_fix_root(const struct gosort_ops *ops, void *ctx, size_t n);

#endif
