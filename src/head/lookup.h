/* lookup.h — from the bytes in which a peer writes a series to the series.
 *
 * What        A cache: 128-bit hash, keyed by a secret drawn at start, of raw label bytes in whatever form and order a peer sends them -> handle.
 *             The bytes are not kept and not compared: who does not know the secret cannot aim at another's entry.
 * Invariants  only what passed validation is taught; a stale handle is refused by its generation where it is used
 * Ownership   lookup_init/lookup_fini; account "lookup"; never above max_bytes (clock eviction)
 * Threads     any; one byte lock a shard
 * Errors      none
 * Format      none
 */
#ifndef EPI_HEAD_LOOKUP_H
#define EPI_HEAD_LOOKUP_H

#include "base/lock.h"
#include "base/str.h"

enum { LOOKUP_SHARDS = 64, LOOKUP_WINDOW = 16, LOOKUP_SECRET_BYTES = 192 };

struct lookup_entry { uint64_t lo, hi, handle; };              /* handle 0: free; its top bit: used since the hand passed */
struct lookup_shard { _Alignas(64) bytelock mu; uint32_t cap, n; struct lookup_entry *at; };
struct lookup {
    uint8_t secret[LOOKUP_SECRET_BYTES];
    uint32_t cap_max;                                          /* entries of a shard */
    struct lookup_shard shard[LOOKUP_SHARDS];
};

void lookup_init(struct lookup *l, size_t max_bytes);
void lookup_fini(struct lookup *l);
uint64_t lookup_get(struct lookup *l, str raw);                /* 0: not known */
void lookup_get_batch(struct lookup *l, const str *raw, size_t n, uint64_t *handles);
void lookup_put(struct lookup *l, str raw, uint64_t handle);   /* REQUIRES: handle != 0, top bit clear */

#endif
