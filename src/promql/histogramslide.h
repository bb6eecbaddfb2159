/* histogramslide.h — sums of histograms over windows that move forward.
 *
 * What        The sum of each window of a series for what entered and left it since the one before.
 * Invariants  (1) A sum's layout, hint and exact numbers are those of adding one sample after the
 *             other; what is rounded is so within the compensation's last digits. (2) What would
 *             not be so is refused: windows of samples of different resolutions, zero thresholds
 *             or bounds, of counts that are negative or huge.
 * Ownership   histogram_slide_init/histogram_slide_fini; borrows samples and windows
 * Threads     one at a time
 * Errors      its arenas' stickiness: histogram_slide_spent
 * Format      none
 */
#ifndef EPI_PROMQL_HISTOGRAMSLIDE_H
#define EPI_PROMQL_HISTOGRAMSLIDE_H

#include "promql/select.h"

struct slide_sample;
struct slide_layout;
struct slide_run;
struct slide_sum;
struct histogram_slide {
    const struct histogram_samples *hs;
    const uint32_t *lo, *hi;               /* step k sees [lo[k], hi[k]) */
    size_t steps;
    struct arena lists;                    /* what is known of the samples */
    struct slide_sample *at;               /* hs->n + 1 */
    struct slide_run *runs;
    size_t n_runs;
    struct slide_layout *layouts;
    size_t n_layouts;
    bool sums_afresh;                      /* those of observed values: they may cancel out */
    /* [.., middle): sums of what begins at a step to come and ends at middle; [middle, end): one */
    struct arena front, back;
    size_t middle, end;
    struct slide_sum *first;
    size_t n_first, first_at;
    struct histogram_sum rest;
    /* the layout of a sum over runs [run_from, run_to] */
    struct arena shapes;
    struct histogram shape;
    uint32_t run_from, run_to;
    uint32_t *shape_of, *shape_next;       /* layouts, in the order in which they come */
    size_t n_shape;
    uint64_t looks;
};
void histogram_slide_init(struct histogram_slide *s, struct account *acc, size_t limit);
void histogram_slide_fini(struct histogram_slide *s);          /* the zero value is fine */
bool histogram_slide_spent(const struct histogram_slide *s);

/* False: it does not pay. */
bool histogram_slide_begin(struct histogram_slide *s, const struct histogram_samples *hs,
    const uint32_t *lo, const uint32_t *hi, size_t steps);
/* The sum of window k, which is not below that of the call before; its arrays lie in `room`. False:
 * it is to be made one by one. */
bool histogram_slide_sum(
    struct histogram_slide *s, size_t k, struct arena *room, struct histogram_sum *out);
/* Has a sample of the window this hint? RESET_YES and RESET_NO only. */
bool histogram_slide_has(const struct histogram_slide *s, size_t k, enum reset_hint hint);

#endif
