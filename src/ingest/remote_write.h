/* remote_write.h — the body of a remote write 1.0 request, series by series.
 *
 * What        Walks a decompressed prometheus.WriteRequest in place. The raw bytes of a series'
 *             labels are the key for appendable.lookup; the sorted and checked labels are only made
 *             when that does not know them.
 * Invariants  every slice lies within the body; nothing is allocated but labels
 * Ownership   borrows the body; labels go into the caller's arena
 * Threads     one thread at a time
 * Errors      ERR_BAD_INPUT: no such message; the caller rolls the whole request back, as
 *             Prometheus decodes before it appends
 * Format      prompb/remote.proto, prompb/types.proto; conformance/remote/exchanges.jsonl
 */
#ifndef EPI_INGEST_REMOTE_WRITE_H
#define EPI_INGEST_REMOTE_WRITE_H

#include "base/cursor.h"
#include "base/err.h"
#include "ingest/write_labels.h"

struct write_request {
    cursor c;
    /* seen so far; only samples are handed out */
    uint64_t n_series, n_samples, n_exemplars, n_histograms, n_metadata;
    bool checked;                      /* write_request_again */
};
struct write_series {
    str message;                       /* the TimeSeries */
    /* its label fields as they stand; empty: none, or not side by side */
    str labels_raw;
    cursor samples;                    /* stands before the first sample */
    uint32_t n_labels, n_samples, n_exemplars, n_histograms;
};

void write_request_init(struct write_request *r, str body);
/* REQUIRES: a request of the same body was read to its end without error */
void write_request_again(struct write_request *r, str body);
/* *more false: the end. */
MUST_USE errc write_request_next(
    struct write_request *r, struct write_series *out, bool *more, struct err *e);
/* The series of a message that was handed out before. */
void write_series_of(struct write_series *out, str message);
/* The whole message with the words of the reference for what is wrong first: for a body that
 * write_request_next refused, or that holds exemplars, histograms and metadata, into which it does
 * not look. */
MUST_USE errc write_request_check(str body, struct err *e);
/* The messages of a series' exemplars or histograms: each, in their order; false: no more. c:
 * begun by write_series_others. */
enum write_other { WRITE_EXEMPLAR = 3, WRITE_HISTOGRAM = 4 };
cursor write_series_others(const struct write_series *s);
bool write_series_other(cursor *c, enum write_other kind, str *message);
/* The next sample of a series; false: no more (write_request_next has checked them all). */
bool write_series_sample(struct write_series *s, int64_t *t, double *v);

/* Of a series that write_request_next handed out. What is not fine Prometheus counts as invalid and
 * goes on with the next. */
struct write_labels write_series_labels(const struct write_series *s, struct arena *a);

#endif
