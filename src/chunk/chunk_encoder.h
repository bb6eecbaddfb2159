/* chunk_encoder.h — a row of samples of any kind as chunks.
 *
 * What        What is written anew because samples were deleted or several sources had samples of
 *             the same times: one chunk after the other, a new one where the kind changes, where a
 *             histogram does not fit, where a start time comes that the chunk cannot hold, and
 *             after CUT_SAMPLES.
 * Invariants  the chunks are those that Prometheus makes of the same samples
 * Ownership   zero value … fini; chunks and bytes stand until the next begin
 * Threads     none
 * Errors      none
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_CHUNK_ENCODER_H
#define EPI_CHUNK_CHUNK_ENCODER_H

#include "chunk/histogram.h"
#include "chunk/xor.h"
#include "chunk/xor2.h"

struct encoded_chunk { int64_t mint, maxt; uint8_t enc; size_t at, n; };       /* in bytes */

struct chunk_encoder {
    VEC(struct encoded_chunk) chunks;
    struct buf bytes;
    uint8_t keep;                              /* the one encoding asked for, or CHUNK_NONE */
    uint8_t floats;                            /* of floats without a start time */
    /* the open chunk */
    uint8_t enc;                               /* CHUNK_NONE: there is none */
    int64_t mint, maxt;
    size_t n;                                  /* samples */
    size_t at;                                 /* floats: where it begins in bytes */
    struct hist_app hist;
    struct xor_app xor;
    struct xor2_app xor2;
};
void chunk_encoder_fini(struct chunk_encoder *w);

/* Samples of several chunks. floats: CHUNK_XOR or CHUNK_XOR2, for those without a start time. */
void chunk_encoder_begin(struct chunk_encoder *w, uint8_t floats);
/* What is left of one chunk: the same encoding, and no more than that chunk had in one. */
void chunk_encoder_begin_trim(struct chunk_encoder *w, uint8_t enc);
void chunk_encoder_put(struct chunk_encoder *w, const struct sample_batch *b);
void chunk_encoder_end(struct chunk_encoder *w);               /* closes the open chunk */
static inline str encoded_chunk_data(const struct chunk_encoder *w, size_t i)
{
    return str_of(w->bytes.p + w->chunks.at[i].at, w->chunks.at[i].n);
}

#endif
