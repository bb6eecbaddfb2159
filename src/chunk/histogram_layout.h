/* histogram_layout.h — what the samples of one histogram chunk have in common, and how two layouts
 * become one.
 *
 * What        Schema, zero threshold, spans and custom bounds, written once a chunk; the buckets of
 *             two histograms side by side.
 * Invariants  what hist_layout_put wrote, hist_layout_take reads
 * Ownership   a layout borrows its arrays; take fills them from an arena; a union owns its list
 * Threads     values
 * Errors      take: ERR_CORRUPT (schema, or more buckets than the chunk has bits)
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_HISTOGRAM_LAYOUT_H
#define EPI_CHUNK_HISTOGRAM_LAYOUT_H

#include "base/vec.h"
#include "chunk/bits.h"
#include "model/int_histogram.h"

struct hist_spans { const struct span *at; size_t n; };
struct hist_layout {
    int32_t schema;
    double zero_threshold;
    struct hist_spans side[2];                 /* positive, negative */
    size_t n_buckets[2];
    const double *custom;
    size_t n_custom;
};

size_t hist_spans_buckets(struct hist_spans s);
size_t hist_layout_max_bytes(const struct hist_layout *l);     /* room that put never exceeds */
void hist_layout_put(struct bits *b, const struct hist_layout *l);
MUST_USE errc hist_layout_take(struct hist_layout *l, struct bit_reader *r, struct arena *a,
                               struct err *e);
bool hist_layout_bounds_equal(const struct hist_layout *a, const struct hist_layout *b);

/* The buckets of a and b in ascending order. a, b: place among the buckets of each, -1: none. */
struct hist_pair { int64_t index; int32_t a, b; };
struct hist_union { VEC(struct hist_pair) all; bool only_a, only_b; };
void hist_union_of(struct hist_union *u, struct hist_spans a, struct hist_spans b);
void hist_union_fini(struct hist_union *u);
/* Spans over all of them, as few as there can be; room for u->all.n. */
size_t hist_union_spans(const struct hist_union *u, struct span *out);

#endif
