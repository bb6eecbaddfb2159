/* orphans.h — what a log says of series that it has lost.
 *
 * What        Where a series record was lost, the samples, histograms and the rest that name its
 *             ref can never be told whose they are.
 *             Prometheus warns of them at each start; here they leave the log, and the segments
 *             that held them are set aside.
 * Invariants  (1) Nothing goes that a series record before it names. (2) A record without orphans
 *             keeps its stored bytes. (3) A tombstone that ends its series stays: it keeps the ref
 *             from being given again.
 * Ownership   none
 * Threads     as repair.h
 * Errors      ERR_IO, ERR_NO_SPACE: the log is as good as before, some orphans are still there
 * Format      none
 */
#ifndef EPI_WAL_ORPHANS_H
#define EPI_WAL_ORPHANS_H

#include "io/fs.h"
#include "io/reader.h"

struct wal_part { str dir; uint32_t first, last; };
struct wal_orphans { uint64_t items; uint32_t segments; };

/* The parts of one log in the order in which they are read: checkpoint, log, write-behind log. */
MUST_USE errc wal_orphans_drop(struct fs *fs, enum io_backend backend, const struct wal_part *parts,
    size_t n, struct wal_orphans *out, struct err *e);

#endif
