/* sample.h — a point of a series.
 *
 * What        Times are int64 milliseconds since the epoch; a value is a double or a native
 *             histogram.
 * Invariants  staleness is a bit pattern, not "any NaN"
 * Ownership   values
 * Threads     values
 * Errors      none
 * Format      stale NaN 0x7ff0000000000002, ordinary NaN 0x7ff8000000000001
 */
#ifndef EPI_MODEL_SAMPLE_H
#define EPI_MODEL_SAMPLE_H

#include "base/f64.h"

/* series ref: ascending from 1, as the WAL has it; 0: none */
typedef uint64_t sref;

enum sample_kind { SAMPLE_FLOAT, SAMPLE_HISTOGRAM, SAMPLE_FLOAT_HISTOGRAM };

#define STALE_NAN_BITS 0x7ff0000000000002u
#define NORMAL_NAN_BITS 0x7ff8000000000001u
static inline bool sample_is_stale(double v) { return f64_bits(v) == STALE_NAN_BITS; }
static inline double stale_nan(void) { return f64_of_bits(STALE_NAN_BITS); }
static inline double normal_nan(void) { return f64_of_bits(NORMAL_NAN_BITS); }

struct sample { int64_t t; double v; };

#endif
