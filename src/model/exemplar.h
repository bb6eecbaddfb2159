/* exemplar.h — an example of what a sample counts: a value with labels of its own.
 *
 * What        The noun, and when two of them are the same.
 * Invariants  labels are sorted and have no empty values; together they have at most
 *             EXEMPLAR_RUNES_MAX characters, or are refused
 * Ownership   borrows
 * Threads     values
 * Errors      exemplar_check: ERR_LIMIT with Prometheus' words
 * Format      none
 */
#ifndef EPI_MODEL_EXEMPLAR_H
#define EPI_MODEL_EXEMPLAR_H

#include "model/labels.h"

enum { EXEMPLAR_RUNES_MAX = 128 }; /* of all names and values, as OpenMetrics has it */

/* has_t false: it came without a time of its own, t is that of its sample. */
struct exemplar {
    struct labels labels;
    double v;
    int64_t t;
    bool has_t;
};

/* Equal labels and value, and time if one of them has its own: without it the same exemplar is
 * scraped again and again. */
bool exemplar_same(const struct exemplar *a, const struct exemplar *b);
MUST_USE errc exemplar_check(const struct exemplar *x, struct err *e);

#endif
