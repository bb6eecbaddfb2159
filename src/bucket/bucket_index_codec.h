/* bucket_index_codec.h — Mimir's bucket index: what is in a bucket, in one object.
 *
 * What        Decodes bucket-index.json.gz: the blocks with their times, and which are marked for
 *             deletion.
 * Invariants  what is accepted names every block once, with mint <= maxt
 * Ownership   what is decoded lies in the arena
 * Threads     pure
 * Errors      ERR_CORRUPT (no gzip, no JSON, a member of the wrong type, a version other than 1 and
 *             2), ERR_LIMIT
 * Format      pkg/storage/tsdb/bucketindex of Mimir
 */
#ifndef EPI_BUCKET_BUCKET_INDEX_CODEC_H
#define EPI_BUCKET_BUCKET_INDEX_CODEC_H

#include "base/ulid.h"
#include "model/labels.h"

#define BUCKET_INDEX_OBJECT "bucket-index.json.gz"

struct bucket_index_block {
    ulid id;
    int64_t mint, maxt; /* ms; maxt is exclusive */
    uint32_t segments;  /* of the format "1b6d"; 0: not known */
    uint32_t level;     /* 0: not known */
    int64_t marked_s;   /* for deletion; 0: not */
    struct labels labels;
};
struct bucket_index {
    const struct bucket_index_block *blocks; /* by id */
    size_t n;
    int64_t updated_s;
};
MUST_USE errc bucket_index_decode(
    struct bucket_index *out, str packed, struct arena *a, struct err *e);
/* of what was unpacked */
MUST_USE errc bucket_index_json_decode(
    struct bucket_index *out, str json, struct arena *a, struct err *e);

#endif
