/* memory_limit.h — how much memory this process may use at most, by what the kernel says.
 *
 * What        The least of the limits of its control groups (both versions, up to the root) and
 *             the memory of the machine.
 * Invariants  what cannot be read is no limit
 * Ownership   none
 * Threads     any; reads files
 * Errors      none: 0 if nothing is known
 * Format      proc(5), cgroups(7)
 */
#ifndef EPI_IO_MEMORY_LIMIT_H
#define EPI_IO_MEMORY_LIMIT_H

#include "base/defs.h"

struct fs;
/* root: where proc and sys lie */
uint64_t memory_limit(struct fs *root);

#endif
