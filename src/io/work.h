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

#include <stdbool.h>
#include <stdint.h>

/* By backend, and of what lies in a bucket. A hit found its bytes in memory, or on
 * their way (direct: its wait is in stalled_ns), a miss had to ask for them and wait (mmap: told
 * only while `watched`). */
struct io_count {
    uint64_t pins, bytes, hits, misses, stalled_ns;
    uint64_t missed_bytes;             /* of pins that missed */
    uint64_t faults;                   /* page faults that waited for a disk, while watched */
};

struct io_work {
    uint64_t pins, bytes;  /* of reader_pin: how often, and how much was asked for */
    /* of those of files that had to wait, or that were read ahead for them */
    uint64_t missed_bytes;
    uint64_t ahead;        /* extents that were read ahead, and pinned for the first time */
    struct io_count by[5];             /* enum io_backend (auto's stays 0), IO_WORK_BUCKET */
    /* somebody wants to know what mapped pages cost: each pin looks whether they are there, and
     * waits for them by itself */
    bool watched;
    uint64_t chunks;     /* that were opened, or found decoded */
    uint64_t head_bytes; /* of chunks in memory that were copied */
    uint64_t kept_bytes; /* of chunks that were found decoded */
    uint64_t bucket_bytes;             /* of objects far away that were fetched */
};
extern _Thread_local struct io_work io_work;

enum { IO_WORK_BUCKET = 4, IO_WORK_BACKENDS };
const char *io_work_backend(unsigned i);       /* of by[i] */
bool io_work_maps(unsigned i);                 /* by[i] is of mapped files */
/* page faults of this thread that waited for a disk; a system call */
uint64_t io_major_faults(void);

#endif
