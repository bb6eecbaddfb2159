/* chunk_encoder.h — a row of samples of any kind as chunks.
 *
 * What        What is written anew because samples were deleted, came late, or are of several
 *             sources: one chunk after the other, a new one where the kind changes, where a
 *             histogram does not fit, and where the rule of the occasion says so.
 * Invariants  the chunks are those that Prometheus makes of the same samples on that occasion
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

enum chunk_rule {
    CHUNKS_JOINED,                             /* of blocks that are merged: at most CUT_SAMPLES */
    CHUNKS_BY_BYTES,                           /* of what came late, for a block: by their length */
    CHUNKS_FIXED,                              /* of late samples: no more chunks than must be */
    CHUNKS_TRIMMED                             /* what is left of one chunk: as that was */
};
/* Encodings. JOINED and BY_BYTES: floats without a start time; with one a sample gets an encoding
 * that holds it. FIXED: of all floats, and of histograms. TRIMMED: enc, of all. */
struct chunk_rules { enum chunk_rule rule; uint8_t floats; bool hist_st; uint8_t enc; };

struct encoded_chunk { int64_t mint, maxt; uint8_t enc; size_t at, n; };       /* in bytes */

struct chunk_encoder {
    VEC(struct encoded_chunk) chunks;
    struct buf bytes;
    struct chunk_rules by;
    /* the open chunk */
    uint8_t enc;                               /* CHUNK_NONE: there is none */
    int64_t mint, maxt;
    bool with_st;                              /* it was begun by a sample with a start time */
    size_t n;                                  /* samples */
    size_t at;                                 /* floats: where it begins in bytes */
    struct hist_app hist;
    struct xor_app xor;
    struct xor2_app xor2;
};
void chunk_encoder_fini(struct chunk_encoder *w);

void chunk_encoder_begin(struct chunk_encoder *w, const struct chunk_rules *by);
void chunk_encoder_put(struct chunk_encoder *w, const struct sample_batch *b);
void chunk_encoder_end(struct chunk_encoder *w);               /* closes the open chunk */
static inline str encoded_chunk_data(const struct chunk_encoder *w, size_t i)
{
    return str_of(w->bytes.p + w->chunks.at[i].at, w->chunks.at[i].n);
}

#endif
