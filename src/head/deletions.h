/* deletions.h — what is deleted of the head: logged, numbered, hidden.
 *
 * What        A deletion is a record of tombstones in the log, and beside it its number, so that a
 *             start knows which late samples came before it and which behind it. Tombstones without
 *             a number (Prometheus', a memory snapshot's) get one at the start, or at the latest
 *             before the first late sample that comes behind them.
 * Invariants  (1) Numbers ascend, in the order of the log. (2) The number of tombstones is logged
 *             before the first late sample behind them: where both logs are durable up to that
 *             sample, a start tells it from what they hide.
 * Ownership   none
 * Threads     any; deletions and batches of late samples take turns (head.ooo_baton)
 * Errors      ERR_IO, ERR_NO_SPACE of the log: nothing was deleted, or numbered
 * Format      docs/format/wal.md
 */
#ifndef EPI_HEAD_DELETIONS_H
#define EPI_HEAD_DELETIONS_H

#include "head/head.h"

/* Each has a number from here on. REQUIRES: the ooo_baton */
MUST_USE errc head_deletions_number(struct head *h, struct err *e);
/* the same, for who does not have it */
MUST_USE errc head_deletions_settle(struct head *h, struct err *e);

/* All deletions with their numbers, once more into the log, in a segment that is told: where late
 * samples need the numbers, for a start that reads the log from there on. False in *told: nothing
 * was logged. REQUIRES: the head is at rest */
MUST_USE errc head_deletions_log_again(
    struct head *h, bool *told, uint32_t *segment, struct err *e);

#endif
