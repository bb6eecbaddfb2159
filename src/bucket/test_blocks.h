/* test_blocks.h — small blocks: for tests.
 *
 * What        A block of one or many series with a few chunks, in any encoding of floats. Many have
 *             a label n="000000" and so on, and the same samples.
 * Invariants  none
 * Ownership   none
 * Threads     the main thread
 * Errors      ends the test
 * Format      docs/format/block.md
 *
 * Linked into unit tests (test_support_src) only.
 */
#ifndef EPI_BUCKET_TEST_BLOCKS_H
#define EPI_BUCKET_TEST_BLOCKS_H

#include "block/meta_codec.h"
#include "bucket/bucket.h"
#include "io/fs.h"
#include "model/labels.h"

struct test_block {
    uint64_t number;
    int64_t mint;
    uint32_t level;
    bool xor2;
    bool aggregates; /* downsampled: a chunk has each aggregate of its samples (chunk/aggr.h) */
    unsigned chunks;
    unsigned series; /* 0: one, without a number */
};
/* in `parent`; its samples lie in [mint, mint + 1000 * chunks) */
ulid test_block_write(struct fs *fs, str parent, const struct test_block *t);
/* Such a block, written to fs and uploaded with an external label; NULL: with none. */
ulid test_block_upload(
    struct bucket *b, struct fs *fs, const struct test_block *t, const struct label *l);
/* "t=v" of all samples of a block's folder, blanks between; in the arena */
str test_block_samples(struct fs *fs, str dir, struct arena *a);

#endif
