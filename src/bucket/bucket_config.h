/* bucket_config.h — where a bucket is and how it is reached.
 *
 * What        The settings of each kind of bucket, as Thanos' objstore configuration has them.
 * Invariants  none: bucket_open checks
 * Ownership   borrowed by bucket_open for the call; config/objstore.h makes one from YAML
 * Threads     values
 * Errors      none
 * Format      none
 */
#ifndef EPI_BUCKET_BUCKET_CONFIG_H
#define EPI_BUCKET_BUCKET_CONFIG_H

#include "io/http_tls.h"

enum bucket_kind { BUCKET_FILESYSTEM, BUCKET_S3, BUCKET_GCS };
enum s3_lookup { S3_LOOKUP_AUTO, S3_LOOKUP_VIRTUAL_HOST, S3_LOOKUP_PATH };
enum s3_sse { S3_SSE_NONE, S3_SSE_S3, S3_SSE_KMS, S3_SSE_C };

/* How requests are made, whatever store answers them. */
struct bucket_http_config {
    struct http_tls tls;
    int64_t answer_timeout_ms; /* 0: two minutes; more for what is long */
    size_t connections_max;    /* 0: 100 */
    unsigned attempts_max;     /* 0: ten */
    int64_t backoff_ms;        /* the first wait between two; 0: 200 ms */
};

struct s3_config {
    str bucket, endpoint, region, access_key, secret_key, session_token;
    bool insecure; /* plain HTTP */
    enum s3_lookup lookup;
    bool list_v1, no_multipart, content_md5;
    uint64_t part_bytes;               /* 0: 16 MiB */
    const struct http_field *metadata; /* of each object that is put */
    size_t n_metadata;
    enum s3_sse sse;
    str kms_key_id, kms_context; /* kms_context: JSON; empty: none */
    str sse_key_file;            /* SSE-C: 32 bytes */
};
struct gcs_config {
    str bucket;
    str service_account;  /* JSON; empty: found as Google's clients find it */
    str endpoint;         /* for tests and emulators; empty: Google's */
    uint64_t chunk_bytes; /* 0: 16 MiB */
};
struct bucket_config {
    enum bucket_kind kind;
    str prefix;
    str directory; /* BUCKET_FILESYSTEM */
    struct s3_config s3;
    struct gcs_config gcs;
    struct bucket_http_config http;
    const char *(*env)(const char *name); /* NULL: no environment */
};

#endif
