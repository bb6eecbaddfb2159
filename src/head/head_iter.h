/* head_iter.h — the samples of one series of the head.
 *
 * What        Closed chunks from the chunk files, sealed and open ones from memory, one after the
 *             other, clipped, without what was deleted and without what the reader must not see.
 * Invariants  those of storage/sample_iter
 * Ownership   head_iter_new allocates, its free() frees; head_iter_reset uses it again for another
 *             series
 * Threads     one at a time; takes the slot's lock in head_iter_reset only
 * Errors      ERR_IO; ERR_CORRUPT of a closed chunk, where that is not left out
 * Format      none
 */
#ifndef EPI_HEAD_HEAD_ITER_H
#define EPI_HEAD_HEAD_ITER_H

#include "head/head_impl.h"

struct head_iter;
struct head_iter_of {
    uint32_t slot, generation;
    sref ref;
    int64_t mint, maxt;
    const struct isolation_reader *reader;
    struct left_out *left;                     /* damaged chunks; NULL: they are errors */
};

struct sample_iter *head_iter_new(struct head *h);
bool head_iter_is(const struct sample_iter *it);
void head_iter_reset(struct sample_iter *it, const struct head_iter_of *of);
/* It will be reset to each of them next: what of their chunks can be read and decoded side by side
 * is. */
void head_iter_ahead(struct sample_iter *it, const struct head_iter_of *of, size_t n);

#endif
