/* sample_iter.h — the samples of a series, in batches.
 *
 * What        fill() hands out up to SAMPLE_BATCH samples of one kind at a time.
 * Invariants  t grows strictly across all batches; n == 0 is the end; after an error or the end
 *             fill() keeps answering the same.
 * Ownership   free() ends it; it borrows its source: the querier that made it outlives it. h lives
 *             until the next fill.
 * Threads     one at a time
 * Errors      ERR_IO, ERR_CORRUPT, ERR_LIMIT
 * Format      none
 */
#ifndef EPI_STORAGE_SAMPLE_ITER_H
#define EPI_STORAGE_SAMPLE_ITER_H

#include "base/err.h"
#include "model/sample_batch.h"

/* (lo + k * interval, lo + width + k * interval] for k in [0, n); n 0: all times. */
struct sample_windows { int64_t lo, width, interval; size_t n; };

struct sample_iter { const struct sample_iter_ops *ops; };
struct sample_iter_ops {
    errc (*fill)(struct sample_iter *it, struct sample_batch *out, struct err *e);
    /* the next batch starts at the first sample >= t; never goes back */
    errc (*seek)(struct sample_iter *it, int64_t t, struct err *e);
    void (*free)(struct sample_iter *it);
    /* Floats without start timestamps, straight into the caller's arrays: at most cap, which is
     * SAMPLE_BATCH at least. *n 0: what comes next is something else, or nothing: fill() tells.
     * NULL: always so. */
    errc (*floats)(
        struct sample_iter *it, int64_t *t, double *v, size_t cap, size_t *n, struct err *e);
    /* What lies between these may be left out: said before the first fill, floats or seek, until
     * the iterator is opened for another series. NULL: nothing is left out. */
    void (*windows)(struct sample_iter *it, const struct sample_windows *w);
};
static inline errc sample_iter_fill(struct sample_iter *it, struct sample_batch *out, struct err *e)
{
    return it->ops->fill(it, out, e);
}
static inline errc sample_iter_seek(struct sample_iter *it, int64_t t, struct err *e)
{
    return it->ops->seek(it, t, e);
}
static inline errc sample_iter_floats(
    struct sample_iter *it, int64_t *t, double *v, size_t cap, size_t *n, struct err *e)
{
    *n = 0;
    return it->ops->floats ? it->ops->floats(it, t, v, cap, n, e) : OK;
}
static inline void sample_iter_free(struct sample_iter *it) { if (it) it->ops->free(it); }
static inline void sample_iter_freep(struct sample_iter **it) { sample_iter_free(*it); }

#endif
