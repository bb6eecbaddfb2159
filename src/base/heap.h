/* heap.h — the least of many, by pointers.
 *
 * What        A binary heap whose choice among equal elements is that of Go's container/heap: what
 *             comes first where nothing says what should is then the same on both sides.
 * Invariants  less(at[0], x) or equal, for every x inside
 * Ownership   owns its array only; vec_fini
 * Threads     none
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_HEAP_H
#define EPI_BASE_HEAP_H

#include "base/vec.h"

typedef VEC(void *) heap;
typedef bool (*heap_less)(const void *a, const void *b);

void heap_push(heap *h, heap_less less, void *x);
void *heap_pop(heap *h, heap_less less);                       /* REQUIRES: not empty */

#endif
