/* plain_block.h — a block in the encodings that every reader knows.
 *
 * What        Thanos refuses chunks of encodings that hold start timestamps (XOR2 and the
 *             histograms' kin). Such a block is written anew before it is shipped: the same
 *             samples, without their start timestamps, as XOR and histogram chunks.
 * Invariants  (1) Series, samples and the block's name are those of the source. (2) Nothing is
 *             written of bytes that changed in memory since their checksum was looked at.
 * Ownership   borrows the block
 * Threads     one a call
 * Errors      ERR_CORRUPT (a chunk; all of them are read), ERR_IO (also of (2)), ERR_NO_SPACE,
 *             ERR_CANCELED
 * Format      docs/format/block.md
 */
#ifndef EPI_BUCKET_PLAIN_BLOCK_H
#define EPI_BUCKET_PLAIN_BLOCK_H

#include "block/block.h"

/* Reads every chunk, checksums included: *plain false if one is of another encoding. */
MUST_USE errc plain_block_check(struct block *b, bool *plain, struct err *e);
/* Writes it to parent/ULID. */
MUST_USE errc plain_block_write(
    struct block *b, struct fs *fs, str parent, struct block_stats *stats, struct err *e);

#endif
