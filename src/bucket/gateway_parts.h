/* gateway_parts.h — the blocks of a bucket one by one, for who answers block by block.
 *
 * What        All blocks of now, each as a queryable of its own, without its external labels; and
 *             those whose meta.json cannot be read, as parts that answer with that error.
 * Invariants  (1) A part is opened when it is asked; gateway_part_begin has it opened ahead, beside
 *             others. (2) What is of external labels is the caller's: series are as they are in the
 *             block.
 * Ownership   parts lie in the caller's arena and hold the look and their blocks until
 *             gateway_parts_end: queriers and sets end before it
 * Threads     different parts beside each other; one part by one thread at a time
 * Errors      as gateway.h
 * Format      none
 */
#ifndef EPI_BUCKET_GATEWAY_PARTS_H
#define EPI_BUCKET_GATEWAY_PARTS_H

#include "bucket/bucket_view.h"
#include "bucket/gateway.h"

struct opened;
struct gateway_part {
    struct queryable queryable;
    struct chunk_queryable chunks;
    struct gateway *g;
    const struct view_block *block;    /* NULL: it cannot be read */
    struct opened *opened;             /* once it was asked */
    str id, why;
    struct labels external;            /* empty if series are without them */
    struct labels stream;              /* those of the block in any case */
    int64_t mint, maxt;                /* inclusive */
    int64_t resolution_ms;             /* > 0: its chunks hold aggregates (chunk/aggr.h) */
};
struct gateway_parts { struct bucket_view *view; struct gateway_part *at; size_t n; };

MUST_USE errc gateway_parts_list(
    struct gateway *g, struct arena *a, struct gateway_parts *out, struct err *e);
void gateway_parts_end(struct gateway_parts *p);
void gateway_part_begin(struct gateway_part *p);

#endif
