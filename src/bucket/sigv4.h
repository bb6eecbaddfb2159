/* sigv4.h — who asks: AWS' signature, version 4.
 *
 * What        The headers by which S3 knows its caller: a keyed hash over the request's line, its
 *             headers and the hash of its body. The transfer library has one too, but that of 7.88
 *             neither sorts the query nor takes a parameter without a value, and signs by a clock
 *             that no test can set.
 * Invariants  pure: the same request at the same time has the same signature
 * Ownership   what comes out lies in the arena
 * Threads     pure
 * Errors      none
 * Format      AWS4-HMAC-SHA256
 */
#ifndef EPI_BUCKET_SIGV4_H
#define EPI_BUCKET_SIGV4_H

#include "bucket/caller.h"

struct sigv4_keys {
    str access_key, secret_key, session_token;
};
struct sigv4_request {
    str method;
    str host;
    str path;      /* escaped, as in the URL */
    str query;     /* escaped, each parameter with a "="; any order */
    str body_hash; /* SHA-256 in hexadecimal */
    str region;
    int64_t time_ms;
    bool of_s3; /* the hash of the body goes as a header, too */
};
/* The key of a day, a region and a service, which takes four hashes to derive: kept from request to
 * request of one secret key. {0}: none yet. */
enum { SIGV4_DAY_BYTES = 8, SIGV4_REGION_MAX = 64 };
struct sigv4_derived {
    uint8_t key[32];
    char day[SIGV4_DAY_BYTES], region[SIGV4_REGION_MAX];
    size_t region_bytes;
    bool known, of_s3;
};
/* Appends Authorization and X-Amz-*; signs these, Host and what f holds. *d is of an earlier
 * request, or becomes this one's. */
void sigv4_sign(struct call_fields *f, const struct sigv4_request *q, const struct sigv4_keys *k,
    struct sigv4_derived *d, struct arena *a);
/* As AWS escapes: all but letters, digits and -._~, and the slash if it is to stay. */
void sigv4_escape(struct buf *b, str s, bool slash_stays);

#endif
