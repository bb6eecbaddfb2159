/* expo_nhcb.h — classic histograms of a text page become native ones with custom buckets.
 *
 * What        Between the parser of lines and its reader: the lines that make up one classic
 *             histogram are collected, and told as one histogram entry where the next other thing
 *             begins. Only series of the family that a TYPE line called a histogram are looked at.
 * Invariants  (1) what does not fit together is told as the lines it is, or not at all where
 *             classic ones are not kept: as in Prometheus. (2) Labels of the histogram are made on
 *             demand.
 * Ownership   expo_nhcb_new/free; borrows the page
 * Threads     one thread at a time
 * Errors      those of the parser
 * Format      none
 */
#ifndef EPI_INGEST_EXPO_NHCB_H
#define EPI_INGEST_EXPO_NHCB_H

#include "ingest/exposition.h"

struct expo_nhcb *expo_nhcb_new(bool starts);                  /* starts: timestamps are wanted */
void expo_nhcb_free(struct expo_nhcb *n);                      /* NULL is fine */

MUST_USE errc expo_nhcb_next(struct expo *x, struct err *e);
/* The rest is about a histogram entry. */
struct labels expo_nhcb_labels(const struct expo *x, struct arena *a);
struct expo_histogram expo_nhcb_histogram(const struct expo *x);
bool expo_nhcb_exemplar(struct expo *x, struct expo_exemplar *out);
/* also of the lines of a histogram that is being collected: *known false, ask the parser */
int64_t expo_nhcb_start_ts(const struct expo *x, bool *known);

#endif
