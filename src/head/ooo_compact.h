/* ooo_compact.h — the late samples of the head on their way into blocks.
 *
 * What        Begin: the log of late samples gets a new segment, every array becomes a chunk. Then
 *             the chunks up to the newest of these are written into blocks, one for each range of
 *             time that has any (see head_chunks_open_ooo). End: they leave the head.
 * Invariants  (1) Every late sample that is in the log before the new segment is in a chunk up to
 *             last_ref. (2) What comes in between stays. (3) When the end returned OK what left
 *             the head left the log for good.
 * Ownership   values
 * Threads     one thread, beside appenders and queriers; for the end no querier may be open that
 *             does not see the blocks
 * Errors      ERR_IO, ERR_NO_SPACE; a begin that failed has lost nothing
 * Format      none
 *
 * Durability steps for fault_dropped(): ooo.blocks_first, ooo.gone_fsync.
 */
#ifndef EPI_HEAD_OOO_COMPACT_H
#define EPI_HEAD_OOO_COMPACT_H

#include "base/err.h"
#include "head/head_chunks.h"
#include "model/sample.h"

struct ooo_span {
    int64_t mint, maxt;                        /* of the chunks; mint > maxt: there are none */
    uint64_t last_ref;                         /* the newest of them */
    struct { sref series; int64_t mint, maxt; } last;
    bool logged;
    uint32_t last_segment;                     /* logged: of the log, before the new one */
};

MUST_USE errc head_ooo_begin(struct head *h, struct ooo_span *out, struct err *e);
MUST_USE errc head_ooo_end(struct head *h, const struct ooo_span *s, struct err *e);

/* The set behind head_chunks_series of such a view; borrows it. */
struct chunk_series_set *ooo_chunk_set_new(
    struct head_chunks *c, struct head *h, int64_t mint, int64_t maxt, uint64_t last_ref);

#endif
