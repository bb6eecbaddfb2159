/* gateway.h — the blocks of a bucket, asked as if they lay here.
 *
 * What        Looks at the bucket now and then (bucket_view.h), keeps an index-header of each block
 *             that was asked for, and answers queries over all of them: the same queryables as a
 *             folder of blocks has. A block is opened by its first query, in the background, and
 *             closed when nobody asked for it for a while.
 * Invariants  (1) What cannot be read is an error of the queries that would need it, never a gap,
 *             unless gaps were asked for (partial). (2) No call waits for a block longer than
 *             patience_ms: what hangs costs those who ask for that block, and nobody else. (3)
 *             gateway_open waits for nothing.
 * Ownership   gateway_open allocates, gateway_close frees; it borrows bucket and fs. Queriers and
 *             sets end before it.
 * Threads     any; one thread looks at the bucket, a pool opens blocks, two read
 * Errors      ERR_UNAVAILABLE: the bucket was not seen yet, or a block is being opened for too
 *             long; ERR_TIMEOUT; ERR_LIMIT; else those of the bucket
 * Format      fs: <ULID>/index-header, meta-syncer/<ULID>/meta.json, as Thanos' store has them;
 *             page-cache.index, page-cache.chunks (page_file.h)
 */
#ifndef EPI_BUCKET_GATEWAY_H
#define EPI_BUCKET_GATEWAY_H

#include "base/ulid.h"
#include "bucket/bucket.h"
#include "io/reader.h"
#include "storage/chunk_querier.h"
#include "storage/querier.h"

struct far_cache;
struct gateway;
/* A time, or one that goes with the clock: so long after now. */
struct gateway_bound { bool set, relative; int64_t ms; };
struct gateway_opts {
    struct bucket *bucket;
    struct fs *fs;                 /* the data folder */
    enum io_backend backend;       /* of index-headers */
    int64_t sync_interval_ms;      /* 0: fifteen minutes */
    /* the bucket is looked at sooner, but not sooner than so long after the last look, when that
     * failed or no longer holds (look_pace.h); 0: five seconds */
    int64_t sync_soon_ms;
    int64_t ignore_deletion_ms;    /* a block is left out so long after it was marked */
    int64_t consistency_ms;        /* a block that is younger is left out; 0: none is */
    struct gateway_bound mint, maxt;   /* what lies outside is not asked for */
    /* which blocks are asked for at all; NULL: all. By the thread that looks at the bucket */
    bool (*wanted)(void *ctx, ulid id, struct labels external);
    void *wanted_ctx;
    int64_t idle_ms;               /* 0: never closed */
    int64_t patience_ms;           /* 0: a minute */
    /* Memory for postings and series, and for chunks; 0: 2 and 4 MiB with a file behind, else 250
     * MiB each */
    uint64_t index_cache_bytes, chunk_cache_bytes;
    /* of files of fs behind both; 0: none */
    uint64_t index_disk_bytes, chunk_disk_bytes;
    /* caches of other processes, borrowed, asked before the bucket; may be NULL */
    struct far_cache *far_index, *far_chunks;
    uint64_t series_max;           /* of one selection; 0: any number */
    unsigned opens;                /* blocks opened at once; 0: 20 */
    unsigned meta_fetches;         /* meta.json fetched at once; 0: 32 */
    bool without_external_labels;  /* series as they are in the blocks */
    /* Queries go on without blocks whose meta.json cannot be read; else those are refused that may
     * lack something of them. */
    bool partial;
};

MUST_USE errc gateway_open(struct gateway **out, const struct gateway_opts *o, struct err *e);
void gateway_close(struct gateway *g); /* NULL is fine */

/* The bucket was seen once, whole: from here on queries are answered. Takes no lock. */
bool gateway_ready(const struct gateway *g);

/* Series carry the external labels of their blocks. Both live as long as the gateway. */
struct queryable *gateway_queryable(struct gateway *g);
struct chunk_queryable *gateway_chunks(struct gateway *g);

/* What there is, for Info: times (inclusive; min > max: nothing), and the different sets of
 * external labels, in the arena. Memory only. */
struct gateway_info {
    int64_t mint, maxt;
    size_t blocks, loaded;
    const struct labels *sets;
    size_t n_sets;
};
void gateway_info(struct gateway *g, struct arena *a, struct gateway_info *out);

/* What each block says of itself, as JSON on a line, oldest first; in the arena. */
void gateway_metas(struct gateway *g, struct arena *a, str_list *out);

/* A look at the bucket now; for tests and reloads. */
MUST_USE errc gateway_sync(struct gateway *g, struct err *e);

#endif
