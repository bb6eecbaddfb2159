/* select.h — samples out of the storage, for the steps that want them.
 *
 * What        Expands what a selector asked for, and decodes a series' samples in and between
 *             windows into arrays.
 * Invariants  only what lies in a window is kept; windows that leave gaps between them are sought,
 *             not read through
 * Ownership   a reader owns its arrays and its iterator and is used for series after series
 * Threads     one reader, one thread
 * Errors      the storage's
 * Format      none
 */
#ifndef EPI_PROMQL_SELECT_H
#define EPI_PROMQL_SELECT_H

#include "promql/eval.h"

/* Histograms of a range, by time; they lie in the query's scratch arena. st NULL: none has a start
 * timestamp. */
struct histogram_samples { int64_t *t, *st; const struct histogram **h; size_t n, cap; };
/* Samples by time. st NULL: no sample has a start timestamp. Of a range, the histograms are apart
 * (hist); for instants they stand among the floats, h[i] NULL where a float is, h NULL if there is
 * none. */
struct samples {
    int64_t *t, *st;
    double *v;
    const struct histogram **h;
    size_t n, cap;
    struct histogram_samples hist;
};

/* Windows (lo + k*interval, hi + k*interval] for k in [0, n). */
struct window_plan { int64_t lo, hi, interval; size_t n; };

enum stale { STALE_DROP, STALE_KEEP };
struct reader {
    struct query *q; struct sample_iter *it; struct samples s;
    /* histograms without buckets; whether there were resets is found while reading */
    bool strip;
    /* Of histograms that are neither the first nor the last of a window, nor stand beside a reset
     * that there may be, only hint, schema and size are known. */
    bool ends;
    const struct histogram *last;          /* the one read before, as a whole */
    const struct histogram *outline;       /* of the one before, if only that is known */
    int64_t *st_room, *hist_st_room; const struct histogram **h_room;
};
void reader_init(struct reader *r, struct query *q);
void reader_fini(struct reader *r);
MUST_USE errc reader_load(
    struct reader *r, struct series *s, const struct window_plan *p, enum stale stale);
/* The reader will load these series next, by this plan. */
void reader_ahead(
    struct reader *r, struct series *const *all, size_t n, const struct window_plan *p);
void samples_push(struct samples *s, int64_t t, double v);
void histogram_samples_push(struct histogram_samples *s, int64_t t, const struct histogram *h);
void samples_fini(struct samples *s);

MUST_USE errc selection_expand(struct query *q, size_t index, struct selection **out);
/* The same, unless the series can be read and forgotten one after the other, and `once` says that
 * nobody looks at them again: then they are not there yet, and selection_next gives them. */
MUST_USE errc selection_open(struct query *q, size_t index, bool once, struct selection **out);
MUST_USE errc selection_next(struct query *q, struct selection *s, struct series **out);
MUST_USE errc series_set_expand(struct query *q, struct series_set *set, struct selection *out);

/* The newest sample of (ref - lookback, ref] at each step, ref = step time - offset, or `at` at all
 * steps. what: its value, time or start. Counts what it finds into q->samples, for the caller to
 * check. */
enum instant_what { INSTANT_VALUE, INSTANT_TIME_MS, INSTANT_TIME, INSTANT_START };
MUST_USE errc select_instants(struct eval *ev, struct reader *r, struct series *s,
    int64_t offset_ms, const int64_t *at,
    /* columns in the scratch arena */
    enum instant_what what, struct row *out);

#endif
