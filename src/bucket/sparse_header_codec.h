/* sparse_header_codec.h — the samples of an index-header, as Mimir keeps them beside it.
 *
 * What        Places of every 32nd symbol, and values and places of some entries of each name in
 *             the postings offset table: enough to open an index-header without walking it.
 * Invariants  decoded: symbols' places ascend; names ascend, each with entries whose places ascend,
 *             over all names
 * Ownership   sparse_header_fini; names and values lie in the arena given
 * Threads     pure
 * Errors      ERR_CORRUPT, ERR_LIMIT
 * Format      sparse-index-header: gzip of a protobuf message Sparse; places are from the start of
 *             a section, its length field being 0
 */
#ifndef EPI_BUCKET_SPARSE_HEADER_CODEC_H
#define EPI_BUCKET_SPARSE_HEADER_CODEC_H

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

enum { SPARSE_SYMBOL_STEP = 32, SPARSE_HEADER_BYTES_MAX = 1 << 30 };
/* entries [first, first + n) of `places` */
struct sparse_name {
    str name;
    uint32_t first, n;
};
struct sparse_header {
    VEC(uint32_t) symbols;
    uint64_t n_symbols;
    VEC(struct sparse_name) names; /* "" too, if it has an entry */
    VEC(uint32_t) places;
    str_list values; /* at the places; decoded ones only */
    int64_t sampling;
};
void sparse_header_fini(struct sparse_header *s);
/* out is zero */
MUST_USE errc sparse_header_decode(
    struct sparse_header *out, str file, struct arena *a, struct err *e);
/* ends[i]: where the lists of the i-th name end in the index; value_of: the value at a place, for
 * the message holds them. */
MUST_USE errc sparse_header_encode(struct buf *out, const struct sparse_header *s,
    const uint64_t *ends, errc (*value_of)(void *ctx, uint32_t place, str *value, struct err *e),
    void *ctx, struct err *e);

#endif
