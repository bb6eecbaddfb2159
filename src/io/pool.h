/* pool.h — a few threads and a bounded queue of jobs.
 *
 * What        pool_submit hands a job to the next free thread; pool_each cuts work into pieces and
 *             helps doing them. A thread is started when a job finds none free; one that has had
 *             nothing to do for a while ends, but for the first.
 * Invariants  jobs begin in the order of their submission; the queue never grows beyond its bound;
 *             with threads_most jobs begin also while all of `threads` hang
 * Ownership   pool_new/pool_free; a job's argument is its submitter's business
 * Threads     any
 * Errors      pool_submit: false when the queue is full or the pool ends
 * Format      none
 */
#ifndef EPI_IO_POOL_H
#define EPI_IO_POOL_H

#include "base/defs.h"

#include <stddef.h>

struct pool;
struct pool_opts {
    const char *name;      /* also the label of its metrics */
    unsigned threads;      /* at most */
    size_t queue_max;
    bool behind;           /* its threads have stepped behind */
    int64_t leave_ms;      /* a thread that has nothing to do so long ends; 0: a minute */
    /* Threads that stand still, waiting for a disk or a lock that may never come, do not count
     * among `threads`: while jobs wait, others take their places, up to so many in all. 0: none */
    unsigned threads_most;
};
struct pool *pool_new(const struct pool_opts *o);
void pool_free(struct pool *p);                /* runs what is queued, then ends; NULL is fine */
unsigned pool_threads(const struct pool *p);   /* at most: opts.threads */
unsigned pool_threads_now(struct pool *p);     /* that were started and have not ended */
/* that this process may run on; at least 1 */
unsigned pool_cores(void);
MUST_USE bool pool_submit(struct pool *p, void (*run)(void *ctx), void *ctx);

/* The caller does, from begins to its end, what would be a job of the pool: the metric of busy
 * threads counts it. */
void pool_stand_in(struct pool *p, bool begins);

/* Runs piece(ctx, i) for i in [0, n), spread over free threads of the pool and the caller's own,
 * and returns when all are done. Never waits for a queue: what no other thread takes the caller
 * does itself, so a full pool only makes it slower. */
void pool_each(struct pool *p, size_t n, void (*piece)(void *ctx, size_t i), void *ctx);
/* The same for pieces of which some wait for what is far away: it begins with as many threads as
 * there are cores, and each that waits has one more come. More of them would only be in each
 * other's way where nothing is waited for. */
void pool_each_far(struct pool *p, size_t n, void (*piece)(void *ctx, size_t i), void *ctx);
/* What this thread does has waited for POOL_WAITS_NS and waits on. If it is a piece of
 * pool_each_far() another thread comes. REQUIRES: no lock is held. */
void pool_waits(void);
#define POOL_WAITS_NS INT64_C(10000000)

/* A thread with much to do steps behind those of this process that have little: where cores are
 * short it gets a fifth of what each of them gets. False: this system would not let it step back
 * again, so it stays where it is. */
MUST_USE bool thread_step_behind(void);
void thread_step_back(void);                   /* REQUIRES: it stepped behind */

#endif
