/* ooo_iter.h — the samples of one series of the head that has late ones.
 *
 * What        What head_iter gives for other series: all samples by time, late ones among them.
 * Invariants  those of storage/sample_iter; of equal times one is shown, see ooo_parts.h
 * Ownership   ooo_iter_new allocates, its free() frees; ooo_iter_reset uses it for another series
 * Threads     one at a time
 * Errors      ERR_IO, ERR_CORRUPT of a closed chunk
 * Format      none
 */
#ifndef EPI_HEAD_OOO_ITER_H
#define EPI_HEAD_OOO_ITER_H

#include "head/head_iter.h"

struct sample_iter *ooo_iter_new(struct head *h);
bool ooo_iter_is(const struct sample_iter *it);
void ooo_iter_reset(struct sample_iter *it, const struct head_iter_of *of);

#endif
