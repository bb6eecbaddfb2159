/* pieces.h — memory that a thread uses again: the blocks of its arenas.
 *
 * What        A request takes some arenas of some ten KiB each, and gives all back soon after. That
 *             the allocator finds such pieces costs as much as to fill them; so a thread that says
 *             when it is idle keeps the last few.
 * Invariants  (1) Of a thread at most PIECES_THREAD_BYTES lie here, of all threads about
 *             PIECES_ALL_BYTES. (2) A piece is at most a quarter larger than was asked for.
 * Ownership   pieces_take/pieces_give; on any threads. What lies here is the thread's until
 *             pieces_drop, which is to come before it ends.
 * Threads     each its own
 * Errors      none: as mem_alloc
 * Format      none
 */
#ifndef EPI_BASE_PIECES_H
#define EPI_BASE_PIECES_H

#include "base/defs.h"

/* smaller ones the allocator has at hand itself, larger ones are few */
enum {
    PIECES_LEAST_BYTES = 4097,
    PIECES_MOST_BYTES = 128 << 10,
    PIECES_THREAD_BYTES = 256 << 10,
    PIECES_ALL_BYTES = 2 << 20,
    PIECES_MAX = 16
};

/* This thread calls mem_thread_idle() when it has nothing to do: from here on it keeps pieces.
 * false: no more. */
void pieces_keep(bool keeps);
/* Not zeroed; *n: the bytes asked for, then those that there are. */
void *pieces_take(size_t *n);
void pieces_give(void *p, size_t n);       /* n: as taken */
void pieces_drop(void);                    /* all that lies here goes back to the allocator */

#endif
