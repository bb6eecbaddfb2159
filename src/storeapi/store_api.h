/* store_api.h — Thanos' StoreAPI over what a source has: a Querier fans out over it.
 *
 * What        thanos.Store (Series, LabelNames, LabelValues), thanos.info.Info and
 *             grpc.health.v1.Health as one table of methods.
 * Invariants  (1) Series are in the order of all their labels, external ones included; frames of
 *             one label set follow each other, and in each times go on. (2) Chunks are raw, of the
 *             encodings that Thanos knows (1 to 3): others are written anew. (3) External labels
 *             win over a series' own ones of the same name. (4) What is held for a call is what its
 *             sources hold and one frame; a series that has labels which the request takes away, or
 *             that external ones replace, changes the order: then series are gathered and sorted,
 *             within resort_bytes.
 * Ownership   store_api_new/store_api_free; borrows the source and the pool
 * Threads     any
 * Errors      as grpc/service.h: ERR_BAD_INPUT (the request), ERR_LIMIT (a limit below), the
 *             source's. With partial response WARN a part that fails is a warning.
 * Format      reference: thanos' rpc.proto, types.proto, info.proto; store_codec.h
 */
#ifndef EPI_STOREAPI_STORE_API_H
#define EPI_STOREAPI_STORE_API_H

#include "grpc/service.h"
#include "storeapi/store_source.h"

struct pool;
struct store_api_opts {
    struct store_source *source;
    struct pool *pool;                 /* asks parts beside each other; NULL: one by one */
    const char *component;             /* "sidecar", "store": what Thanos takes it for */
    uint64_t max_series;               /* of one Series call; 0: any number, as in all of these */
    uint64_t max_touched;              /* of it, where one that two parts have counts twice */
    uint64_t max_chunks;
    uint64_t max_chunk_bytes;
    /* of Series at once; the others wait. One whose client has taken nothing for a second does not
     * count */
    unsigned max_calls;
    size_t frame_bytes;                /* a series is cut into frames of about this; 0: 1 MiB */
    size_t resort_bytes;               /* 0: 256 MiB */
};

struct store_api;
struct store_api *store_api_new(const struct store_api_opts *o);
void store_api_free(struct store_api *s);      /* NULL is fine; after the server */
struct grpc_service store_api_service(struct store_api *s);

#endif
