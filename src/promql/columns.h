/* columns.h — the inner loops: arithmetic over the steps of a series, and over its samples.
 *
 * What        Where windows begin and end among the samples, rates of many windows at once, a
 *             row added to the columns of its group.
 * Invariants  (1) Each step's result has the bits of the plain loop that stands in rate.c,
 *             aggregate.c or base/kahan.h: lanes are steps, never samples of one sum. (2) Which
 *             build runs (AVX2 or any machine's) changes nothing but the time.
 * Ownership   works on the caller's arrays
 * Threads     pure functions
 * Errors      none
 * Format      none
 */
#ifndef EPI_PROMQL_COLUMNS_H
#define EPI_PROMQL_COLUMNS_H

#include "base/defs.h"

/* out[k]: how many of the ascending t[0, n) are at or before bound + k * interval. */
void column_ends(uint32_t *out, size_t steps, const int64_t *t, size_t n, int64_t bound,
    int64_t interval);

/* The newest sample at or before ref0 + k * interval, if it is younger than lookback and no stale
 * marker: its value, and bit k of present; the others are clear. ends: of column_ends. How many. */
struct column_instant { const int64_t *t; const double *v; int64_t ref0, interval, lookback; };
size_t column_instants(double *out, uint64_t *present, const struct column_instant *c,
    const uint32_t *ends, size_t steps);

bool column_has_bits(const double *v, size_t n, uint64_t bits);             /* bit patterns */

/* The indexes i > 0 with v[i] < v[i - 1], ascending; how many. out has room for n. */
size_t column_falls(uint32_t *out, const double *v, size_t n);

/* The samples that windows see: all windows', the longest's, and those that no window before saw.
 * lo and hi never fall. */
struct column_counts { uint64_t all, widest, fresh; };
struct column_counts column_count(const uint32_t *lo, const uint32_t *hi, size_t steps);
/* The first of the steps [from, steps) that sees fewer than two samples; steps: none. */
size_t column_narrow(const uint32_t *lo, const uint32_t *hi, size_t from, size_t steps);
/* What column_count() counts at each of the steps [from, steps), added; NULL: not wanted. */
void column_count_at(uint64_t *all_at, uint64_t *fresh_at, const uint32_t *lo, const uint32_t *hi,
    size_t from, size_t steps);

/* s += x, with compensation: kahan_add of each step. */
void column_kahan_add(double *s, double *c, const double *x, size_t n);
/* The same; false and nothing changed: a sum would be infinite or is no number. */
bool column_kahan_add_finite(double *s, double *c, const double *x, size_t n);
void column_add(double *s, double x, size_t n);
/* The first of equals stays; NaN gives way. */
void column_max(double *m, const double *x, size_t n);
void column_min(double *m, const double *x, size_t n);

/* out[k]: the largest of v[lo[k], hi[k]) (max; else: the least); of none it is not written.
 * REQUIRES: no NaN, no zero with a sign. */
void column_window_extremes(double *out, const double *v, const uint32_t *lo, const uint32_t *hi,
    size_t steps, bool max);

/* Bit k, of n <= 64: x[k] is not at or below bar[k] (max; else: at or above). A NaN is beyond, and
 * all is beyond a NaN. */
uint64_t column_beyond(const double *x, const double *bar, size_t n, bool max);

/* Growth of a counter in the windows [lo[k], hi[k]) that end at end0 + k * interval, stretched to
 * the range as window_stretch does. REQUIRES: for all k at least two samples, no reset between
 * them, no start timestamps; times within 2^50 ms of the windows. */
struct column_rate {
    const int64_t *t;
    const double *v;
    const uint32_t *lo, *hi;
    int64_t end0, interval, range_ms;
    double range_s;
    bool counter, per_second;
};
void column_rates(double *out, const struct column_rate *r, size_t from, size_t n);

void columns_use_plain(bool plain);            /* tests; REQUIRES: nobody computes */

#endif
