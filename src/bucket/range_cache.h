/* range_cache.h — bytes of files far away, kept here as long as there is room.
 *
 * What        Pages of files whose bytes somebody else brings (struct range_source). What is
 *             missing is fetched by the threads of a pool: ranges that lie near each other in one
 *             read, and those that were announced (range_want) along with the next that is needed.
 *             Who asks waits for a time, not longer. A file of this machine can stand behind
 *             memory (page_file.h): then what came is written there, and read back from there.
 * Invariants  (1) A page is whole and as it was fetched, or it is not there. (2) Of one source at
 *             most SOURCE_READS reads run at once, so that one which hangs leaves threads to the
 *             others; while nothing comes, who asks for more of it is refused at once. (3) Pages
 *             that nobody holds go when the budget is spent, the one used longest ago first.
 * Ownership   range_cache_new/free (REQUIRES: no sources); sources are counted, by reads under way
 *             too: the last one calls free(ctx)
 * Threads     any; one lock a cache, never held over a read
 * Errors      of the fill; ERR_TIMEOUT (it takes too long), ERR_UNAVAILABLE (it took too long
 *             before, and has not come yet), ERR_LIMIT (too many reads are waiting)
 * Format      none
 */
#ifndef EPI_BUCKET_RANGE_CACHE_H
#define EPI_BUCKET_RANGE_CACHE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/spans.h"
#include "io/pool.h"

enum { SOURCE_READS = 4 };

struct range_cache;
/* budget_bytes: of memory; behind: taken over, with pages as large; may be NULL */
struct page_file;
struct range_cache *range_cache_new(
    uint64_t budget_bytes, size_t page_bytes, struct page_file *behind);
void range_cache_free(struct range_cache *c); /* NULL is fine */
struct range_stats {
    uint64_t hits, misses, evicted, reads, read_bytes, bytes;
    uint64_t disk_hits, disk_bytes; /* of the file behind; disk_hits are among hits */
};
size_t range_cache_page_bytes(const struct range_cache *c);
struct range_stats range_cache_stats(struct range_cache *c);

struct range_source;
struct range_source_opts {
    struct range_cache *cache;
    struct pool *pool;
    const char *what; /* for words; copied */
    uint64_t size_bytes;
    uint64_t gap_bytes; /* read along rather than asked for apart */
    /* a page in [from, to) that is missing is read with those beside it there, in stretches of so
     * many bytes; 0: alone */
    struct { uint64_t bytes, from, to; } along;
    int64_t patience_ms;
    /* exactly as many bytes as `to` has room for, or an error; by a thread of the pool. anew: what
     * came before was wrong */
    errc (*fill)(void *ctx, uint64_t off, struct spans to, bool anew, struct err *e);
    void (*free)(void *ctx);
    void *ctx;
};
struct range_source *range_source_new(const struct range_source_opts *o);
struct range_source *range_source_ref(struct range_source *s);
uint64_t range_source_size(const struct range_source *s);
void range_source_unref(struct range_source *s); /* NULL is fine */
/* What is here of it is read anew when it is asked for. */
void range_source_forget(struct range_source *s);
/* What came of these bytes is wrong: they are read anew from here on. False: they were so less than
 * RANGE_AGAIN_MS ago. */
enum { RANGE_AGAIN_MS = 10000 };
bool range_again(struct range_source *s, uint64_t off, uint64_t n);
/* From here on who asks waits for as long as it takes, or no longer does. */
void range_source_patient(struct range_source *s, bool patient);

/* n > 0 bytes within the size, until range_unpin. */
struct range_pin {
    str bytes;
    void *frame;
    int64_t waited_ns; /* for a disk or the bucket; 0: it was in memory */
};
MUST_USE errc range_pin(
    struct range_source *s, uint64_t off, size_t n, struct range_pin *out, struct err *e);
void range_unpin(struct range_source *s, void *frame);
/* Bytes at off that came otherwise: pages of which they have all are there from here on. */
void range_put(struct range_source *s, uint64_t off, str bytes);
/* These bytes will be pinned soon; may reach past the end. */
void range_want(struct range_source *s, uint64_t off, uint64_t n);

#endif
