/* store_source.h — the promise between the StoreAPI and those who have the data.
 *
 * What        Data as parts: each has external labels of its own and is asked like any storage. A
 *             server is one part, a gateway has one for each block.
 * Invariants  (1) A part's series are without its external labels. (2) Parts that were handed out
 *             can be asked until they are released, whatever goes meanwhile.
 * Ownership   the list and its strings lie in the caller's arena; what the parts point to is the
 *             source's, until release
 * Threads     any: list and release beside each other. Parts of a list are asked beside each other,
 *             one part by one thread at a time.
 * Errors      ERR_UNAVAILABLE: not ready yet
 * Format      none
 */
#ifndef EPI_STOREAPI_STORE_SOURCE_H
#define EPI_STOREAPI_STORE_SOURCE_H

#include "base/vec.h"
#include "storage/chunk_querier.h"
#include "storage/querier.h"

struct store_part {
    struct labels external;
    struct labels stream;              /* external labels of who made it, shown or not */
    int64_t mint, maxt;                /* inclusive; a head's end is INT64_MAX */
    int64_t resolution_ms;             /* > 0: its chunks hold aggregates (chunk/aggr.h) */
    str block;                         /* its ULID: what hints name; empty: it is no block */
    bool unknown;                      /* nobody knows its labels: Info is silent of it */
    struct queryable *queryable;       /* labels, and series without samples */
    struct chunk_queryable *chunks;
};
typedef VEC(struct store_part) store_parts;

struct store_source { const struct store_source_ops *ops; };
struct store_source_ops {
    /* Memory only: touches no file, waits for nobody. By mint, but for unknown ones. *pin is given
     * back to release; pushed by avec_push. */
    errc (*list)(struct store_source *s, struct arena *a, store_parts *out, void **pin,
        struct err *e);
    void (*release)(struct store_source *s, void *pin);
    /* This part will be asked: what must be opened may be begun. Waits for nothing; NULL: nothing
     * is to be done. */
    void (*begin)(struct store_source *s, const struct store_part *p);
};

#endif
