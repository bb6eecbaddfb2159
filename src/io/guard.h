/* guard.h — a fault in a mapped file is an error of its reader, not the end of the process.
 *
 * What        Regions of mapped memory are entered in a table. When a page of one cannot be read
 *             (SIGBUS: the disk failed, the file was cut short), the handler maps a page of zeros
 *             over it, marks the region as faulted and lets the read go on.
 * Invariants  (1) The mark is never taken back while the region is guarded. (2) A SIGBUS outside
 *             all regions does what it did before.
 *             (3) The handler takes no lock and calls nothing but mmap.
 * Ownership   guard_add takes a slot, guard_remove gives it back; the memory is the caller's
 * Threads     any. REQUIRES of guard_remove: nobody reads the region any more
 * Errors      guard_add gives NULL when the table is full
 * Format      none
 */
#ifndef EPI_IO_GUARD_H
#define EPI_IO_GUARD_H

#include "base/defs.h"

struct guard;
struct guard *guard_add(void *start, size_t n);                /* start: at a page */
bool guard_faulted(const struct guard *g);
void guard_remove(struct guard *g);                            /* NULL is fine */

#endif
