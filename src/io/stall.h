/* stall.h — how long the kernel kept us: one histogram an operation, and what is stuck at this
 * moment.
 *
 * What        Times every file operation into epimetheus_io_operation_seconds{op}; counts those
 *             under way.
 * Invariants  stall_begin and stall_end come in pairs on one thread
 * Ownership   none
 * Threads     any; takes no lock
 * Errors      none
 * Format      none
 */
#ifndef EPI_IO_STALL_H
#define EPI_IO_STALL_H

#include "base/defs.h"

enum stall_op {
    STALL_OPEN,
    STALL_READ,
    STALL_WRITE,
    STALL_SYNC,
    STALL_TRUNCATE,
    STALL_RESERVE,
    STALL_SYNC_DIR,
    STALL_RENAME,
    STALL_UNLINK,
    STALL_MKDIR,
    STALL_LIST,
    STALL_STAT,
    STALL_OPS
};

/* the time, to be handed to stall_end */
int64_t stall_begin(void);
void stall_end(enum stall_op op, int64_t begin_ns);
/* operations that have begun and not ended */
uint64_t stall_in_flight(void);

#endif
