/* far_conn.h — one connection to a cache far away.
 *
 * What        What redis and memcached have in common: ask for keys, put one.
 * Invariants  after an error a connection is of no use but to be closed
 * Ownership   a dial allocates, close frees; values are borrowed for the call
 * Threads     one at a time
 * Errors      ERR_IO, ERR_TIMEOUT; ERR_UNSUPPORTED (built without the library)
 * Format      the libraries': hiredis, libmemcached
 */
#ifndef EPI_IO_FAR_CONN_H
#define EPI_IO_FAR_CONN_H

#include "io/far_cache.h"

struct far_conn { const struct far_conn_ops *ops; };
struct far_conn_ops {
    /* Calls value() for each that is there. */
    errc (*get)(struct far_conn *c, const struct far_item *items, size_t n, int64_t until_ns,
        void (*value)(void *ctx, size_t i, str bytes), void *ctx, struct err *e);
    errc (*put)(struct far_conn *c, str key, str value, int64_t ttl_s, struct err *e);
    void (*close)(struct far_conn *c);
};

MUST_USE errc far_redis_dial(
    struct far_conn **out, const struct far_cache_opts *o, struct err *e);
MUST_USE errc far_memcached_dial(
    struct far_conn **out, const struct far_cache_opts *o, struct err *e);
bool far_redis_built(void);
bool far_memcached_built(void);

#endif
