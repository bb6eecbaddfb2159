/* postings.h — lists of series refs, ascending, and what is done with them.
 *
 * What        Intersection (galloping when one list is much shorter), subtraction, and the sorting
 *             of several lists that were joined.
 * Invariants  every list ascends strictly, except before postings_sort
 * Ownership   vec_fini frees a list
 * Threads     values
 * Errors      postings_from_be: ERR_CORRUPT if the refs do not ascend
 * Format      none
 */
#ifndef EPI_BLOCK_POSTINGS_H
#define EPI_BLOCK_POSTINGS_H

#include "base/err.h"
#include "base/vec.h"

typedef VEC(uint32_t) postings_list;

/* Appends n refs of 4 big-endian bytes each. */
MUST_USE errc postings_from_be(postings_list *out, str refs_be, struct err *e);

void postings_intersect(postings_list *a, const postings_list *b);     /* a = a and b */
void postings_subtract(postings_list *a, const postings_list *b);      /* a = a without b */
/* of lists appended one after the other; doubles go */
void postings_sort(postings_list *v);
bool postings_disjoint(const postings_list *a, const postings_list *b);

#endif
