/* bucket_adds.h — rows of bucket counts, added to others, several at a time.
 *
 * What        The innermost loop of sums of histograms, plain and compensated.
 * Invariants  each count has the bits that adding it by itself gives (base/kahan)
 * Ownership   values; the rows of a sum do not overlap what is added
 * Threads     pure
 * Errors      none
 * Format      none
 */
#ifndef EPI_MODEL_BUCKET_ADDS_H
#define EPI_MODEL_BUCKET_ADDS_H

#include "base/defs.h"

/* Adds sign * v to n counts `at`; c, vc: their compensations. c NULL: none are carried, and those
 * of v are left out. vc NULL: v has none. */
void bucket_adds(
    double *at, double *c, const double *v, const double *vc, size_t n, double sign);

#endif
