/* aggr.h — a chunk of a downsampled block: up to five chunks in one, an aggregate each.
 *
 * What        Taking it apart, and looking at all of it. Thanos' compactor makes such chunks.
 * Invariants  none
 * Ownership   borrows
 * Threads     pure functions; one thread an iterator
 * Errors      ERR_CORRUPT: it ends early or goes on behind its end, or an aggregate is no chunk of
 *             samples without start timestamps
 * Format      for count, sum, min, max and counter: uvarint length (0: there is none), then u8
 *             encoding and so many bytes. Times of a counter may come twice: the first and the last
 *             sample as they were stand beside those of their windows.
 */
#ifndef EPI_CHUNK_AGGR_H
#define EPI_CHUNK_AGGR_H

#include "chunk/measure.h"

enum { CHUNK_AGGR = 0xff };                    /* its encoding */
enum aggr { AGGR_COUNT, AGGR_SUM, AGGR_MIN, AGGR_MAX, AGGR_COUNTER, AGGR_KINDS };

struct aggr_one { uint8_t enc; str data; };    /* enc CHUNK_NONE: there is none */
MUST_USE errc aggr_split(struct aggr_one out[static AGGR_KINDS], str data, struct err *e);

/* As chunk_iter_begin: the first window's time; the iterator is to be reset after it. */
MUST_USE errc aggr_begin(
    struct chunk_iter *it, str data, int64_t *t, bool *any, struct err *e);

/* How many windows, and their times. */
MUST_USE errc aggr_measure(
    struct chunk_measure *out, struct chunk_iter *it, str data, struct err *e);

/* "count", … */
const char *aggr_name(enum aggr which);

#endif
