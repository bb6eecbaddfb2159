/* memory_folder.h — the folder of a memory snapshot, chunk_snapshot.SEGMENT.OFFSET.
 *
 * What        Written when the database is closed, after its log: the name says how far the log
 *             is that it stands for. Older ones are removed. Read by the next opening, which then
 *             needs the log from there on only.
 * Invariants  (1) A folder of that name is whole and durable. (2) What is in it is in the log and
 *             in the chunk files as well: who does not read it loses nothing. (3) The chunk files
 *             are durable before it has its name: who reads it does not read the log that has their
 *             samples, too. (4) Before the segment that it names is written anew its name says that
 *             it stands for the log before that segment: places in that are other ones then. What
 *             is read of it twice is passed over the second time.
 * Ownership   borrows all
 * Threads     one, the head is at rest
 * Errors      ERR_IO, ERR_NO_SPACE: nothing is left of one that was being written
 * Format      docs/format/snapshot.md
 *
 * Durability steps for fault_dropped(): memory.chunks_first, memory.fsync.
 */
#ifndef EPI_TSDB_MEMORY_FOLDER_H
#define EPI_TSDB_MEMORY_FOLDER_H

#include "base/compress.h"
#include "io/reader.h"

struct chunk_disk;
struct fs;
struct head;
struct memory_folder_of {
    struct fs *fs;
    struct head *head;
    struct chunk_disk *disk;                   /* may be NULL */
    enum compress_kind compress;
    /* the log is to be read beside it from that segment on; false: nothing of it */
    bool before; uint32_t segment;
};

MUST_USE errc memory_folder_write(const struct memory_folder_of *of, struct err *e);
/* The newest one; *name, in the arena: empty, there is none. */
struct memory_folder { str name; uint32_t segment; uint64_t offset; };
MUST_USE errc memory_folder_newest(
    struct memory_folder *out, struct fs *fs, struct arena *a, struct err *e);
/* Into a head that is rebuilt, when the chunk files are told. After a failure, ERR_CORRUPT if the
 * folder is damaged, that head is to be thrown away. */
struct head_replay;
MUST_USE errc memory_folder_read(const struct memory_folder *f, struct fs *fs,
    enum io_backend backend, struct head_replay *to, struct err *e);
/* One is named for the beginning of its segment, if it has one of these. */
MUST_USE errc memory_folder_step_back(
    struct fs *fs, const uint32_t *segments, size_t n, struct err *e);
/* all of them */
MUST_USE errc memory_folder_remove(struct fs *fs, struct err *e);

/* what was interrupted goes */
MUST_USE errc memory_folder_tidy(struct fs *fs, struct err *e);

#endif
