/* dump.h — everything that a storage holds, one JSON line a series.
 *
 * What        The canonical lines: no white space, keys in a fixed order, floats as bits and as
 *             text, a digest of the samples, so that two dumps can be compared by diff.
 * Invariants  series in label order; samples in time order
 * Ownership   borrows the storage and the stream
 * Threads     one
 * Errors      the storage's; ERR_IO when the stream fails
 * Format      {"k":"series","labels":[["name","value"],…],"n":2,"mint":…,"maxt":…,"dig":"…",
 *             "samples":[{"t":ms,"v":"bits","x":"text"},…]};
 *             dig: the first 8 bytes of SHA-256 over BE64(t) BE64(bits) [BE64(st) if it is not 0]
 *             of each sample
 */
#ifndef EPI_CMD_EPITOOL_DUMP_H
#define EPI_CMD_EPITOOL_DUMP_H

#include "base/progress.h"
#include "storage/querier.h"

#include <stdio.h>

/* total: about how many samples there are, for the progress (NULL: nobody looks). */
struct dump_progress { const struct progress *to; uint64_t done, total; };
void dump_progress_add(struct dump_progress *p, size_t samples);
/* every: write the samples of each every-th series only (0, every, 2 * every …); 1: of all. */
MUST_USE errc dump_jsonl(struct queryable *q, size_t every, FILE *out, struct dump_progress *p,
    struct err *e);
/* What q left out as damaged, a line each on standard error. When all was read. */
void dump_warnings(struct querier *q);

#endif
