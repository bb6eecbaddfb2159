/* page_cache.h — extents of files, read once and shared by all buffered readers, within a budget.
 *
 * What        A frame holds one extent (a power of two of bytes, at a multiple of it) of one file.
 *             Frames are found by (file, extent), read on a miss by the one who missed, waited for
 *             by the others, and dropped by S3-FIFO, which one long scan cannot flush.
 * Invariants  (1) A pinned frame stays and does not change. (2) size <= limit, but for pinned
 *             frames. (3) In builds with fault points a frame's checksum is compared on every hit:
 *             nobody writes to cached bytes.
 * Ownership   cache_pin lends a frame until cache_unpin. One cache a process.
 * Threads     any. Locks: LOCK_IO_CACHE, one a shard, never held over a read.
 * Errors      ERR_IO of the read (nothing is cached, the next pin tries again), ERR_CORRUPT
 *             (checksum)
 * Format      none
 */
#ifndef EPI_IO_PAGE_CACHE_H
#define EPI_IO_PAGE_CACHE_H

#include "io/fs.h"

struct cache_frame;

/* a number that no file had before */
uint64_t cache_file_id(void);

/* `need`: at least so many bytes of the extent must be there; a frame that was read when the file
 * was shorter is read again. */
MUST_USE errc cache_pin(struct cache_frame **out, struct file *f, uint64_t file_id, uint64_t extent,
    uint32_t extent_bytes, size_t need, struct err *e);
/* shorter than the extent at the end of the file */
str cache_bytes(const struct cache_frame *fr);
void cache_unpin(struct cache_frame *fr);
/* its frames go; pinned ones at their unpin */
void cache_forget(uint64_t file_id);

/* shrinks at once; the default is 256 MiB */
void cache_set_limit(uint64_t bytes);

struct cache_stats { uint64_t hits, misses, evictions, size_bytes, limit_bytes; };
struct cache_stats cache_stats(void);

#endif
