/* resync.h — what a killed process left in the page cache becomes durable before anybody builds on
 * it.
 *
 * What        After an unclean stop: fsyncs the logs, the chunk files, what changes in a block, and
 *             the names of all of them.
 * Invariants  what an opening reads, and later openings count as old, is not undone by a power cut
 * Ownership   none
 * Threads     the opener's; nothing else is in the folder
 * Errors      ERR_IO
 * Format      none
 *
 * Durability steps for fault_dropped(): recover.fsync, recover.block_fsync.
 */
#ifndef EPI_TSDB_RESYNC_H
#define EPI_TSDB_RESYNC_H

#include "io/fs.h"

MUST_USE errc resync_folder(struct fs *fs, struct err *e);

#endif
