/* buf_pool.h — large buffers that are used again.
 *
 * What        Memory of megabytes is given to the system and taken from it anew, zeroed page by
 *             page, each time it is freed and allocated:
 *             that costs more than to fill it. Who needs such a buffer again and again takes it
 *             here.
 * Invariants  (1) What lies here is at most BUF_POOL_MAX_BYTES in BUF_POOL_MAX buffers, each used
 *             within the last BUF_POOL_IDLE_MS as of the last take or give. (2) A buffer from here
 *             is at most four times what was asked for.
 * Ownership   init/fini; take hands a buffer to the caller, who gives it back or ends it by
 *             buf_fini. The pool outlives no buffer: it may end before them. Buffers stay charged
 *             to their account while they lie here.
 * Threads     any
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_BUF_POOL_H
#define EPI_BASE_BUF_POOL_H

#include "base/buf.h"
#include "base/lock.h"

enum {
    BUF_POOL_MIN_BYTES = 256 << 10,            /* smaller ones are left to the allocator */
    BUF_POOL_MAX_BYTES = 64 << 20,
    BUF_POOL_MAX = 16,
    BUF_POOL_IDLE_MS = 30000
};

struct buf_pool {
    struct mtx mu;                             /* LOCK_LEAF */
    struct { struct buf b; int64_t since_ms; } at[BUF_POOL_MAX];       /* GUARDED_BY(mu): [0, n) */
    size_t n, bytes;                           /* GUARDED_BY(mu) */
    struct account *acc;                       /* const */
};

void buf_pool_init(struct buf_pool *p, struct account *acc);   /* acc may be NULL */
void buf_pool_fini(struct buf_pool *p);

/* An empty buffer without limit, with room for `want` bytes. A new one gets an eighth more: what it
 * holds next may be a little longer. */
struct buf buf_pool_take(struct buf_pool *p, size_t want);
/* *b is empty then; a small one or one too many is freed */
void buf_pool_give(struct buf_pool *p, struct buf *b);

#endif
