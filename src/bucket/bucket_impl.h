/* bucket_impl.h — what a kind of bucket has to be able to do.
 *
 * What        The table of functions behind bucket.h. What is alike for all (names, prefix, pieces,
 *             pages) is done in bucket.c, so that a kind only asks once and answers.
 * Invariants  names are checked and carry the prefix
 * Ownership   a kind embeds struct bucket first; free frees it
 * Threads     any
 * Errors      as bucket.h
 * Format      none
 */
#ifndef EPI_BUCKET_BUCKET_IMPL_H
#define EPI_BUCKET_BUCKET_IMPL_H

#include "bucket/bucket.h"

/* Which state of an object a piece is of: set by the first piece, demanded from the others. */
struct bucket_version {
    bool known;
    uint64_t size_bytes;
    char tag[128];
};

/* What is read of an object, and where to: into `into`, which has room for n bytes; where that is
 * empty appended to out. */
struct bucket_piece {
    uint64_t off;
    size_t n;
    struct spans into;
    struct buf *out;
};

struct bucket_ops {
    errc (*put)(struct bucket *b, str name, const struct bucket_body *body, struct err *e);
    /* *got: up to n bytes at off; fewer only at the end of the object, none behind it. */
    errc (*piece)(struct bucket *b, str name, const struct bucket_piece *p,
        struct bucket_version *v, size_t *got, struct err *e);
    errc (*attributes)(struct bucket *b, str name, struct bucket_attributes *out, struct err *e);
    /* One page behind `after` (empty: the first), appended; *next empty: it was the last. Names and
     * next lie in the arena. */
    errc (*page)(struct bucket *b, str prefix, bool recursive, str after, struct arena *a,
        bucket_entries *out, str *next, struct err *e);
    errc (*remove)(struct bucket *b, str name, struct err *e);
    void (*stop)(struct bucket *b);
    void (*free)(struct bucket *b);
};
struct bucket {
    const struct bucket_ops *ops;
    str prefix; /* heap; empty or ends in a slash */
    str name;   /* heap */
    size_t piece_bytes;
};

/* n bytes of the body at off, in `part` alone. */
MUST_USE errc bucket_body_part(
    const struct bucket_body *body, uint64_t off, size_t n, struct buf *part, struct err *e);

/* The end of a kind's making: hands b out, or frees it as far as it came. */
static inline errc bucket_made(struct bucket **out, struct bucket *b, errc rc)
{
    if (rc == OK) *out = b;
    else bucket_close(b);
    return rc;
}

#endif
