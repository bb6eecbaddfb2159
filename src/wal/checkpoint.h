/* checkpoint.h — what is still needed of segments that are to be deleted.
 *
 * What        Reads the checkpoint before and the segments first … last, keeps what concerns the
 *             time from mint on and series that are alive, and writes it as checkpoint.LAST.
 * Invariants  (1) The folder has its name when it is whole and its bytes are durable; the name is,
 *             too, when wal_truncate() deletes the first segment. (2) Order of records stays;
 *             metadata, the newest of each series, come last. (3) Nothing that is kept is changed
 *             but for its packing.
 * Ownership   none
 * Threads     one at a time per folder, beside a writer of later segments
 * Errors      ERR_IO, ERR_NO_SPACE: the .tmp folder is removed, the segments stay. Damage in what
 *             is read is passed over, and logged.
 * Format      docs/format/wal.md
 */
#ifndef EPI_WAL_CHECKPOINT_H
#define EPI_WAL_CHECKPOINT_H

#include "base/compress.h"
#include "wal/wal_reader.h"
#include "model/sample.h"

struct wal_checkpoint_opts {
    struct fs *fs;
    str dir;                                   /* "wal" */
    enum io_backend backend;
    enum compress_kind compress;
    uint64_t segment_bytes;                    /* 0: the default */
    uint32_t first, last;
    bool has_previous; uint32_t previous;      /* checkpoint to begin with */
    int64_t mint;                              /* samples before it go */
    int64_t deletions_mint;                    /* deletions that end before it go */
    bool (*keep)(void *ctx, sref ref);         /* is the series alive, or its record needed? */
    void *ctx;
};
struct wal_checkpoint_counts { uint64_t series_dropped, samples_dropped, records; };

MUST_USE errc wal_checkpoint(
    const struct wal_checkpoint_opts *o, struct wal_checkpoint_counts *out, struct err *e);

/* Removes the checkpoints of dir with a number below this. */
MUST_USE errc wal_checkpoints_drop(struct fs *fs, str dir, uint32_t below, struct err *e);

#endif
