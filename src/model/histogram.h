/* histogram.h — native histograms: the noun.
 *
 * What        Schema, zero bucket, spans and buckets as Prometheus' FloatHistogram has them (absolute bucket counts); an integer histogram
 *             is turned into this form when it is read. Its arithmetic is a part of its own.
 * Invariants  the lengths of the spans sum up to the number of buckets
 * Ownership   arrays are borrowed from an arena
 * Threads     values
 * Errors      none
 * Format      none
 */
#ifndef EPI_MODEL_HISTOGRAM_H
#define EPI_MODEL_HISTOGRAM_H

#include "base/defs.h"

enum { HISTOGRAM_CUSTOM_SCHEMA = -53 };
enum reset_hint { RESET_UNKNOWN, RESET_YES, RESET_NO, RESET_GAUGE };
struct span { int32_t offset; uint32_t length; };

struct histogram {
    enum reset_hint hint;
    int32_t schema;
    double zero_threshold, zero_count, count, sum;
    const struct span *pos_spans, *neg_spans;
    size_t n_pos_spans, n_neg_spans;
    const double *pos, *neg;               /* absolute counts */
    size_t n_pos, n_neg;
    const double *custom;                  /* upper bounds of custom buckets, schema -53 */
    size_t n_custom;
};

#endif
