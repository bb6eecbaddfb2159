/* select.h — samples out of the storage, for the steps that want them.
 *
 * What        Expands what a selector asked for, and decodes a series' samples in and between windows into arrays.
 * Invariants  only what lies in a window is kept; windows that leave gaps between them are sought, not read through
 * Ownership   a reader owns its arrays and its iterator and is used for series after series
 * Threads     one reader, one thread
 * Errors      the storage's
 * Format      none
 */
#ifndef EPI_PROMQL_SELECT_H
#define EPI_PROMQL_SELECT_H

#include "promql/eval.h"

/* Samples by time. st NULL: no sample has a start timestamp. */
struct samples { int64_t *t, *st; double *v; size_t n, cap; bool histograms; };

/* Windows (lo + k*interval, hi + k*interval] for k in [0, n). */
struct window_plan { int64_t lo, hi, interval; size_t n; };

enum stale { STALE_DROP, STALE_KEEP };
struct reader { struct query *q; struct sample_iter *it; struct samples s; int64_t *st_room; };
void reader_init(struct reader *r, struct query *q);
void reader_fini(struct reader *r);
MUST_USE errc reader_load(struct reader *r, struct series *s, const struct window_plan *p, enum stale stale);
void samples_push(struct samples *s, int64_t t, double v);

MUST_USE errc selection_expand(struct query *q, size_t index, struct selection **out);
MUST_USE errc series_set_expand(struct query *q, struct series_set *set, struct selection *out);

/* The newest sample of (ref - lookback, ref] at each step, ref = step time - offset, or `at` at all steps. what: its value, time or start. */
enum instant_what { INSTANT_VALUE, INSTANT_TIME_MS, INSTANT_TIME, INSTANT_START };
MUST_USE errc select_instants(struct eval *ev, struct reader *r, struct series *s, int64_t offset_ms, const int64_t *at,
                              enum instant_what what, struct row *out);   /* columns in the scratch arena */

#endif
