/* windows.h — what a function of a range vector sees of one series: an array of samples and, for each step, a slice of it.
 *
 * What        The struct that every kernel takes, and the table of kernels.
 * Invariants  (1) lo[k] <= hi[k]; both never fall from step to step. (2) A kernel writes out[k] and sets bit k of present for the steps that
 *             have a value, and touches nothing else. (3) It never subtracts from a running sum: a window is summed afresh or joined
 *             from sums of aligned pieces.
 * Ownership   borrowed for the call; scratch memory comes from the query's scratch arena
 * Threads     one query, one thread
 * Errors      ERR_UNSUPPORTED with words for the user
 * Format      none
 */
#ifndef EPI_PROMQL_WINDOWS_H
#define EPI_PROMQL_WINDOWS_H

#include "promql/eval.h"
#include "promql/select.h"

enum { RANGE_PARAMS_MAX = 2 };
struct windows {
    struct eval *ev;
    const int64_t *t, *st;                 /* st NULL: not known or not wanted */
    const double *v;
    size_t n;                              /* samples */
    const uint32_t *lo, *hi;               /* step k sees [lo[k], hi[k]) */
    size_t steps;
    uint64_t work;                         /* sum of all windows' lengths */
    int64_t offset_ms, range_ms;
    double range_s;
    bool anchored, smoothed, fixed;        /* fixed: one window for all steps (@) */
    const double *params[RANGE_PARAMS_MAX];    /* the other arguments, step by step */
    str metric;
    struct pos pos;                        /* of the first argument */
    double *out;
    uint64_t *present;
};
static inline void window_put(struct windows *w, size_t k, double v)
{
    w->out[k] = v;
    bits_set(w->present, k);
}
static inline int64_t window_end_ms(const struct windows *w, size_t k) { return grid_time(&w->ev->g, k) - w->offset_ms; }

typedef errc (*range_kernel)(struct windows *w);
struct range_function { const char *name; range_kernel kernel; bool keeps_name, wants_start; };
const struct range_function *range_function_find(const char *name);         /* NULL: none */

errc window_rate(struct windows *w);
errc window_increase(struct windows *w);
errc window_delta(struct windows *w);
errc window_irate(struct windows *w);
errc window_idelta(struct windows *w);
errc window_resets(struct windows *w);
errc window_changes(struct windows *w);

/* Is there a reset between two samples that start timestamps show, whatever the values? */
bool start_time_is_reset(int64_t prev_st, int64_t prev_t, int64_t st, int64_t t);

#endif
