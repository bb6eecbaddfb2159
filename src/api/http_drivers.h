/* http_drivers.h — who runs the server's loop: two threads, one of which stands by.
 *
 * What        The thread that runs the loop may leave it, to work on a request itself: a short one
 *             then costs no hand-over to another thread, and none back. Where that lasts, or others
 *             are waiting, the thread that stands by takes the loop over.
 * Invariants  (1) The loop is run by one thread at a time. (2) It is left only while the other
 *             thread stands by; what comes meanwhile waits for one look (DRIVERS_LOOK_NS) at most.
 *             (3) A job's `lasts` has come back before its `done` is called.
 * Ownership   drivers_start/drivers_stop; ctx and jobs are the owner's
 * Threads     its own two; drivers_may_leave: in `turn`; drivers_stop: any, once
 * Errors      none
 * Format      none
 */
#ifndef EPI_API_HTTP_DRIVERS_H
#define EPI_API_HTTP_DRIVERS_H

#include "base/lock.h"

struct thread;
enum { DRIVERS_LOOK_NS = 2 * 1000 * 1000 };

struct driver_ops {
    /* The loop: waits for what comes and does it. NULL, or a job for its own thread, where
     * drivers_may_leave. After drivers_stop began it does not wait long. */
    void *(*turn)(void *ctx);
    /* Whether the loop has something to do; asked beside `work`. */
    bool (*waited_for)(void *ctx);
    void (*work)(void *ctx, void *job);
    /* The job's thread will not be back soon. */
    void (*lasts)(void *ctx, void *job);
    void (*done)(void *ctx, void *job, bool lasted);
};

struct drivers {
    const struct driver_ops *ops; void *ctx;
    struct mtx mu;                         /* LOCK_LEAF */
    struct cond changed;
    bool driven;                           /* GUARDED_BY(mu): a thread runs the loop */
    uint64_t left;                         /* GUARDED_BY(mu): how often it was left */
    void *job;                             /* GUARDED_BY(mu): for which it was left last */
    bool lasts, telling;                   /* GUARDED_BY(mu): of job; `lasts` is being called */
    bool asleep;                           /* GUARDED_BY(mu): who stands by, until it is called */
    _Atomic bool stands_by, stop;          /* written under mu */
    struct thread *threads[2];
};
void drivers_start(
    struct drivers *d, const char *name, const struct driver_ops *ops, void *ctx);
/* When their jobs are done. REQUIRES: drivers_start, or zeros */
void drivers_stop(struct drivers *d);

static inline bool drivers_may_leave(const struct drivers *d)
{
    return atomic_load_explicit(&d->stands_by, memory_order_relaxed);
}

#endif
