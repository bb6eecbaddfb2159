/* ooo_commit.h — late samples on their way into the head.
 *
 * What        A batch of samples that are too late for the chunks in order: each goes into the
 *             array of its series. What a batch changes is made ready aside; full arrays become
 *             chunks in the chunk files; all is logged; only then is it shown.
 * Invariants  (1) A failure leaves nothing of the batch in memory. (2) In the log the marker of a
 *             chunk stands before every sample that came after the chunk was cut, and behind every
 *             one that it holds: replaying one after the other gives the arrays back. (3) The
 *             samples of an array came all after the same deletions, as far as these concern them.
 * Ownership   none
 * Threads     any; batches take turns (head.ooo_baton), which last over the writing of chunks
 *             and of the log. No lock may be held.
 * Errors      ERR_IO, ERR_NO_SPACE
 * Format      docs/format/wal.md (the out-of-order log), docs/format/chunks_head.md
 *
 * Durability steps for fault_dropped(): ooo.marker_ref, ooo.deletion_number.
 */
#ifndef EPI_HEAD_OOO_COMMIT_H
#define EPI_HEAD_OOO_COMMIT_H

#include "head/head_impl.h"

/* histograms are borrowed */
struct ooo_put { uint32_t slot, generation; int64_t t; struct ooo_value x; };
struct ooo_taken { size_t floats, histograms; };
typedef VEC(struct ooo_put) ooo_puts;

/* *taken: how many samples were not there yet. */
MUST_USE errc ooo_commit(
    struct head *h, const struct ooo_put *puts, size_t n, struct ooo_taken *taken, struct err *e);

/* Makes a chunk of every array, series by series. */
MUST_USE errc ooo_seal_all(struct head *h, struct err *e);

#endif
