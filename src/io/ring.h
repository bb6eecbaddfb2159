/* ring.h — reads past the kernel's cache, many in flight at once.
 *
 * What        One io_uring of the process. A read of a file that was opened with FS_DIRECT goes
 *             into a slot's buffer (registered with the kernel where it allows that much locked
 *             memory) and from there, by `done`, to whom it may concern. There is no thread:
 *             whoever waits for a read takes in what came for all.
 * Invariants  (1) `done` is called exactly once for each read, by a thread that waits in here. (2)
 *             At most RING_SLOTS reads are in flight, RING_DEVICE_SLOTS of one device, so that a
 *             disk that hangs leaves room for the others. (3) A read's buffer is the ring's: no
 *             memory of the one who asked is written to.
 * Ownership   a ring_read is the caller's until `done`
 * Threads     any. Lock: LOCK_IO_RING; `done` is called without it, one at a time.
 * Errors      ring_ready: ERR_UNSUPPORTED with the kernel's reason; of a read: an errno for `done`
 * Format      none
 */
#ifndef EPI_IO_RING_H
#define EPI_IO_RING_H

#include "io/fs.h"

enum { RING_SLOTS = 64, RING_DEVICE_SLOTS = 48, RING_READ_MAX = 64 << 10, RING_ALIGN = 4096 };

struct ring_read {
    int fd;
    uint32_t n;           /* with off: at multiples of RING_ALIGN; <= RING_READ_MAX */
    uint64_t off, device; /* device: reads of one number share its limit */
    /* bytes: fewer than n at the end of the file; they live until it returns. errnum 0: fine. */
    void (*done)(struct ring_read *r, str bytes, int errnum);
};

MUST_USE errc ring_ready(struct err *e); /* opens it at its first call */
/* REQUIRES: ring_ready() was OK. Waits for slots while there are none. */
void ring_submit(struct ring_read *const *reads, size_t n);
/* Until over(ctx), which becomes true by the `done` of some read; it is asked under the lock. */
void ring_await(bool (*over)(void *ctx), void *ctx);

struct ring_stats {
    uint64_t reads, bytes, batches;
    unsigned in_flight;
    bool registered;
};
struct ring_stats ring_stats(void);

#endif
