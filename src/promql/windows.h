/* windows.h — what a function of a range vector sees of one series: an array of samples and, for
 * each step, a slice of it.
 *
 * What        The struct that every kernel takes, and the table of kernels.
 * Invariants  (1) lo[k] <= hi[k]; both never fall from step to step, but where a step is left out:
 *             there lo[k] == hi[k]. (2) A kernel writes out[k] and sets bit k of present for the
 *             steps that have a value, and touches nothing else. (3) It never subtracts from a
 *             running sum: a window is summed afresh or joined from sums of aligned pieces.
 * Ownership   borrowed for the call; scratch memory comes from the query's scratch arena
 * Threads     one query, one thread
 * Errors      ERR_UNSUPPORTED with words for the user
 * Format      none
 */
#ifndef EPI_PROMQL_WINDOWS_H
#define EPI_PROMQL_WINDOWS_H

#include "promql/eval.h"
#include "promql/histogramslide.h"
#include "promql/select.h"

enum { RANGE_PARAMS_MAX = 2 };
struct pair_notes;
struct windows {
    struct eval *ev;
    const int64_t *t, *st;                 /* st NULL: not known or not wanted */
    const double *v;
    size_t n;                              /* samples */
    const uint32_t *lo, *hi;               /* step k sees [lo[k], hi[k]) */
    size_t steps;
    uint64_t work, widest;                 /* sum of all windows' lengths; the longest */
    int64_t offset_ms, range_ms;
    double range_s;
    bool anchored, smoothed, fixed;        /* fixed: one window for all steps (@) */
    const double *params[RANGE_PARAMS_MAX];    /* the other arguments, step by step */
    str metric;
    struct pos pos;                        /* of the first argument */
    double *out;
    uint64_t *present;
    /* Histograms of the series; hs NULL: none. Step k sees [hlo[k], hhi[k]) of them. */
    const struct histogram_samples *hs;
    const uint32_t *hlo, *hhi;
    const struct histogram **hout;
    struct arena *room;                    /* what a step needs for the moment */
    struct histogram_slide *slide;         /* NULL: each window of histograms is summed afresh */
    /* of all samples, made when a step first asks; NULL: none did */
    const struct pair_notes *pair_notes;
    const uint32_t *pairs_before;
};
static inline void window_put(struct windows *w, size_t k, double v)
{
    w->out[k] = v;
    bits_set(w->present, k);
}
static inline void window_put_histogram(struct windows *w, size_t k, const struct histogram *h)
{
    w->hout[k] = histogram_copy(&w->ev->q->scratch, h);
    bits_set(w->present, k);
}
static inline int64_t window_end_ms(const struct windows *w, size_t k)
{
    return grid_time(&w->ev->g, k) - w->offset_ms;
}

/* Can windows overlap so much that sums are joined, be it with more steps? Then sums that are
 * rounded depend on which steps are evaluated together. */
bool window_may_join(const struct windows *w);

typedef errc (*range_kernel)(struct windows *w);
/* A step that sees at least one histogram. NULL: the function looks at floats only, and says so
 * where there are both. */
typedef errc (*range_step)(struct windows *w, size_t k);
struct range_function {
    const char *name;
    range_kernel kernel;
    bool keeps_name, wants_start;
    range_step histograms;
    bool sums_histograms;
    /* of histograms, plain windows' first and last are looked at, and those beside resets */
    bool ends_of_histograms;
};
const struct range_function *range_function_find(const char *name);         /* NULL: none */

errc window_rate(struct windows *w);
errc window_increase(struct windows *w);
errc window_delta(struct windows *w);
errc window_irate(struct windows *w);
errc window_idelta(struct windows *w);
errc window_resets(struct windows *w);
errc window_changes(struct windows *w);

/* The steps of these functions that see histograms. */
errc window_h_rate(struct windows *w, size_t k);
errc window_h_increase(struct windows *w, size_t k);
errc window_h_delta(struct windows *w, size_t k);
errc window_h_irate(struct windows *w, size_t k);
errc window_h_idelta(struct windows *w, size_t k);
errc window_h_resets(struct windows *w, size_t k);
errc window_h_changes(struct windows *w, size_t k);
errc window_h_sum(struct windows *w, size_t k);
errc window_h_avg(struct windows *w, size_t k);
errc window_h_count(struct windows *w, size_t k);
errc window_h_one(struct windows *w, size_t k);
errc window_h_first(struct windows *w, size_t k);
errc window_h_last(struct windows *w, size_t k);
errc window_h_ts_first(struct windows *w, size_t k);
errc window_h_ts_last(struct windows *w, size_t k);
/* What to multiply a growth from the first to the last of n samples with so that it is that of the
 * window (or of a second of it).
 * *from_zero: the counter began inside of the window: its first value belongs to the growth. False:
 * no value. */
enum rate_kind { RATE_DELTA, RATE_INCREASE, RATE_RATE };
struct growth { int64_t first_t, last_t, st; size_t n; double first, growth; };
bool window_stretch(const struct windows *w, size_t k, const struct growth *g, enum rate_kind kind,
    bool *from_zero, double *factor);
/* the first index whose time is past `at`, or at it; n: none */
size_t time_search(const int64_t *t, size_t n, int64_t at, bool or_equal);
bool start_time_overlaps(int64_t prev_st, int64_t prev_t, int64_t st);

/* Arithmetic whose notes are annotations. False: the two cannot be combined, which is one, too. */
bool histogram_combine(
    struct windows *w, struct histogram *h, const struct histogram *other, double sign);
struct histogram *histogram_between(struct arena *a, const struct histogram *h1, int64_t t1,
    const struct histogram *h2, int64_t t2, int64_t t,
    /* NULL: cannot be combined */
    bool counter, struct annotations *an, str metric, struct pos pos);

/* A mean of histograms: the sum divided at the end, or, once it would overflow, updated one by one.
 * Start with a copy in s.h and n = 1. */
struct histogram_mean { struct histogram_sum s; double n; bool incremental; };
MUST_USE errc histogram_mean_add(struct arena *a, struct histogram_mean *m,
    const struct histogram *h, struct histogram_merge *merge);
MUST_USE errc histogram_mean_end(struct arena *a, struct histogram_mean *m);

/* Is there a reset between two samples that start timestamps show, whatever the values? */
bool start_time_is_reset(int64_t prev_st, int64_t prev_t, int64_t st, int64_t t);

#endif
