/* kinds.h — how each kind of bucket is made.
 *
 * What        One function a kind; bucket_open chooses.
 * Invariants  none
 * Ownership   the bucket is freed by its own table
 * Threads     any
 * Errors      ERR_BAD_INPUT: settings that cannot be
 * Format      none
 */
#ifndef EPI_BUCKET_KINDS_H
#define EPI_BUCKET_KINDS_H

#include "bucket/bucket_config.h"
#include "bucket/bucket_impl.h"

MUST_USE errc bucket_filesystem_new(
    struct bucket **out, const struct bucket_config *c, struct err *e);
MUST_USE errc bucket_s3_new(struct bucket **out, const struct bucket_config *c, struct err *e);
MUST_USE errc bucket_gcs_new(struct bucket **out, const struct bucket_config *c, struct err *e);

#endif
