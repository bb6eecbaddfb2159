/* proc.h — what the kernel says of this process, read by one thread for all who ask.
 *
 * What        Memory (RssAnon, RssFile), CPU time, descriptors, address space and start time, from
 *             /proc/self; a sampler thread reads memory and times every second, what is counted
 *             (descriptors, traffic) every fifth; proc_latest() gives its last reading and touches
 *             no file.
 * Invariants  proc_latest never waits; before the first reading all figures are 0 but the start
 *             time
 * Ownership   proc_start/proc_stop, once a process
 * Threads     proc_latest: any
 * Errors      none: what cannot be read keeps its last value
 * Format      proc(5)
 */
#ifndef EPI_IO_PROC_H
#define EPI_IO_PROC_H

#include "base/defs.h"

struct proc_sample {
    /* max: UINT64_MAX without a limit */
    uint64_t rss_bytes, rss_anon_bytes, rss_file_bytes, virtual_bytes, virtual_max_bytes;
    double cpu_seconds, start_time_seconds;    /* the start as seconds since the epoch */
    uint64_t open_fds, max_fds, threads;
    /* over IP, by all of the network namespace: the kernel knows no finer figure */
    uint64_t received_bytes, sent_bytes;
};

void proc_start(void);                         /* reads once, then starts the sampler */
void proc_stop(void);                          /* fine without proc_start */
struct proc_sample proc_latest(void);
/* reads now, in the caller's thread: not on paths that must not wait */
void proc_read(struct proc_sample *out);

#endif
