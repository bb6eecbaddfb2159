/* memory_snapshot.h — a head written down at its end, so that the next start need not read the log.
 *
 * What        Every series with its open chunk, what was deleted, the exemplars: as records of a
 *             log of their own.
 * Invariants  with the chunk files it is all that the head shows: no sealed chunk waits to be
 *             written (REQUIRED)
 * Ownership   borrows
 * Threads     one, when no appender is open any more
 * Errors      ERR_IO, ERR_NO_SPACE: nothing is to be kept of what was written
 * Format      head/snapshot_codec.h
 */
#ifndef EPI_HEAD_MEMORY_SNAPSHOT_H
#define EPI_HEAD_MEMORY_SNAPSHOT_H

#include "base/err.h"

struct head;
struct wal;
struct memory_snapshot_counts { uint64_t series, chunks, tombstones, exemplars; };

MUST_USE errc memory_snapshot_write(
    struct head *h, struct wal *to, struct memory_snapshot_counts *out, struct err *e);

#endif
