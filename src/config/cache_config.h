/* cache_config.h — caches of the store, from YAML as Thanos reads it.
 *
 * What        type and config of an index cache or of a caching bucket, strictly by tables of
 *             fields: IN-MEMORY, MEMCACHED, REDIS.
 * Invariants  none
 * Ownership   all lies in the arena
 * Threads     none
 * Errors      ERR_BAD_INPUT, ERR_UNSUPPORTED (what is known and not served), ERR_NOT_FOUND and
 *             ERR_IO of a file
 * Format      docs/object-storage.md
 */
#ifndef EPI_CONFIG_CACHE_CONFIG_H
#define EPI_CONFIG_CACHE_CONFIG_H

#include "base/arena.h"
#include "io/far_cache.h"

enum cache_kind { CACHE_IN_MEMORY, CACHE_FAR };
struct cache_config {
    enum cache_kind kind;
    int64_t max_bytes;             /* CACHE_IN_MEMORY; 0: as the flag says */
    struct far_cache_opts far;     /* CACHE_FAR */
};

MUST_USE errc cache_config_parse(
    struct cache_config *out, str text, struct arena *a, struct err *e);
/* One of both, as flags give them: text, or a file's name; neither: in memory. */
MUST_USE errc cache_config_load(struct cache_config *out, const char *flag, str text, str path,
    struct arena *a, struct err *e);

#endif
