/* exemplars.h — the promise between those who ask for exemplars and those who keep them.
 *
 * What        The exemplars of a closed interval of time, by series.
 * Invariants  (1) Series in label order, each once; those that match at least one of the sets of
 *             matchers. (2) Exemplars of a series in the order of their times. (3) No series is
 *             without exemplars.
 * Ownership   what select hands out lies in the caller's arena
 * Threads     any
 * Errors      ERR_LIMIT: the arena is spent
 * Format      none
 */
#ifndef EPI_STORAGE_EXEMPLARS_H
#define EPI_STORAGE_EXEMPLARS_H

#include "model/exemplar.h"
#include "model/matcher.h"

struct exemplar_series {
    struct labels labels;
    const struct exemplar *at;
    size_t n;
};
struct exemplar_result {
    const struct exemplar_series *at;
    size_t n;
};

struct exemplar_queryable {
    const struct exemplar_queryable_ops *ops;
};
struct exemplar_queryable_ops {
    /* start and end inclusive, in ms. No exemplars are kept: the result is empty. */
    errc (*select)(struct exemplar_queryable *q, int64_t start, int64_t end,
        const struct matchers *sets, size_t n_sets, struct arena *a, struct exemplar_result *out,
        struct err *e);
};

#endif
