/* backup.h — a second data folder with what the first one holds, while a server goes on writing to
 * that.
 *
 * What        Blocks get second names (or are copied, onto another file system); so do the finished
 *             files of the head; those that still grow are copied up to their last whole record.
 *             Done again into the same target only what is new is linked or copied.
 * Invariants  (1) The source is not changed. (2) When it returned OK the target is durable, opens,
 *             and holds what was in the source when the call began, and of what came meanwhile
 *             whole records. (3) Later changes of the source do not reach into it. (4) A block goes
 *             from the target when another one there was made of it, or the source says that it was
 *             replaced; one that the source has lost otherwise stays, and one that is whole here
 *             and that the source had to repair: backup.kept names it. (5) An interrupted run
 *             leaves a target that opens and holds the blocks that it had; the next run ends it.
 * Ownership   borrows
 * Threads     one at a time into a target, which it locks; a server may have the source
 * Errors      ERR_LOCKED (a server has the target), ERR_NO_SPACE, ERR_IO; ERR_BAD_INPUT: the
 *             source is in the target; ERR_TIMEOUT: the source changed in each of many tries
 * Format      a data folder; while it is made backup.tmp/ and NAME.old/ beside it
 *
 * The files of the head are taken before the blocks: what leaves the head meanwhile is in a block
 * by then, so nothing falls between.
 *
 * Durability steps for fault_dropped(): backup.file_fsync, backup.dir_fsync, backup.swap_fsync.
 */
#ifndef EPI_TSDB_BACKUP_H
#define EPI_TSDB_BACKUP_H

#include "base/err.h"
#include "base/progress.h"
#include "base/str.h"

struct fs;
struct backup_opts {
    struct fs *fs;                             /* both folders are below its root */
    str from, to;
    bool copy;                                 /* no second names, whatever the file system can */
    str data;                                  /* from is a snapshot of this folder; empty: not */
    const struct progress *progress;
};
struct backup_counts {
    uint64_t blocks, blocks_new, blocks_gone;
    uint64_t blocks_kept;                      /* whole here, repaired in the source */
    uint64_t files_linked, files_copied, bytes_copied;
};
MUST_USE errc backup_write(
    struct backup_counts *out, const struct backup_opts *o, struct err *e);

#endif
