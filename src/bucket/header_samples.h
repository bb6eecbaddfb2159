/* header_samples.h — what was walked once of an index-header is not walked again.
 *
 * What        Samples of an index-header's tables out of a sparse index-header: the one that lies
 *             beside it, or the one that Mimir's compactor put into the bucket.
 * Invariants  none: whether they belong to the header is looked at by who opens it with them
 * Ownership   everything lies in the arena
 * Threads     any
 * Errors      ERR_NOT_FOUND (there is none), ERR_CORRUPT (none that can be read), those of the
 *             bucket
 * Format      sparse_header_codec.h
 */
#ifndef EPI_BUCKET_HEADER_SAMPLES_H
#define EPI_BUCKET_HEADER_SAMPLES_H

#include "block/index_reader.h"
#include "bucket/bucket.h"

#define SPARSE_HEADER_FILE "sparse-index-header"

/* More entries of a name than every 32nd are thinned out. */
MUST_USE errc header_samples_decode(
    struct index_samples *out, str file, struct arena *a, struct err *e);
/* of dir/sparse-index-header */
MUST_USE errc header_samples_local(
    struct index_samples *out, struct fs *fs, str dir, struct arena *a, struct err *e);
/* of the same object; it is kept in dir, if it can be read */
MUST_USE errc header_samples_remote(struct index_samples *out, struct bucket *b, struct fs *fs,
    str dir, struct arena *a, struct err *e);

#endif
