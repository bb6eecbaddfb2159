/* pb_histogram.h — the histograms and exemplars of remote write and remote read messages.
 *
 * What        prometheus.Histogram and prometheus.Exemplar, decoded into the nouns. A histogram is
 *             one of floats if its count is.
 * Invariants  repeated numbers are taken packed or one by one, as protocol buffers want it
 * Ownership   all lies in the caller's arena, or borrows from the message
 * Threads     pure functions
 * Errors      ERR_BAD_INPUT: no such message. Nothing is said of whether it is a good histogram.
 * Format      prompb/types.proto; the histogram of io/prometheus/write/v2/types.proto is the same,
 *             with one field more
 */
#ifndef EPI_INGEST_PB_HISTOGRAM_H
#define EPI_INGEST_PB_HISTOGRAM_H

#include "base/err.h"
#include "ingest/protobuf.h"
#include "model/exemplar.h"
#include "model/int_histogram.h"

/* What pb_check knows of the message, as remote write 1.0 has it, and 2.0, where it has a start
 * timestamp. */
extern const struct pb_shape pb_histogram_shape, pb_histogram_2_shape;

/* One of the two is set. st: 0: none. */
struct pb_histogram { int64_t t, st; struct int_histogram *whole; struct histogram *floats; };
MUST_USE errc pb_histogram_decode(
    struct pb_histogram *out, str message, struct arena *a, struct err *e);

/* Labels sorted; a time of 0 is none. */
MUST_USE errc pb_exemplar_decode(
    struct exemplar *out, str message, struct arena *a, struct err *e);

#endif
