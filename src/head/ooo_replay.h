/* ooo_replay.h — the late samples of a head rebuilt: chunks that were found, then their log.
 *
 * What        Keeps the late chunks of the chunk files by the refs of their series and gives a
 *             series those of its ref; takes the samples and markers of the log for late samples.
 * Invariants  (1) A series' late chunks are those of the ref that the log gave it last. (2) A
 *             marker counts only where the chunk that it names is there: a sample leaves its array
 *             for a chunk that holds it, or not at all. (3) A chunk whose samples the log does not
 *             have counts as older than all deletions.
 * Ownership   ooo_found_init/ooo_found_fini, in the replay's memory
 * Threads     the router's; ooo_replay_*: one thread, in the order of the log, queries beside it
 * Errors      ERR_IO, ERR_NO_SPACE of writing a chunk
 * Format      none
 *
 * Durability steps for fault_dropped(): ooo.marker_chunk.
 */
#ifndef EPI_HEAD_OOO_REPLAY_H
#define EPI_HEAD_OOO_REPLAY_H

#include "head/head_impl.h"

struct ooo_found_chunk { sref ref; struct ooo_chunk chunk; };
struct ooo_found {
    VEC(struct ooo_found_chunk) all;           /* by ref once `sorted`; of a ref in file order */
    bool sorted;
};
void ooo_found_fini(struct ooo_found *f);
void ooo_found_add(struct ooo_found *f, sref ref, const struct ooo_chunk *c);
/* The slot's late samples are from now on the chunks of this ref, and nothing else. 0: nothing. */
void ooo_found_attach(struct ooo_found *f, struct head *h, uint32_t slot, sref ref);

/* After deletion `now`. A full array becomes a chunk at once. */
MUST_USE errc ooo_replay_put(struct head *h, uint32_t slot, int64_t t, const struct ooo_value *x,
    uint32_t now, struct err *e);
/* A marker: the array was cut, and is in the chunk with this reference. 0: there was none. */
void ooo_replay_cut(struct head *h, uint32_t slot, uint64_t disk_ref);

#endif
