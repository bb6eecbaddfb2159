/* timestamp.h — times of samples as text.
 *
 * What        Milliseconds since the epoch as seconds with a decimal point, the way the API prints
 *             the time of a point.
 * Invariants  none
 * Ownership   none
 * Threads     pure
 * Errors      none
 * Format      "1785542400.123": three digits after the point, or none
 *             (conformance/misc/timestamp_format.jsonl)
 */
#ifndef EPI_MODEL_TIMESTAMP_H
#define EPI_MODEL_TIMESTAMP_H

#include "base/buf.h"

void buf_time_s(struct buf *b, int64_t ms);

#endif
