/* narrow.h — floats of a chunk in memory: wider than the chunk, and back in a tenth of the time.
 *
 * What        Times as a straight line and how far each is from it; values as what they are, or, if
 *             they are whole numbers, as how far they are above the least. All in the narrowest
 *             column that holds them: 0, 2, 4 or 8 bytes a sample.
 * Invariants  what comes back are the same times, and the same bits of the values
 * Ownership   writes into the caller's bytes and arrays
 * Threads     pure
 * Errors      none: the bytes never leave the process
 * Format      none: of this process alone
 */
#ifndef EPI_CHUNK_NARROW_H
#define EPI_CHUNK_NARROW_H

#include "base/defs.h"

enum { NARROW_SAMPLES_MAX = 1 << 10 };

/* What comes before the columns. */
struct narrow {
    int64_t t0, interval;
    double least;                              /* of values that are whole numbers */
    uint16_t n;
    uint8_t time_bytes, value_bytes;           /* of a sample */
    bool whole;
};

/* n <= NARROW_SAMPLES_MAX ascending times; n > 0. */
void narrow_of(struct narrow *w, const int64_t *t, const double *v, size_t n);
static inline size_t narrow_bytes(const struct narrow *w)
{
    return (size_t)w->n * (w->time_bytes + w->value_bytes);
}
/* out: room for narrow_bytes */
void narrow_put(const struct narrow *w, uint8_t *out, const int64_t *t, const double *v);
void narrow_get(const struct narrow *w, const uint8_t *in, int64_t *t, double *v);

#endif
