/* walks.h — windows that have to be walked from their first sample to their last, side by side.
 *
 * What        Lines through the samples of windows (least squares), double exponential smoothing,
 *             sums and spreads. None can slide, for a line takes its times from the window and
 *             rounds each product, smoothed values follow from each other, and to take a value out
 *             of a sum would round; so eight windows are walked at once. Lines of whole numbers at
 *             whole seconds do slide. Short windows are sorted side by side, too.
 * Invariants  (1) Each window's result has the bits of the plain loop, which is Prometheus': lanes
 *             are windows, never samples of one sum. (2) Which build runs changes nothing but the
 *             time. (3) What slides is integers, whose sums are exact, and such that the plain
 *             loop's are, too, up to the last rounding.
 * Ownership   works on the caller's arrays; nothing is kept
 * Threads     pure functions
 * Errors      none
 * Format      none
 */
#ifndef EPI_PROMQL_WALKS_H
#define EPI_PROMQL_WALKS_H

#include "base/arena.h"
#include "base/kahan.h"

/* Windows [lo, hi) of samples, at least two in each; sums and spreads: at least one. */
enum { WALKS = 8 };
struct walks {
    const int64_t *t;
    const double *v;
    size_t n;                              /* windows, at most WALKS */
    uint32_t lo[WALKS], hi[WALKS];
    /* NULL, or whose owner is asked, between samples of long windows, whether it is over: then what
     * comes is of no use */
    const struct arena *asks;
};

struct line { double slope, intercept; };
/* Through each window's samples; times are told from t0[i] on. times: NULL, or what is known of
 * windows whose first sample lies as far from t0 as this says. */
struct line_times;
void walk_lines(struct line *out, const struct walks *w, const int64_t *t0,
    const struct line_times *times);

/* Where samples follow each other at one distance the times of all windows that begin as far from
 * their t0 are the same, and so are the sums of them: made once. NULL: they do not, or n < 2. */
const struct line_times *line_times_make(struct arena *a, const int64_t *t, size_t n,
    uint64_t widest, int64_t first);       /* first: t[lo] - t0 */

/* The last smoothed value of each window, with its factors. */
void walk_smoothed(double *out, const struct walks *w, const double *sf, const double *tf);

/* The sum of each window, by kahan_add from nothing. */
void walk_sums(struct kahan *out, const struct walks *w);

/* Count, mean, and the sum of squared distances from it: Welford's update with compensation. */
struct spread { struct kahan mean, aux; double n; };
static inline void spread_add(struct spread *s, double x)
{
    s->n++;
    double delta = x - (s->mean.s + s->mean.c);
    kahan_add(&s->mean, delta / s->n);
    kahan_add(&s->aux, delta * (x - (s->mean.s + s->mean.c)));
}
void walk_spreads(struct spread *out, const struct walks *w);

/* The values in order: out[i * WALKS + w] is the i-th of window w, and infinite behind its end; as
 * many as the longest window has. REQUIRES: WALKS windows of at most WALK_SORT_MOST samples, no
 * NaN, no zero with a sign. */
enum { WALK_SORT_MOST = 64 };
void walk_sorted(double *out, const struct walks *w);

/* Lines through windows that only move forward, at the cost of what enters and leaves them. */
struct line_slide {
    const int64_t *t;
    const double *v;
    size_t lo, hi, changed;                /* changed: the last sample that is not the one before */
    __int128 x, y, xy, x2;                 /* sums of [lo, hi), of seconds since t[0] */
};
/* False: values or times are not whole, or so large that the plain loop would round in between. n
 * samples; windows are of at most `widest`, and their samples at most far_ms from their t0, which
 * is whole seconds from t[0] for all of them. */
bool line_slide_init(struct line_slide *s, const int64_t *t, const double *v, size_t n,
    uint64_t widest, uint64_t far_ms);
struct line line_slide_to(struct line_slide *s, size_t lo, size_t hi, int64_t t0);

/* For tests. REQUIRES: nobody computes. False: not on this machine, and nothing changes. */
enum walks_build { WALKS_PLAIN, WALKS_AVX2, WALKS_AVX512 };
bool walks_use(enum walks_build which);
void walks_use_best(void);                     /* as from the start */

#endif
