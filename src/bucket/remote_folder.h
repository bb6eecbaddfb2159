/* remote_folder.h — a block in a bucket, as a folder that block_open can open.
 *
 * What        An fs of one block: <ULID>/meta.json, index and chunks/. The index is put together
 *             of the index-header that lies here and of ranges of the index in the bucket; readers
 *             of index and chunks are ranges of caches (range_cache.h).
 * Invariants  (1) Nothing can be changed. (2) Of the bucket's index nothing is read that the header
 *             has. (3) Listing and sizes ask nobody: they are as the view says; a size that it does
 *             not know is asked for once, by remote_folder_new.
 * Ownership   remote_folder_new allocates, fs_free frees; reads under way keep what they need. It
 *             borrows bucket, local fs, caches and pool, which outlive all reads
 * Threads     any
 * Errors      as fs.h; ERR_CORRUPT: the header does not belong to the block's index
 * Format      index_header_codec.h
 */
#ifndef EPI_BUCKET_REMOTE_FOLDER_H
#define EPI_BUCKET_REMOTE_FOLDER_H

#include "bucket/bucket_view.h"
#include "bucket/range_cache.h"
#include "io/reader.h"

struct far_cache;
struct remote_folder_opts {
    struct bucket *bucket;
    const struct view_block *block; /* copied */
    struct fs *local;               /* has <ULID>/index-header */
    enum io_backend backend;        /* that reads it */
    struct range_cache *index, *chunks;
    struct pool *reads; /* that wait for disk and bucket */
    struct far_cache *far_index, *far_chunks; /* asked before the bucket; may be NULL */
    int64_t patience_ms;
    _Atomic bool *missed; /* is set when the bucket has no such object any more; may be NULL */
    bool prove; /* that the header is of this block's index: by two small reads */
};
MUST_USE errc remote_folder_new(
    struct fs **out, const struct remote_folder_opts *o, struct err *e);
struct index_seen;
/* Bytes of its index that came while the header was built. */
void remote_folder_seen(struct fs *fs, const struct index_seen *seen);
/* Who reads waits as long as it takes: while a block is opened in the background. */
void remote_folder_patient(struct fs *fs, bool patient);
/* What came from the bucket and lies in the caches is not believed any more; what lies in others'
 * caches is not asked for from here on, only put anew. */
void remote_folder_forget(struct fs *fs);

#endif
