/* cpu_time.h — how much CPU time was used, by the process and by a thread that others look at.
 *
 * What        A thread tells by which number its clock is known; others read it.
 * Invariants  neither goes back
 * Ownership   none
 * Threads     any; cpu_time_of: while that thread lives
 * Errors      none
 * Format      none
 */
#ifndef EPI_BASE_CPU_TIME_H
#define EPI_BASE_CPU_TIME_H

#include <stdint.h>

int64_t cpu_time_process_ns(void);
int cpu_time_id(void);                         /* of the calling thread */
int64_t cpu_time_of(int id);

#endif
