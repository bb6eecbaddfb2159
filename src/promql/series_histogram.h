/* series_histogram.h — the histograms of series descriptions.
 *
 * What        base+inc x N needs a sum; a test's expectation needs its text.
 * Invariants  none
 * Ownership   results lie in the arena
 * Threads     pure
 * Errors      ERR_BAD_INPUT with the reference's words
 * Format      none
 */
#ifndef EPI_PROMQL_SERIES_HISTOGRAM_H
#define EPI_PROMQL_SERIES_HISTOGRAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/histogram.h"

/* a + sign * b, in the lower of the two resolutions; custom buckets keep the bounds that both
 * have. */
MUST_USE errc series_histogram_add(const struct histogram **out, struct arena *ar,
    const struct histogram *a, const struct histogram *b, double sign, struct err *e);
/* {{schema:1 sum:2 buckets:[5 10 7]}} */
void buf_series_histogram(struct buf *b, const struct histogram *h);

#endif
