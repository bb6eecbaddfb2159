/* snapshot.h — the data folder as it is now, in a folder of its own.
 *
 * What        snapshots/NAME: a second name for each file of each block, and the head as a block,
 *             its late samples as blocks of their own.
 * Invariants  (1) A folder of that name is whole and durable; what was interrupted has another name
 *             and goes at the next start. (2) Chunks and index of the head's block are those that
 *             Prometheus writes for the same samples. (3) Later deletions do not reach into it.
 * Ownership   borrows all
 * Threads     one at a time, and not beside compactions (tsdb/turn); appenders and queriers go on
 * Errors      ERR_IO, ERR_NO_SPACE, ERR_EXISTS (the name), ERR_CORRUPT (a chunk of the head)
 * Format      a data folder
 *
 * Durability step for fault_dropped(): snapshot.fsync.
 */
#ifndef EPI_TSDB_SNAPSHOT_H
#define EPI_TSDB_SNAPSHOT_H

#include "base/err.h"
#include "base/str.h"
#include "io/reader.h"

struct blocks;
struct fs;
struct head;

/* head NULL: the blocks alone. late_range_ms: the late samples of the head become blocks of ranges
 * of that length; 0: they are left out. */
struct snapshot_of {
    struct fs *fs;
    enum io_backend backend;
    struct blocks *blocks;
    struct head *head;
    int64_t late_range_ms;
    uint64_t segment_bytes;
};

MUST_USE errc snapshot_write(const struct snapshot_of *of, str name, struct err *e);
MUST_USE errc snapshot_tidy(struct fs *fs, struct err *e);     /* what was interrupted goes */

#endif
