/* bucket_view.h — which blocks a bucket has, at one moment.
 *
 * What        One look at a bucket: by Mimir's bucket index where there is a young one, else by a
 *             listing of all objects; meta.json of each block, kept on disk and taken over from the
 *             look before; marks. What is not whole (an upload under way, a block being deleted) is
 *             left out.
 * Invariants  (1) A block that was there before, served or not, stays until its meta.json is
 *             known to be gone, whatever a listing leaves out. (2) What might be a block and cannot
 *             be read is in `troubles`. (3) A view never changes.
 * Ownership   counted; everything lies in the view
 * Threads     bucket_view_look: one at a time; views: any
 * Errors      of the listing. What concerns one block is a trouble, not an error.
 * Format      thanos_codec.h, bucket_index_codec.h; meta-syncer/<ULID>/meta.json
 */
#ifndef EPI_BUCKET_BUCKET_VIEW_H
#define EPI_BUCKET_BUCKET_VIEW_H

#include "bucket/remote_block.h"

#include <stdatomic.h>

#define META_CACHE_DIR "meta-syncer"

struct view_block {
    ulid id;
    int64_t mint, maxt; /* ms; maxt is exclusive */
    int64_t resolution_ms; /* of a downsampled block: its chunks hold aggregates; 0: samples */
    /* of a downsampled block: within [mint, maxt) no block of the same labels has the samples as
     * they were, be it among those to be asked or not; mint >= maxt: all of them are there */
    int64_t bare_mint, bare_maxt;
    uint32_t level;
    struct labels labels; /* external ones, sorted */
    const ulid *sources;  /* sorted; none: the block itself */
    size_t n_sources;
    int64_t marked_s; /* for deletion; 0: not */
    int64_t fresh_ms; /* since when it may be half there; 0: it is another's work, and whole */
    bool no_compact, no_downsample;
    uint64_t index_bytes;          /* 0: not known */
    const uint64_t *segment_bytes; /* by number, from 1; 0: not known, UINT64_MAX: missing */
    size_t n_segments;
    str meta; /* meta.json as it is; empty: it is not kept, or the block is of a bucket index */
};
struct view_trouble {
    str what, why;      /* a block or an object */
    bool is_block;
    ulid id;            /* of is_block */
};
struct bucket_view {
    _Atomic uint32_t refs;
    struct arena arena;
    VEC(struct view_block) blocks; /* by mint, then id; those to be asked only */
    /* those that are there and not asked: no meta of theirs is kept here */
    VEC(struct view_block) others;
    VEC(struct view_trouble) troubles;
    size_t downsampled; /* of blocks */
    /* blocks that were left out, and why */
    size_t partial, marked, replaced, fresh, excluded;
    bool by_index;
};

struct pool;
struct view_opts {
    struct bucket *bucket;
    struct fs *fs;     /* of the meta cache */
    struct pool *pool; /* helps to fetch; may be NULL */
    int64_t ignore_deletion_ms;
    int64_t consistency_ms; /* a younger block is left out */
    int64_t mint, maxt;     /* one outside is not asked for; both 0: all */
    /* which of the others are; NULL: all */
    bool (*wanted)(void *ctx, ulid id, struct labels external);
    void *wanted_ctx;
    /* a bucket index that is older is not believed; 0: an hour */
    int64_t index_age_max_ms;
};
/* before: the look before this one; may be NULL */
MUST_USE errc bucket_view_look(struct bucket_view **out, const struct view_opts *o,
    const struct bucket_view *before, struct err *e);
struct bucket_view *bucket_view_ref(struct bucket_view *v);
void bucket_view_unref(struct bucket_view *v); /* NULL is fine */
const struct view_block *bucket_view_find(const struct bucket_view *v, ulid id); /* NULL: no */

#endif
