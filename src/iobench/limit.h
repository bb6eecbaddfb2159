/* limit.h — less memory than data, for a while.
 *
 * What        A memory control group of its own around the process (version 1 or 2), where the
 *             system lets us make one.
 * Invariants  limit_end puts everything back
 * Ownership   in the caller's memory
 * Threads     one; all threads of the process are limited
 * Errors      limit_begin: false: there is none
 * Format      cgroups(7)
 */
#ifndef EPI_IOBENCH_LIMIT_H
#define EPI_IOBENCH_LIMIT_H

#include "io/fs.h"

enum { LIMIT_PATH_MAX = 512 };
struct limit {
    struct fs *root;
    char group[LIMIT_PATH_MAX], above[LIMIT_PATH_MAX - 64];
    const char *version;
};
bool limit_begin(struct limit *l, uint64_t bytes);
void limit_end(struct limit *l); /* the zero value is fine */

#endif
