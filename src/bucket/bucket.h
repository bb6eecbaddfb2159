/* bucket.h — objects far away: names and bytes, behind one table of functions.
 *
 * What        Put, get, ranges, attributes, lists and removal of objects of a bucket: a folder,
 *             S3, or Google's store. Large objects are moved in pieces of bounded size, so that
 *             none is ever in memory as a whole.
 * Invariants  (1) An object is seen whole or not at all, and what was put is what is read. (2) The
 *             pieces of one read are of one version of the object, else the read fails. (3) A list
 *             is whole or an error, never a part. (4) A name has no empty, "." or ".." part and no
 *             slash at its ends.
 * Ownership   bucket_open allocates, bucket_close frees; no call may be under way then
 * Threads     any; a call waits for its answers
 * Errors      ERR_NOT_FOUND (no such object), ERR_BAD_INPUT (a name, the settings), ERR_CORRUPT (an
 *             answer that cannot be right, also after asking again), ERR_TIMEOUT, ERR_CANCELED
 *             (bucket_stop), ERR_LIMIT, ERR_UNSUPPORTED, else ERR_IO
 * Format      none
 */
#ifndef EPI_BUCKET_BUCKET_H
#define EPI_BUCKET_BUCKET_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/spans.h"
#include "base/vec.h"

struct bucket;
struct bucket_config;
struct fs;

MUST_USE errc bucket_open(struct bucket **out, const struct bucket_config *c, struct err *e);
void bucket_close(struct bucket *b); /* NULL is fine */
static inline void bucket_closep(struct bucket **b) { bucket_close(*b); }
/* What waits ends with ERR_CANCELED, and what begins later too. */
void bucket_stop(struct bucket *b);
/* "s3://name/prefix", for words and logs */
str bucket_name(const struct bucket *b);

/* What is put: its size, and any part of it, as often as it is asked for (a part that was refused
 * is sent again). read fills all n bytes or fails. */
struct bucket_body {
    uint64_t size_bytes;
    errc (*read)(void *ctx, void *to, size_t n, uint64_t off, struct err *e);
    void *ctx;
};
MUST_USE errc bucket_put(struct bucket *b, str name, const struct bucket_body *body, struct err *e);
MUST_USE errc bucket_put_bytes(struct bucket *b, str name, str bytes, struct err *e);
/* told: bytes so far, now and then; may be NULL */
MUST_USE errc bucket_put_file(struct bucket *b, str name, struct fs *fs, str path,
    void (*told)(void *ctx, uint64_t done), void *ctx, struct err *e);

/* The whole object. ERR_LIMIT: it is longer than max_bytes. */
MUST_USE errc bucket_get(
    struct bucket *b, str name, size_t max_bytes, struct arena *a, str *out, struct err *e);
/* As many bytes at off as fit into `to`, which has something of them after a failure as well; fewer
 * are ERR_CORRUPT. */
MUST_USE errc bucket_read(
    struct bucket *b, str name, uint64_t off, struct spans to, struct err *e);
/* From off to the end, or max_bytes of it, piece by piece as they come; an error of the sink ends
 * it. A piece is borrowed for the call. */
typedef errc (*bucket_sink)(void *ctx, str piece, struct err *e);
MUST_USE errc bucket_stream(struct bucket *b, str name, uint64_t off, uint64_t max_bytes,
    bucket_sink sink, void *ctx, struct err *e);

/* That a store refuses is bad input of who configured it, but no fault of a query that needs it. */
static inline errc bucket_refusal_of_query(errc rc) { return rc == ERR_BAD_INPUT ? ERR_IO : rc; }

struct bucket_attributes {
    uint64_t size_bytes;
    int64_t modified_ms;
};
MUST_USE errc bucket_attributes(
    struct bucket *b, str name, struct bucket_attributes *out, struct err *e);
MUST_USE errc bucket_exists(struct bucket *b, str name, bool *out, struct err *e);

/* is_dir: names below it, which ends in a slash; without size and time */
struct bucket_entry {
    str name;
    bool is_dir;
    uint64_t size_bytes;
    int64_t modified_ms;
};
typedef VEC(struct bucket_entry) bucket_entries;
/* Names that begin with dir, which is empty or ends in a slash: all of them, or only those without
 * another slash and what the others have in common up to it. In the order of their bytes, without
 * those that cannot be names (4); free with vec_fini. */
MUST_USE errc bucket_list(
    struct bucket *b, str dir, bool recursive, struct arena *a, bucket_entries *out, struct err *e);
/* OK: it is not there, also if it never was. */
MUST_USE errc bucket_remove(struct bucket *b, str name, struct err *e);

#endif
