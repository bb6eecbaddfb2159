/* rec_histogram.h — histograms as they are logged <-> the nouns.
 *
 * What        The same fields under the names of either side; what a log may hold that is no
 *             histogram is told apart.
 * Invariants  nothing is copied: both sides borrow the same arrays
 * Ownership   borrows; a histogram of a finer resolution than 8 is made anew, in the arena
 * Threads     pure functions
 * Errors      rec_histogram_check: ERR_BAD_INPUT
 * Format      none
 */
#ifndef EPI_WAL_REC_HISTOGRAM_H
#define EPI_WAL_REC_HISTOGRAM_H

#include "model/int_histogram.h"
#include "wal/record.h"

struct rec_histogram rec_histogram_of_int(const struct int_histogram *h);
struct rec_histogram rec_histogram_of_float(const struct histogram *h);

/* A schema that is known, and as many buckets as the spans say. */
MUST_USE errc rec_histogram_check(const struct rec_histogram *r, struct err *e);

/* REQUIRES: it was checked, and is of that kind */
struct int_histogram *rec_histogram_int(struct arena *a, const struct rec_histogram *r);
struct histogram *rec_histogram_float(struct arena *a, const struct rec_histogram *r);

#endif
