/* apply.h — one scraped page into the storage.
 *
 * What        Parses a page, gives each series its labels (target labels, conflicts, metric
 *             relabelling, limits), appends it, marks what is gone as stale, and writes the report
 *             series (up and its like). Everything of a scrape is one batch.
 * Invariants  (1) Of a page that fails no value is stored, only stale markers and the report. (2) A
 *             series that was on the last page and is not on this one gets one stale marker. What a
 *             page names before the spot where it fails is on it.
 * Ownership   borrows
 * Threads     one scrape of a target at a time
 * Errors      in the outcome: the words that /api/v1/targets shows as lastError
 * Format      none
 */
#ifndef EPI_SCRAPE_APPLY_H
#define EPI_SCRAPE_APPLY_H

#include "scrape/target.h"

/* What the transfer gave. failed: the scrape's words, then body and type are not looked at. */
struct scrape_page {
    uint8_t *body; size_t n;               /* EXPO_PADDING zero bytes behind it */
    struct line_ahead *ahead;              /* lines that were read before `body`; may be NULL */
    size_t taken;                          /* their bytes */
    str content_type;
    int64_t t_ms;                          /* the time of its samples */
    double duration_s;                     /* until now */
    const struct err *failed;
    bool too_large;                        /* body_size_limit was the reason */
};
struct scrape_outcome { uint64_t scraped, added, series_added; errc rc; struct err e; };

/* start_mono_ns: when the scrape began; the duration that is reported counts until the page is
 * parsed. */
void scrape_apply(struct target *t, struct appendable *st, const struct scrape_page *page,
    int64_t start_mono_ns, struct scrape_outcome *out);

/* The target is gone for good: stale markers for all its series and its report, at t_ms. */
void scrape_end(struct target *t, struct appendable *st, int64_t t_ms);

#endif
