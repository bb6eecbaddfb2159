/* page_cache.h — extents of files, read once and shared by all buffered and direct readers, within
 * a budget.
 *
 * What        A frame holds one extent (a power of two of bytes, at a multiple of it) of one file.
 *             Frames are found by (file, extent), without a lock, read on a miss by the one who
 *             missed, waited for by the others, and dropped by S3-FIFO, which one long scan cannot
 *             flush. Frames of
 *             direct sources may be asked for ahead: many reads are in flight then, and neighbours
 *             come by one read.
 * Invariants  (1) A pinned frame stays and does not change. (2) size <= limit, but for pinned
 *             frames. (3) A frame's checksum is taken when its bytes come in and compared by
 *             cache_check; in builds with fault points on every hit, too: nobody writes to cached
 *             bytes.
 * Ownership   cache_pin lends a frame until cache_unpin. One cache a process.
 * Threads     any. Locks: LOCK_IO_CACHE, one a shard, never held over a read; a hit and an unpin
 *             take none.
 * Errors      ERR_IO of the read (nothing is cached, the next pin tries again), ERR_CORRUPT
 *             (checksum), ERR_LIMIT (2^28 extents into a file)
 * Format      none
 */
#ifndef EPI_IO_PAGE_CACHE_H
#define EPI_IO_PAGE_CACHE_H

#include "io/fs.h"

#include <stdatomic.h>

struct cache_frame;

/* What of an extent is there; page_cache.c says how. */
typedef _Atomic uint64_t cache_slot;
/* arrays that double: 2^28 extents in all */
enum { SLOTS_FIRST_BITS = 6, SLOTS_FIRST = 1 << SLOTS_FIRST_BITS, SLOT_ARRAYS = 22 };

/* A file as the cache knows it; lies in its reader. */
struct cache_source {
    struct file *file;
    uint64_t id; /* of cache_file_id */
    uint64_t device;
    uint32_t extent_bytes;
    bool direct;              /* the file was opened with FS_DIRECT, ring_ready() is OK */
    _Atomic uint32_t loading; /* its reads in the ring; release by the last touch of each */
    /* NULL: none was needed yet; release when one was made, acquire before a use */
    cache_slot *_Atomic slots[SLOT_ARRAYS];
};

/* a number that no file had before */
uint64_t cache_file_id(void);

/* `need`: at least so many bytes of the extent must be there; a frame that was read when the file
 * was shorter is read again. */
MUST_USE errc cache_pin(
    struct cache_frame **out, struct cache_source *s, uint64_t extent, size_t need, struct err *e);
/* Extents [from, to) are wanted soon: those that are not there are under way when it returns. Only
 * for direct sources. Failures show at the pin. */
void cache_want(struct cache_source *s, uint64_t from, uint64_t to);
/* the bytes are what came in: ERR_CORRUPT */
MUST_USE errc cache_check(const struct cache_frame *fr, const struct file *f, struct err *e);
/* shorter than the extent at the end of the file */
str cache_bytes(const struct cache_frame *fr);
void cache_unpin(struct cache_frame *fr);
/* its frames go, pinned ones at their unpin; waits for reads that are under way */
void cache_forget(struct cache_source *s);

/* shrinks at once; the default is 40 MiB */
void cache_set_limit(uint64_t bytes);
/* What the limit is while nobody needs the memory more: 0: 40 MiB, or a quarter of the budget if
 * that is less. */
void cache_set_most(uint64_t bytes);

struct cache_stats {
    uint64_t hits, misses, evictions, size_bytes, limit_bytes;
};
struct cache_stats cache_stats(void);

#endif
