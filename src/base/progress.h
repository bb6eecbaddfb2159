/* progress.h — how far long work has come, told to whoever wants to show it.
 *
 * What        A function that is called now and then with what is done of how much.
 * Invariants  done <= total, and never falls within one piece of work; total may grow
 * Ownership   borrows
 * Threads     the worker's
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_PROGRESS_H
#define EPI_BASE_PROGRESS_H

#include "base/str.h"

/* what: a word or two of what is being worked on; borrowed for the call */
struct progress { void (*tell)(void *ctx, str what, uint64_t done, uint64_t total); void *ctx; };
static inline void progress_tell(
    const struct progress *p, str what, uint64_t done, uint64_t total)
{
    if (p && p->tell) p->tell(p->ctx, what, done, total);
}

#endif
