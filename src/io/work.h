/* work.h — what a thread read, counted where it is read.
 *
 * What        Counters of this thread alone, so that counting costs an addition: who wants to know
 *             what an action cost takes the difference of before and after.
 * Invariants  they only grow
 * Ownership   none
 * Threads     each sees its own
 * Errors      none
 * Format      none
 */
#ifndef EPI_IO_WORK_H
#define EPI_IO_WORK_H

#include <stdint.h>

struct io_work {
    uint64_t pins, bytes;              /* of reader_pin: how often, and how much was asked for */
    uint64_t chunks;                   /* that were opened, or found decoded */
    uint64_t head_bytes;               /* of chunks in memory that were copied */
};
extern _Thread_local struct io_work io_work;

#endif
