/* compact.h — several blocks into one.
 *
 * What        Merges the series of the blocks in label order. Chunks that overlap nothing are
 *             copied as bytes; overlapping ones are decoded, merged and encoded again at 120
 *             samples; deleted intervals are cut out.
 * Invariants  (1) What the sources show, the result shows. (2) Until the result has its name the
 *             sources stay as they are; afterwards its meta names them as parents, so that a
 *             restart removes them. (3) Chunks and index are Prometheus' to the byte.
 * Ownership   borrows the blocks
 * Threads     one thread a call
 * Errors      ERR_IO, ERR_NO_SPACE, ERR_CORRUPT (a source), ERR_CANCELED (*stop became true).
 * Format      none of its own
 */
#ifndef EPI_BLOCK_COMPACT_H
#define EPI_BLOCK_COMPACT_H

#include "base/progress.h"
#include "block/block.h"

/* stop: asked between series; may be NULL */
struct compact_opts {
    struct fs *fs;
    uint64_t segment_bytes;
    const _Atomic bool *stop;
    const struct progress *progress;           /* in chunks; may be NULL */
    /* one block, written without what was deleted: of level 1 again, and its own source */
    bool anew;
};

/* *out: the new block's id, zero if no sample was left; then nothing was written. */
MUST_USE errc compact_blocks(
    const struct compact_opts *o, struct block *const *blocks, size_t n, ulid *out, struct err *e);

#endif
