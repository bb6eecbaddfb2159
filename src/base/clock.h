/* clock.h — time comes from one place, which tests drive.
 *
 * What        The wall clock in ms since the epoch, a monotonic clock in ns. A test sets both by
 *             hand.
 * Invariants  clock_mono_ns never goes back.
 * Ownership   none
 * Threads     any; clock_fake_* only from tests, before threads start or with them at rest
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_CLOCK_H
#define EPI_BASE_CLOCK_H

#include "base/defs.h"

int64_t clock_wall_ms(void);
int64_t clock_wall_ns(void);
int64_t clock_mono_ns(void);
int64_t clock_cpu_ns(void);                                    /* CPU time of the calling thread */
/* real time, also under a fake clock */
void clock_sleep_ns(int64_t ns);

/* from now on both clocks stand, at wall_ms and wall_ms * 1e6 */
void clock_fake_set(int64_t wall_ms);
void clock_fake_advance(int64_t ms);
void clock_fake_off(void);

#endif
