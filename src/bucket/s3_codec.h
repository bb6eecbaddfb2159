/* s3_codec.h — the XML that S3 answers with.
 *
 * What        Pages of a list, error answers, and the beginning and end of uploads in parts.
 * Invariants  a page is whole or an error: one that says neither that it is cut nor that it is not,
 *             or is cut and names no continuation, is refused
 * Ownership   texts lie in the arena
 * Threads     pure
 * Errors      ERR_CORRUPT
 * Format      S3 API of 2006-03-01: ListBucketResult (versions 1 and 2 of it), Error,
 *             InitiateMultipartUploadResult, CompleteMultipartUploadResult
 */
#ifndef EPI_BUCKET_S3_CODEC_H
#define EPI_BUCKET_S3_CODEC_H

#include "bucket/bucket.h"

struct s3_error {
    str code, message, region;
};
struct s3_page {
    bool cut;
    str next;
}; /* next: continuation token, or marker */

/* Entries are appended in the order in which they came; names are as they were put. */
MUST_USE errc s3_page_decode(
    struct s3_page *out, bucket_entries *entries, str xml, bool v1, struct arena *a, struct err *e);
/* False: it is no error answer. */
MUST_USE bool s3_error_decode(struct s3_error *out, str xml, struct arena *a);
MUST_USE errc s3_upload_id_decode(str *out, str xml, struct arena *a, struct err *e);

#endif
