/* write.h — one remote write request on its way into the storage.
 *
 * What        What both versions of the protocol share: floats are gathered into batches, what is
 *             refused is told in the order in which it came, a series that was collected meanwhile
 *             is looked up again.
 * Invariants  (1) Samples reach the appender in the order in which they were put. (2) Of a request
 *             that fails by a code other than those of its samples nothing is kept.
 * Ownership   write_begin … write_end; the arena is the request's
 * Threads     one request
 * Errors      ERR_OUT_OF_ORDER, ERR_OUT_OF_BOUNDS, ERR_TOO_OLD, ERR_DUPLICATE, ERR_BAD_INPUT,
 *             ERR_LIMIT: the sender's; others: ours, it may try again
 * Format      none
 */
#ifndef EPI_API_WRITE_H
#define EPI_API_WRITE_H

#include "api/api.h"
#include "ingest/pb_histogram.h"

enum { WRITE_BATCH = 512, WRITE_MAX_AHEAD_MS = 10 * 60 * 1000 };

struct write;
struct write_ops {
    /* Of the message that a sample came from: its series by its labels, once more. */
    errc (*series_again)(struct write *w, str message, series_handle *h);
    /* A sample is refused. OK: the request goes on without it. */
    errc (*refused)(struct write *w, str message, int64_t t, errc rc, const struct err *why);
};
/* A series that samples go to. h 0: it is not there, and is made of its labels when a sample comes
 * that has a time for it; then the look-up is taught the key, if there is one. */
struct write_target { series_handle h; struct labels labels; str key; };
struct write {
    const struct write_ops *ops;
    struct appendable *st;
    struct appender *app;
    struct arena a;
    struct err *e;
    int64_t max_ms;                            /* no sample is later */
    uint64_t taken;                            /* floats that the storage took */
    size_t n;                                  /* of the batch: */
    series_handle h[WRITE_BATCH];
    int64_t t[WRITE_BATCH];
    double v[WRITE_BATCH];
    str message[WRITE_BATCH];
    uint8_t results[WRITE_BATCH];
};

MUST_USE errc write_begin(
    struct write *w, const struct write_ops *ops, struct appendable *st, struct err *e);
/* rc: what became of the request so far. Commits if it is OK, else nothing of it stays. */
MUST_USE errc write_end(struct write *w, errc rc);

/* Puts the floats that wait into the storage. */
MUST_USE errc write_flush(struct write *w);
/* Tells of one sample, after those that wait. */
MUST_USE errc write_refuse(
    struct write *w, str message, int64_t t, errc rc, const struct err *why);
MUST_USE errc write_too_far(const struct write *w, int64_t t, struct err *e);
/* A sample of this time comes: the series is there, or is made. */
MUST_USE errc write_admit(struct write *w, struct write_target *to, int64_t t, struct err *e);

/* Puts the first float of a series, or refuses one. */
MUST_USE errc write_float_slow(
    struct write *w, struct write_target *to, str message, int64_t t, double v);
static inline errc write_float(
    struct write *w, struct write_target *to, str message, int64_t t, double v)
{
    if (UNLIKELY(!to->h || t > w->max_ms)) return write_float_slow(w, to, message, t, v);
    size_t i = w->n++;
    w->h[i] = to->h;
    w->t[i] = t;
    w->v[i] = v;
    w->message[i] = message;
    return w->n == WRITE_BATCH ? write_flush(w) : OK;
}

/* For what goes with samples: the series, if it is there without them. */
bool write_target_is_there(struct write *w, struct write_target *to);
/* One histogram; it is told if it is refused. REQUIRES: no floats wait */
MUST_USE errc write_histogram(
    struct write *w, struct write_target *to, str message, struct pb_histogram *x);

/* Is it for what the sender sent? */
static inline bool write_is_refusal(errc rc)
{
    return rc == ERR_OUT_OF_ORDER || rc == ERR_OUT_OF_BOUNDS || rc == ERR_TOO_OLD ||
           rc == ERR_DUPLICATE || rc == ERR_BAD_INPUT || rc == ERR_LIMIT;
}
void write_log_refused(struct labels series, int64_t t, const struct err *why);
/* Of the metrics of samples with invalid labels, and without metadata. */
void write_count_invalid(uint64_t n);
void write_count_without_metadata(uint64_t n);

/* ---- the two versions */

/* A request of 1.0: the first sample that is refused ends it, and nothing of it is kept. */
MUST_USE errc write_v1_store(struct appendable *st, str body, struct err *e);

struct write_v2_stats { uint64_t samples, histograms, exemplars; };
/* A request of 2.0: what is good is kept. words: of all that is not, one a line, when the answer is
 * one of write_is_refusal. */
MUST_USE errc write_v2_store(struct appendable *st, str body, const struct write_v2_opts *o,
    struct write_v2_stats *stats, struct buf *words, struct err *e);

extern struct account api_write_account;

#endif
