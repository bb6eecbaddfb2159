/* quantile.h — quantiles of values and of classic histograms.
 *
 * What        The quantile formula of quantile() and quantile_over_time(), and the linear
 *             interpolation inside cumulative buckets.
 * Invariants  none
 * Ownership   none: the arrays given are changed in place
 * Threads     pure
 * Errors      none: NaN and infinities as Prometheus has them
 * Format      none
 */
#ifndef EPI_PROMQL_QUANTILE_H
#define EPI_PROMQL_QUANTILE_H

#include "base/arena.h"
#include "model/histogram.h"

/* asks: NULL, or whose owner is asked now and then whether it is over: then what comes is of no
 * use */
/* reorders values; a NaN is least */
double quantile_of(double q, double *values, size_t n, const struct arena *asks);
double quantile_of_sorted(double q, const double *values, size_t n);
/* of values[0], values[apart], values[2 * apart] and so on */
double quantile_of_column(double q, const double *values, size_t n, size_t apart);
/* median absolute deviation */
double quantile_mad(double *values, size_t n, const struct arena *asks);
/* The same, of values in ascending order without a NaN; room for n is used only if some are
 * infinite. */
double quantile_mad_of_sorted(const double *values, size_t n, double *room);

struct bucket { double upper, count; };
/* what had to be made monotonic */
struct bucket_fix { bool forced; double min_bucket, max_bucket, max_diff; };
/* REQUIRES: n > 0 */
double bucket_quantile(double q, struct bucket *buckets, size_t n, struct bucket_fix *fix);
/* REQUIRES: n > 0 */
double bucket_fraction(double lower, double upper, struct bucket *buckets, size_t n);

/* Of native histograms */
enum histogram_note {
    HISTOGRAM_FINE,
    HISTOGRAM_NAN_RESULT,
    HISTOGRAM_NAN_SKEW,
    HISTOGRAM_NAN_LEFT_OUT
};
double histogram_quantile(double q, const struct histogram *h, enum histogram_note *note);
double histogram_fraction(
    double lower, double upper, const struct histogram *h, enum histogram_note *note);
double histogram_variance(const struct histogram *h);

#endif
