/* float_cache.h — chunks of floats that were read before, decoded.
 *
 * What        Dashboards ask for the same chunks again and again, and decoding them is most of what
 *             such a query costs. The samples of a chunk that is read a second time soon after the
 *             first are kept (chunk/narrow.h); what is used least goes when there is no room. A
 *             scan over more than the cache can remember is never kept.
 * Invariants  (1) size <= limit. (2) What is given is what decoding the chunk gives. (3) Chunks are
 *             found by their block's number, which no other block ever has.
 * Ownership   copies in, copies out. One cache a process.
 * Threads     any. Lock: LOCK_LEAF, one a shard.
 * Errors      none
 * Format      none
 */
#ifndef EPI_BLOCK_FLOAT_CACHE_H
#define EPI_BLOCK_FLOAT_CACHE_H

#include "base/defs.h"

uint64_t float_cache_block_id(void);       /* a number that no block had before */

struct float_key { uint64_t block, ref; };

/* Unknown: neither it nor, most likely, those beside it in its series: of FLOAT_CACHE_STRIDE chunks
 * in a row it is enough to ask for one. Wanted: once it and those beside it are decoded,
 * float_cache_put() is to be called. */
enum float_found { FLOATS_THERE, FLOATS_UNKNOWN, FLOATS_WANTED };
enum { FLOAT_CACHE_STRIDE = 8 };
/* How many samples were put at t and v; 0: not there, or more than cap. */
size_t float_cache_get(
    struct float_key k, int64_t *t, double *v, size_t cap, enum float_found *found);
void float_cache_put(struct float_key k, const int64_t *t, const double *v, size_t n);
void float_cache_forget(uint64_t block);   /* its chunks go */

void float_cache_set_limit(uint64_t bytes);    /* shrinks at once; the default is 24 MiB */

/* What nobody used for FLOAT_CACHE_IDLE_NS goes, within as long again. To be called every minute or
 * so. */
void float_cache_age(int64_t now_ns);
#define FLOAT_CACHE_IDLE_NS 600000000000ll

struct float_cache_stats { uint64_t hits, misses, evictions, size_bytes; };
struct float_cache_stats float_cache_stats(void);

#endif
