/* shipper.h — finished blocks of a data folder go to a bucket.
 *
 * What        Looks at the folder now and then and uploads what is new, the oldest first, as
 *             Thanos' sidecar does: with the external labels, from names of its own (so that a
 *             block may be compacted or deleted meanwhile), meta.json last. What was uploaded is
 *             written down beside the data.
 * Invariants  (1) In the bucket a block is whole or has no meta.json, wherever this was stopped.
 *             (2) A block is uploaded once: one whose meta.json is there is not touched. (3) Blocks
 *             that were merged (level > 1) stay here unless upload_compacted, and then must not
 *             overlap what is there. (4) The data folder's blocks are only read.
 * Ownership   shipper_open allocates, shipper_close frees; bucket and fs outlive it
 * Threads     one of its own, unless no_thread: then shipper_sync is the owner's. `labels` is
 *             called by it.
 * Errors      of a round: logged, counted, tried again at the next
 * Format      thanos.shipper.json; thanos/upload/ULID while it is uploaded
 */
#ifndef EPI_BUCKET_SHIPPER_H
#define EPI_BUCKET_SHIPPER_H

#include "bucket/bucket.h"
#include "io/reader.h"
#include "model/labels.h"

#define SHIPPER_STATE "thanos.shipper.json"

struct shipper;
struct shipper_opts {
    struct bucket *bucket;
    struct fs *fs; /* rooted at the data folder */
    enum io_backend backend;
    /* the external labels as they are at this moment, copied into the arena */
    struct labels (*labels)(void *ctx, struct arena *a);
    void *labels_ctx;
    bool upload_compacted, allow_out_of_order;
    int64_t interval_ms; /* 0: 30 s */
    bool no_thread;
};
MUST_USE errc shipper_open(struct shipper **out, const struct shipper_opts *o, struct err *e);
/* waits for a round that runs: bucket_stop first. NULL is fine */
void shipper_close(struct shipper *s);
/* One round; *uploaded: blocks, also of a round that failed. REQUIRES: no_thread */
MUST_USE errc shipper_sync(struct shipper *s, size_t *uploaded, struct err *e);

/* The state file, empty if there is none: before the storage is opened, so that blocks wait for the
 * shipper (tsdb/uploads.h). */
MUST_USE errc shipper_state_begin(struct fs *fs, struct err *e);

#endif
