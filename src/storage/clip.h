/* clip.h — what of a batch may be shown.
 *
 * What        Leaves the samples of [mint, maxt] that are in no deleted interval, and no word on
 *             samples that are not shown.
 * Invariants  order stays
 * Ownership   changes the caller's batch; st, if there is one, is the caller's array and is moved
 *             along
 * Threads     pure
 * Errors      none
 * Format      none
 */
#ifndef EPI_STORAGE_CLIP_H
#define EPI_STORAGE_CLIP_H

#include "model/interval.h"
#include "storage/sample_iter.h"

/* What a source says of resets holds against its own sample before: sample i comes after one of
 * another source, so it says nothing. Only a counter's histogram changes: it becomes a copy, which
 * lies in *room. */
union sample_copy { struct int_histogram ih; struct histogram h; };
void sample_batch_forget_hint(struct sample_batch *b, size_t i, union sample_copy *room);

/* deleted: NULL: nothing is. st: the array behind b->st, or NULL. Answers whether a sample after
 * maxt was met. */
bool sample_batch_clip(
    struct sample_batch *b, int64_t *st, int64_t mint, int64_t maxt, const intervals *deleted);

/* The same of bare floats. */
bool floats_clip(int64_t *t, double *v, size_t *n, int64_t mint, int64_t maxt,
    const intervals *deleted);

#endif
