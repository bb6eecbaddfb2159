/* far_protocol.h — what is said to a cache far away.
 *
 * What        What redis and memcached have in common: ask for keys, put one.
 * Invariants  after an error a connection is of no use but to be closed; no answer, whatever it is,
 *             is more than an error
 * Ownership   values are borrowed for the call
 * Threads     a wire: one at a time
 * Errors      those of far_wire.h; ERR_IO with the server's words, ERR_CORRUPT
 * Format      redis: RESP 2; memcached: its text protocol
 */
#ifndef EPI_IO_FAR_PROTOCOL_H
#define EPI_IO_FAR_PROTOCOL_H

#include "io/far_cache.h"
#include "io/far_wire.h"

enum { FAR_HEAD_BYTES = 8 }; /* of a value, before the bytes */

/* What is there; empty: it has another length than is wanted. */
typedef void (*far_take)(void *ctx, struct far_item *x, str value);
struct far_protocol {
    const char *name;
    /* says who we are; NULL: nothing is to be said */
    errc (*greet)(
        struct far_wire *w, const struct far_cache_opts *o, int64_t until_ns, struct err *e);
    errc (*get)(struct far_wire *w, struct far_item *const *items, size_t n, int64_t until_ns,
        far_take take, void *ctx, struct err *e);
    errc (*put)(struct far_wire *w, str key, str value, int64_t ttl_s, int64_t until_ns,
        struct err *e);
};
extern const struct far_protocol far_redis, far_memcached;

#endif
