/* segment_writer.h — chunk segments, written one after the other.
 *
 * What        Appends the chunks of one series at a time to chunks/000001, 000002, …
 * Invariants  (1) A file is at most segment_bytes long unless one chunk alone is longer. (2) Where
 *             Prometheus begins a segment this does.
 *             (3) Refs ascend. (4) What is copied from another segment is whole as it is written:
 *             its checksum is looked at once more.
 * Ownership   segment_writer_open allocates, segment_writer_close frees
 * Threads     one thread
 * Errors      ERR_IO (also of (4): read anew it may be whole), ERR_NO_SPACE; then it is only closed
 * Format      segment_codec.h
 *
 * Durability steps for fault_dropped(): block.segment_fsync, block.segment_dir_fsync.
 */
#ifndef EPI_BLOCK_SEGMENT_WRITER_H
#define EPI_BLOCK_SEGMENT_WRITER_H

#include "io/fs.h"
#include "storage/chunk_series.h"

enum { SEGMENT_BYTES = 512 << 20 };
struct segment_writer;
/* 0: SEGMENT_BYTES */
MUST_USE errc segment_writer_open(
    struct segment_writer **out, struct fs *fs, str dir, uint64_t segment_bytes, struct err *e);
/* The chunks of a series; refs[i] is the ref of chunks[i]. */
MUST_USE errc segment_writer_add(struct segment_writer *w, const struct chunk_view *chunks,
    size_t n, uint64_t *refs, struct err *e);
/* everything durable; then only close */
MUST_USE errc segment_writer_finish(struct segment_writer *w, struct err *e);
void segment_writer_close(struct segment_writer *w);           /* NULL is fine */
/* Before something is written that was made of chunks, which came out as rc: they lay in memory
 * that others may write to by mistake since their checksums were looked at. ERR_IO: one of them is
 * no longer what its checksum says, and what was made of it, or ERR_CORRUPT, is not to be believed;
 * else rc. */
MUST_USE errc segment_still_whole(
    const struct chunk_view *chunks, size_t n, errc rc, struct err *e);
uint64_t segment_writer_bytes(const struct segment_writer *w); /* of all files so far */

#endif
