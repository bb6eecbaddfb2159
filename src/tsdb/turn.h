/* turn.h — one at a time: those who change which blocks there are.
 *
 * What        The background's compactions, deletions, clean-ups and snapshots take turns. Who asks
 *             from outside makes the background end its turn early.
 * Invariants  (1) Between take and give nobody else has the turn. (2) A background that was cut
 *             short is not cut short the next time, so it gets on however many ask.
 * Ownership   turn_init, turn_fini; lies in its owner
 * Threads     any; waiting takes LOCK_DB for a moment
 * Errors      none
 * Format      none
 */
#ifndef EPI_TSDB_TURN_H
#define EPI_TSDB_TURN_H

#include "base/lock.h"

struct turn {
    struct mtx mu;                     /* LOCK_DB */
    struct cond changed;
    bool taken, stopped, insists;      /* GUARDED_BY(mu) */
    unsigned waiting;                  /* GUARDED_BY(mu): of those who ask from outside */
    _Atomic bool wanted;               /* relaxed: somebody waits, or all is ending */
    _Atomic bool hurry;                /* relaxed: as wanted, but for a background that insists */
};
void turn_init(struct turn *t);
void turn_fini(struct turn *t);

void turn_take(struct turn *t);
void turn_take_background(struct turn *t);     /* behind all who ask */
void turn_give(struct turn *t);
/* done: it came to its end, and was not cut short */
void turn_give_background(struct turn *t, bool done);
void turn_stop(struct turn *t);                /* from now on wanted and hurry are true */

#endif
