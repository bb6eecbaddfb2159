/* clock.h — time comes from one place, which tests drive.
 *
 * What        The wall clock in ms since the epoch, a monotonic clock in ns. A test sets both by
 *             hand.
 * Invariants  clock_mono_ns never goes back.
 * Ownership   none
 * Threads     any; clock_fake_set and clock_fake_off only from tests, with threads at rest;
 *             clock_fake_advance also beside them: who waits sees it within a millisecond
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
bool clock_is_fake(void);
int64_t clock_real_mono_ns(void);                              /* also under a fake clock */

#endif
