/* measure.h — what a chunk holds, found by decoding all of it.
 *
 * What        Count, first and last time.
 * Invariants  OK: every sample decodes, times ascend strictly, and there are as many as the header
 *             says
 * Ownership   borrows the chunk and the iterator, which is used again for the next chunk
 * Threads     one thread an iterator
 * Errors      ERR_CORRUPT
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_MEASURE_H
#define EPI_CHUNK_MEASURE_H

#include "chunk/chunk_iter.h"

struct chunk_measure { uint64_t n; int64_t mint, maxt; };      /* n 0: no times */
MUST_USE errc chunk_measure(struct chunk_measure *out, struct chunk_iter *it, uint8_t enc, str data,
    struct err *e);

#endif
