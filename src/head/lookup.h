/* lookup.h — from the bytes in which a peer writes a series to the series.
 *
 * What        A cache: hash, keyed by a secret drawn at start, of raw label bytes in whatever form
 *             and order a peer sends them -> series number. 101 bits of the hash decide; the bytes
 *             are not kept and not compared: who does not know the secret cannot aim at another's
 *             entry.
 * Invariants  (1) Only what passed validation is taught. (2) A series number is never given twice
 *             in a process, so an entry can be dead, but never another's. (3) An entry lies in one
 *             of two buckets, which its hash names.
 * Ownership   lookup_init/lookup_fini; account "lookup"; never above max_bytes (clock eviction)
 * Threads     any; one byte lock a shard
 * Errors      none
 * Format      none
 */
#ifndef EPI_HEAD_LOOKUP_H
#define EPI_HEAD_LOOKUP_H

#include "base/lock.h"
#include "base/str.h"

enum { LOOKUP_SHARDS = 64, LOOKUP_BUCKET = 4, LOOKUP_BATCH = 32, LOOKUP_SECRET_BYTES = 192 };

/* num 0: free. hi: its top bit says whether it was used since the hand passed. */
struct lookup_entry { uint64_t lo; uint32_t hi, num; };
struct lookup_bucket { struct lookup_entry at[LOOKUP_BUCKET]; };
_Static_assert(sizeof(struct lookup_bucket) == 64, "one cache line");

/* cap: buckets; n: entries */
struct lookup_shard { _Alignas(64) bytelock mu; uint32_t cap, n; struct lookup_bucket *at; };
struct lookup {
    uint8_t secret[LOOKUP_SECRET_BYTES];
    uint32_t cap_max;                                          /* buckets of a shard */
    struct lookup_shard shard[LOOKUP_SHARDS];
};

void lookup_init(struct lookup *l, size_t max_bytes);
void lookup_fini(struct lookup *l);
uint32_t lookup_get(struct lookup *l, str raw);                /* 0: not known */
/* n <= LOOKUP_BATCH */
void lookup_get_batch(struct lookup *l, const str *raw, size_t n, uint32_t *nums);
void lookup_put(struct lookup *l, str raw, uint32_t num);      /* REQUIRES: num != 0 */

/* Entries of numbers that are not alive go, and the room that they took. */
void lookup_sweep(struct lookup *l, bool (*alive)(const void *ctx, uint32_t num), const void *ctx);

#endif
