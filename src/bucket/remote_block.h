/* remote_block.h — a block in a bucket: brought there, looked at, fetched, taken away.
 *
 * What        The order in which its objects come and go, so that who lists the bucket never takes
 *             a part of a block for the whole: meta.json comes last and goes first.
 * Invariants  (1) A block whose meta.json is there is whole. (2) A block fetched has its name only
 *             when it is whole and synced.
 * Ownership   borrows
 * Threads     one a call
 * Errors      as bucket.h; ERR_EXISTS (a folder that is there), ERR_CORRUPT (objects that are not
 *             as meta.json says)
 * Format      Thanos': ULID/chunks/000001, ULID/index, ULID/meta.json
 */
#ifndef EPI_BUCKET_REMOTE_BLOCK_H
#define EPI_BUCKET_REMOTE_BLOCK_H

#include "base/findings.h"
#include "base/progress.h"
#include "bucket/bucket.h"
#include "bucket/thanos_codec.h"
#include "io/fs.h"

struct remote_upload {
    struct fs *fs;
    str dir;                       /* chunks/ and index are taken from here */
    const struct block_meta *meta; /* its `more` is made anew */
    struct labels labels;
    str source;
    const struct progress *progress; /* in bytes; may be NULL */
};
/* After a failure nothing is left there, as far as that can be had; after ERR_CANCELED what came
 * stays, without meta.json. */
MUST_USE errc remote_block_upload(struct bucket *b, const struct remote_upload *u, struct err *e);

/* Into `parent`/ULID, which must not be there; with a file that says that nothing is deleted. */
MUST_USE errc remote_block_download(
    struct bucket *b, ulid id, struct fs *fs, str parent, const struct progress *p, struct err *e);
/* meta.json first, the deletion mark last. */
MUST_USE errc remote_block_remove(struct bucket *b, ulid id, struct err *e);

struct remote_meta {
    struct block_meta meta;
    struct thanos_section thanos;
};
MUST_USE errc remote_block_meta(
    struct bucket *b, ulid id, struct arena *a, struct remote_meta *out, struct err *e);
/* One that is there is left as it is: *marked false. */
MUST_USE errc remote_block_mark(
    struct bucket *b, const struct block_mark *m, bool *marked, struct err *e);

/* Which blocks there are, by their folders; sorted. Free with vec_fini. */
MUST_USE errc remote_blocks(struct bucket *b, ulid_list *out, struct err *e);
/* Whether its objects are those that meta.json names, with their sizes. Of bytes meta.json's alone
 * are read; that they cannot be is a finding, too. Errors: it cannot be listed, ERR_CANCELED. */
MUST_USE errc remote_block_check(struct bucket *b, ulid id, struct findings *f, struct err *e);
/* All its objects into dir; those that cannot be read are findings. Errors: it cannot be listed,
 * those of fs, ERR_CANCELED. */
MUST_USE errc remote_block_objects(struct bucket *b, ulid id, struct fs *fs, str dir,
    const struct progress *p, struct findings *f, struct err *e);

#endif
