/* late_reached.h — up to which chunk the late samples of chunks_head are in blocks.
 *
 * What        A chunk of late samples stays in its file when its samples went into a block, until
 *             the whole file goes. Found again at a start it would bring back what was deleted of
 *             it since. So the newest chunk that is in a block is written down, and a start passes
 *             over those up to it.
 * Invariants  (1) Written when the blocks are durable, before the log of late samples loses
 *             anything. (2) It counts only while that very chunk is there, of the same series and
 *             times: chunk files that somebody else began anew are not taken for the old ones.
 * Ownership   values
 * Threads     one at a time
 * Errors      ERR_IO, ERR_NO_SPACE of writing; what cannot be read counts as nothing
 * Format      late.reached: reference, series ref, mint and maxt of the chunk, as text in one line
 */
#ifndef EPI_TSDB_LATE_REACHED_H
#define EPI_TSDB_LATE_REACHED_H

#include "base/err.h"

struct fs;
struct ooo_span;
struct recover_chunks;

MUST_USE errc late_reached_note(struct fs *fs, const struct ooo_span *s, struct err *e);
/* The newest late chunk of these that is in a block; 0: nothing is known. */
uint64_t late_reached(struct fs *fs, const struct recover_chunks *chunks);

#endif
