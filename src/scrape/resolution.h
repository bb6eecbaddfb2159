/* resolution.h — how fine a scraped native histogram may be.
 *
 * What        native_histogram_min_bucket_factor and native_histogram_bucket_limit: buckets are
 *             merged two by two until the histogram keeps to both.
 * Invariants  a histogram that keeps to both is not touched
 * Ownership   what is made lies in the caller's arena
 * Threads     pure functions
 * Errors      ERR_LIMIT with Prometheus' words: it cannot be made coarse enough; ERR_BAD_INPUT: its
 *             spans and buckets do not fit together
 * Format      none
 */
#ifndef EPI_SCRAPE_RESOLUTION_H
#define EPI_SCRAPE_RESOLUTION_H

#include "ingest/exposition.h"

/* The finest schema whose buckets grow by at least this factor; 0 and below 1: any. */
int32_t resolution_schema(double min_bucket_factor);

/* limit 0: none */
MUST_USE errc resolution_keep(struct expo_histogram *h, int32_t schema_max, uint64_t limit,
    struct arena *a, struct err *e);

#endif
