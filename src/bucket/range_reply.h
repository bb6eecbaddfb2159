/* range_reply.h — is this the range that was asked for?
 *
 * What        Judges an answer to a GET with a range: status, Content-Range, length, and that all
 *             pieces of a read are of one version of the object.
 * Invariants  an answer that is let through has all bytes that were asked for, or all up to the
 *             object's end
 * Ownership   borrows
 * Threads     values
 * Errors      ERR_CORRUPT (asking again may help), ERR_IO (the object was replaced)
 * Format      RFC 9110, 14
 */
#ifndef EPI_BUCKET_RANGE_REPLY_H
#define EPI_BUCKET_RANGE_REPLY_H

#include "bucket/bucket_impl.h"
#include "bucket/caller.h"

struct range_ask {
    uint64_t off;
    size_t n;
    struct bucket_version *v;
};
/* A status of 2xx, or 416: then the body is emptied. tag: names the version. */
MUST_USE errc range_judge(
    const struct range_ask *p, struct reply *r, str tag, bool *again, struct err *e);
/* "bytes=0-9" */
str range_field(const struct range_ask *p, struct arena *a);
/* *got bytes of an answer that was let through; ERR_LIMIT: they do not fit into x->out. */
MUST_USE errc range_take(
    const struct bucket_piece *x, const struct reply *r, size_t *got, struct err *e);
/* "the answer cannot be right: why" */
errc answer_bad(bool *again, struct err *e, const char *why);

#endif
