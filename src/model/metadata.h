/* metadata.h — what a metric family says of itself.
 *
 * What        Type, unit, help.
 * Invariants  none
 * Ownership   borrows
 * Threads     values
 * Errors      none
 * Format      the words of the exposition formats and of /api/v1/metadata
 */
#ifndef EPI_MODEL_METADATA_H
#define EPI_MODEL_METADATA_H

#include "base/str.h"

enum metric_type { /* the order is that of the WAL's type byte */
    TYPE_UNKNOWN,
    TYPE_COUNTER,
    TYPE_GAUGE,
    TYPE_HISTOGRAM,
    TYPE_GAUGE_HISTOGRAM,
    TYPE_SUMMARY,
    TYPE_INFO,
    TYPE_STATESET,
    METRIC_TYPES
};
struct metadata { enum metric_type type; str unit, help; };

str metric_type_name(enum metric_type t);                      /* "gaugehistogram", "unknown", … */
MUST_USE bool metric_type_parse(str word, enum metric_type *out);

#endif
