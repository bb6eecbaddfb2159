/* deletion.h — samples that are to be gone: noted at once, cut out of the blocks later.
 *
 * What        Tombstones for what matches, in the blocks and in the head; and the rewriting of
 *             blocks without what their tombstones name.
 * Invariants  (1) When deletion_mark returned OK no query that begins later sees what was deleted,
 *             also after a crash. (2) It costs what the matching series cost, not what the folder
 *             holds. (3) A block is replaced by one that shows the same.
 * Ownership   borrows all
 * Threads     one at a time, and not beside compactions (tsdb/turn)
 * Errors      ERR_IO, ERR_NO_SPACE, ERR_CORRUPT (an index, a chunk). What was done before stays.
 * Format      tombstones: docs/format/block.md; docs/format/wal.md
 */
#ifndef EPI_TSDB_DELETION_H
#define EPI_TSDB_DELETION_H

#include "base/err.h"
#include "model/matcher.h"

struct blocks;
struct fs;
struct head;

MUST_USE errc deletion_mark(struct blocks *b, struct head *h, struct matchers ms, int64_t mint,
    int64_t maxt, struct err *e);
/* Every block that has tombstones is written anew; the head keeps its own. */
MUST_USE errc deletion_clean(
    struct blocks *b, struct fs *fs, uint64_t segment_bytes, struct err *e);

#endif
