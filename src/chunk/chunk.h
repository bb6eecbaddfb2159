/* chunk.h — what all chunk encodings have in common.
 *
 * What        The encoding ids, and what can be said of a chunk's bytes without decoding them.
 * Invariants  an id is one byte on disk; 0 is never written
 * Ownership   borrows
 * Threads     pure functions
 * Errors      chunk_check: ERR_CORRUPT
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_CHUNK_H
#define EPI_CHUNK_CHUNK_H

#include "base/err.h"

enum chunk_enc {
    CHUNK_NONE,
    CHUNK_XOR,
    CHUNK_HISTOGRAM,
    CHUNK_FLOAT_HISTOGRAM,
    CHUNK_XOR2,
    CHUNK_HISTOGRAM_ST,
    CHUNK_FLOAT_HISTOGRAM_ST,
    CHUNK_ENCODINGS
};
enum { CHUNK_OOO_BIT = 0x80 };                 /* in the encoding byte of head chunk files */

static inline bool chunk_enc_known(uint8_t enc)
{
    return enc > CHUNK_NONE && enc < CHUNK_ENCODINGS;
}
static inline bool chunk_enc_is_float(uint8_t enc) { return enc == CHUNK_XOR || enc == CHUNK_XOR2; }

/* samples that the header claims; 14 bits for the ST histograms */
static inline bool chunk_enc_is_float_histogram(uint8_t enc)
{
    return enc == CHUNK_FLOAT_HISTOGRAM || enc == CHUNK_FLOAT_HISTOGRAM_ST;
}
static inline bool chunk_enc_has_st(uint8_t enc)
{
    return enc >= CHUNK_XOR2 && enc < CHUNK_ENCODINGS;
}
static inline size_t chunk_samples_max(uint8_t enc)
{
    return chunk_enc_has_st(enc) && enc != CHUNK_XOR2 ? 16383 : 65535;
}
size_t chunk_count(uint8_t enc, str data);
/* "XOR", "histogram", … as Prometheus prints them; "<unknown>" */
str chunk_enc_name(uint8_t enc);

/* The framing: a known encoding, room for its header, and no more samples than bits can hold. Says
 * nothing of the samples. */
MUST_USE errc chunk_check(uint8_t enc, str data, struct err *e);

#endif
