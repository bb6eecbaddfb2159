/* runner.h — whether a thread has run lately, seen by others.
 *
 * What        Looks at a thread's CPU time. One that computes uses some; one whose time stands
 *             still waits: for a disk that hangs, if for nothing else.
 * Invariants  a thread that runs is never said to stand still; one that is kept from running by
 *             others for as long as was asked may be
 * Ownership   a value; the thread outlives it
 * Threads     runner_init: the thread; runner_stands: one at a time
 * Errors      none
 * Format      none
 */
#ifndef EPI_PROMQL_RUNNER_H
#define EPI_PROMQL_RUNNER_H

#include "base/clock.h"
#include "base/cpu_time.h"

struct runner {
    int cpu;                               /* cpu_time_id */
    int64_t used_ns, since_ns;             /* what it had used at the last look, and since when */
};

static inline void runner_init(struct runner *r)
{
    *r = (struct runner){ cpu_time_id(), clock_cpu_ns(), clock_real_mono_ns() };
}

static inline void runner_look(struct runner *r)
{
    r->used_ns = cpu_time_of(r->cpu);
    r->since_ns = clock_real_mono_ns();
}

/* It has not run for so long; the looks before must not lie further apart than that. */
static inline bool runner_stands(struct runner *r, int64_t for_ns)
{
    int64_t used = cpu_time_of(r->cpu), now = clock_real_mono_ns();
    if (used == r->used_ns) return now - r->since_ns >= for_ns;
    r->used_ns = used;
    r->since_ns = now;
    return false;
}

#endif
