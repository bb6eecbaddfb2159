/* test_store.h — what is in a storage, as text: for this room's tests.
 *
 * What        Every series whose name has a prefix, with its samples, sorted by labels; and a job's
 *             configuration to start from.
 * Invariants  none
 * Ownership   text lies in the given arena
 * Threads     one test
 * Errors      a failure fails the test
 * Format      {__name__="a", job="j"} 1@1000 stale@2000\n
 */
#ifndef EPI_SCRAPE_TEST_STORE_H
#define EPI_SCRAPE_TEST_STORE_H

#include "scrape/scrape_config.h"
#include "storage/memstore.h"

str store_text(struct memstore *m, struct arena *a, str name_prefix, bool times);
/* The newest value of the one series whose labels hold all these pairs; NaN bits as they are.
 * False: no such series. */
bool store_last(struct memstore *m, str name, str label, str value, double *v);
size_t store_stale_count(struct memstore *m, str name_prefix);

/* 15 s, 10 s, /metrics, http, every text protocol */
struct scrape_config test_job(const char *name);

#endif
