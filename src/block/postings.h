/* postings.h — lists of series refs, ascending, and what is done with them.
 *
 * What        Intersection (galloping when one list is much shorter), subtraction, union of many.
 * Invariants  every list ascends strictly
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
typedef VEC(postings_list) postings_lists;

/* Appends n refs of 4 big-endian bytes each. */
MUST_USE errc postings_from_be(postings_list *out, str refs_be, struct err *e);

void postings_intersect(postings_list *a, const postings_list *b);     /* a = a and b */
void postings_subtract(postings_list *a, const postings_list *b);      /* a = a without b */
void postings_unite(postings_lists *all, postings_list *out);          /* out = the union; ends the lists */
bool postings_disjoint(const postings_list *a, const postings_list *b);

#endif
