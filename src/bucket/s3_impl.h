/* s3_impl.h — what the files of S3 share.
 *
 * What        A bucket of S3, and how it is asked: addressing, signing, and what its answers mean.
 * Invariants  all but what mu guards is const after it was made
 * Ownership   struct s3 owns all
 * Threads     any
 * Errors      as bucket.h
 * Format      S3 API of 2006-03-01
 */
#ifndef EPI_BUCKET_S3_IMPL_H
#define EPI_BUCKET_S3_IMPL_H

#include "base/lock.h"
#include "bucket/bucket_impl.h"
#include "bucket/caller.h"
#include "bucket/s3_keys.h"
#include "bucket/sigv4.h"

struct s3 {
    struct bucket base;
    struct caller *caller;
    struct arena arena; /* const after it was made, but for regions */
    struct sigv4_keys keys;
    str url, host, path; /* "https://host:port", "host:port", "/bucket" or empty */
    bool list_v1, no_multipart, content_md5;
    uint64_t part_bytes;
    struct call_fields on_put, on_all; /* on_all: of a key that the caller keeps (SSE-C) */
    struct mtx mu;                     /* LOCK_LEAF */
    str region;                        /* GUARDED_BY(mu): changes when the store says so */
    struct sigv4_derived derived;      /* GUARDED_BY(mu): of the request that was signed last */
};

/* One request. ok: looks at an answer with a status of 2xx, and at 416 of a range; may be NULL. */
struct s3_ask {
    struct s3 *s;
    str method, name, query, body;
    size_t body_max;
    struct spans into; /* see struct call */
    const struct call_fields *fields; /* NULL: none */
    errc (*ok)(void *ctx, struct reply *r, bool *again, struct err *e);
    void *ctx;
    /* made by s3_ask */
    str path, hash;
};
MUST_USE errc s3_ask(struct s3_ask *q, struct arena *a, struct reply *r, struct err *e);
/* What an answer that is no success means; also of one with a status of 2xx that holds an error. */
errc s3_refused(struct s3 *s, const struct reply *r, bool *again, struct err *e);

errc s3_put(
    struct bucket *b, str name, const struct bucket_body *body, struct err *e); /* s3_put.c */

static inline struct s3 *s3_of(struct bucket *b) { return CONTAINER_OF(b, struct s3, base); }
static inline void call_field(struct call_fields *f, str name, str value)
{
    assert(f->n < CALL_FIELDS_MAX);
    f->at[f->n++] = (struct http_field){ name, value };
}

#endif
