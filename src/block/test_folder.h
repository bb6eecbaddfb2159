/* test_folder.h — blocks in folders that were recorded: for this room's tests.
 *
 * What        Finds the block; writes one of one series.
 * Invariants  none
 * Ownership   the caller's arena
 * Threads     one test
 * Errors      a failure fails the test
 * Format      docs/format/block.md
 */
#ifndef EPI_BLOCK_TEST_FOLDER_H
#define EPI_BLOCK_TEST_FOLDER_H

#include "block/meta.h"
#include "chunk/chunk_encoder.h"
#include "io/fs.h"

/* the first folder at the root that is a block */
str test_block_dir(struct fs *fs, struct arena *a);
/* a block of one series, {l="v"}, with these chunks; gives its folder */
str test_block_of_one(struct fs *fs, const struct block_meta *meta, const struct chunk_encoder *w,
    struct arena *a);

#endif
