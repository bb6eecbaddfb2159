/* chunk_querier.h — the promise between those who ask for chunks as they are and those who have
 * them.
 *
 * What        The series that match, in label order, with their chunks of a closed interval.
 * Invariants  (1) As querier.h: what was committed before select() is seen, whole batches only. (2)
 *             No chunk reaches out of [mint, maxt] or holds what was deleted: such ones are written
 *             anew. (3) Chunks of a series do not overlap. (4) No series is without chunks. (5) A
 *             damaged chunk is left out, and the set's warnings tell it.
 * Ownership   the set holds what it needs until it is freed
 * Threads     one set: one thread at a time
 * Errors      ERR_IO, ERR_CORRUPT, ERR_LIMIT, ERR_UNSUPPORTED (an encoding that would have to be
 *             cut and cannot be)
 * Format      none
 */
#ifndef EPI_STORAGE_CHUNK_QUERIER_H
#define EPI_STORAGE_CHUNK_QUERIER_H

#include "model/matcher.h"
#include "storage/chunk_series.h"

struct chunk_queryable { const struct chunk_queryable_ops *ops; };
struct chunk_queryable_ops {
    errc (*select)(struct chunk_queryable *q, struct matchers ms, int64_t mint, int64_t maxt,
        struct chunk_series_set **out, struct err *e);
};

#endif
