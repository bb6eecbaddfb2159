/* map.h — hash to pointer, open addressing.
 *
 * What        Entries are (64-bit hash, pointer). The owner of the pointers compares keys: map_find
 *             walks the entries of a hash and asks eq(entry, key). Removing leaves no tombstone
 *             (backward shift).
 * Invariants  load <= 3/4; a stored pointer is never NULL.
 * Ownership   owns its table only, never what the pointers point to. The zero value is an empty
 *             map.
 * Threads     none: the owner locks
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_MAP_H
#define EPI_BASE_MAP_H

#include "base/str.h"

struct map_entry { uint64_t hash; void *val; };
struct map { struct map_entry *at; size_t n, cap; };           /* cap: 0 or a power of two */
typedef bool (*map_eq)(const void *val, const void *key);

void map_fini(struct map *m);
/* NULL: none; eq NULL: the hash is the key */
void *map_find(const struct map *m, uint64_t hash, map_eq eq, const void *key);
/* REQUIRES: no equal key inside; val != NULL */
void map_put(struct map *m, uint64_t hash, void *val);
/* what was removed, or NULL */
void *map_remove(struct map *m, uint64_t hash, map_eq eq, const void *key);
void map_clear(struct map *m);                                 /* keeps the table */

/* Walks all: for (size_t i = 0; (val = map_next(m, &i)) != NULL;) … in no order; no put or remove
 * meanwhile. */
void *map_next(const struct map *m, size_t *i);

/* XXH3-64, unseeded: for keys that no peer chooses */
uint64_t hash_bytes(const void *p, size_t n);
static inline uint64_t hash_str(str s) { return hash_bytes(s.p, s.n); }

#endif
