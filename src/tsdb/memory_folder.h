/* memory_folder.h — the folder of a memory snapshot, chunk_snapshot.SEGMENT.OFFSET.
 *
 * What        Written when the database is closed, after its log: the name says how far the log
 *             is that it stands for. Older ones are removed.
 * Invariants  (1) A folder of that name is whole and durable. (2) What is in it is in the log and
 *             in the chunk files as well: who does not read it loses nothing.
 * Ownership   borrows all
 * Threads     one, the head is at rest
 * Errors      ERR_IO, ERR_NO_SPACE; ERR_UNSUPPORTED: see memory_snapshot.h; nothing is left then
 * Format      docs/format/snapshot.md
 *
 * Durability step for fault_dropped(): memory.fsync.
 */
#ifndef EPI_TSDB_MEMORY_FOLDER_H
#define EPI_TSDB_MEMORY_FOLDER_H

#include "base/compress.h"

struct fs;
struct head;
struct memory_folder_of { struct fs *fs; struct head *head; enum compress_kind compress; };

MUST_USE errc memory_folder_write(const struct memory_folder_of *of, struct err *e);
/* what was interrupted goes */
MUST_USE errc memory_folder_tidy(struct fs *fs, struct err *e);

#endif
