/* recode.h — a chunk written anew without some of its samples.
 *
 * What        What is left of a chunk of any encoding between two times and beside what was
 *             deleted, as one chunk of the same encoding.
 * Invariants  the bytes are those that appending the samples one after the other gives
 * Ownership   borrows the chunk; bytes are appended to the caller's buf
 * Threads     pure
 * Errors      ERR_CORRUPT: the chunk does not decode
 * Format      docs/format/chunks.md
 */
#ifndef EPI_CHUNK_RECODE_H
#define EPI_CHUNK_RECODE_H

#include "base/buf.h"
#include "base/err.h"
#include "model/interval.h"

struct recoded { int64_t mint, maxt; size_t n, bytes; };       /* n 0: nothing is left */

/* mint and maxt inclusive; deleted may be NULL */
MUST_USE errc chunk_recode(struct recoded *r, struct buf *out, uint8_t enc, str chunk, int64_t mint,
    int64_t maxt, const intervals *deleted, struct err *e);

#endif
