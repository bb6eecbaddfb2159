/* lock.h — locks with ranks: the lock order of the whole program, in one enum.
 *
 * What        Mutex, condition variable, read-write lock and a one-byte spin/futex lock for objects
 *             that exist by the million.
 *             A debug build keeps the ranks that a thread holds and aborts on the first wrong step.
 * Invariants  A thread takes locks downward in lock_rank only (a strictly greater rank), leaves of
 *             LOCK_LEAF take nothing after.
 * Ownership   init/fini; the objects lie in their owners
 * Threads     is them
 * Errors      none: misuse aborts
 * Format      none
 *
 * docs/architecture.md explains the order; a new lock gets its line here and there.
 */
#ifndef EPI_BASE_LOCK_H
#define EPI_BASE_LOCK_H

#include "base/defs.h"

#include <pthread.h>
#include <stdatomic.h>

enum lock_rank {            /* read it downward, take it downward */
    /* cmd: one reload of the configuration at a time; held while rooms take over their part */
    LOCK_RELOAD = 1,
    LOCK_SCRAPE_MANAGER,    /* scrape.manager: the list of pools and targets */
    LOCK_SCRAPE_POOL,       /* scrape.pool: the targets of one job */
    LOCK_QUERY,             /* promql: the list of active queries */
    LOCK_DB,                /* tsdb.db: what is open; never held over I/O */
    LOCK_HEAD_COMMIT,       /* head: the open appenders (isolation), ascending append ids */
    LOCK_HEAD_CREATE,       /* head.create: ref + postings order of new series */
    LOCK_HEAD_STRIPE,       /* head.stripe[i]: hash -> series; never two stripes at once */
    LOCK_HEAD_SYMBOLS,      /* head.symbols: interned names and values */
    LOCK_SERIES,            /* series.mu: the open chunk of one series (one byte) */
    LOCK_HEAD_RUN,          /* head.ts_run: a shared run of timestamps */
    /* head.chunk_disk: the queue of sealed chunks; never held over write() */
    LOCK_CHUNK_DISK,
    LOCK_WAL,               /* wal.mu: the queue of encoded batches; never held over write() */
    /* io.fs_overlay: held over reads of the folder below; for tools, not for the server */
    LOCK_IO_OVERLAY,
    /* io.ring: submitting direct reads, never held while waiting for one */
    LOCK_IO_RING,
    LOCK_IO_CACHE,          /* io.cache: the page cache's shards */
    LOCK_CALL,              /* grpc: what one call has to send */
    LOCK_POOL,              /* io.pool: queue of jobs */
    LOCK_LEAF               /* takes nothing after it: metrics, log ring, counters */
};

#if defined(__clang__)
#define LOCK_ATTR(x) __attribute__((x))
#else
#define LOCK_ATTR(x)
#endif
#define CAPABILITY LOCK_ATTR(capability("mutex"))
#define REQUIRES(...) LOCK_ATTR(requires_capability(__VA_ARGS__))
#define ACQUIRE(...) LOCK_ATTR(acquire_capability(__VA_ARGS__))
#define RELEASE(...) LOCK_ATTR(release_capability(__VA_ARGS__))
#define GUARDED_BY(x)       /* a comment: C cannot name a sibling field here */

struct CAPABILITY mtx { pthread_mutex_t m; enum lock_rank rank; };
struct cond { pthread_cond_t c; };
struct CAPABILITY rwlock { pthread_rwlock_t l; enum lock_rank rank; };

void mtx_init(struct mtx *m, enum lock_rank rank);
void mtx_fini(struct mtx *m);
void mtx_lock(struct mtx *m) ACQUIRE(m);
void mtx_unlock(struct mtx *m) RELEASE(m);
/* debug builds: the calling thread holds a lock of this rank */
void mtx_assert_held(const struct mtx *m);

void cond_init(struct cond *c);                                /* waits on the monotonic clock */
void cond_fini(struct cond *c);
void cond_wait(struct cond *c, struct mtx *m) REQUIRES(m);
/* false: the time came first */
bool cond_wait_until(struct cond *c, struct mtx *m, int64_t mono_ns) REQUIRES(m);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

void rwlock_init(struct rwlock *l, enum lock_rank rank);
void rwlock_fini(struct rwlock *l);
void rwlock_rdlock(struct rwlock *l);
void rwlock_wrlock(struct rwlock *l);
void rwlock_unlock(struct rwlock *l);

/* One byte: 0 free, 1 held. For series: millions of them, nearly never contended, never held over a
 * wait. */
typedef _Atomic uint8_t bytelock;
void bytelock_lock_slow(bytelock *l);
#ifdef EPI_DEBUG_LOCKS
/* debug bookkeeping; nothing in release builds */
void lock_rank_enter(enum lock_rank rank);
void lock_rank_leave(enum lock_rank rank);
#else
static inline void lock_rank_enter(enum lock_rank rank) { (void)rank; }
static inline void lock_rank_leave(enum lock_rank rank) { (void)rank; }
#endif

static inline void bytelock_lock(bytelock *l, enum lock_rank rank)
{
    uint8_t free_v = 0;
    lock_rank_enter(rank);
    if (!atomic_compare_exchange_strong_explicit(
            l, &free_v, 1, memory_order_acquire, memory_order_relaxed))
        bytelock_lock_slow(l);
}
static inline void bytelock_unlock(bytelock *l, enum lock_rank rank)
{
    atomic_store_explicit(l, 0, memory_order_release);
    lock_rank_leave(rank);
}

#endif
