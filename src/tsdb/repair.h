/* repair.h — a damaged data folder becomes one that opens without a word, and keeps all that can
 * be read.
 *
 * What        Each block with findings: figures of meta.json are written anew in place, a damaged
 *             index or segment makes a new block of what survives (block/salvage). So do blocks
 *             that a start has set aside. Then the head's files, as a start does it (tsdb/db).
 * Invariants  (1) Nothing is destroyed: a block that was saved is renamed to ULID.salvaged, one of
 *             which nothing could be saved to ULID.bad; a meta.json or tombstones that are replaced
 *             have a copy ULID.meta.json.bad or ULID.tombstones.bad. (2) Nothing is invented, and
 *             what was deleted stays deleted: a block whose tombstones cannot be read is set aside
 *             whole. (3) The new block is durable before the damaged one loses its name; a repair
 *             that was interrupted goes on where it stopped. (4) A block whose parents are still
 *             there is only set aside: they have all of it.
 * Ownership   repaired_init … repaired_fini
 * Threads     one thread; takes the folder's lock
 * Errors      ERR_LOCKED (a server has it), ERR_NOT_FOUND (it is neither a data folder nor empty),
 *             ERR_IO, ERR_NO_SPACE
 * Format      docs/format/block.md
 *
 * Durability step for fault_dropped(): mend.aside_fsync; and those of the writers.
 */
#ifndef EPI_TSDB_REPAIR_H
#define EPI_TSDB_REPAIR_H

#include "base/findings.h"
#include "base/progress.h"
#include "tsdb/db.h"

struct repair_opts { struct fs *fs; enum io_backend backend; const struct progress *progress; };

struct repaired {
    uint64_t blocks_whole, blocks_mended, blocks_salvaged, blocks_aside;
    struct db_opened head;                     /* what opening found, and mended */
    struct findings found;                     /* what was wrong with the blocks */
    struct findings done;                      /* what became of them */
};
void repaired_init(struct repaired *r);
void repaired_fini(struct repaired *r);
MUST_USE errc folder_repair(struct repaired *out, const struct repair_opts *o, struct err *e);

/* The blocks alone, by who has the lock. */
MUST_USE errc repair_blocks(struct repaired *out, const struct repair_opts *o, struct err *e);

#endif
