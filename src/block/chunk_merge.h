/* chunk_merge.h — the chunks of one series from several blocks, as chunks that follow each other.
 *
 * What        Copies what overlaps nothing and has nothing deleted; decodes, merges by time and
 *             encodes again what does.
 * Invariants  (1) The result ascends and does not overlap. (2) Equal chunks of several sources are
 *             one. (3) Of samples with equal times the one of the source that stands first is kept.
 * Ownership   init/fini in the caller's memory; the result is borrowed until the next merge, and
 *             what was copied from its source as long as that is
 * Threads     none
 * Errors      ERR_CORRUPT; ERR_UNSUPPORTED: an encoding that would have to be decoded and cannot be
 * Format      chunk/xor.h; 120 samples a chunk where chunks are joined
 */
#ifndef EPI_BLOCK_CHUNK_MERGE_H
#define EPI_BLOCK_CHUNK_MERGE_H

#include "base/buf.h"
#include "base/vec.h"
#include "storage/chunk_series.h"

struct merge_chunk { struct chunk_view view; const intervals *deleted; size_t source; };
struct chunk_merge {
    VEC(struct merge_chunk) in;
    VEC(struct chunk_view) out;
    /* place in bytes of each of out, + 1; 0: it is copied */
    VEC(size_t) encoded;
    VEC(int64_t) t, tmp_t;
    VEC(double) v, tmp_v;
    struct buf bytes;
};
void chunk_merge_fini(struct chunk_merge *m);

/* sources in their order. The result is m->out. */
MUST_USE errc chunk_merge(
    struct chunk_merge *m, const struct chunk_series *const *sources, size_t n, struct err *e);

#endif
