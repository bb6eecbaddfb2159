/* meta_cache.h — what a target's pages say about their metric families.
 *
 * What        Type, help and unit by family, from the newest page that had them.
 * Invariants  (1) A family is forgotten when META_KEPT pages in a row did not name it. (2) At most
 *             META_MAX families are kept; the memory is a small multiple of what they say.
 * Ownership   init/fini; texts are copied
 * Threads     any; lock: LOCK_LEAF
 * Errors      none: what is beyond META_MAX is left out
 * Format      none
 */
#ifndef EPI_SCRAPE_META_CACHE_H
#define EPI_SCRAPE_META_CACHE_H

#include "base/arena.h"
#include "base/lock.h"
#include "base/map.h"
#include "model/metadata.h"

enum { META_MAX = 20000, META_KEPT = 10 };

struct meta_family { str name, help, unit; enum metric_type type; uint64_t seen; };
struct meta_cache {
    struct mtx mu;
    struct arena a;                        /* GUARDED_BY(mu), like all below */
    struct map by_name;                    /* struct meta_family, in a */
    uint64_t pages;
    /* of types, helps and units; of all that a holds and is still used */
    size_t said_bytes, live_bytes;
};

void meta_cache_init(struct meta_cache *c, struct account *account);
void meta_cache_fini(struct meta_cache *c);

/* true: it said something else before */
bool meta_cache_type(struct meta_cache *c, str name, enum metric_type type);
bool meta_cache_help(struct meta_cache *c, str name, str help);
bool meta_cache_unit(struct meta_cache *c, str name, str unit);
/* A copy in the arena; false: it is not known. */
MUST_USE bool meta_cache_find(
    struct meta_cache *c, str name, struct arena *a, struct meta_family *out);
/* A page that says what an earlier one said names this family, whose name has this hash_str. False:
 * it is not known. */
MUST_USE bool meta_cache_stays(struct meta_cache *c, uint64_t name_hash);
/* a page ended; whole: it was taken, so what it does not name may go */
void meta_cache_page(struct meta_cache *c, bool whole);

struct meta_size { size_t families, bytes; };
struct meta_size meta_cache_size(struct meta_cache *c);
/* All of them, in no order, in the arena. */
size_t meta_cache_list(struct meta_cache *c, struct arena *a, struct meta_family **out);

#endif
