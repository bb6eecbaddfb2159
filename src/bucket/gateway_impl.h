/* gateway_impl.h — the gateway from inside: what its modules share.
 *
 * What        Blocks as the queriers take and give them back.
 * Invariants  see gateway.h
 * Ownership   see each function
 * Threads     any
 * Errors      as gateway.h
 * Format      none
 */
#ifndef EPI_BUCKET_GATEWAY_IMPL_H
#define EPI_BUCKET_GATEWAY_IMPL_H

#include "base/lock.h"
#include "base/map.h"
#include "block/block.h"
#include "bucket/bucket_view.h"
#include "bucket/gateway.h"
#include "bucket/range_cache.h"
#include "io/pool.h"

/* A block that is open; counted. */
struct opened {
    _Atomic uint32_t refs;
    struct fs *folder;
    struct block *block;
    _Atomic int64_t doubted_ns; /* opened_doubt; by any thread, nothing hangs on its order */
};
struct opened *opened_ref(struct opened *o);
void opened_unref(struct opened *o); /* NULL is fine */
/* Damage was met: if it was an answer's and not the block's it ends with this. The caches forget
 * the block, but not more often than once in a while: what is damaged stays so. */
void opened_doubt(struct opened *o);

enum entry_state { ENTRY_CLOSED, ENTRY_OPENING, ENTRY_OPEN, ENTRY_FAILED };
/* What the gateway has of a block that is, or was, in a view; counted. */
struct entry {
    _Atomic uint32_t refs;
    struct gateway *g;
    ulid id;
    enum entry_state state;  /* all of these: GUARDED_BY(g->mu) */
    struct opened *opened;   /* of ENTRY_OPEN */
    int64_t since_ns;        /* it has this state */
    int64_t used_ns;
    errc rc;                 /* of ENTRY_FAILED */
    str why;                 /* heap */
    bool proved, gone;
    bool suspect;            /* the disk may not keep its header: it is opened anew, in time */
};

struct gateway {
    struct gateway_opts o;
    struct queryable queryable;
    struct chunk_queryable chunks;
    struct range_cache *index_cache, *chunk_cache;
    struct pool *opens, *syncs, *reads, *selects;
    struct thread *thread;
    _Atomic bool ready;
    _Atomic bool missed;      /* an object of a block that the view has is gone */
    struct mtx mu;            /* LOCK_DB: what is open */
    struct cond changed;      /* of entries, and stop */
    struct bucket_view *view; /* GUARDED_BY(mu); NULL until the first look */
    struct map entries;       /* GUARDED_BY(mu) */
    bool stop, looking;       /* GUARDED_BY(mu) */
    size_t opening;           /* GUARDED_BY(mu): blocks that are being opened */
    size_t opened_since;      /* GUARDED_BY(mu): so many others were meanwhile */
};

/* The view of now, with a reference; ERR_UNAVAILABLE: there is none yet. */
MUST_USE errc gateway_view(struct gateway *g, struct bucket_view **out, struct err *e);

/* Is every block known that may have samples from mint on? ERR_UNAVAILABLE: one cannot be read, and
 * answers without it were not asked for. */
MUST_USE errc gateway_whole(
    const struct gateway *g, const struct bucket_view *v, int64_t mint, struct err *e);

/* What may be asked for of it. */
void gateway_window(const struct gateway *g, int64_t *mint, int64_t *maxt);

/* Begins to open a block if it is not open; waits for nothing. */
void gateway_begin(struct gateway *g, const struct view_block *b);
/* The block, open, with a reference; waits for its opening until `until_ns`. */
MUST_USE errc gateway_take(struct gateway *g, const struct view_block *b, int64_t until_ns,
    struct opened **out, struct err *e);

/* A request has come to its n-th series: ERR_LIMIT past series_max. */
MUST_USE errc gateway_series_count(const struct gateway *g, uint64_t n, struct err *e);

/* Leaves out series of which everything was cut away, and counts the others; takes over the set. */
struct chunk_series_set *gateway_with_chunks(struct gateway *g, struct chunk_series_set *in);

errc gateway_querier(
    struct queryable *s, int64_t mint, int64_t maxt, struct querier **out, struct err *e);
errc gateway_chunks_select(struct chunk_queryable *q, struct matchers ms, int64_t mint,
    int64_t maxt, struct chunk_series_set **out, struct err *e);

#endif
