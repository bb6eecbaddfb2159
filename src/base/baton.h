/* baton.h — who is at it? One at a time, for as long as it takes.
 *
 * What        A baton is held by one thread; others wait for it, or go on without. Unlike a
 *             lock it may be held over I/O: who waits for one waits for a disk, and says so.
 * Invariants  at most one thread has it
 * Ownership   baton_init/baton_fini; lies in its owner
 * Threads     is for them. Who asks for it holds nothing of the baton's rank or a higher one.
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_BATON_H
#define EPI_BASE_BATON_H

#include "base/lock.h"

struct baton {
    struct mtx mu;
    struct cond given;
    bool taken;                                /* GUARDED_BY(mu) */
};

void baton_init(struct baton *t, enum lock_rank rank);
void baton_fini(struct baton *t);                                /* REQUIRES: nobody has it */
void baton_take(struct baton *t);                                /* waits */
MUST_USE bool baton_try(struct baton *t);                        /* false: somebody has it */
void baton_give(struct baton *t);

#endif
