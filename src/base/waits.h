/* waits.h — how long a thread stood still for others.
 *
 * What        Each thread counts the time that it waited for locks that others held, and for
 *             conditions, queues and turns. Who wants to know what an operation waited takes the
 *             difference between its end and its beginning.
 * Invariants  only grows; a lock that was free costs no look at the clock
 * Ownership   none
 * Threads     each has its own
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_WAITS_H
#define EPI_BASE_WAITS_H

#include "base/defs.h"

/* of the calling thread, since it began */
struct waits { int64_t ns; };
struct waits *waits_of_thread(void);           /* the same for as long as the thread lives */
static inline int64_t waits_ns(void) { return waits_of_thread()->ns; }

#endif
