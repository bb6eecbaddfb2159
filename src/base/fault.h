/* fault.h — named points where a test makes a write path fail.
 *
 * What        FAULT("wal.fsync") is true when a test armed that point; fault_torture() runs a test
 *             with the 1st, 2nd, … point failing until none is left. In builds without EPI_FAULTS
 *             it is the constant false.
 * Invariants  points are counted in the order of execution
 * Ownership   none
 * Threads     any; armed before the threads of a test start
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_FAULT_H
#define EPI_BASE_FAULT_H

#include "base/defs.h"

#ifdef EPI_FAULTS
#define FAULT(name) fault_hit(name)
bool fault_hit(const char *name);
#else
#define FAULT(name) false
#endif

/* Runs test(ctx) with no fault, then with the n-th hit failing for n = 1, 2, … until a run meets
 * fewer than n points. */
void fault_torture(void (*test)(void *ctx), void *ctx);

/* Steps of durability that a build switch may drop, to prove that the crash tests see it
 * (EPI_DROP=name in the environment of a build with EPI_FAULTS). True: the step named so is to be
 * left out. */
bool fault_dropped(const char *step);

#endif
