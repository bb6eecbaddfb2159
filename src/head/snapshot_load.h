/* snapshot_load.h — a memory snapshot, record by record, into the head that is rebuilt.
 *
 * What        Series with their open chunks, what was deleted, exemplars: before the log behind the
 *             snapshot is read.
 * Invariants  what is not taken whole is refused: a head that a refused record was for is to be
 *             thrown away
 * Ownership   snapshot_load_new allocates, snapshot_load_free frees; borrows the replay
 * Threads     one
 * Errors      ERR_CORRUPT: a record that is none, or none of this kind; ERR_BAD_INPUT: labels that
 *             are no series
 * Format      head/snapshot_codec.h
 */
#ifndef EPI_HEAD_SNAPSHOT_LOAD_H
#define EPI_HEAD_SNAPSHOT_LOAD_H

#include "base/err.h"
#include "base/str.h"

struct head_replay;
struct snapshot_load;
struct snapshot_load *snapshot_load_new(struct head_replay *r);
void snapshot_load_free(struct snapshot_load *l);              /* NULL is fine */

MUST_USE errc snapshot_load_record(struct snapshot_load *l, str rec, struct err *e);

/* unknown: exemplars of series that the snapshot has not */
/* whole: the record behind the last series was there, which every snapshot has */
struct snapshot_loaded {
    uint64_t series, unknown;
    bool whole;
};
struct snapshot_loaded snapshot_load_counts(const struct snapshot_load *l);

#endif
