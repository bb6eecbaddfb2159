/* pb_family.h — io.prometheus.client.MetricFamily, one metric at a time.
 *
 * What        A page of length-delimited families is walked family by family, and each family
 *             metric by metric. A metric is decoded into one record that is used again for the
 *             next; its labels and exemplars stay slices of the page until they are asked for.
 * Invariants  (1) What is accepted and refused, and when, is what the reference's decoder accepts
 *             and refuses: a family's own fields first, then each metric but for its labels, then
 *             the labels. (2) A metric costs no allocation once the record has grown.
 * Ownership   borrows the page; pb_page_fini frees what the record grew to
 * Threads     one thread at a time
 * Errors      ERR_BAD_INPUT with the words of the reference's decoder
 * Format      io/prometheus/client/metrics.proto, delimited
 */
#ifndef EPI_INGEST_PB_FAMILY_H
#define EPI_INGEST_PB_FAMILY_H

#include "base/vec.h"
#include "ingest/protobuf.h"
#include "model/histogram.h"
#include "model/labels.h"

enum pb_family_type {
    PB_COUNTER,
    PB_GAUGE,
    PB_SUMMARY,
    PB_UNTYPED,
    PB_HISTOGRAM,
    PB_GAUGE_HISTOGRAM,
    PB_FAMILY_TYPES
};

/* of a message that need not be there: p NULL */
struct pb_quantile { double quantile, value; };
struct pb_bucket { uint64_t count; double count_float, upper; str exemplar; };
struct pb_buckets { VEC(struct span) spans; VEC(int64_t) deltas; VEC(double) counts; };

struct pb_metric {
    str message;
    size_t n_labels;
    uint64_t labels_hash;                  /* of their bytes as they stand */
    uint32_t labels_bytes;
    int64_t ts;                            /* ms, 0: none */
    double value[PB_UNTYPED + 1];          /* of counter, gauge, untyped */
    str exemplar;                          /* of the counter */
    str start[PB_HISTOGRAM + 1];           /* of counter, summary, histogram: a Timestamp */
    /* summary and histogram */
    uint64_t count[PB_HISTOGRAM + 1];
    double sum[PB_HISTOGRAM + 1];
    VEC(struct pb_quantile) quantiles;
    double count_float, zero_threshold, zero_count_float;
    uint64_t zero_count;
    int32_t schema;
    struct pb_buckets pos, neg;
    VEC(struct pb_bucket) buckets;         /* classic ones */
    VEC(str) exemplars;                    /* of a native histogram */
};

struct pb_page {
    cursor c;                              /* behind the family */
    str message;                           /* of the family */
    str name, help, unit;
    int32_t type;
    cursor metrics;                        /* the family, walked for its metrics */
    struct pb_metric m;
};

void pb_page_init(struct pb_page *p, str page);
void pb_page_fini(struct pb_page *p);
/* false in *more: the end */
MUST_USE errc pb_page_family(struct pb_page *p, bool *more, struct err *e);
MUST_USE errc pb_page_metric(struct pb_page *p, bool *more, struct err *e);

/* Goes to a family and metric that were read before: their messages. */
MUST_USE errc pb_page_return(struct pb_page *p, str family, str metric, struct err *e);

MUST_USE errc pb_metric_check_labels(const struct pb_metric *m, struct err *e);
/* Appends to at, which has room for m->n_labels. REQUIRES: checked */
size_t pb_metric_labels(const struct pb_metric *m, struct label *at);

struct pb_instant { int64_t seconds; int32_t nanos; };
int64_t pb_instant_ms(str timestamp);      /* 0: none */

struct pb_example { struct labels labels; double value; str timestamp; };
/* Labels sorted, in the arena. REQUIRES: it is there */
struct pb_example pb_example_read(str exemplar, struct arena *a);
/* a Timestamp; p NULL: none */
str pb_example_time(str exemplar);

#endif
