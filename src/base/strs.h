/* strs.h — lists of texts: put in order, each once, found.
 *
 * What        The order of texts for qsort and bsearch, and what lists of names and values need:
 *             sorted, without duplicates, cut at a limit.
 * Invariants  order is that of str_cmp: unsigned bytes, a beginning before the whole
 * Ownership   texts are moved within their list, never copied
 * Threads     none
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_STRS_H
#define EPI_BASE_STRS_H

#include "base/vec.h"

int strs_order(const void *a, const void *b);                  /* of two str, for qsort */
void strs_sort(str *at, size_t n);
/* sorted, each once; how many are left */
MUST_USE size_t strs_sort_unique(str *at, size_t n);
/* sorted, each once, the first `limit` (0: all); says whether the limit cut */
bool strs_finish(str_list *l, size_t limit);
/* Two lists that are sorted, each text once, as one of that kind: into `out`, which has room for
 * both; how many there are. */
MUST_USE size_t strs_join(str *out, const str *a, size_t a_n, const str *b, size_t b_n);
bool strs_has(const str *at, size_t n, str s);                 /* REQUIRES: sorted */

#endif
