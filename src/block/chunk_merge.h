/* chunk_merge.h — the chunks of one series from several blocks, as chunks that follow each other.
 *
 * What        Copies what overlaps nothing and has nothing deleted; decodes, merges by time and
 *             encodes again what does.
 * Invariants  (1) The result is what Prometheus makes of the same sources in the same order, to the
 *             byte; so is which of two samples of the same time is kept. (2) It ascends, and does
 *             not overlap unless a single source does. (3) Equal chunks of several sources are one.
 * Ownership   init/fini in the caller's memory; the result is borrowed until the next merge, and
 *             what was copied from its source as long as that is
 * Threads     none
 * Errors      ERR_CORRUPT of a chunk that has to be decoded; ERR_IO if it changed meanwhile,
 *             whether it can be decoded or not
 * Format      chunk/chunk_encoder.h
 */
#ifndef EPI_BLOCK_CHUNK_MERGE_H
#define EPI_BLOCK_CHUNK_MERGE_H

#include "base/heap.h"
#include "chunk/chunk_encoder.h"
#include "chunk/chunk_iter.h"
#include "storage/chunk_series.h"
#include "storage/merge_iter.h"

typedef VEC(struct chunk_view) chunk_views;

/* A source, or chunks that were written anew, and where it stands. */
struct merge_feed { const struct chunk_view *at, *end; };

struct chunk_merge {
    chunk_views out;
    VEC(struct merge_feed) feeds;
    VEC(const struct merge_feed *) in_time;    /* of them, by their first times */
    heap waiting;                              /* feeds that have a chunk, by its times */
    chunk_views overlap;                       /* chunks that are to be decoded together */
    struct chunk_encoder encoder;
    struct chunk_iter iter;                    /* for what is only trimmed; its enc 0: not begun */
    struct sample_iter *merged;
    struct arena arena;                        /* what was written anew */
};
void chunk_merge_fini(struct chunk_merge *m);

/* sources in their order. The result is m->out. */
MUST_USE errc chunk_merge(
    struct chunk_merge *m, const struct chunk_series *const *sources, size_t n, struct err *e);

#endif
