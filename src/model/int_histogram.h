/* int_histogram.h — native histograms of integers, as they are scraped and stored.
 *
 * What        Counts are whole numbers; a bucket holds the difference from the bucket before it on
 *             its side.
 * Invariants  those of histogram.h
 * Ownership   arrays are borrowed from an arena
 * Threads     values
 * Errors      ERR_BAD_INPUT: validation says why in Prometheus' words
 * Format      none
 */
#ifndef EPI_MODEL_INT_HISTOGRAM_H
#define EPI_MODEL_INT_HISTOGRAM_H

#include "model/histogram.h"

struct int_histogram_side { struct span *spans; size_t n_spans; int64_t *deltas; size_t n; };
struct int_histogram {
    enum reset_hint hint;
    int32_t schema;
    uint64_t zero_count, count;
    double zero_threshold, sum;
    struct int_histogram_side pos, neg;
    const double *custom;
    size_t n_custom;
};

/* With absolute counts; all of it lies in the arena. */
struct int_histogram *int_histogram_copy(struct arena *a, const struct int_histogram *h);
struct histogram *int_histogram_to_float(struct arena *a, const struct int_histogram *h);
/* Drops empty buckets, but for up to max_empty of them between two that are not. What does not fit
 * its spans stays as it is. */
void int_histogram_compact(struct arena *a, struct int_histogram *h, size_t max_empty);
/* Buckets of a finer schema are summed into those of a coarser one. REQUIRES: schema < h's, which
 * is exponential */
struct int_histogram *int_histogram_copy_to_schema(struct arena *a, const struct int_histogram *h,
                                                   int32_t schema);
/* as histogram_reducible */
MUST_USE errc int_histogram_reducible(const struct int_histogram *h, struct err *e);
/* the same layout and counts; not the hint */
bool int_histogram_equal(const struct int_histogram *a, const struct int_histogram *b);
MUST_USE errc int_histogram_validate(const struct int_histogram *h, struct err *e);

#endif
