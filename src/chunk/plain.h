/* plain.h — a chunk in the encodings that every reader knows.
 *
 * What        Other readers refuse chunks that hold start timestamps (XOR2 and the histograms'
 *             kin): the same samples without them, as XOR and histogram chunks.
 * Invariants  values and times are those of the source; a chunk may become several
 * Ownership   borrows the chunk; what comes lies in the encoder until its next begin
 * Threads     pure
 * Errors      ERR_CORRUPT: the chunk does not decode
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_PLAIN_H
#define EPI_CHUNK_PLAIN_H

#include "chunk/chunk.h"
#include "chunk/chunk_encoder.h"
#include "chunk/chunk_iter.h"

static inline bool chunk_enc_plain(uint8_t enc)
{
    return enc == CHUNK_XOR || enc == CHUNK_HISTOGRAM || enc == CHUNK_FLOAT_HISTOGRAM;
}
/* by: an iterator of the caller's, used again and again. REQUIRES: a known encoding */
MUST_USE errc chunk_plain(struct chunk_encoder *out, struct chunk_iter *by, uint8_t enc, str data,
    struct err *e);

#endif
