/* compress.h — whole runs of bytes, packed and unpacked.
 *
 * What        snappy block format, zstd frames, gzip, deflate; the declared size is checked against
 *             the limit before memory is taken.
 * Invariants  unpack never appends more than max_bytes
 * Ownership   appends to the caller's buf
 * Threads     any; what compressors keep lives per thread, or is lent, inside
 * Errors      ERR_CORRUPT (not that format, or damaged), ERR_LIMIT (larger than max_bytes)
 * Format      as the libraries (snappy, zstd, libdeflate) have them
 */
#ifndef EPI_BASE_COMPRESS_H
#define EPI_BASE_COMPRESS_H

#include "base/buf.h"
#include "base/err.h"

enum compress_kind {
    COMPRESS_NONE,
    COMPRESS_SNAPPY,
    COMPRESS_ZSTD,
    COMPRESS_GZIP,
    COMPRESS_DEFLATE
};

/* Appends the packed form; level 0 is the kind's default. */
MUST_USE errc compress_pack(
    struct buf *out, enum compress_kind kind, str in, int level, struct err *e);
MUST_USE errc compress_unpack(
    struct buf *out, enum compress_kind kind, str in, size_t max_bytes, struct err *e);

/* How many bytes it may unpack to: a guess from the input, bound by what the format can pack. */
size_t compress_unpack_hint(enum compress_kind kind, str in);

/* Unpacks into room that the caller has; *n_out bytes. ERR_LIMIT when it does not fit. */
MUST_USE errc compress_unpack_into(
    void *room, size_t cap, size_t *n_out, enum compress_kind kind, str in, struct err *e);

#endif
