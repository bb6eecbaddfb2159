/* chunk_iter.h — the samples of a chunk of any encoding, in batches.
 *
 * What        One iterator over xor, xor2 and histogram.
 * Invariants  batches are of one kind; those of integer histograms stay integers
 * Ownership   init … fini; borrows the chunk; what a batch points to lives until the next fill
 * Threads     one thread at a time
 * Errors      ERR_CORRUPT: unknown encoding, cut short; the good samples before it come first
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_CHUNK_ITER_H
#define EPI_CHUNK_CHUNK_ITER_H

#include "chunk/histogram.h"
#include "chunk/xor.h"
#include "chunk/xor2.h"

struct chunk_iter {
    uint8_t enc;
    bool ended;
    union { struct xor_iter xor; struct xor2_iter xor2; };
    struct hist_iter hist;
    int64_t st[SAMPLE_BATCH];                  /* behind out->st; the caller may move them */
};
void chunk_iter_init(struct chunk_iter *it);
void chunk_iter_fini(struct chunk_iter *it);
MUST_USE errc chunk_iter_reset(struct chunk_iter *it, uint8_t enc, str chunk, struct err *e);
/* The time of the first sample, and no more is decoded; *any false: there is none. The iterator is
 * to be reset after it. */
MUST_USE errc chunk_iter_begin(
    struct chunk_iter *it, uint8_t enc, str chunk, int64_t *t, bool *any, struct err *e);
/* out->n 0: the end. ended is set with the last batch already. */
MUST_USE errc chunk_iter_fill(struct chunk_iter *it, struct sample_batch *out, struct err *e);

#endif
