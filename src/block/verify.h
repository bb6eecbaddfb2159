/* verify.h — does a block's folder hold what it says, to the last byte?
 *
 * What        Reads all of it: checksums and order of every section of the index, whether lists
 *             and series name each other, every chunk and each sample in it, tombstones, and the
 *             figures of meta.json.
 * Invariants  (1) Nothing is changed. (2) A bit that differs in index or chunks is a finding. (3)
 *             Whatever Prometheus or we write has none.
 * Ownership   borrows; findings are added to the caller's
 * Threads     one thread a call
 * Errors      ERR_IO, ERR_NOT_FOUND: the folder could not be read. Damage is no error.
 * Format      docs/format/block.md
 */
#ifndef EPI_BLOCK_VERIFY_H
#define EPI_BLOCK_VERIFY_H

#include "base/findings.h"
#include "block/meta_codec.h"
#include "io/reader.h"

/* Which parts have findings. */
enum block_wrong {
    BLOCK_META = 1,                            /* meta.json is there, its figures are not right */
    BLOCK_NO_META = 2,                         /* meta.json is missing, or cannot be read */
    BLOCK_NO_TOMBSTONES = 4,                   /* the file is missing */
    BLOCK_TOMBSTONES = 8,
    BLOCK_INDEX = 16,
    BLOCK_CHUNKS = 32
};

struct block_verified {
    unsigned wrong;                            /* enum block_wrong */
    struct block_stats stats;                  /* as counted */
    int64_t mint, maxt;                        /* of the samples, both inside; none: mint > maxt */
    uint64_t bytes;                            /* looked at */
};

/* aggregates: it may be a downsampled block, whose chunks hold aggregates (chunk/aggr.h) */
struct block_verify_opts { struct fs *fs; enum io_backend backend; bool aggregates; };
MUST_USE errc block_verify(struct block_verified *out, const struct block_verify_opts *o, str dir,
    struct findings *f, struct err *e);

#endif
