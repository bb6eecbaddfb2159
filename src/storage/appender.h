/* appender.h — the promise between those who have samples and those who keep them.
 *
 * What        One appender is one scrape or one write request: append, append, …, then commit or
 *             rollback, which end it.
 * Invariants  A committed batch becomes visible as a whole, but for samples that are taken out of
 *             order; after commit returned OK, kill -9 loses none of it.
 * Ownership   appendable_begin makes one; commit and rollback free it. Labels and strings are
 *             copied before a call returns.
 * Threads     one appender: one thread at a time; any number of appenders beside each other
 * Errors      per sample: ERR_OUT_OF_ORDER, ERR_OUT_OF_BOUNDS, ERR_TOO_OLD, ERR_DUPLICATE (that
 *             sample is not taken, the appender goes on); ERR_BAD_INPUT (empty labels, duplicate
 *             name); ERR_NO_SPACE and ERR_IO from commit: nothing of the batch is kept, or
 *             nothing of what was out of order: who tries again makes it whole
 * Format      none
 */
#ifndef EPI_STORAGE_APPENDER_H
#define EPI_STORAGE_APPENDER_H

#include "base/err.h"
#include "model/exemplar.h"
#include "model/int_histogram.h"
#include "model/labels.h"
#include "model/metadata.h"
#include "model/sample.h"

/* A series as its appender remembers it: valid as long as the series lives. 0 is "unknown". A
 * collected series' handle is refused with ERR_NOT_FOUND; then append by labels again. */
typedef uint64_t series_handle;

/* The words for a sample that is refused, where they depend on nothing but the code; else empty. */
static inline str sample_refusal(errc rc)
{
    switch (rc) {
    case ERR_OUT_OF_BOUNDS: return S("out of bounds");
    case ERR_OUT_OF_ORDER: return S("out of order sample");
    case ERR_TOO_OLD: return S("too old sample");
    default: return STR_EMPTY;
    }
}

struct appender { const struct appender_ops *ops; };
struct appender_ops {
    /* Finds or creates the series. `labels` sorted, no empty values. */
    errc (*series)(struct appender *a, struct labels labels, series_handle *out, struct err *e);
    /* The series, if it is there. NULL: nobody knows. */
    bool (*find)(struct appender *a, struct labels labels, series_handle *out);
    /* Appends one float to a known series. st: start timestamp, 0 = none. */
    errc (*append)(
        struct appender *a, series_handle h, int64_t t, double v, int64_t st, struct err *e);
    /* Appends n floats in one go: results[i] says what became of each (OK or a per-sample code), e
     * has the words of the first that was refused; sample_refusal has most of the others'. Samples
     * of a batch come in the order of the series' slots if the caller kept that order, which makes
     * it fast. ERR_* only for failures of the whole. */
    errc (*append_batch)(struct appender *a, const series_handle *h, const int64_t *t,
        const double *v, size_t n, uint8_t *results, struct err *e);
    /* Appends a histogram to a known series, of whole numbers or of floats: one of the two is NULL.
     * Its sum may be the stale marker; a stale float that follows a histogram becomes such a one by
     * itself. ERR_BAD_INPUT: it is no histogram. */
    errc (*histogram)(struct appender *a, series_handle h, int64_t t, int64_t st,
        const struct int_histogram *whole, const struct histogram *floats, struct err *e);
    /* Exemplars and metadata go with a sample of the series, after it. An exemplar that is there
     * already, or where none are kept, is no error. ERR_OUT_OF_ORDER, ERR_LIMIT: it is not taken,
     * the appender goes on. */
    errc (*exemplar)(struct appender *a, series_handle h, const struct exemplar *x, struct err *e);
    errc (*metadata)(struct appender *a, series_handle h, const struct metadata *m, struct err *e);
    errc (*commit)(struct appender *a, struct err *e);
    void (*rollback)(struct appender *a);
    /* Is the time of a sample good enough to make a series for it? Who asks before that leaves no
     * empty series behind; ERR_OUT_OF_BOUNDS as an append would say and count it. NULL: any is. */
    errc (*admits)(struct appender *a, int64_t t, bool histogram, struct err *e);
    /* From here on what is not behind its series' newest sample is ERR_OUT_OF_ORDER, also where
     * late samples are taken. NULL: they never are. */
    void (*refuse_late)(struct appender *a, bool refuse);
    /* The first sample that is refused, but for one whose series is gone, will end the request:
     * append_batch need not look at those behind it, whose results are OK. NULL: it does. */
    void (*all_or_nothing)(struct appender *a);
};

/* What opens appenders: the head of a database, or a fake in tests. */
struct appendable { const struct appendable_ops *ops; };
struct appendable_ops {
    errc (*begin)(struct appendable *s, struct appender **out, struct err *e);
    /* Fast path by raw label bytes: see head/lookup. False: not known, go the slow way and teach
     * it. May be NULL. */
    bool (*lookup)(struct appendable *s, const uint8_t *raw, size_t n, series_handle *out);
    void (*teach)(struct appendable *s, const uint8_t *raw, size_t n, series_handle h);
};

#endif
