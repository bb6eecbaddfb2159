/* runner.h — whether a thread waits for what may never come, seen by others.
 *
 * What        Looks at a thread's CPU time, and at its state. One that computes uses some; one that
 *             hardly used any for a while, and sleeps as it is looked at, waits: for a disk that
 *             hangs, if for nothing else.
 * Invariants  one that waits for a core, be it for seconds, is never said to stand still; one that
 *             was said to and has used any CPU time since is none any more
 * Ownership   a value; the thread outlives it
 * Threads     runner_init: the thread; the rest: one at a time
 * Errors      none
 * Format      proc(5)
 */
#ifndef EPI_IO_RUNNER_H
#define EPI_IO_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

struct runner {
    int cpu, tid;                          /* cpu_time_id */
    int64_t used_ns, since_ns;             /* it has used so much, and hardly more since then */
    bool stands;                           /* at the last look */
};

void runner_init(struct runner *r);
/* What was before counts no more. */
void runner_look(struct runner *r);
/* It has hardly run for so long. */
bool runner_stands(struct runner *r, int64_t for_ns);

#endif
