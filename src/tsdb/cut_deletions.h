/* cut_deletions.h — deletions that lie behind damage of the log, written as they count.
 *
 * What        A start that met damage lets deletions behind it hide only what lies behind it, too
 *             (head_replay_damage): who reads no further shows the rest. The repair takes the
 *             damage away, so the records of these deletions are written anew before it.
 * Invariants  At every moment of it a power cut leaves a log in which each of them hides at most
 *             what it hid before; the damaged segment is written last, so a start that comes in
 *             between finds the damage still.
 * Ownership   borrows all
 * Threads     one, beside no writer and no other reader of the segments
 * Errors      ERR_IO, ERR_NO_SPACE: the next start does it again
 * Format      docs/format/wal.md
 */
#ifndef EPI_TSDB_CUT_DELETIONS_H
#define EPI_TSDB_CUT_DELETIONS_H

#include "tsdb/replay_log.h"

struct head_replay;
/* in: segments of dir with such deletions, ascending; from: where the damage is */
struct cut_deletions {
    struct fs *fs; str dir; enum io_backend backend;
    struct head_replay *replay;
    struct replay_place from;
    const segment_list *in;
};
MUST_USE errc cut_deletions_write(const struct cut_deletions *c, struct err *e);

#endif
