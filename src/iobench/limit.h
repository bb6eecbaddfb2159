/* limit.h — less memory than data, for a while, and what the kernel does where memory is short.
 *
 * What        A memory control group of its own around the process (version 1 or 2), where the
 *             system lets us make one. What the kernel took back so far.
 * Invariants  limit_end puts everything back; what a process that was killed has left of it,
 *             limit_forget
 * Ownership   in the caller's memory
 * Threads     one; all threads of the process are limited
 * Errors      limit_begin: false: there is none
 * Format      cgroups(7), proc(5)
 */
#ifndef EPI_IOBENCH_LIMIT_H
#define EPI_IOBENCH_LIMIT_H

#include "io/fs.h"

enum { LIMIT_PATH_MAX = 512 };
struct limit {
    struct fs *root;
    char group[LIMIT_PATH_MAX], above[LIMIT_PATH_MAX - 64];
    const char *version;
    const char *left; /* what limit_left is called in memory.stat */
};
bool limit_begin(struct limit *l, uint64_t bytes);
void limit_end(struct limit *l); /* the zero value is fine */
uint64_t limit_left(const struct limit *l); /* pages that left the group so far */
void limit_forget(int pid);                 /* the group of a process that is no more */

/* Of the whole machine; 0: not told. */
struct reclaim {
    uint64_t by_kswapd, directly; /* pages that it took back, and that readers had to themselves */
    uint64_t refaults;            /* that were dropped and wanted again */
    int64_t kswapd_cpu_ns;
};
struct reclaim reclaim_now(void);

#endif
