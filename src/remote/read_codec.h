/* read_codec.h — the messages of remote read: the request taken apart, the answers put together.
 *
 * What        prometheus.ReadRequest into queries; prometheus.ReadResponse series by series;
 *             prometheus.ChunkedReadResponse as frames of a stream.
 * Invariants  a request is checked whole before anything is made of it; answers are the bytes that
 *             the reference's encoder makes
 * Ownership   a request's strings borrow the body, its lists lie in the arena; the regexes of
 *             matchers are freed by read_request_fini. Answers are appended to the caller's buf.
 * Threads     pure functions
 * Errors      ERR_BAD_INPUT with the reference's words. A matcher that cannot be is kept as words
 *             in its query: they are told when that query's turn has come.
 * Format      prompb/remote.proto, prompb/types.proto; frames: uvarint length, CRC-32C of the
 *             message (big endian), the message
 */
#ifndef EPI_REMOTE_READ_CODEC_H
#define EPI_REMOTE_READ_CODEC_H

#include "base/buf.h"
#include "model/int_histogram.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "storage/chunk_series.h"

struct read_query {
    int64_t mint, maxt;
    struct matchers matchers;
    str bad;                                   /* why there are no matchers; empty: there are */
    bool has_hints;
    int64_t start, end, step, range;           /* of the hints */
    str func;
};
enum read_kind { READ_SAMPLES, READ_CHUNKS };
struct read_request {
    struct read_query *queries;
    size_t n;
    enum read_kind kind;
    str bad_kind;                              /* not empty: no kind is ours, in these words */
};

MUST_USE errc read_request_decode(
    struct read_request *out, str body, struct arena *a, struct err *e);
void read_request_fini(struct read_request *r);

/* Equality with an external label becomes its absence: storage has none of them. */
void read_query_strip(struct read_query *q, struct labels external);

/* A series of a ReadResponse: begin, samples in the order of time, end. Scratch is of one
 * answer. */
struct read_series { struct buf *out; struct buf samples, histograms; };
void read_series_begin(struct read_series *s, struct buf *out);
void read_series_fini(struct read_series *s);
void read_series_float(struct read_series *s, int64_t t, double v);
void read_series_whole(struct read_series *s, int64_t t, const struct int_histogram *h);
void read_series_floats(struct read_series *s, int64_t t, const struct histogram *h);
/* appends one TimeSeries to a QueryResult */
void read_series_end(struct read_series *s, struct labels labels);
/* one QueryResult to a ReadResponse */
void read_result_end(struct buf *response, str result);

/* The next frame of a series that has these chunks left, of which it takes so many that the bytes
 * of labels and chunks just reach max_bytes: how many is returned. REQUIRES: n > 0 */
MUST_USE size_t read_frame(struct buf *out, struct labels labels, const struct chunk_view *chunks,
    size_t n, size_t query, size_t max_bytes);

#endif
