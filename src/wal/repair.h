/* repair.h — makes a damaged log one that Prometheus opens without a warning, and loses no good
 * record.
 *
 * What        A segment with damage is written anew from its good records (all types, byte for
 *             byte); the damaged one is set aside in the data folder, outside of wal/, as
 *             wal.NNNNNNNN.bad (of a checkpoint: wal.checkpoint.NNNNNNNN.NNNNNNNN.bad). A torn tail
 *             of the last segment is cut. A missing number gets an empty segment.
 * Invariants  (1) At every moment of a repair a crash leaves a log that holds at least its good
 *             records. (2) Segments without damage are not touched. (3) A record whose framing is
 *             right but which does not decode (record_check) goes, too.
 * Ownership   none
 * Threads     one at a time per folder; no reader of the segment at work; a writer may append to
 *             later segments
 *             (4) What the disk did not give is not dropped: such a segment stays as it is.
 * Errors      ERR_IO, ERR_NO_SPACE: the segment stays as it was, the next start tries again
 * Format      none
 *
 * Durability steps for fault_dropped(): repair.segment_fsync, repair.tail_fsync,
 * repair.dir_fsync.
 */
#ifndef EPI_WAL_REPAIR_H
#define EPI_WAL_REPAIR_H

#include "io/fs.h"
#include "wal/wal_reader.h"

struct wal_repair_result { uint32_t segments, records_kept, gaps, corruptions; };

/* Repairs the segments first … last of dir (a name in the data folder such as "wal"); those without
 * damage are only read. */
MUST_USE errc wal_repair(struct fs *fs, str dir, enum io_backend backend, uint32_t first,
    uint32_t last, struct wal_repair_result *out, struct err *e);

/* One segment that a salvaging reader found damaged. is_last: its torn tail may be cut in place. */
MUST_USE errc wal_repair_segment(struct fs *fs, str dir, enum io_backend backend, uint32_t seg,
    bool is_last, struct wal_repair_result *out, struct err *e);

/* Sets a good segment aside and writes it anew, each record as `anew` gives it: *stored is what lay
 * in the file, *keep is true. */
typedef errc (*wal_rewrite_fn)(
    void *ctx, const struct wal_rec *rec, str *stored, bool *keep, struct err *e);
MUST_USE errc wal_rewrite_segment(struct fs *fs, str dir, enum io_backend backend, uint32_t seg,
    wal_rewrite_fn anew, void *ctx, struct err *e);

/* Empty segments for the numbers in first … last that are missing. */
MUST_USE errc wal_repair_gaps(
    struct fs *fs, str dir, uint32_t first, uint32_t last, uint32_t *filled, struct err *e);

#endif
