/* compaction.h — what keeps a data folder from growing: head to blocks, blocks to larger blocks,
 * old ones away.
 *
 * What        While the head spans more than one and a half chunk ranges its oldest range becomes a
 *             block; then the head forgets it, the log is cut behind a checkpoint, chunk files that
 *             nobody refers to go. So do its late samples, range by range. Then blocks are
 *             compacted as block/plan says. Series that ended leave earlier, where they are many.
 * Invariants  (1) What leaves the head is in a durable block that queriers see. (2) Queriers that
 *             were opened before that have ended. (3) The log loses a segment only when a durable
 *             checkpoint has what is needed of it. (4) A compaction of blocks that failed for
 *             what they hold is not tried again; one that failed for the disk is, when its blocks
 *             have rested (resting.h), and other blocks do not wait for that.
 * Ownership   compaction_new allocates, compaction_free frees; borrows the parts of the database
 * Threads     one thread: the database's own
 * Errors      ERR_IO, ERR_NO_SPACE, ERR_CORRUPT, ERR_CANCELED
 * Format      none
 */
#ifndef EPI_TSDB_COMPACTION_H
#define EPI_TSDB_COMPACTION_H

#include "base/compress.h"
#include "io/reader.h"
#include "tsdb/retention.h"

struct blocks;
struct chunk_disk;
struct head;
struct uploads;
struct wal;

struct compaction_of {
    struct fs *fs;
    enum io_backend backend;
    struct blocks *blocks;
    struct head *head;
    struct wal *wal;
    struct chunk_disk *disk;
    enum compress_kind compress;
    uint64_t wal_segment_bytes, block_segment_bytes;
    /* max_block_ms: 0: 31 days, or a tenth of the retention by time */
    int64_t chunk_range_ms, max_block_ms;
    bool no_overlapping;                       /* overlapping blocks stay as they are */
    int64_t head_delay_ms;                     /* how long a head that is due waits */
    struct uploads *uploads;                   /* NULL: blocks wait for no shipper */
    const _Atomic bool *stop;                  /* ends long work early; may be NULL */
    const _Atomic bool *wanted;                /* ends waiting for queriers; may be NULL */
};
struct compaction;
struct compaction *compaction_new(const struct compaction_of *of);
void compaction_free(struct compaction *c);    /* NULL is fine */

void compaction_set_retention(struct compaction *c, struct retention r);       /* any thread */
/* Which part of the head's series, when they ended, become blocks ahead of its oldest range; 0: no
 * part. Any thread. */
void compaction_set_ended(struct compaction *c, double part);

/* Has the head a range that may become a block now? */
bool compaction_head_due(struct compaction *c);
/* Compacts all that is due: the head first, then blocks until the head is due again. */
MUST_USE errc compaction_run(struct compaction *c, struct err *e);
/* Have so many series ended, and is no head compaction near that would take them? */
bool compaction_ended_due(struct compaction *c);
/* Writes them to a block for each chunk range, then the head forgets them. */
MUST_USE errc compaction_run_ended(struct compaction *c, struct err *e);
/* looks at the folder, applies retention */
MUST_USE errc compaction_reload(struct compaction *c, struct err *e);

#endif
