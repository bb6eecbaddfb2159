/* memstore.h — a storage in memory: for the tests of the rooms above storage.
 *
 * What        An appendable and a queryable over plain arrays: no files, no chunks, no head.
 * Invariants  a batch becomes visible at commit as a whole; a querier sees what was committed
 *             before it was made, series in the order of their creation unless sorted ones are
 *             asked for; histograms come back with the hints and the layout that a chunk of them
 *             would give
 * Ownership   memstore_new/memstore_free; queriers and appenders end before it
 * Threads     any: one mutex
 * Errors      as appender.h and querier.h promise
 * Format      none
 *
 * Never in a program.
 */
#ifndef EPI_STORAGE_MEMSTORE_H
#define EPI_STORAGE_MEMSTORE_H

#include "storage/appender.h"
#include "storage/querier.h"

struct memstore;
struct memstore *memstore_new(void);
void memstore_free(struct memstore *m);                        /* NULL is fine */
struct appendable *memstore_appendable(struct memstore *m);
struct queryable *memstore_queryable(struct memstore *m);
/* Queriers made from now on say that this was left out as damaged; kept until memstore_clear. */
void memstore_tell(struct memstore *m, str words);
/* forgets everything; REQUIRES: no querier or appender is open */
void memstore_clear(struct memstore *m);

/* All exemplars that came, whatever became of their appender. REQUIRES: no appender is open */
size_t memstore_exemplars(const struct memstore *m, const struct exemplar **out);

/* One sample of one series, committed at once: for tables in tests. */
MUST_USE errc memstore_add(
    struct memstore *m, struct labels labels, int64_t t, double v, struct err *e);

#endif
