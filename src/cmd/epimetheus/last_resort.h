/* last_resort.h — the process ends although its storage hangs.
 *
 * What        Watches the end of the process: when nothing was computed for a while, threads wait
 *             for a disk that may never answer, and the process is ended without them.
 * Invariants  What was committed is with the kernel by then; the next start is as after a kill.
 * Ownership   last_resort_begin allocates, last_resort_end frees
 * Threads     one of its own
 * Errors      none
 * Format      none
 */
#ifndef EPI_CMD_EPIMETHEUS_LAST_RESORT_H
#define EPI_CMD_EPIMETHEUS_LAST_RESORT_H

struct last_resort;
struct last_resort *last_resort_begin(void);
void last_resort_end(struct last_resort *r);

#endif
